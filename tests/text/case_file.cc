#include "text/case_file.h"

#include <fmt/core.h>

namespace headrace::tests {
namespace {

// Splits "ingest payments producer=app as_of='2026-01-01 00:00'" at blanks outside single quotes.
std::vector<std::string> Words(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool quoted = false;
  for (const char c : text) {
    if (c == '\'') {
      quoted = !quoted;
    } else if (c == ' ' && !quoted) {
      if (!word.empty()) words.push_back(std::move(word));
      word.clear();
    } else {
      word += c;
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

std::string Quoted(const std::string& word) {
  return word.find(' ') == std::string::npos ? word : "'" + word + "'";
}

CaseSection ParseHeader(std::string_view inside, size_t line) {
  CaseSection section;
  section.line = line;
  for (std::string& word : Words(inside)) {
    const size_t equals = word.find('=');
    if (section.verb.empty()) {
      section.verb = std::move(word);
    } else if (equals == std::string::npos) {
      section.words.push_back(std::move(word));
    } else {
      section.options[word.substr(0, equals)] = word.substr(equals + 1);
    }
  }
  return section;
}

void TrimEnd(std::string& text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
}

}  // namespace

base::Result<CaseFile> CaseFile::Parse(std::string path, std::string_view text) {
  CaseFile file{std::move(path), {}, {}};
  size_t number = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++number;
    if (line.size() > 2 && line[0] == '[' && line[1] >= 'a' && line[1] <= 'z' &&
        line.ends_with(']')) {
      file.sections.push_back(ParseHeader(line.substr(1, line.size() - 2), number));
    } else if (!file.sections.empty()) {
      file.sections.back().body += std::string(line) + "\n";
    } else if (line.starts_with("#")) {
      file.heading += std::string(line) + "\n";
    } else if (!line.empty()) {
      return base::Fail(
          base::ErrorCode::kInvalidInput,
          fmt::format("{}:{}: a case begins with # comments, then [sections]", file.path, number));
    }
  }
  if (file.heading.empty())
    return base::Fail(base::ErrorCode::kInvalidInput,
                      fmt::format("{}:1: say in a # comment what the case shows", file.path));
  for (CaseSection& section : file.sections) TrimEnd(section.body);
  return file;
}

std::string CaseFile::ToText() const {
  std::string text = heading;
  for (const CaseSection& section : sections) {
    text += fmt::format("\n[{}", section.verb);
    for (const std::string& word : section.words) text += " " + Quoted(word);
    for (const auto& [name, value] : section.options) text += " " + Quoted(name + "=" + value);
    text += "]\n";
    if (!section.body.empty()) text += section.body + "\n";
  }
  return text;
}

}  // namespace headrace::tests
