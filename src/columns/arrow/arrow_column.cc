#include "columns/arrow/arrow_column.h"

#include <arrow/array/array_base.h>
#include <arrow/array/array_binary.h>
#include <arrow/array/array_dict.h>
#include <arrow/array/array_nested.h>
#include <arrow/array/array_primitive.h>
#include <arrow/array/validate.h>
#include <arrow/type.h>
#include <arrow/util/utf8.h>
#include <fmt/format.h>

#include <limits>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace headrace::columns {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;

constexpr int64_t kUsPerSecond = 1'000'000;
constexpr int64_t kMsPerDay = 86'400'000;

// What a conversion cares about: rows [offset, offset + length) of Arrow's buffers.
struct Source {
  const arrow::Array& array;
  size_t length;
  size_t offset;

  explicit Source(const arrow::Array& a)
      : array(a),
        length(static_cast<size_t>(a.length())),
        offset(static_cast<size_t>(a.offset())) {}
  const std::shared_ptr<arrow::Buffer>& buffer(size_t index) const {
    return array.data()->buffers[index];
  }
};

Buffer View(const std::shared_ptr<arrow::Buffer>& owner, size_t begin, size_t size) {
  if (owner == nullptr || size == 0) return {};
  return Buffer(owner, owner->data() + begin, size);
}

// Bits [offset, offset + length) from bit 0 on: shared when they start on a byte.
Buffer Bits(const std::shared_ptr<arrow::Buffer>& bits, size_t offset, size_t length) {
  if (bits == nullptr || length == 0) return {};
  const size_t bytes = (length + 7) / 8;
  if (offset % 8 == 0) return View(bits, offset / 8, bytes);
  const uint8_t* from = bits->data();
  std::vector<uint8_t> out(bytes, 0);
  for (size_t i = 0; i < length; ++i) {
    const size_t bit = offset + i;
    out[i >> 3] =
        static_cast<uint8_t>(out[i >> 3] | (((from[bit >> 3] >> (bit & 7)) & 1) << (i & 7)));
  }
  return Buffer::Own(std::move(out));
}

Buffer Validity(const Source& source) {
  if (source.array.null_count() == 0) return {};
  return Bits(source.buffer(0), source.offset, source.length);
}

std::unexpected<base::Error> Mismatch(const arrow::Array& array, Type type) {
  return Fail(ErrorCode::kInvalidInput,
              fmt::format("type {} where {} is wanted", array.type()->ToString(), NameOf(type)));
}

Result<Column> Fixed(const Source& source, Type type, size_t width) {
  return Column(type, source.length,
                View(source.buffer(1), source.offset * width, source.length * width),
                Validity(source));
}

// Each value through `convert`, which gives nothing when it does not fit. Nulls become 0.
template <typename To, typename From, typename Convert>
Result<Column> Converted(const Source& source, Type type, Convert convert) {
  std::vector<To> out(source.length);
  const From* from = source.length == 0 ? nullptr : source.array.data()->GetValues<From>(1);
  for (size_t row = 0; row < source.length; ++row) {
    if (source.array.IsNull(static_cast<int64_t>(row))) continue;
    const std::optional<To> value = convert(from[row]);
    if (!value) {
      return Fail(base::Error(ErrorCode::kInvalidInput,
                              fmt::format("a value of type {} does not fit {} without loss",
                                          source.array.type()->ToString(), NameOf(type)))
                      .With("row", std::to_string(row)));
    }
    out[row] = *value;
  }
  return Column(type, source.length, Buffer::OwnValues(std::move(out)), Validity(source));
}

template <typename To, typename From>
Result<Column> Widened(const Source& source, Type type) {
  return Converted<To, From>(source, type,
                             [](From v) -> std::optional<To> { return static_cast<To>(v); });
}

