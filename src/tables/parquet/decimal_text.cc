#include "tables/parquet/decimal_text.h"

#include <arrow/array/array_decimal.h>
#include <arrow/array/array_primitive.h>
#include <arrow/type.h>
#include <arrow/util/decimal.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "columns/batch_builder.h"

namespace headrace::tables {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;

constexpr int kDigitsMax = 76;  // of Arrow's widest decimal

std::unexpected<base::Error> NoDecimal(std::string_view text, int scale) {
  return Fail(ErrorCode::kInvalidInput,
              fmt::format("`{}` is no decimal with {} digits after the point", text, scale));
}

// `text_of` gives the digits of a row that is not null; `zeros` go behind them.
template <typename TextOf>
Result<columns::Column> Texts(const arrow::Array& array, int scale, int zeros, TextOf text_of) {
  columns::ColumnBuilder builder(columns::Type::kString);
  const std::string behind(static_cast<size_t>(zeros), '0');
  for (int64_t row = 0; row < array.length(); ++row) {
    if (array.IsNull(row)) {
      builder.AppendNull();
    } else {
      builder.AppendText(SetPoint(text_of(row) + behind, scale));
    }
  }
  return builder.Finish();
}

template <typename Array>
Result<columns::Column> OfIntegers(const arrow::Array& array, int scale) {
  const auto& integers = static_cast<const Array&>(array);
  return Texts(array, scale, scale,
               [&](int64_t row) { return std::to_string(integers.Value(row)); });
}

template <typename Array, typename Decimal>
Result<columns::Column> OfDecimals(const arrow::Array& array, int scale) {
  const int stored = static_cast<const arrow::DecimalType&>(*array.type()).scale();
  if (stored > scale || scale - stored > kDigitsMax)
    return Fail(ErrorCode::kInvalidInput,
                fmt::format("{} where {} digits after the point are wanted",
                            array.type()->ToString(), scale));
  const auto& decimals = static_cast<const Array&>(array);
  return Texts(array, scale, scale - stored,
               [&](int64_t row) { return Decimal(decimals.GetValue(row)).ToIntegerString(); });
}

}  // namespace

std::string SetPoint(std::string_view integer, int scale) {
  const bool negative = integer.starts_with('-');
  integer.remove_prefix(negative ? 1 : 0);
  while (integer.size() > 1 && integer.starts_with('0')) integer.remove_prefix(1);
  std::string digits(integer);
  const auto behind = static_cast<size_t>(std::max(scale, 0));
  if (digits.size() <= behind) digits.insert(0, behind + 1 - digits.size(), '0');
  const bool zero = digits.find_first_not_of('0') == std::string::npos;
  if (behind > 0) digits.insert(digits.size() - behind, 1, '.');
  return (negative && !zero ? "-" : "") + digits;
}

Result<std::string> DecimalOf(std::string_view text, int scale) {
  std::string_view rest = text;
  int exponent = 0;
  if (const size_t at = rest.find_first_of("eE"); at != std::string_view::npos) {
    std::string_view power = rest.substr(at + 1);
    if (power.starts_with('+')) power.remove_prefix(1);
    const auto [end, error] = std::from_chars(power.data(), power.data() + power.size(), exponent);
    if (error != std::errc() || end != power.data() + power.size()) return NoDecimal(text, scale);
    rest = rest.substr(0, at);
  }
  std::string integer;
  if (rest.starts_with('-')) integer = "-";
  if (rest.starts_with('-') || rest.starts_with('+')) rest.remove_prefix(1);
  const size_t point = std::min(rest.find('.'), rest.size());
  const std::string_view after = point < rest.size() ? rest.substr(point + 1) : "";
  const std::string digits = std::string(rest.substr(0, point)).append(after);
  const bool plain = !digits.empty() && digits.size() <= kDigitsMax && exponent >= -kDigitsMax &&
                     exponent <= kDigitsMax &&
                     digits.find_first_not_of("0123456789") == std::string::npos;
  if (!plain) return NoDecimal(text, scale);
  integer += digits;
  int zeros = scale + exponent - static_cast<int>(after.size());
  for (; zeros < 0; ++zeros) {  // only those that say nothing may go
    if (!integer.ends_with('0')) return NoDecimal(text, scale);
    if (integer != "0") integer.pop_back();
    if (integer.empty() || integer == "-") integer = "0";
  }
  integer.append(static_cast<size_t>(zeros), '0');
  return SetPoint(integer, scale);
}

Result<columns::Column> DecimalTexts(const arrow::Array& array, int scale) {
  switch (array.type_id()) {
    case arrow::Type::INT8: return OfIntegers<arrow::Int8Array>(array, scale);
    case arrow::Type::INT16: return OfIntegers<arrow::Int16Array>(array, scale);
    case arrow::Type::INT32: return OfIntegers<arrow::Int32Array>(array, scale);
    case arrow::Type::INT64: return OfIntegers<arrow::Int64Array>(array, scale);
    case arrow::Type::DECIMAL128:
      return OfDecimals<arrow::Decimal128Array, arrow::Decimal128>(array, scale);
    case arrow::Type::DECIMAL256:
      return OfDecimals<arrow::Decimal256Array, arrow::Decimal256>(array, scale);
    default:
      return Fail(ErrorCode::kInvalidInput,
                  fmt::format("type {} where a decimal is wanted", array.type()->ToString()));
  }
}

}  // namespace headrace::tables
