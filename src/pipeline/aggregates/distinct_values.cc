#include "pipeline/aggregates/distinct_values.h"

namespace headrace::pipeline {

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

void DistinctValues::Reset() {
  values_.clear();
  registers_.reset();
  beyond_ = false;
}

}  // namespace headrace::pipeline
