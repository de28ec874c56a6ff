#include "serving/http/body_document.h"

#include <simdjson.h>

#include <string>
#include <utility>

#include "base/result.h"

namespace headrace::serving {
namespace {

namespace dom = simdjson::dom;

constexpr size_t kDepthMax = 64;
constexpr size_t kCapacityAtFirst = 1U << 16;  // grows with the bodies that come

dom::parser& ThreadParser() {
  thread_local dom::parser parser = [] {
    dom::parser made;
    const auto allocated = made.allocate(kCapacityAtFirst, kDepthMax);
    HR_CHECK(allocated == simdjson::SUCCESS, "no memory for a JSON parser");
    return made;
  }();
  return parser;
}

}  // namespace

std::expected<void, FieldProblem> ForEachBodyField(const protocols::HttpRequest& request,
                                                   const BodyField& read) {
  if (request.body.empty()) return std::unexpected(FieldProblem{"missing", {}, "Field required"});
  dom::element document;
  const bool padded = request.body.capacity() >= request.body.size() + simdjson::SIMDJSON_PADDING;
  const auto error =
      ThreadParser().parse(request.body.data(), request.body.size(), !padded).get(document);
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
