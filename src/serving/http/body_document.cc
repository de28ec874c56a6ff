#include "serving/http/body_document.h"

#include <simdjson.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/result.h"
#include "protocols/target.h"

namespace headrace::serving {
namespace {

namespace dom = simdjson::dom;

constexpr size_t kDepthMax = 64;
constexpr size_t kCapacityAtFirst = 1U << 16;  // grows with the bodies that come, up to
constexpr size_t kCapacityKept = 1U << 20;     // at some 14 bytes for each of theirs

dom::parser NewParser() {
  dom::parser made;
  const auto allocated = made.allocate(kCapacityAtFirst, kDepthMax);
  HR_CHECK(allocated == simdjson::SUCCESS, "no memory for a JSON parser");
  return made;
}

// This thread's, which gives back what a long body made it take.
class UsedParser {
 public:
  UsedParser() : parser_(OfThread()) {}
  UsedParser(const UsedParser&) = delete;
  UsedParser& operator=(const UsedParser&) = delete;
  ~UsedParser() {
    if (parser_.capacity() > kCapacityKept) parser_ = NewParser();
  }
  dom::parser* operator->() { return &parser_; }

 private:
  static dom::parser& OfThread() {
    thread_local dom::parser parser = NewParser();
    return parser;
  }
  dom::parser& parser_;
};

}  // namespace

std::expected<void, FieldProblems> ForEachBodyField(const std::string& body,
                                                    const BodyField& read) {
  constexpr size_t kToldMax = 64;  // a name may come again and again
  const auto wrong = [](const char* type, std::string message) {
    return std::unexpected(FieldProblems{{type, {}, std::move(message)}});
  };
  if (body.empty()) return wrong("missing", "Field required");
  UsedParser parser;
  dom::element document;
  const bool padded = body.capacity() >= body.size() + simdjson::SIMDJSON_PADDING;
  const auto error = parser->parse(body.data(), body.size(), !padded).get(document);
  if (error)
    return wrong("json_invalid",
                 std::string("JSON decode error: ") + simdjson::error_message(error));
  dom::object fields;
  if (document.get(fields))
    return wrong("model_attributes_type",
                 "Input should be a valid dictionary or object to extract fields from");
  FieldProblems problems;
  for (const auto& [name, value] : fields)
    if (auto taken = read(name, value); !taken && problems.size() < kToldMax)
      problems.push_back(std::move(taken).error());
  if (problems.empty()) return {};
  return std::unexpected(std::move(problems));
}

FieldProblems Told(FieldProblems found, std::span<const std::string_view> model) {
  const auto place = [&](const FieldProblem& problem) {
    return problem.location.empty() ? model.begin()
                                    : std::ranges::find(model, problem.location.front());
  };
  if (std::ranges::all_of(found, IsOfCode)) {
    found.erase(found.begin() + 1, found.end());
    return found;
  }
  std::erase_if(found, IsOfCode);
  std::ranges::stable_sort(found, {}, place);
  return found;
}

std::expected<void, FieldProblem> ReadBodyFlag(const dom::element& element, std::string_view field,
                                               bool& out) {
  const auto wrong = [&](const char* type, const char* message) {
    return std::unexpected(FieldProblem{type, {std::string(field)}, message});
  };
  if (!element.get(out)) return {};
  std::string_view text;
  uint64_t number = 0;
  const bool is_number = !element.get(number);
  if (!is_number && element.get(text)) return wrong("bool_type", "Input should be a valid boolean");
  const auto flag = protocols::ReadFlag(is_number ? std::to_string(number) : text);
  if (!flag)
    return wrong("bool_parsing", "Input should be a valid boolean, unable to interpret input");
  out = *flag;
  return {};
}

}  // namespace headrace::serving
