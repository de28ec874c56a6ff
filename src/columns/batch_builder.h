#pragma once
// Builds columns and batches value by value (JSON, tests) or from typed runs.

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "columns/batch.h"

namespace headrace::columns {

// Not thread-safe. Append the right kind for the type; then Finish once.
class ColumnBuilder {
 public:
  explicit ColumnBuilder(Type type);

  void AppendNull();
  void AppendBool(bool v);
  void AppendInt(int64_t v);    // kInt32, kInt64, kDate, kTimestamp*; a value too wide for the type
                                // is an invariant
  void AppendDouble(double v);  // kFloat32, kFloat64
  void AppendText(std::string_view v);
  void AppendList(const Value::Elements& v);
  void AppendValue(const Value& v);  // null or the column's type
  // Row `row` of `column`, which has this type.
  void AppendFrom(const Column& column, size_t row);

  size_t length() const { return length_; }
  Type type() const { return type_; }
  Column Finish();

 private:
  void MarkValid();
  Type type_;
  size_t length_ = 0;
  bool any_null_ = false;
  std::vector<uint8_t> values_;
  std::vector<uint8_t> validity_;
  std::vector<int32_t> offsets_;
  std::unique_ptr<ColumnBuilder> elements_;  // of lists only
};

// A builder for each field of a schema.
class BatchBuilder {
 public:
  explicit BatchBuilder(SchemaRef schema);
  ColumnBuilder& column(size_t index) { return columns_[index]; }
  const SchemaRef& schema() const { return schema_; }
  // Rows so far: all columns must be equally long (an invariant).
  size_t rows() const;
  ColumnBatch Finish();

 private:
  SchemaRef schema_;
  std::vector<ColumnBuilder> columns_;
};

}  // namespace headrace::columns
