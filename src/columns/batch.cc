#include "columns/batch.h"

#include <algorithm>
#include <cstring>

#include "base/result.h"
#include "columns/batch_builder.h"

namespace headrace::columns {
namespace {

size_t WidthOf(const Column& column) { return RowOf(column.type()).width; }

void SetBit(std::vector<uint8_t>& bits, size_t index) {
  bits[index >> 3] |= static_cast<uint8_t>(1U << (index & 7));
}

// Gathers bits of `from` (a bitmap) at `rows`.
Buffer TakeBits(const Buffer& from, std::span<const uint32_t> rows) {
  std::vector<uint8_t> bits((rows.size() + 7) / 8, 0);
  for (size_t i = 0; i < rows.size(); ++i)
    if (((from.data()[rows[i] >> 3] >> (rows[i] & 7)) & 1) != 0) SetBit(bits, i);
  return Buffer::Own(std::move(bits));
}

template <typename T>
Buffer TakeFixed(const Buffer& from, std::span<const uint32_t> rows) {
  const auto values = from.as<T>();
  std::vector<T> out(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) out[i] = values[rows[i]];
  return Buffer::OwnValues(std::move(out));
}

Column TakeText(const Column& column, std::span<const uint32_t> rows, Buffer validity) {
  std::vector<int32_t> offsets(rows.size() + 1, 0);
  size_t total = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    total += column.Text(rows[i]).size();
    HR_CHECK(total <= INT32_MAX, "text column over 2 GiB");
    offsets[i + 1] = static_cast<int32_t>(total);
  }
  std::vector<uint8_t> bytes(total);
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string_view text = column.Text(rows[i]);
    if (!text.empty()) std::memcpy(bytes.data() + offsets[i], text.data(), text.size());
  }
  return {column.type(), rows.size(), Buffer::Own(std::move(bytes)), std::move(validity),
          Buffer::OwnValues(std::move(offsets))};
}

Column TakeLists(const Column& column, std::span<const uint32_t> rows) {
  ColumnBuilder builder(column.type());
  for (const uint32_t row : rows) builder.AppendFrom(column, row);
  return builder.Finish();
}

Column TakeColumn(const Column& column, std::span<const uint32_t> rows) {
  if (IsList(column.type())) return TakeLists(column, rows);
  Buffer validity = column.has_nulls() ? TakeBits(column.validity(), rows) : Buffer();
  if (IsVariable(column.type())) return TakeText(column, rows, std::move(validity));
  Buffer values;
  if (column.type() == Type::kBool) {
    values = TakeBits(column.values(), rows);
  } else {
    values = WidthOf(column) == 4 ? TakeFixed<uint32_t>(column.values(), rows)
                                  : TakeFixed<uint64_t>(column.values(), rows);
  }
  return {column.type(), rows.size(), std::move(values), std::move(validity)};
}

// Copies `length` bits of `from` behind the `at` bits that `to` has.
void AppendBits(std::vector<uint8_t>& to, size_t at, const Buffer& from, size_t length) {
  for (size_t i = 0; i < length; ++i)
    if (from.empty() || ((from.data()[i >> 3] >> (i & 7)) & 1) != 0) SetBit(to, at + i);
}

template <typename PartOf>
Buffer ConcatBits(std::span<const ColumnBatch> batches, size_t rows, PartOf part_of) {
  std::vector<uint8_t> bits((rows + 7) / 8, 0);
  size_t at = 0;
  for (const ColumnBatch& batch : batches) {
    AppendBits(bits, at, part_of(batch), batch.rows());
    at += batch.rows();
  }
  return Buffer::Own(std::move(bits));
}

Buffer ConcatFixed(std::span<const ColumnBatch> batches, size_t index, size_t rows, size_t width) {
  std::vector<uint8_t> out;
  out.reserve(rows * width);
  for (const ColumnBatch& batch : batches) {
    const uint8_t* data = batch.column(index).values().data();
    out.insert(out.end(), data, data + batch.rows() * width);
  }
  return Buffer::Own(std::move(out));
}

