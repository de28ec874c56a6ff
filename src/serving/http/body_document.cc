#include "serving/http/body_document.h"

#include <simdjson.h>

#include <string>
#include <utility>

#include "base/result.h"

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

std::expected<void, FieldProblem> ForEachBodyField(const protocols::HttpRequest& request,
                                                   const BodyField& read) {
  if (request.body.empty()) return std::unexpected(FieldProblem{"missing", {}, "Field required"});
  UsedParser parser;
  dom::element document;
  const bool padded = request.body.capacity() >= request.body.size() + simdjson::SIMDJSON_PADDING;
  const auto error = parser->parse(request.body.data(), request.body.size(), !padded).get(document);
  if (error)
    return std::unexpected(FieldProblem{
        "json_invalid", {}, std::string("JSON decode error: ") + simdjson::error_message(error)});
  dom::object fields;
  if (document.get(fields))
    return std::unexpected(
        FieldProblem{"model_attributes_type",
                     {},
                     "Input should be a valid dictionary or object to extract fields from"});
  for (const auto& [name, value] : fields)
    if (auto taken = read(name, value); !taken) return std::unexpected(std::move(taken).error());
  return {};
}

}  // namespace headrace::serving
