#pragma once
// Some columns of one row as bytes: what a join keeps of a row that waits for its partners.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "columns/batch.h"
#include "columns/batch_builder.h"
#include "columns/schema.h"

namespace headrace::pipeline {

// A byte a field that says whether it is null, 8 bytes a field, then the texts. Immutable; any
// thread may use it.
class StoredRowLayout {
 public:
  // `fields` of `schema`.
  StoredRowLayout(const columns::Schema& schema, std::vector<size_t> fields);

  size_t size() const { return fields_.size(); }
  columns::Type type(size_t field) const { return types_[field]; }
  // `rows` has the schema.
  std::string Store(const columns::ColumnBatch& rows, size_t row) const;
  // How long the texts of `fields` are together, which are columns of text.
  uint64_t TextBytes(std::string_view stored, std::span<const size_t> fields) const;
  void AppendTo(columns::ColumnBuilder& builder, std::string_view stored, size_t field) const;
  // What every stored row has at least.
  size_t bytes_min() const { return fields_.size() * kFieldBytes; }

 private:
  static constexpr size_t kFieldBytes = 1 + sizeof(uint64_t);
  uint64_t StoredCell(std::string_view stored, size_t field) const;
  std::vector<size_t> fields_;
  std::vector<columns::Type> types_;
};

}  // namespace headrace::pipeline