Column ConcatText(std::span<const ColumnBatch> batches, size_t index, size_t rows,
                  Buffer validity) {
  std::vector<int32_t> offsets;
  offsets.reserve(rows + 1);
  offsets.push_back(0);
  std::vector<uint8_t> bytes;
  size_t size = 0;
  for (const ColumnBatch& batch : batches)
    size += static_cast<size_t>(batch.column(index).offsets().as<int32_t>()[batch.rows()]);
  bytes.reserve(size);
  for (const ColumnBatch& batch : batches) {
    const Column& column = batch.column(index);
    const auto from = column.offsets().as<int32_t>();
    const size_t begin = static_cast<size_t>(from[0]);
    const size_t end = static_cast<size_t>(from[batch.rows()]);
    const int64_t shift = static_cast<int64_t>(bytes.size()) - static_cast<int64_t>(begin);
    HR_CHECK(bytes.size() + (end - begin) <= INT32_MAX, "text column over 2 GiB");
    for (size_t row = 1; row <= batch.rows(); ++row)
      offsets.push_back(static_cast<int32_t>(from[row] + shift));
    bytes.insert(bytes.end(), column.values().data() + begin, column.values().data() + end);
  }
  return {batches.front().column(index).type(), rows, Buffer::Own(std::move(bytes)),
          std::move(validity), Buffer::OwnValues(std::move(offsets))};
}

Column ConcatLists(std::span<const ColumnBatch> batches, size_t index) {
  ColumnBuilder builder(batches.front().column(index).type());
  for (const ColumnBatch& batch : batches)
    for (size_t row = 0; row < batch.rows(); ++row) builder.AppendFrom(batch.column(index), row);
  return builder.Finish();
}

Column ConcatColumn(std::span<const ColumnBatch> batches, size_t index, size_t rows) {
  const Column& first = batches.front().column(index);
  if (IsList(first.type())) return ConcatLists(batches, index);
  bool nulls = false;
  for (const ColumnBatch& batch : batches) nulls = nulls || batch.column(index).has_nulls();
  Buffer validity;
  if (nulls)
    validity = ConcatBits(batches, rows, [&](const ColumnBatch& b) -> const Buffer& {
      return b.column(index).validity();
    });
  if (IsVariable(first.type())) return ConcatText(batches, index, rows, std::move(validity));
  Buffer values = first.type() == Type::kBool
                      ? ConcatBits(batches, rows,
                                   [&](const ColumnBatch& b) -> const Buffer& {
                                     return b.column(index).values();
                                   })
                      : ConcatFixed(batches, index, rows, WidthOf(first));
  return {first.type(), rows, std::move(values), std::move(validity)};
}

}  // namespace

ColumnBatch::ColumnBatch(SchemaRef schema, size_t rows, std::vector<Column> columns)
    : schema_(std::move(schema)), rows_(rows), columns_(std::move(columns)) {
  HR_CHECK(schema_ != nullptr && columns_.size() == schema_->size(),
           "batch: columns do not match the schema");
  for (size_t i = 0; i < columns_.size(); ++i) {
    HR_CHECK(columns_[i].length() == rows_, "batch: a column has another length");
    HR_CHECK(columns_[i].type() == schema_->field(i).type, "batch: a column has another type");
  }
}

size_t ColumnBatch::ByteSize() const {
  size_t total = 0;
  for (const Column& column : columns_) total += column.ByteSize();
  return total;
}

ColumnBatch ColumnBatch::Take(std::span<const uint32_t> rows) const {
  std::vector<Column> taken;
  taken.reserve(columns_.size());
  for (const Column& column : columns_) taken.push_back(TakeColumn(column, rows));
  return {schema_, rows.size(), std::move(taken)};
}

ColumnBatch ColumnBatch::Slice(size_t begin, size_t end) const {
  HR_CHECK(begin <= end && end <= rows_, "batch: slice out of range");
  if (begin == 0 && end == rows_) return *this;
  std::vector<uint32_t> rows(end - begin);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<uint32_t>(begin + i);
  return Take(rows);
}

ColumnBatch ColumnBatch::Concat(std::span<const ColumnBatch> batches) {
  HR_CHECK(!batches.empty(), "concat of no batches");
  if (batches.size() == 1) return batches.front();
  size_t rows = 0;
  for (const ColumnBatch& batch : batches) {
    HR_CHECK(
        batch.schema() == batches.front().schema() || *batch.schema() == *batches.front().schema(),
        "concat of batches of two schemas");
    rows += batch.rows();
  }
  std::vector<Column> columns;
  columns.reserve(batches.front().columns().size());
  for (size_t i = 0; i < batches.front().columns().size(); ++i)
    columns.push_back(ConcatColumn(batches, i, rows));
  return {batches.front().schema(), rows, std::move(columns)};
}

uint64_t BytesOfNulls(const Schema& schema, uint64_t rows) {
  uint64_t bits = 0;
  for (const Field& field : schema.fields()) {
    const bool has_offsets = IsVariable(field.type) || IsList(field.type);
    const size_t width = has_offsets ? sizeof(int32_t) : RowOf(field.type).width;
    bits += 1 + std::max<size_t>(8 * width, 1);
  }
  return rows * bits / 8;
}

}  // namespace headrace::columns
