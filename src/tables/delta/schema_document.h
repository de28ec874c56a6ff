#pragma once
// The JSON of a table's schema, which any writer may have committed.

#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace headrace::tables::delta {

// What is deeper is left out, as copying and writing it take stack for each level.
inline constexpr int kSchemaDepthMax = 1000;

// Throws nlohmann's exceptions.
nlohmann::ordered_json ParseSchemaDocument(std::string_view schema_string);

}  // namespace headrace::tables::delta
