#include "tables/scan/row_filter.h"

#include <utility>

namespace headrace::tables {

using base::Result;
using columns::ColumnBatch;

Result<RowFilter> RowFilter::Make(const std::string& where, const columns::SchemaRef& table,
                                  base::Timestamp now) {
  RowFilter filter;
  if (where.empty()) return filter;
  HR_TRY(filter.where_, WhereClause::Parse(where, table, now));
  filter.inputs_ = filter.where_->inputs();
  filter.conditions_ = filter.where_->conditions();
  HR_TRY_VOID(filter.CompileFor(table));
  return filter;
}

Result<void> RowFilter::CompileFor(const columns::SchemaRef& schema) {
  HR_TRY(expression_, where_->CompileFor(schema));
  compiled_for_ = schema;
  return {};
}

Result<ColumnBatch> RowFilter::Apply(const ColumnBatch& batch) {
  if (!expression_) return batch;
  if (compiled_for_ != batch.schema() && *compiled_for_ != *batch.schema())
    HR_TRY_VOID(CompileFor(batch.schema()));
  const columns::Column fits = expression_->Evaluate(batch);
  std::vector<uint32_t> rows;
  for (size_t row = 0; row < batch.rows(); ++row)
    if (!fits.IsNull(row) && fits.Bool(row)) rows.push_back(static_cast<uint32_t>(row));
  return rows.size() == batch.rows() ? batch : batch.Take(rows);
}

}  // namespace headrace::tables
