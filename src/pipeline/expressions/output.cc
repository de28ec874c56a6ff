#include "pipeline/expressions/output.h"

#include <limits>

#include "base/result.h"

namespace headrace::pipeline {

using columns::Type;

OutputColumn::OutputColumn(Type type, size_t rows) : type_(type) {
  if (columns::IsVariable(type)) {
    offsets_.reserve(rows + 1);
    offsets_.push_back(0);
  } else if (type == Type::kBool) {
    values_.resize((rows + 7) / 8);
  } else {
    values_.resize(rows * columns::RowOf(type).width);
  }
  validity_.resize((rows + 7) / 8);
}

// Chunks begin at a multiple of kChunkRows, so at a whole byte of bits.
void OutputColumn::AppendNulls(const uint8_t* nulls, size_t rows) {
  uint8_t* out = validity_.data() + length_ / 8;
  for (size_t byte = 0; byte < (rows + 7) / 8; ++byte) {
    const size_t end = std::min(rows, byte * 8 + 8);
    uint8_t bits = 0;
    for (size_t row = byte * 8; row < end; ++row)
      bits |=
          static_cast<uint8_t>((nulls == nullptr || nulls[row] == kIsPresent ? 1 : 0) << (row % 8));
    const auto full =
        static_cast<uint8_t>(end - byte * 8 == 8 ? 0xFF : (1U << (end - byte * 8)) - 1);
    any_null_ |= bits != full;
    out[byte] = bits;
  }
}

void OutputColumn::AppendBools(Values<uint8_t> values, size_t rows) {
  uint8_t* out = values_.data() + length_ / 8;
  for (size_t row = 0; row < rows; row += 8) {
    const size_t end = std::min<size_t>(8, rows - row);
    uint8_t bits = 0;
    for (size_t bit = 0; bit < end; ++bit)
      bits |= static_cast<uint8_t>((values[row + bit] != 0 ? 1 : 0) << bit);
    out[row / 8] = bits;
  }
}

template <typename To, typename From>
void OutputColumn::AppendNumbers(Values<From> values, size_t rows) {
  To* out = reinterpret_cast<To*>(values_.data()) + length_;
  for (size_t row = 0; row < rows; ++row) out[row] = static_cast<To>(values[row]);
}

void OutputColumn::AppendTexts(Values<std::string_view> values, const uint8_t* nulls, size_t rows) {
  for (size_t row = 0; row < rows; ++row) {
    if (nulls == nullptr || nulls[row] == kIsPresent) {
      const std::string_view text = values[row];
      values_.insert(values_.end(), text.begin(), text.end());
    }
    HR_CHECK(values_.size() <= std::numeric_limits<int32_t>::max(),
             "texts of one batch exceed 2 GiB");
    offsets_.push_back(static_cast<int32_t>(values_.size()));
  }
}

void OutputColumn::Append(const Frame& frame, uint32_t step) {
  const size_t rows = frame.rows();
  const uint8_t* nulls = frame.Nulls(step);
  switch (type_) {
    case Type::kBool: AppendBools(frame.In<uint8_t>(step), rows); break;
    case Type::kInt32:
    case Type::kDate: AppendNumbers<int32_t>(frame.In<int64_t>(step), rows); break;
    case Type::kInt64:
    case Type::kTimestamp:
    case Type::kTimestampNtz: AppendNumbers<int64_t>(frame.In<int64_t>(step), rows); break;
    case Type::kFloat32: AppendNumbers<float>(frame.In<double>(step), rows); break;
    case Type::kFloat64: AppendNumbers<double>(frame.In<double>(step), rows); break;
    case Type::kString:
    case Type::kBytes: AppendTexts(frame.In<std::string_view>(step), nulls, rows); break;
  }
  AppendNulls(nulls, rows);
  length_ += rows;
}

columns::Column OutputColumn::Finish() {
  columns::Buffer validity =
      any_null_ ? columns::Buffer::Own(std::move(validity_)) : columns::Buffer();
  columns::Buffer offsets = columns::IsVariable(type_)
                                ? columns::Buffer::OwnValues(std::move(offsets_))
                                : columns::Buffer();
  return columns::Column(type_, length_, columns::Buffer::Own(std::move(values_)),
                         std::move(validity), std::move(offsets));
}

}  // namespace headrace::pipeline
