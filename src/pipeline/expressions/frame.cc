#include <algorithm>
#include <cstring>

#include "pipeline/expressions/program.h"

namespace headrace::pipeline {

using columns::Column;
using columns::Type;
using columns::Value;

size_t WidthOf(MachineType type) {
  switch (type) {
    case MachineType::kBool: return sizeof(uint8_t);
    case MachineType::kInt: return sizeof(int64_t);
    case MachineType::kFloat: return sizeof(double);
    case MachineType::kText: return sizeof(std::string_view);
  }
  return 0;
}

namespace {

// Room for `rows` values and as many null bytes, in multiples of 16 so that everything stays
// aligned.
size_t SlotBytes(const Step& step, size_t rows) {
  const size_t values = (rows * WidthOf(step.machine()) + 15) / 16 * 16;
  return values + (rows + 15) / 16 * 16;
}

}  // namespace

Frame::Frame(const std::vector<Step>& steps, size_t rows_max)
    : rows_(rows_max), rows_max_(rows_max), slots_(steps.size()) {
  size_t bytes = 0;
  for (const Step& step : steps)
    bytes += SlotBytes(step, step.kind == Step::Kind::kConstant ? 1 : rows_max);
  memory_ = std::make_unique_for_overwrite<std::byte[]>(bytes + 16);
  auto at = reinterpret_cast<uintptr_t>(memory_.get());
  at = (at + 15) / 16 * 16;
  for (const Step& step : steps) {
    const size_t rows = step.kind == Step::Kind::kConstant ? 1 : rows_max;
    Slot& slot = slots_[step.self];
    slot.own_values = reinterpret_cast<void*>(at);
    slot.own_nulls =
        reinterpret_cast<uint8_t*>(at + (rows * WidthOf(step.machine()) + 15) / 16 * 16);
    at += SlotBytes(step, rows);
    if (step.kind == Step::Kind::kConstant) LoadValue(step, step.constant, *this);
  }
}

uint8_t* Frame::OwnNulls(uint32_t step) {
  slots_[step].nulls = slots_[step].own_nulls;
  return slots_[step].own_nulls;
}

void Frame::JoinNulls(const Step& step) {
  const uint8_t* first = nullptr;
  uint8_t* joined = nullptr;
  for (const uint32_t argument : step.arguments) {
    const uint8_t* nulls = slots_[argument].nulls;
    if (nulls == nullptr || nulls == first) continue;
    if (first == nullptr) {
      first = nulls;
      continue;
    }
    if (joined == nullptr) {
      joined = slots_[step.self].own_nulls;
      std::memcpy(joined, first, rows_);
    }
    for (size_t row = 0; row < rows_; ++row) joined[row] |= nulls[row];
  }
  slots_[step.self].nulls = joined != nullptr ? joined : first;
}

char* Frame::Text(size_t bytes) {
  constexpr size_t kBlockBytes = 16 << 10;
  static_assert(kMadeTextBytesMax <= kBlockBytes);
  if (bytes > kMadeTextBytesMax) return nullptr;
  if (texts_.empty() || texts_.back().size - texts_.back().used < bytes) {
    texts_.push_back({std::make_unique_for_overwrite<char[]>(kBlockBytes), kBlockBytes, 0});
  }
  TextBlock& block = texts_.back();
  block.used += bytes;
  return block.bytes.get() + block.used - bytes;
}

void Frame::ClearTexts() {
  if (texts_.size() > 1) texts_.resize(1);
  if (!texts_.empty()) texts_[0].used = 0;
}

void RunKernels(const std::vector<Step>& steps, Frame& frame) {
  for (const Step& step : steps)
    if (step.kind == Step::Kind::kCompute) step.kernel(step, frame);
}

Value ValueAt(const Step& step, const Frame& frame, size_t row) {
  const uint8_t* nulls = frame.Nulls(step.self);
  if (nulls != nullptr && nulls[row] != kIsPresent) return Value::Null(step.type.type);
  switch (step.machine()) {
    case MachineType::kBool: return Value::Bool(frame.In<uint8_t>(step.self)[row] != 0);
    case MachineType::kInt: return Value(step.type.type, frame.In<int64_t>(step.self)[row]);
    case MachineType::kFloat: return Value(step.type.type, frame.In<double>(step.self)[row]);
    case MachineType::kText:
      return Value(step.type.type, std::string(frame.In<std::string_view>(step.self)[row]));
  }
  return {};
}

void LoadValue(const Step& step, const Value& value, Frame& frame) {
  const bool null = value.is_null();
  switch (step.machine()) {
    case MachineType::kBool:
      *frame.Out<uint8_t>(step.self) = !null && value.as_bool() ? 1 : 0;
      break;
    case MachineType::kInt: *frame.Out<int64_t>(step.self) = null ? 0 : value.as_int(); break;
    case MachineType::kFloat: *frame.Out<double>(step.self) = null ? 0.0 : value.as_double(); break;
    case MachineType::kText:
      *frame.Out<std::string_view>(step.self) =
          null ? std::string_view() : std::string_view(value.as_text());
      break;
  }
  frame.SetConstant(step.self, null);
}

void Frame::SetConstant(uint32_t step, bool null) {
  slots_[step].stride = 0;
  slots_[step].nulls = nullptr;
  if (!null) return;
  auto nulls = std::make_unique_for_overwrite<uint8_t[]>(rows_max_);
  std::memset(nulls.get(), kIsNull, rows_max_);
  slots_[step].nulls = nulls.get();
  constant_nulls_.push_back(std::move(nulls));
}

namespace {

void LoadNulls(const Step& step, const Column& column, size_t begin, Frame& frame) {
  frame.SetNulls(step.self, nullptr);
  if (!column.has_nulls()) return;
  uint8_t* nulls = frame.OwnNulls(step.self);
  uint8_t any = kIsPresent;
  for (size_t row = 0; row < frame.rows(); ++row) {
    nulls[row] = column.IsNull(begin + row) ? kIsNull : kIsPresent;
    any |= nulls[row];
  }
  if (any == kIsPresent) frame.SetNulls(step.self, nullptr);
}

template <typename To, typename From>
void Widen(const Step& step, std::span<const From> values, size_t begin, Frame& frame) {
  To* out = frame.Out<To>(step.self);
  for (size_t row = 0; row < frame.rows(); ++row) out[row] = static_cast<To>(values[begin + row]);
}

void LoadTexts(const Step& step, const Column& column, size_t begin, Frame& frame) {
  auto* out = frame.Out<std::string_view>(step.self);
  for (size_t row = 0; row < frame.rows(); ++row) out[row] = column.Text(begin + row);
}

}  // namespace

void LoadColumn(const Step& step, const Column& column, size_t begin, Frame& frame) {
  switch (column.type()) {
    case Type::kBool: {
      auto* out = frame.Out<uint8_t>(step.self);
      for (size_t row = 0; row < frame.rows(); ++row) out[row] = column.Bool(begin + row) ? 1 : 0;
      break;
    }
    case Type::kInt32:
    case Type::kDate: Widen<int64_t>(step, column.Int32s(), begin, frame); break;
    case Type::kInt64:
    case Type::kTimestamp:
    case Type::kTimestampNtz: frame.Borrow(step.self, column.Int64s().data() + begin, 1); break;
    case Type::kFloat32: Widen<double>(step, column.Float32s(), begin, frame); break;
    case Type::kFloat64: frame.Borrow(step.self, column.Float64s().data() + begin, 1); break;
    case Type::kString:
    case Type::kBytes: LoadTexts(step, column, begin, frame); break;
  }
  LoadNulls(step, column, begin, frame);
}

}  // namespace headrace::pipeline