// Integers that an int32 has, all of them, in a type that has them, too.
template <typename To>
Result<Column> FromSmallIntegers(const Source& source, Type type) {
  switch (source.array.type_id()) {
    case arrow::Type::INT8: return Widened<To, int8_t>(source, type);
    case arrow::Type::INT16: return Widened<To, int16_t>(source, type);
    case arrow::Type::INT32: return Widened<To, int32_t>(source, type);
    case arrow::Type::UINT8: return Widened<To, uint8_t>(source, type);
    case arrow::Type::UINT16: return Widened<To, uint16_t>(source, type);
    default: return Mismatch(source.array, type);
  }
}

Result<Column> Int32FromArrow(const Source& source) {
  if (source.array.type_id() == arrow::Type::INT32) return Fixed(source, Type::kInt32, 4);
  return FromSmallIntegers<int32_t>(source, Type::kInt32);
}

Result<Column> Int64FromArrow(const Source& source) {
  switch (source.array.type_id()) {
    case arrow::Type::INT64: return Fixed(source, Type::kInt64, 8);
    case arrow::Type::UINT32: return Widened<int64_t, uint32_t>(source, Type::kInt64);
    default: return FromSmallIntegers<int64_t>(source, Type::kInt64);
  }
}

// Of integers only those that a double has, all of them.
Result<Column> DoubleFromArrow(const Source& source) {
  switch (source.array.type_id()) {
    case arrow::Type::DOUBLE: return Fixed(source, Type::kFloat64, 8);
    case arrow::Type::FLOAT: return Widened<double, float>(source, Type::kFloat64);
    case arrow::Type::UINT32: return Widened<double, uint32_t>(source, Type::kFloat64);
    default: return FromSmallIntegers<double>(source, Type::kFloat64);
  }
}

std::optional<int64_t> Times(int64_t value, int64_t factor) {
  int64_t product = 0;
  if (__builtin_mul_overflow(value, factor, &product)) return std::nullopt;
  return product;
}

std::optional<int64_t> WholeMicros(int64_t ns) {
  if (ns % 1000 != 0) return std::nullopt;
  return ns / 1000;
}

Result<Column> TimestampFromArrow(const Source& source, Type type) {
  if (source.array.type_id() != arrow::Type::TIMESTAMP) return Mismatch(source.array, type);
  const auto& from = static_cast<const arrow::TimestampType&>(*source.array.type());
  if (type == Type::kTimestampNtz && !from.timezone().empty()) return Mismatch(source.array, type);
  switch (from.unit()) {
    case arrow::TimeUnit::MICRO: return Fixed(source, type, 8);
    case arrow::TimeUnit::SECOND:
      return Converted<int64_t, int64_t>(source, type,
                                         [](int64_t v) { return Times(v, kUsPerSecond); });
    case arrow::TimeUnit::MILLI:
      return Converted<int64_t, int64_t>(source, type, [](int64_t v) { return Times(v, 1000); });
    case arrow::TimeUnit::NANO: return Converted<int64_t, int64_t>(source, type, WholeMicros);
  }
  return Mismatch(source.array, type);
}

Result<Column> DateFromArrow(const Source& source) {
  if (source.array.type_id() == arrow::Type::DATE32) return Fixed(source, Type::kDate, 4);
  if (source.array.type_id() != arrow::Type::DATE64) return Mismatch(source.array, Type::kDate);
  return Converted<int32_t, int64_t>(source, Type::kDate, [](int64_t ms) -> std::optional<int32_t> {
    const int64_t days = ms / kMsPerDay;
    if (ms % kMsPerDay != 0 || days < std::numeric_limits<int32_t>::min() ||
        days > std::numeric_limits<int32_t>::max())
      return std::nullopt;
    return static_cast<int32_t>(days);
  });
}

