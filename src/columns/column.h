#pragma once
// The values of one field over the rows of a batch, in Arrow's layout: validity bits, offsets,
// values, and for lists a column of elements in place of values.

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "columns/buffer.h"
#include "columns/type.h"
#include "columns/value.h"

namespace headrace::columns {

// Immutable; any thread may read it. Bits are least significant first; a set validity bit means
// "present". Offsets are int32, length + 1 of them, the first 0. All buffers start at row 0 (no
// slice offset).
class Column {
 public:
  Column() = default;
  // `validity` empty: no nulls. `offsets` only for string and bytes.
  Column(Type type, size_t length, Buffer values, Buffer validity = {}, Buffer offsets = {});
  // Row i is the list of elements offsets[i] .. offsets[i + 1].
  static Column OfLists(size_t length, Column elements, Buffer offsets, Buffer validity = {});

  Type type() const { return type_; }
  size_t length() const { return length_; }
  bool has_nulls() const { return !validity_.empty(); }
  bool IsNull(size_t row) const {
    return !validity_.empty() && ((validity_.data()[row >> 3] >> (row & 7)) & 1) == 0;
  }

  // The value at `row`; the caller has checked type and nullness (a null's bytes are unspecified
  // but readable).
  bool Bool(size_t row) const { return ((values_.data()[row >> 3] >> (row & 7)) & 1) != 0; }
  std::span<const int32_t> Int32s() const { return values_.as<int32_t>(); }  // kInt32, kDate
  std::span<const int64_t> Int64s() const {
    return values_.as<int64_t>();
  }  // kInt64, kTimestamp, kTimestampNtz
  std::span<const float> Float32s() const { return values_.as<float>(); }
  std::span<const double> Float64s() const { return values_.as<double>(); }
  // Lives as long as the column. kString and kBytes.
  std::string_view Text(size_t row) const {
    const auto offsets = offsets_.as<int32_t>();
    return {reinterpret_cast<const char*>(values_.data()) + offsets[row],
            static_cast<size_t>(offsets[row + 1] - offsets[row])};
  }
  // Of a list column: the elements of all rows.
  const Column& elements() const { return *elements_; }
  // Any type, null included. Slower: for single rows and errors.
  Value At(size_t row) const;

  const Buffer& values() const { return values_; }
  const Buffer& validity() const { return validity_; }
  const Buffer& offsets() const { return offsets_; }
  // Bytes of all buffers.
  size_t ByteSize() const {
    return values_.size() + validity_.size() + offsets_.size() +
           (elements_ != nullptr ? elements_->ByteSize() : 0);
  }

 private:
  Type type_ = Type::kInt64;
  size_t length_ = 0;
  Buffer values_;
  Buffer validity_;
  Buffer offsets_;
  std::shared_ptr<const Column> elements_;  // of lists only
};

}  // namespace headrace::columns
