#pragma once
// The rows that a scan's `where` lets through, and the part of it that files can be left out by.

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "columns/batch.h"
#include "pipeline/expressions/expression.h"
#include "tables/delta/pruning.h"
#include "tables/where/where_clause.h"

namespace headrace::tables {

// Not thread-safe.
class RowFilter {
 public:
  // `where` (where/where_clause.h) is over the columns of `table`, `now` as it is at this moment;
  // empty lets every row through. Errors: kInvalidInput that marks where it is wrong.
  static base::Result<RowFilter> Make(const std::string& where, const columns::SchemaRef& table,
                                      base::Timestamp now);

  // The columns of the table that it reads, ascending.
  const std::vector<size_t>& inputs() const { return inputs_; }
  // Of the terms that are joined by AND, those that compare a column with a constant.
  const std::vector<delta::Condition>& conditions() const { return conditions_; }
  // `batch` has the table's schema, or at least the columns of inputs() under their names. Rows for
  // which it is null stay out.
  base::Result<columns::ColumnBatch> Apply(const columns::ColumnBatch& batch);

 private:
  base::Result<void> CompileFor(const columns::SchemaRef& schema);

  std::optional<WhereClause> where_;
  std::vector<size_t> inputs_;
  std::vector<delta::Condition> conditions_;
  columns::SchemaRef compiled_for_;
  std::optional<pipeline::Expression> expression_;
};

}  // namespace headrace::tables
