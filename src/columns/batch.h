#pragma once
// Rows of one schema, in columns.

#include <cstdint>
#include <span>
#include <vector>

#include "columns/column.h"
#include "columns/schema.h"

namespace headrace::columns {

// Immutable; cheap to copy (buffers are shared); any thread may read it.
class ColumnBatch {
 public:
  ColumnBatch() = default;
  // Every column has `rows` rows and its field's type (broken otherwise: an invariant).
  ColumnBatch(SchemaRef schema, size_t rows, std::vector<Column> columns);

  const SchemaRef& schema() const { return schema_; }
  size_t rows() const { return rows_; }
  const std::vector<Column>& columns() const { return columns_; }
  const Column& column(size_t index) const { return columns_[index]; }
  size_t ByteSize() const;

  // The rows whose number is in `rows`, in that order.
  ColumnBatch Take(std::span<const uint32_t> rows) const;
  // Rows [begin, end).
  ColumnBatch Slice(size_t begin, size_t end) const;
  // All rows of all batches in order; all of one schema (an invariant). One batch is returned as it
  // is.
  static ColumnBatch Concat(std::span<const ColumnBatch> batches);

 private:
  SchemaRef schema_;
  size_t rows_ = 0;
  std::vector<Column> columns_;
};

// What rows without any value take in columns, about: what no rows of the schema take less than.
uint64_t BytesOfNulls(const Schema& schema, uint64_t rows);

}  // namespace headrace::columns
