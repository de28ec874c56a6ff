#include "ingest/http/body_rows.h"

#include <fmt/core.h>

#include <cstring>

namespace headrace::ingest {
namespace {

using base::ErrorCode;
using base::Fail;

constexpr std::string_view kBlanks = " \t\r\n";

std::string_view Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::unexpected<base::Error> TooManyRows(size_t rows_max) {
  return Fail(ErrorCode::kInvalidInput,
              fmt::format("the request has more than {} rows: split it into several", rows_max));
}

base::Result<std::vector<std::string_view>> SplitLines(std::string_view body, size_t rows_max) {
  std::vector<std::string_view> rows;
  while (!body.empty()) {
    const auto* end = static_cast<const char*>(std::memchr(body.data(), '\n', body.size()));
    const size_t size = end == nullptr ? body.size() : static_cast<size_t>(end - body.data());
    const std::string_view row = Trim(body.substr(0, size));
    if (!row.empty()) {
      if (rows.size() == rows_max) return TooManyRows(rows_max);
      rows.push_back(row);
    }
    body.remove_prefix(end == nullptr ? size : size + 1);
  }
  return rows;
}

// The byte after the string that begins at `at` (a quote); npos when it is not closed.
size_t EndOfString(std::string_view text, size_t at) {
  for (++at; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (text[at] == '"') {
      return at + 1;
    }
  }
  return std::string_view::npos;
}

// The next top-level comma or the close of the array, from `at` inside it; npos when neither comes.
size_t EndOfElement(std::string_view body, size_t at) {
  size_t depth = 0;
  while (at < body.size()) {
    switch (body[at]) {
      case '"':
        at = EndOfString(body, at);
        if (at == std::string_view::npos) return at;
        continue;
      case '{':
      case '[': ++depth; break;
      case '}':
        if (depth > 0) --depth;
        break;
      case ']':
        if (depth == 0) return at;
        --depth;
        break;
      case ',':
        if (depth == 0) return at;
        break;
      default: break;
    }
    ++at;
  }
  return std::string_view::npos;
}

base::Result<std::vector<std::string_view>> SplitArray(std::string_view body, size_t rows_max) {
  std::vector<std::string_view> rows;
  size_t at = 1;
  while (true) {
    const size_t end = EndOfElement(body, at);
    if (end == std::string_view::npos) {
      return Fail(ErrorCode::kInvalidInput,
                  fmt::format("the JSON array is not closed: row {} has no end", rows.size()));
    }
    const std::string_view row = Trim(body.substr(at, end - at));
    const bool closes = body[end] == ']';
    if (row.empty() && !(closes && rows.empty())) {
      return Fail(ErrorCode::kInvalidInput,
                  fmt::format("the JSON array has nothing where row {} should be", rows.size()));
    }
    if (rows.size() == rows_max) return TooManyRows(rows_max);
    if (!row.empty()) rows.push_back(row);
    at = end + 1;
    if (closes) break;
  }
  if (at != body.size())
    return Fail(ErrorCode::kInvalidInput,
                "something follows the JSON array: send one array a request");
  return rows;
}

bool IsEmptyArray(std::string_view text) {
  return text.size() >= 2 && text.front() == '[' && text.back() == ']' &&
         Trim(text.substr(1, text.size() - 2)).empty();
}

}  // namespace

base::Result<std::vector<std::string_view>> SplitBody(std::string_view body, BodyForm form,
                                                      size_t rows_max) {
  const std::string_view text = Trim(body);
  if (form == BodyForm::kLines && !IsEmptyArray(text)) return SplitLines(text, rows_max);
  if (text.starts_with('[')) return SplitArray(text, rows_max);
  if (form == BodyForm::kOneValue && text.starts_with('{'))
    return std::vector<std::string_view>{text};
  return SplitLines(text, rows_max);
}

}  // namespace headrace::ingest
