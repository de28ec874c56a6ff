#include "pipeline/streams/stored_row.h"

#include <bit>
#include <cstring>
#include <utility>

namespace headrace::pipeline {
namespace {

using columns::Column;
using columns::Type;

// The cell of a text: where it begins, and in these bits how long it is.
constexpr uint64_t kTextLength = 0xffffffffU;

uint64_t CellOf(const Column& column, size_t row) {
  switch (column.type()) {
    case Type::kBool: return column.Bool(row) ? 1 : 0;
    case Type::kFloat32: return std::bit_cast<uint64_t>(double{column.Float32s()[row]});
    case Type::kFloat64: return std::bit_cast<uint64_t>(column.Float64s()[row]);
    case Type::kInt32:
    case Type::kDate: return static_cast<uint64_t>(int64_t{column.Int32s()[row]});
    default: return static_cast<uint64_t>(column.Int64s()[row]);
  }
}

void AppendCell(columns::ColumnBuilder& builder, uint64_t cell) {
  if (builder.type() == Type::kBool) {
    builder.AppendBool(cell != 0);
  } else if (columns::IsFloating(builder.type())) {
    builder.AppendDouble(std::bit_cast<double>(cell));
  } else {
    builder.AppendInt(static_cast<int64_t>(cell));
  }
}

}  // namespace

StoredRowLayout::StoredRowLayout(const columns::Schema& schema, std::vector<size_t> fields)
    : fields_(std::move(fields)) {
  for (const size_t field : fields_) types_.push_back(schema.field(field).type);
}

std::string StoredRowLayout::Store(const columns::ColumnBatch& rows, size_t row) const {
  std::string stored(bytes_min(), '\0');
  for (size_t i = 0; i < fields_.size(); ++i) {
    const Column& column = rows.column(fields_[i]);
    uint64_t cell = 0;
    if (column.IsNull(row)) {
      stored[i] = 1;
    } else if (columns::IsVariable(column.type())) {
      const std::string_view text = column.Text(row);
      cell = (static_cast<uint64_t>(stored.size()) << 32) | text.size();
      stored += text;
    } else {
      cell = CellOf(column, row);
    }
    std::memcpy(stored.data() + fields_.size() + i * sizeof(cell), &cell, sizeof(cell));
  }
  return stored;
}

uint64_t StoredRowLayout::StoredCell(std::string_view stored, size_t field) const {
  uint64_t cell = 0;
  std::memcpy(&cell, stored.data() + fields_.size() + field * sizeof(cell), sizeof(cell));
  return cell;
}

// The cell of a NULL is 0.
uint64_t StoredRowLayout::TextBytes(std::string_view stored, std::span<const size_t> fields) const {
  uint64_t bytes = 0;
  for (const size_t field : fields) bytes += StoredCell(stored, field) & kTextLength;
  return bytes;
}

void StoredRowLayout::AppendTo(columns::ColumnBuilder& builder, std::string_view stored,
                               size_t field) const {
  if (stored[field] != 0) {
    builder.AppendNull();
    return;
  }
  const uint64_t cell = StoredCell(stored, field);
  if (columns::IsVariable(types_[field])) {
    builder.AppendText(stored.substr(cell >> 32, cell & kTextLength));
  } else {
    AppendCell(builder, cell);
  }
}

}  // namespace headrace::pipeline
