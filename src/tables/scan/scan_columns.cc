#include "tables/scan/scan_columns.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace headrace::tables {
namespace {

using base::ErrorCode;
using base::Fail;

columns::SchemaRef Selected(const columns::Schema& schema, const std::vector<size_t>& fields) {
  std::vector<columns::Field> selected;
  for (const size_t field : fields) selected.push_back(schema.field(field));
  return std::make_shared<const columns::Schema>(std::move(selected));
}

std::vector<std::string> NamesOf(const columns::Schema& schema) {
  std::vector<std::string> names;
  for (const columns::Field& field : schema.fields()) names.push_back(field.name);
  return names;
}

}  // namespace

base::Result<ScanColumns> ScanColumns::Make(const PublishedStream& stream,
                                            const ScanRequest& request, base::Timestamp now) {
  ScanColumns chosen;
  HR_TRY(chosen.table, TableSchema(*stream.schema));
  const auto has = [&](size_t field) {
    return std::ranges::find(chosen.fields, field) != chosen.fields.end();
  };
  const auto add = [&](size_t field) {
    if (!has(field)) chosen.fields.push_back(field);
  };
  for (const std::string& name : request.columns) {
    const auto field = chosen.table->IndexOf(name);
    if (!field)
      return Fail(ErrorCode::kInvalidInput,
                  fmt::format("no column `{}` in the table of {}; there are: {}", name, stream.name,
                              fmt::join(NamesOf(*chosen.table), ", ")));
    if (has(*field))
      return Fail(ErrorCode::kInvalidInput, fmt::format("column `{}` is named twice", name));
    add(*field);
  }
  if (request.columns.empty())
    for (size_t field = 0; field < chosen.table->size(); ++field) add(field);
  chosen.wanted = Selected(*chosen.table, chosen.fields);
  HR_TRY(chosen.filter, RowFilter::Make(request.where, chosen.table, now));
  for (const size_t field : chosen.filter.inputs()) add(field);
  add(*chosen.table->IndexOf(kEpochColumn));
  chosen.read = Selected(*chosen.table, chosen.fields);
  chosen.names = NamesOf(*chosen.read);
  chosen.epoch_column = *chosen.read->IndexOf(kEpochColumn);
  return chosen;
}

}  // namespace headrace::tables
