#pragma once
// A text case: a pipeline, some events, questions and the expected answers, in one small file
// (tests/cases/README.md).

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace headrace::tests {

// One section: "[ingest payments producer=app sequence=1]" and the lines below it.
struct CaseSection {
  size_t line = 0;                             // 1-based, of the header
  std::string verb;                            // "ingest"
  std::vector<std::string> words;              // "payments"
  std::map<std::string, std::string> options;  // producer -> app
  std::string body;  // lines up to the next section, without trailing blank lines
  std::string Option(const std::string& name, std::string otherwise = {}) const {
    const auto found = options.find(name);
    return found == options.end() ? std::move(otherwise) : found->second;
  }
};

struct CaseFile {
  std::string path;
  std::string heading;  // the comment lines at the top: what the case shows
  std::vector<CaseSection> sections;

  // Errors: kInvalidInput with path and line.
  static base::Result<CaseFile> Parse(std::string path, std::string_view text);
  // The file's text; Parse reads it back.
  std::string ToText() const;
};

}  // namespace headrace::tests
