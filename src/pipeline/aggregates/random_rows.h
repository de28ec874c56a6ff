#pragma once
// For tests: rows in blocks, made of a seed, and one spec of every aggregate over them. Needs
// nothing of the state or of expressions, so that it can be built with other compiler settings
// (tests/determinism).

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <vector>

#include "pipeline/aggregates/accumulator.h"

namespace headrace::pipeline {

// One row; arguments 0 int64, 1 float64, 2 bool, 3 string, 4 wide float64.
struct RandomRow {
  int64_t time;
  uint64_t position;
  std::array<uint64_t, 5> cells;
  std::array<bool, 5> valid;
  bool truth;
};

constexpr std::array kRandomRowTypes = {columns::Type::kInt64, columns::Type::kFloat64,
                                        columns::Type::kBool, columns::Type::kString,
                                        columns::Type::kFloat64};

// Rows with distinct positions and many equal times. Texts have at most 7 bytes.
inline std::vector<RandomRow> RandomRows(uint64_t seed, size_t count) {
  std::mt19937_64 random(seed);
  std::vector<RandomRow> rows;
  for (size_t i = 0; i < count; ++i) {
    RandomRow row{.time = static_cast<int64_t>(random() % (count / 2 + 1)),
                  .position = i + 1,
                  .cells = {},
                  .valid = {},
                  .truth = false};
    row.truth = random() % 3 == 0;
    row.cells[0] = static_cast<uint64_t>(static_cast<int64_t>(random() % 2000) - 500);
    row.cells[1] = std::bit_cast<uint64_t>(static_cast<double>(random() % 5000) / 480.0);
    row.cells[3] =
        TextCell::Inline(std::string(random() % 8, static_cast<char>('a' + random() % 26)));
    // Any exponent, so that the full-range accumulator is needed; kept below 2^1000.
    row.cells[4] = (random() & ~(0x7ffULL << 52)) | (random() % 2000) << 52;
    for (bool& valid : row.valid) valid = random() % 8 != 0;
    rows.push_back(row);
  }
  return rows;
}

inline std::vector<AggregateSpec> EverySpec() {
  using enum AggregateKind;
  using columns::Type;
  std::vector<AggregateSpec> specs;
  const auto add = [&](AggregateKind kind, std::optional<size_t> argument,
                       std::optional<size_t> where, double q = 0.5) {
    const Type type = argument ? kRandomRowTypes[*argument] : Type::kInt64;
    const auto result = ResultType(kind, argument ? std::optional(type) : std::nullopt);
    const bool list = columns::IsList(*result);
    const bool decay = kind == kDecayedSum || kind == kDecayedCount;
    specs.push_back({.name = "",
                     .kind = kind,
                     .argument = argument,
                     .argument_type = type,
                     .where = where,
                     .quantile = q,
                     .quantile_bits = 7,
                     .register_bits = 8,
                     .size = list ? 5U : 0U,
                     .half_life = base::Duration(decay ? 3'000 : 0),
                     .result_type = *result});
  };
  for (const std::optional<size_t> where : {std::optional<size_t>(), std::optional<size_t>(2)}) {
    add(kCount, {}, where);
    add(kRate, {}, where);
    add(kDecayedCount, {}, where);
    add(kTimeSinceLast, {}, where);
    add(kShare, 2, where);
    for (const size_t number : {0, 1, 4}) {
      add(kSum, number, where);
      add(kMean, number, where);
      for (const double q : {0.01, 0.5, 0.9, 1.0}) add(kQuantile, number, where, q);
      for (const AggregateKind kind :
           {kVarSamp, kVarPop, kStddevSamp, kStddevPop, kRate, kDecayedSum})
        add(kind, number, where);
    }
    for (size_t argument = 0; argument < kRandomRowTypes.size(); ++argument) {
      add(kCount, argument, where);
      add(kMin, argument, where);
      add(kMax, argument, where);
      for (const AggregateKind kind : {kLast, kFirst, kCountDistinct, kApproxDistinct, kFirstN,
                                       kLastN, kTopK, kTopKCounts, kValues, kDecayedCount})
        add(kind, argument, where);
    }
  }
  return specs;
}

// What EverySpec's answers are asked for: rows' times are below both.
constexpr base::Timestamp kRandomRowsAsOf{20'000};
constexpr base::Duration kRandomRowsWindow{7'000'000};

// Up to 64 rows as a block, in (event time, position) order.
class BlockOfRows {
 public:
  explicit BlockOfRows(std::vector<RandomRow> rows) : count_(static_cast<uint32_t>(rows.size())) {
    std::sort(rows.begin(), rows.end(), [](const RandomRow& a, const RandomRow& b) {
      return a.time != b.time ? a.time < b.time : a.position < b.position;
    });
    for (uint32_t i = 0; i < count_; ++i) {
      times_[i] = rows[i].time;
      positions_[i] = rows[i].position;
      for (size_t a = 0; a < kRandomRowTypes.size(); ++a) {
        cells_[a][i] = rows[i].cells[a];
        arguments_[a].cells = cells_[a].data();
        arguments_[a].valid |= static_cast<RowMask>(rows[i].valid[a]) << i;
        arguments_[a].truth |= static_cast<RowMask>(rows[i].truth) << i;
      }
    }
  }
  BlockOfRows(const BlockOfRows&) = delete;
  RowBlock block() const { return {times_.data(), positions_.data(), arguments_.data()}; }
  RowMask rows() const { return RowsBelow(count_); }

 private:
  uint32_t count_;
  std::array<int64_t, kBlockRows> times_{};
  std::array<uint64_t, kBlockRows> positions_{};
  std::array<std::array<uint64_t, kBlockRows>, kRandomRowTypes.size()> cells_{};
  std::array<ArgumentBlock, kRandomRowTypes.size()> arguments_{};
};

}  // namespace headrace::pipeline