// Text whose offsets start at 0 is shared; else the offsets are moved down, and for large text
// narrowed.
template <typename Array>
Result<Column> TextFromArrow(const Source& source, Type type) {
  using Offset = typename Array::offset_type;
  if (source.length == 0)
    return Column(type, 0, {}, {}, Buffer::OwnValues(std::vector<int32_t>{0}));
  const auto* offsets = source.array.data()->GetValues<Offset>(1);
  const Offset begin = offsets[0];
  const Offset end = offsets[source.length];
  if (end - begin > std::numeric_limits<int32_t>::max())
    return Fail(ErrorCode::kInvalidInput, "over 2 GiB of text in one batch: send smaller batches");
  Buffer values =
      View(source.buffer(2), static_cast<size_t>(begin), static_cast<size_t>(end - begin));
  if constexpr (std::is_same_v<Offset, int32_t>) {
    if (begin == 0) {
      const size_t skipped = source.offset * sizeof(int32_t);
      return Column(type, source.length, std::move(values), Validity(source),
                    View(source.buffer(1), skipped, (source.length + 1) * sizeof(int32_t)));
    }
  }
  std::vector<int32_t> moved(source.length + 1);
  for (size_t row = 0; row <= source.length; ++row)
    moved[row] = static_cast<int32_t>(offsets[row] - begin);
  return Column(type, source.length, std::move(values), Validity(source),
                Buffer::OwnValues(std::move(moved)));
}

// Copies text row by row; `text_at` is asked only for rows that are not null.
template <typename TextAt>
Result<Column> CopiedText(const Source& source, Type type, Buffer validity, TextAt text_at) {
  std::vector<int32_t> offsets{0};
  offsets.reserve(source.length + 1);
  std::vector<uint8_t> values;
  for (size_t row = 0; row < source.length; ++row) {
    const bool present = validity.empty() || ((validity.data()[row >> 3] >> (row & 7)) & 1) != 0;
    if (present) {
      const std::string_view text = text_at(static_cast<int64_t>(row));
      values.insert(values.end(), text.begin(), text.end());
      if (values.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max()))
        return Fail(ErrorCode::kInvalidInput,
                    "over 2 GiB of text in one batch: send smaller batches");
    }
    offsets.push_back(static_cast<int32_t>(values.size()));
  }
  return Column(type, source.length, Buffer::Own(std::move(values)), std::move(validity),
                Buffer::OwnValues(std::move(offsets)));
}

// Arrow's views of text (string_view, binary_view), which other writers note in Parquet files.
Result<Column> TextFromViews(const Source& source, Type type) {
  const auto& array = static_cast<const arrow::BinaryViewArray&>(source.array);
  return CopiedText(source, type, Validity(source),
                    [&](int64_t row) { return array.GetView(row); });
}

// A row is null when its index is, or when its dictionary entry is.
Result<Column> DictionaryText(const Source& source, Type type) {
  const auto& array = static_cast<const arrow::DictionaryArray&>(source.array);
  HR_TRY(const Column words, ColumnFromArrow(*array.dictionary(), type));
  std::vector<uint8_t> validity((source.length + 7) / 8, 0);
  bool any_null = false;
  for (size_t row = 0; row < source.length; ++row) {
    const auto at = static_cast<int64_t>(row);
    const bool present =
        !array.IsNull(at) && !words.IsNull(static_cast<size_t>(array.GetValueIndex(at)));
    any_null |= !present;
    validity[row >> 3] =
        static_cast<uint8_t>(validity[row >> 3] | (unsigned{present} << (row & 7)));
  }
  Buffer bits = any_null ? Buffer::Own(std::move(validity)) : Buffer();
  return CopiedText(source, type, std::move(bits), [&](int64_t row) {
    return words.Text(static_cast<size_t>(array.GetValueIndex(row)));
  });
}

bool HoldsText(const arrow::DataType& type) {
  return type.id() == arrow::Type::STRING || type.id() == arrow::Type::LARGE_STRING;
}

