#include "pipeline/aggregates/cells.h"

#include <bit>

namespace headrace::pipeline {
namespace {

template <typename From, typename To>
void Gather(std::span<const From> from, std::span<const uint32_t> rows, uint64_t* out) {
  for (const uint32_t row : rows) *out++ = std::bit_cast<uint64_t>(static_cast<To>(from[row]));
}

void GatherTexts(const columns::Column& column, std::span<const uint32_t> rows, uint64_t* out,
                 TextMemory& texts) {
  for (const uint32_t row : rows) {
    const std::string_view text = column.IsNull(row) ? std::string_view() : column.Text(row);
    *out++ = text.size() <= TextCell::kInlineMax
                 ? TextCell::Inline(text)
                 : TextCell::Outside(text, texts.AllocateText(TextCell::BlobBytes(text)));
  }
}

}  // namespace

void GatherCells(const columns::Column& column, std::span<const uint32_t> rows, uint64_t* out,
                 TextMemory& texts) {
  using columns::Type;
  switch (column.type()) {
    case Type::kBool: HR_CHECK(false, "a bool has no cell");
    case Type::kInt32:
    case Type::kDate: return Gather<int32_t, int64_t>(column.Int32s(), rows, out);
    case Type::kInt64:
    case Type::kTimestamp:
    case Type::kTimestampNtz: return Gather<int64_t, int64_t>(column.Int64s(), rows, out);
    case Type::kFloat32: return Gather<float, double>(column.Float32s(), rows, out);
    case Type::kFloat64: return Gather<double, double>(column.Float64s(), rows, out);
    case Type::kString:
    case Type::kBytes: return GatherTexts(column, rows, out, texts);
  }
}

RowMask GatherValid(const columns::Column& column, std::span<const uint32_t> rows) {
  RowMask valid = RowsBelow(static_cast<uint32_t>(rows.size()));
  if (!column.has_nulls()) return valid;
  for (size_t i = 0; i < rows.size(); ++i)
    if (column.IsNull(rows[i])) valid &= ~(RowMask{1} << i);
  return valid;
}

RowMask GatherTruth(const columns::Column& column, std::span<const uint32_t> rows) {
  RowMask truth = 0;
  for (size_t i = 0; i < rows.size(); ++i) truth |= static_cast<RowMask>(column.Bool(rows[i])) << i;
  return truth;
}

}  // namespace headrace::pipeline
