#include "tables/delta/schema_document.h"

#include <nlohmann/json.hpp>

namespace headrace::tables::delta {

nlohmann::ordered_json ParseSchemaDocument(std::string_view schema_string) {
  using Json = nlohmann::ordered_json;
  return Json::parse(schema_string, [](int depth, Json::parse_event_t, const Json&) {
    return depth < kSchemaDepthMax;
  });
}

}  // namespace headrace::tables::delta