Result<Column> StringFromArrow(const Source& source) {
  switch (source.array.type_id()) {
    case arrow::Type::STRING: return TextFromArrow<arrow::StringArray>(source, Type::kString);
    case arrow::Type::LARGE_STRING:
      return TextFromArrow<arrow::LargeStringArray>(source, Type::kString);
    case arrow::Type::STRING_VIEW: return TextFromViews(source, Type::kString);
    case arrow::Type::DICTIONARY:
      if (HoldsText(*static_cast<const arrow::DictionaryType&>(*source.array.type()).value_type()))
        return DictionaryText(source, Type::kString);
      [[fallthrough]];
    default: return Mismatch(source.array, Type::kString);
  }
}

Result<Column> BytesFromArrow(const Source& source) {
  switch (source.array.type_id()) {
    case arrow::Type::BINARY: return TextFromArrow<arrow::BinaryArray>(source, Type::kBytes);
    case arrow::Type::LARGE_BINARY:
      return TextFromArrow<arrow::LargeBinaryArray>(source, Type::kBytes);
    case arrow::Type::BINARY_VIEW: return TextFromViews(source, Type::kBytes);
    case arrow::Type::FIXED_SIZE_BINARY: {
      const auto& array = static_cast<const arrow::FixedSizeBinaryArray&>(source.array);
      return CopiedText(source, Type::kBytes, Validity(source),
                        [&](int64_t row) { return array.GetView(row); });
    }
    case arrow::Type::DICTIONARY: {
      const auto& words =
          *static_cast<const arrow::DictionaryType&>(*source.array.type()).value_type();
      if (words.id() == arrow::Type::BINARY || words.id() == arrow::Type::LARGE_BINARY)
        return DictionaryText(source, Type::kBytes);
      return Mismatch(source.array, Type::kBytes);
    }
    default: return Mismatch(source.array, Type::kBytes);
  }
}

Result<Column> ListsFromArrow(const Source& source, Type type) {
  if (source.array.type_id() != arrow::Type::LIST) return Mismatch(source.array, type);
  const auto& lists = static_cast<const arrow::ListArray&>(source.array);
  const int32_t begin = source.length == 0 ? 0 : lists.value_offset(0);
  const int32_t end = source.length == 0 ? 0 : lists.value_offset(lists.length());
  std::vector<int32_t> moved(source.length + 1, 0);
  for (size_t row = 0; row < source.length; ++row)
    moved[row + 1] = lists.value_offset(static_cast<int64_t>(row) + 1) - begin;
  HR_TRY(Column elements,
         ColumnFromArrow(*lists.values()->Slice(begin, end - begin), ElementOf(type)));
  return Column::OfLists(source.length, std::move(elements), Buffer::OwnValues(std::move(moved)),
                         Validity(source));
}

Result<Column> Typed(const Source& source, Type type) {
  if (IsList(type)) return ListsFromArrow(source, type);
  switch (type) {
    case Type::kBool:
      if (source.array.type_id() != arrow::Type::BOOL) return Mismatch(source.array, type);
      return Column(type, source.length, Bits(source.buffer(1), source.offset, source.length),
                    Validity(source));
    case Type::kInt32: return Int32FromArrow(source);
    case Type::kInt64: return Int64FromArrow(source);
    case Type::kFloat32:
      if (source.array.type_id() != arrow::Type::FLOAT) return Mismatch(source.array, type);
      return Fixed(source, type, 4);
    case Type::kFloat64: return DoubleFromArrow(source);
    case Type::kString: return StringFromArrow(source);
    case Type::kBytes: return BytesFromArrow(source);
    case Type::kDate: return DateFromArrow(source);
    case Type::kTimestamp:
    case Type::kTimestampNtz: return TimestampFromArrow(source, type);
  }
  return Mismatch(source.array, type);
}

}  // namespace

Result<Column> ColumnFromArrow(const arrow::Array& array, Type type) {
  const bool checked_by_value = IsVariable(type) || IsList(type);
  const arrow::Status valid = checked_by_value ? array.ValidateFull() : array.Validate();
  if (!valid.ok())
    return Fail(ErrorCode::kInvalidInput, fmt::format("broken Arrow data: {}", valid.message()));
  return Typed(Source(array), type);
}

}  // namespace headrace::columns
