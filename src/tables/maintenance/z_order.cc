#include "tables/maintenance/z_order.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "base/result.h"

namespace headrace::tables {
namespace {

using columns::Column;
using columns::Type;

// Ranks of a column of which `less` compares two present rows.
template <typename Less>
std::vector<uint32_t> RanksBy(const Column& column, Less less) {
  const auto before = [&](uint32_t a, uint32_t b) {
    const bool a_null = column.IsNull(a);
    const bool b_null = column.IsNull(b);
    if (a_null || b_null) return a_null && !b_null;
    return less(a, b);
  };
  std::vector<uint32_t> order(column.length());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::stable_sort(order, before);
  std::vector<uint32_t> ranks(order.size());
  uint32_t rank = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i > 0 && before(order[i - 1], order[i])) rank = static_cast<uint32_t>(i);
    ranks[order[i]] = rank;
  }
  return ranks;
}

template <typename T>
std::vector<uint32_t> RanksOf(const Column& column, std::span<const T> values) {
  return RanksBy(column, [values](uint32_t a, uint32_t b) {
    if constexpr (std::is_floating_point_v<T>) {
      if (std::isnan(values[a]) || std::isnan(values[b]))
        return !std::isnan(values[a]) && std::isnan(values[b]);
    }
    return values[a] < values[b];
  });
}

std::vector<uint32_t> RanksOf(const Column& column) {
  switch (column.type()) {
    case Type::kInt32:
    case Type::kDate: return RanksOf(column, column.Int32s());
    case Type::kInt64:
    case Type::kTimestamp:
    case Type::kTimestampNtz: return RanksOf(column, column.Int64s());
    case Type::kFloat32: return RanksOf(column, column.Float32s());
    case Type::kFloat64: return RanksOf(column, column.Float64s());
    case Type::kBool:
      return RanksBy(column,
                     [&](uint32_t a, uint32_t b) { return !column.Bool(a) && column.Bool(b); });
    case Type::kString:
    case Type::kBytes:
      return RanksBy(column,
                     [&](uint32_t a, uint32_t b) { return column.Text(a) < column.Text(b); });
  }
  HR_CHECK(false, "a list has no place on a Z-curve");
}

// Appends the ends of the files of keys[begin, end), which are alike above `bit`.
void Cut(std::span<const uint64_t> keys, size_t begin, size_t end, int bit, size_t rows_max,
         std::vector<size_t>& ends) {
  if (end - begin <= rows_max) {
    ends.push_back(end);
    return;
  }
  if (bit < 0) {  // all alike
    for (size_t at = begin; at < end;) ends.push_back(at = std::min(end, at + rows_max));
    return;
  }
  const auto unset = [bit](uint64_t key) { return ((key >> bit) & 1) == 0; };
  const auto part = keys.subspan(begin, end - begin);
  const auto middle =
      begin + static_cast<size_t>(std::ranges::partition_point(part, unset) - part.begin());
  if (middle > begin) Cut(keys, begin, middle, bit - 1, rows_max, ends);
  if (middle < end) Cut(keys, middle, end, bit - 1, rows_max, ends);
}

}  // namespace

ZOrdered ZOrder(std::span<const Column> columns, size_t rows_max) {
  HR_CHECK(!columns.empty() && columns.size() <= kZOrderColumnsMax, "columns of a Z-order");
  HR_CHECK(rows_max > 0, "files without rows");
  const size_t rows = columns.front().length();
  // As many bits as tell the rows apart, as many as fit beside one another.
  const int bits =
      std::min(static_cast<int>(std::bit_width(rows)), static_cast<int>(64 / columns.size()));
  std::vector<uint64_t> keys(rows, 0);
  for (size_t c = 0; c < columns.size(); ++c) {
    const std::vector<uint32_t> ranks = RanksOf(columns[c]);
    for (size_t row = 0; row < rows; ++row) {
      const uint64_t place = (uint64_t{ranks[row]} << bits) / rows;
      for (int bit = 0; bit < bits; ++bit)
        keys[row] |= ((place >> (bits - 1 - bit)) & 1)
                     << (63 - (static_cast<size_t>(bit) * columns.size() + c));
    }
  }
  ZOrdered ordered;
  ordered.order.resize(rows);
  std::iota(ordered.order.begin(), ordered.order.end(), 0U);
  std::ranges::stable_sort(ordered.order, {}, [&](uint32_t row) { return keys[row]; });
  std::vector<uint64_t> sorted(rows);
  for (size_t i = 0; i < rows; ++i) sorted[i] = keys[ordered.order[i]];
  if (rows > 0) Cut(sorted, 0, rows, 63, rows_max, ordered.ends);
  return ordered;
}

}  // namespace headrace::tables
