#include "pipeline/aggregates/distinct_values.h"

namespace headrace::pipeline {
namespace {

enum Form : uint8_t { kValues, kRegisters, kBeyond };

}  // namespace

DistinctValues::DistinctValues(CellKind kind, int register_bits)
    : kind_(kind),
      register_bits_(register_bits),
      values_(0, ValueHash{.kind = kind}, ValueEqual{.kind = kind}) {}

void DistinctValues::Add(const ArgumentBlock& argument, RowMask rows) {
  ForEachRow(rows, [&](uint32_t row) { Insert(ValueCell(kind_, argument, row)); });
}

void DistinctValues::Insert(uint64_t cell) {
  if (registers_) return registers_->Add(HashOfValue(kind_, cell));
  if (beyond_) return;
  values_.insert(cell);
  if (values_.size() > (register_bits_ != 0 ? kExactDistinctMax : kDistinctValuesMax)) Leave();
}

void DistinctValues::Leave() {
  if (register_bits_ != 0) {
    registers_.emplace(register_bits_);
    for (const uint64_t value : values_) registers_->Add(HashOfValue(kind_, value));
  } else {
    beyond_ = true;
  }
  values_.clear();
}

void DistinctValues::Merge(const DistinctValues& other) {
  if (other.beyond_ && !beyond_) Leave();
  if (other.registers_) {
    if (!registers_) Leave();
    registers_->Merge(*other.registers_);
  }
  for (const uint64_t value : other.values_) Insert(value);
}

std::optional<uint64_t> DistinctValues::Count() const {
  if (beyond_) return std::nullopt;
  return registers_ ? registers_->Estimate() : values_.size();
}

void DistinctValues::AppendBytes(columns::ByteWriter& out) const {
  out.U8(beyond_ ? kBeyond : registers_ ? kRegisters : kValues);
  if (beyond_) return;
  if (registers_) return out.Bytes(registers_->registers());
  out.U32(static_cast<uint32_t>(values_.size()));
  for (const uint64_t& value : values_) {
    if (kind_ == CellKind::kText) {
      out.Text(TextCell::Read(value));
    } else {
      out.U64(value);
    }
  }
}

base::Result<void> DistinctValues::MergeBytes(columns::ByteReader& in) {
  HR_TRY(const uint8_t form, in.U8());
  if (form == kBeyond && register_bits_ == 0) {
    if (!beyond_) Leave();
    return {};
  }
  if (form == kRegisters && register_bits_ != 0) {
    HR_TRY(const auto registers, in.Bytes(size_t{1} << register_bits_));
    if (!registers_) Leave();
    if (registers_->MergeRegisters(registers)) return {};
    return base::Fail(base::ErrorCode::kCorruption, "registers that no hash gives");
  }
  if (form != kValues)
    return base::Fail(base::ErrorCode::kCorruption, "distinct values of no known form");
  HR_TRY(const uint32_t values, in.U32());
  for (uint32_t i = 0; i < values; ++i) {
    if (kind_ == CellKind::kText) {
      HR_TRY(const std::string_view text, in.Text());
      Insert(TextCell::Of(text));
    } else {
      HR_TRY(const uint64_t value, in.U64());
      Insert(value);
    }
  }
  return {};
}

void DistinctValues::Reset() {
  values_.clear();
  registers_.reset();
  beyond_ = false;
}

}  // namespace headrace::pipeline
