#include "pipeline/aggregates/accumulator.h"

#include <deque>
#include <limits>

#include <gtest/gtest.h>

#include "pipeline/aggregates/random_rows.h"

namespace headrace::pipeline {
namespace {

using columns::Type;
using columns::Value;

std::vector<AggregateResult> Results(const AggregatePlan& plan, Accumulators& rows) {
  std::vector<AggregateResult> results;
  for (size_t i = 0; i < plan.specs().size(); ++i)
    results.push_back(rows.Result(i, kRandomRowsWindow));
  return results;
}

// One row at a time, in the order given.
std::vector<AggregateResult> OneByOne(const AggregatePlan& plan,
                                      const std::vector<RandomRow>& rows) {
  Accumulators all(plan);
  all.SetAsOf(kRandomRowsAsOf);
  std::deque<BlockOfRows> blocks;
  for (const RandomRow& row : rows) all.Add(blocks.emplace_back(std::vector{row}).block(), 1);
  return Results(plan, all);
}

// In blocks of random sizes, each added whole, by two masks, or as a partial, to one of three sets
// that are merged at last.
std::vector<AggregateResult> Split(const AggregatePlan& plan, const std::vector<RandomRow>& rows,
                                   std::mt19937_64& random) {
  std::deque<Accumulators> parts;
  for (int i = 0; i < 3; ++i) parts.emplace_back(plan).SetAsOf(kRandomRowsAsOf);
  std::deque<BlockOfRows> blocks;
  std::deque<std::vector<SlotPartial>> kept;
  for (size_t begin = 0; begin < rows.size();) {
    const size_t end = std::min(rows.size(), begin + 1 + random() % kBlockRows);
    const BlockOfRows& block = blocks.emplace_back(std::vector(
        rows.begin() + static_cast<ptrdiff_t>(begin), rows.begin() + static_cast<ptrdiff_t>(end)));
    begin = end;
    Accumulators& part = parts[random() % parts.size()];
    const RowMask some = random() & block.rows();
    std::vector<SlotPartial>& partials = kept.emplace_back(plan.slots().size());
    Accumulators alone(plan);
    alone.Add(block.block(), block.rows());
    if (random() % 2 == 0 && alone.WritePartials(partials)) {
      part.MergePartials(partials);
      part.AddWithoutPartial(block.block(), block.rows());
    } else {
      part.Add(block.block(), some);
      part.Add(block.block(), block.rows() & ~some);
    }
  }
  parts[2].Merge(parts[0]);
  parts[2].Merge(parts[1]);
  return Results(plan, parts[2]);
}

TEST(Accumulators, ThousandOrdersAndSplitsChangeNoBitOfAnyAggregate) {
  const AggregatePlan plan(EverySpec(), kRandomRowTypes);
  const uint64_t seed = 20260702;
  std::mt19937_64 random(seed);
  std::vector<RandomRow> rows = RandomRows(seed, 300);
  // Few enough wide values that some partials fit and some do not.
  for (size_t i = 0; i < rows.size(); ++i) rows[i].valid[4] = rows[i].valid[4] && i % 40 == 0;
  const std::vector<AggregateResult> expected = OneByOne(plan, rows);
  for (int order = 0; order < 1'000; ++order) {
    std::shuffle(rows.begin(), rows.end(), random);
    const std::vector<AggregateResult> results = Split(plan, rows, random);
    for (size_t i = 0; i < results.size(); ++i) {
      ASSERT_TRUE(results[i].value.SameBits(expected[i].value))
          << "seed " << seed << " order " << order << " aggregate " << i << ": "
          << results[i].value.ToJson() << " is not " << expected[i].value.ToJson();
      ASSERT_EQ(results[i].range, expected[i].range);
    }
  }
}

TEST(Accumulators, OverNoRowsCountsAreZeroAndAllElseIsNull) {
  const AggregatePlan plan(EverySpec(), kRandomRowTypes);
  Accumulators none(plan);
  for (size_t i = 0; i < plan.specs().size(); ++i) {
    const AggregateResult result = none.Result(i, kRandomRowsWindow);
    EXPECT_EQ(result.range, AggregateResult::Range::kInside);
    const AggregateSpec& spec = plan.specs()[i];
    if (RowOf(spec.kind).empty.starts_with('0') &&
        (spec.kind != AggregateKind::kRate || !spec.argument)) {
      const bool whole = spec.result_type == Type::kInt64;
      EXPECT_TRUE(result.value.SameBits(whole ? Value::Int64(0) : Value::Float64(0))) << i;
    } else {
      EXPECT_TRUE(result.value.is_null()) << i;
      EXPECT_EQ(result.value.type(), plan.specs()[i].result_type);
    }
  }
}

// What they were of may be gone, as texts of a chunk that was freed.
TEST(Accumulators, AfterAResetNothingOfTheRowsBeforeIsWritten) {
  const AggregatePlan plan(EverySpec(), kRandomRowTypes);
  std::vector<RandomRow> rows = RandomRows(1, 60);
  for (RandomRow& row : rows) row.valid[4] = false;  // sums of them do not fit
  const BlockOfRows before(rows);
  for (RandomRow& row : rows) row.valid = {};
  const BlockOfRows of_nulls(rows);
  Accumulators used(plan);
  used.Add(before.block(), before.rows());
  used.Reset();
  Accumulators fresh(plan);
  std::vector<std::vector<SlotPartial>> written;
  for (Accumulators* each : {&used, &fresh}) {
    each->Add(of_nulls.block(), of_nulls.rows());
    ASSERT_TRUE(each->WritePartials(written.emplace_back(plan.slots().size())));
  }
  for (size_t i = 0; i < plan.slots().size(); ++i) {
    if (!plan.slots()[i].has_partial()) continue;
    const SlotPartial& got = written[0][i];
    const SlotPartial& expected = written[1][i];
    EXPECT_TRUE(got.sum == expected.sum && got.least == expected.least &&
                got.greatest == expected.greatest && got.count == expected.count &&
                got.truths == expected.truths)
        << "slot " << i << " of kind " << static_cast<int>(plan.slots()[i].kind);
  }
}

// Adds these values as rows of one argument and gives feature 0.
AggregateResult Over(AggregateKind kind, Type type, Type result,
                     const std::vector<uint64_t>& cells) {
  const std::vector<AggregateSpec> specs = {{.name = "f",
                                             .kind = kind,
                                             .argument = 0,
                                             .argument_type = type,
                                             .where = {},
                                             .result_type = result}};
  const AggregatePlan plan(specs, std::array{type});
  Accumulators rows(plan);
  const std::vector<int64_t> times(cells.size(), 0);
  const std::vector<uint64_t> positions(cells.size(), 0);
  const ArgumentBlock argument{.cells = cells.data(), .valid = ~RowMask{0}};
  rows.Add({times.data(), positions.data(), &argument},
           RowsBelow(static_cast<uint32_t>(cells.size())));
  return rows.Result(0, kRandomRowsWindow);
}

TEST(Accumulators, AnIntegerSumBeyondInt64IsOutsideButItsMeanIsNot) {
  const auto greatest = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  const std::vector<uint64_t> cells = {greatest, greatest, greatest};
  const AggregateResult sum = Over(AggregateKind::kSum, Type::kInt64, Type::kInt64, cells);
  EXPECT_EQ(sum.range, AggregateResult::Range::kOutside);
  EXPECT_TRUE(sum.value.is_null());
  EXPECT_EQ(Over(AggregateKind::kMean, Type::kInt64, Type::kFloat64, cells).value.as_double(),
            0x1p63);
  // It comes back when other rows bring it back.
  const auto least = static_cast<uint64_t>(std::numeric_limits<int64_t>::min());
  EXPECT_EQ(
      Over(AggregateKind::kSum, Type::kInt64, Type::kInt64, {greatest, greatest, least, least})
          .value.as_int(),
      -2);
}

TEST(Accumulators, AFloatingSumBeyondFloat64IsOutsideButItsMeanIsNot) {
  constexpr double kGreatest = std::numeric_limits<double>::max();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const auto over = [](AggregateKind kind, const std::vector<double>& values) {
    std::vector<uint64_t> cells;
    for (const double value : values) cells.push_back(std::bit_cast<uint64_t>(value));
    return Over(kind, Type::kFloat64, Type::kFloat64, cells);
  };
  const std::vector<double> same = {kGreatest, kGreatest, kGreatest};
  for (const AggregateKind kind : {AggregateKind::kSum, AggregateKind::kVarPop}) {
    const bool spread = kind == AggregateKind::kVarPop;
    const AggregateResult result = over(kind, spread ? std::vector{kGreatest, -kGreatest} : same);
    EXPECT_EQ(result.range, AggregateResult::Range::kOutside);
    EXPECT_TRUE(result.value.is_null());
  }
  EXPECT_EQ(over(AggregateKind::kMean, same).value.as_double(), kGreatest);
  EXPECT_EQ(
      over(AggregateKind::kMean, {-kGreatest, -kGreatest, 0.0, kGreatest / 2}).value.as_double(),
      -kGreatest / 8 * 3);
  EXPECT_DOUBLE_EQ(over(AggregateKind::kRate, same).value.as_double(),
                   kGreatest / (static_cast<double>(kRandomRowsWindow.count()) * 1e-6) * 3);
  EXPECT_EQ(over(AggregateKind::kStddevPop, {kGreatest, -kGreatest}).value.as_double(), kGreatest);
  // It comes back with other rows; an infinite value is no overflow.
  EXPECT_EQ(over(AggregateKind::kSum, {kGreatest, kGreatest, -kGreatest}).value.as_double(),
            kGreatest);
  EXPECT_EQ(over(AggregateKind::kSum, {kGreatest, kInfinity}).value.as_double(), kInfinity);
  EXPECT_EQ(over(AggregateKind::kMean, {kGreatest, -kInfinity}).value.as_double(), -kInfinity);
}

TEST(Accumulators, RangesOrderZerosAndNansTotally) {
  const auto cell = [](double v) { return std::bit_cast<uint64_t>(v); };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto ends = [&](const std::vector<uint64_t>& cells) {
    return std::pair(
        Over(AggregateKind::kMin, Type::kFloat64, Type::kFloat64, cells).value.as_double(),
        Over(AggregateKind::kMax, Type::kFloat64, Type::kFloat64, cells).value.as_double());
  };
  EXPECT_TRUE(std::signbit(ends({cell(0.0), cell(-0.0)}).first));
  EXPECT_FALSE(std::signbit(ends({cell(0.0), cell(-0.0)}).second));
  EXPECT_EQ(ends({cell(1.5), cell(-nan)}).first, 1.5);
  EXPECT_EQ(cell(ends({cell(1.5), cell(-nan)}).second), cell(nan));
  EXPECT_EQ(ends({cell(-1.5), cell(-2.5)}), std::pair(-2.5, -1.5));
}

TEST(AggregatePlan, FeaturesShareWhatTheyAccumulate) {
  std::vector<AggregateSpec> specs;
  for (const AggregateKind kind :
       {AggregateKind::kSum, AggregateKind::kMean, AggregateKind::kMin, AggregateKind::kMax})
    specs.push_back(
        {.name = "f", .kind = kind, .argument = 0, .argument_type = Type::kInt64, .where = {}});
  for (const double q : {0.5, 0.9})
    specs.push_back(
        {.name = "q", .kind = AggregateKind::kQuantile, .argument = 0, .where = {}, .quantile = q});
  EXPECT_EQ(AggregatePlan(specs, std::array{Type::kInt64}).slots().size(), 3U);
}

}  // namespace
}  // namespace headrace::pipeline
