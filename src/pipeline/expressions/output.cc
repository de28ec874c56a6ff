#include "pipeline/expressions/output.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/result.h"

namespace headrace::pipeline {

using columns::Type;

OutputColumn::OutputColumn(Type type, size_t rows, size_t text_max)
    : type_(type), text_max_(text_max) {
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

namespace {

// Eight bytes of 0 or 1 as eight bits, the first one lowest: each multiplied copy moves one byte's
// bit to its place on top.
uint8_t PackBits(const uint8_t* bytes) {
  uint64_t eight;
  std::memcpy(&eight, bytes, sizeof(eight));
  return static_cast<uint8_t>((eight * 0x0102040810204080ULL) >> 56);
}

void PackBits(const uint8_t* bytes, size_t rows, uint8_t* out) {
  for (size_t row = 0; row + 8 <= rows; row += 8) out[row / 8] = PackBits(bytes + row);
  const size_t rest = rows % 8;
  if (rest == 0) return;
  uint8_t last[8] = {};
  std::memcpy(last, bytes + rows - rest, rest);
  out[rows / 8] = PackBits(last);
}

}  // namespace

// Chunks begin at a multiple of kChunkRows, so at a whole byte of bits.
void OutputColumn::AppendNulls(const uint8_t* nulls, size_t rows) {
  uint8_t* out = validity_.data() + length_ / 8;
  if (nulls == nullptr) {
    std::memset(out, 0xFF, (rows + 7) / 8);
    return;
  }
  uint8_t valid[kChunkRows];
  for (size_t row = 0; row < rows; ++row) {
    valid[row] = nulls[row] == kIsPresent ? 1 : 0;
    any_null_ |= valid[row] == 0;
  }
  PackBits(valid, rows, out);
}

void OutputColumn::AppendBools(Values<uint8_t> values, size_t rows) {
  uint8_t* out = values_.data() + length_ / 8;
  if (values.stride == 1) return PackBits(values.data, rows, out);
  std::memset(out, *values.data != 0 ? 0xFF : 0, (rows + 7) / 8);
}

template <typename To, typename From>
void OutputColumn::AppendNumbers(Values<From> values, size_t rows) {
  To* out = reinterpret_cast<To*>(values_.data()) + length_;
  for (size_t row = 0; row < rows; ++row) out[row] = static_cast<To>(values[row]);
}

void OutputColumn::AppendTexts(Values<std::string_view> values, std::vector<uint8_t>& nulls) {
  for (size_t row = 0; row < nulls.size(); ++row) {
    if (nulls[row] == kIsPresent) {
      const std::string_view text = values[row];
      is_full_ = is_full_ || text.size() > text_max_ - values_.size();
      if (is_full_) {
        nulls[row] = kIsError;
        ++lost_;
      } else {
        values_.insert(values_.end(), text.begin(), text.end());
      }
    }
    offsets_.push_back(static_cast<int32_t>(values_.size()));
  }
}

void OutputColumn::Append(const Frame& frame, uint32_t step) {
  const size_t rows = frame.rows();
  const uint8_t* nulls = frame.Nulls(step);
  std::vector<uint8_t> of_texts;
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
    case Type::kBytes:
      of_texts.assign(rows, kIsPresent);
      if (nulls != nullptr) of_texts.assign(nulls, nulls + rows);
      AppendTexts(frame.In<std::string_view>(step), of_texts);
      nulls = of_texts.data();
      break;
  }
  AppendNulls(nulls, rows);
  length_ += rows;
}

columns::Column OutputColumn::Finish() {
  if (const size_t rest = length_ % 8; rest != 0) {  // bits after the last row are 0, as elsewhere
    const auto kept = static_cast<uint8_t>((1U << rest) - 1);
    validity_.back() &= kept;
    if (type_ == Type::kBool) values_.back() &= kept;
  }
  columns::Buffer validity =
      any_null_ ? columns::Buffer::Own(std::move(validity_)) : columns::Buffer();
  columns::Buffer offsets = columns::IsVariable(type_)
                                ? columns::Buffer::OwnValues(std::move(offsets_))
                                : columns::Buffer();
  return columns::Column(type_, length_, columns::Buffer::Own(std::move(values_)),
                         std::move(validity), std::move(offsets));
}

}  // namespace headrace::pipeline
