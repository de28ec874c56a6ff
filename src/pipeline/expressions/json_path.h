#pragma once
// A path into a JSON document, and what it leads to. The document is read once, and all of it: a
// malformed one is malformed whatever the path.

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::pipeline {

// `$`, then .name, ."any name", [0], [#-1] (the last); or a bare name. Immutable.
class JsonPath {
 public:
  struct Step {
    std::string name;
    int64_t index = -1;     // of an array; -1: it is a name
    int64_t from_end = -1;  // 1 is the last; -1: not counted from there
    bool is_name() const { return index < 0 && from_end < 0; }
  };
  // Errors: what is wrong with it, in a sentence.
  static std::expected<JsonPath, std::string> Compile(std::string_view text);
  const std::vector<Step>& steps() const { return steps_; }
  bool counts_from_end() const { return counts_from_end_; }

 private:
  std::vector<Step> steps_;
  bool counts_from_end_ = false;
};

enum class JsonKind : uint8_t { kAbsent, kNull, kBool, kNumber, kString, kArray, kObject };

struct JsonValue {
  JsonKind kind = JsonKind::kAbsent;
  std::string_view text;    // as it is written, a string with its quotes
  int64_t elements = 0;     // of an array
  bool has_blanks = false;  // outside of strings
  bool has_escapes = false;
};

constexpr int kJsonDepthMax = 256;

// What the path leads to; of two members of one name the first. False when the document is
// malformed (RFC 8259) or deeper than kJsonDepthMax.
bool FindInJson(std::string_view document, const JsonPath& path, JsonValue* found);

// Whether a document is an array, and its elements: none unless it is one.
enum class JsonList : uint8_t { kArray, kNull, kOther, kMalformed };
JsonList ElementsOfJson(std::string_view document, std::vector<JsonValue>& elements);

// Appends the JSON without blanks outside of strings.
void AppendCompact(const JsonValue& value, std::string& out);

// Appends what the escapes of a well-formed string's inside stand for.
void AppendUnescaped(std::string_view inside, std::string& out);

}  // namespace headrace::pipeline
