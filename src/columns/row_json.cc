#include "columns/row_json.h"

#include <simdjson.h>

#include <algorithm>
#include <string_view>

#include "columns/value.h"

namespace headrace::columns {
namespace {

// False: it is no list and no object, and nothing was appended.
bool AppendJsonText(std::string& out, std::string_view text) {
  simdjson::dom::parser parser;
  simdjson::dom::element element;
  if (parser.parse(text.data(), text.size()).get(element) != simdjson::SUCCESS ||
      !(element.is_array() || element.is_object()))
    return false;
  // Not of the element: numbers stay as they were written.
  const size_t begin = out.size();
  out.resize(begin + text.size());
  size_t size = 0;
  const bool kept =
      simdjson::minify(text.data(), text.size(), out.data() + begin, size) == simdjson::SUCCESS;
  out.resize(begin + (kept ? size : 0));
  return kept;
}

}  // namespace

std::string RowAsJson(const ColumnBatch& rows, size_t row, const JsonColumns& json) {
  std::string out = "{";
  for (size_t i = 0; i < rows.columns().size(); ++i) {
    const std::string& name = rows.schema()->field(i).name;
    const Column& column = rows.column(i);
    if (i > 0) out += ',';
    AppendJsonString(out, name);
    out += ':';
    const bool is_json = json != nullptr && column.type() == Type::kString &&
                         std::ranges::find(*json, name) != json->end() && !column.IsNull(row);
    if (!is_json || !AppendJsonText(out, column.Text(row))) column.At(row).AppendJson(out);
  }
  return out + "}";
}

}  // namespace headrace::columns
