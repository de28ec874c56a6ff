#include "pipeline/views/batch_driver.h"

#include <algorithm>

#include "columns/conform.h"
#include "pipeline/views/nested_windows.h"
#include "pipeline/views/prepared_rows.h"

namespace headrace::pipeline {
namespace {

// The last position of an epoch.
uint64_t PositionMax(base::EpochId epoch) {
  return columns::Position::Of(epoch, columns::Position::kRowsMax - 1).packed;
}

std::optional<columns::Type> TypeOf(const StreamDefinition& stream, std::optional<size_t> field) {
  if (!field) return std::nullopt;
  return stream.schema()->field(*field).type;
}

}  // namespace

struct BatchDriver::Impl {
  Impl(const ViewDefinition& of_view, const StreamDefinition& of_stream,
       std::optional<size_t> without)
      : view(of_view),
        stream(of_stream),
        without_field(without),
        plan(PlanOf(of_view)),
        outputs(of_view),
        rows(plan.argument_types(), TypeOf(of_stream, without)) {}

  std::vector<uint32_t> Select(const columns::ColumnBatch& batch) const;
  // Of the rows of a mask, those inside the cut.
  RowMask Counted(const Cut& cut, size_t block, RowMask mask) const;
  // The part of a key's rows at or before a time.
  PreparedRows::Range UpTo(PreparedRows::Range range, int64_t time) const;
  std::optional<int64_t> NewestCounted(const Question& question, PreparedRows::Range range) const;
  // Newest first, those that the windows need.
  void AddRows(const Cut& cut, PreparedRows::Range range, ArgumentBlock* arguments,
               NestedWindows<ViewAnswer>& windows) const;
  void ComputePartials();
  PartialRun PartialsOf(size_t block, RowMask counted) const;

  const ViewDefinition& view;
  const StreamDefinition& stream;
  const std::optional<size_t> without_field;
  const AggregatePlan plan;
  const WindowOutputs outputs;
  PreparedRows rows;
  std::vector<SlotPartial> partials;  // per block, for questions that all its rows count for
  std::vector<uint8_t> has_partials;
  bool prepared = false;
};

void BatchDriver::Impl::ComputePartials() {
  const size_t slots = plan.slots().size();
  std::vector<ArgumentBlock> arguments(plan.argument_types().size());
  partials.resize(rows.rows() / kBlockRows * slots);
  has_partials.resize(rows.rows() / kBlockRows);
  Accumulators block(plan);
  for (size_t i = 0; i < has_partials.size(); ++i) {
    block.Reset();
    block.AddWithPartial(rows.Block(i, arguments.data()), ~RowMask{0});
    has_partials[i] = block.WritePartials({partials.data() + i * slots, slots}) ? 1 : 0;
  }
}

PartialRun BatchDriver::Impl::PartialsOf(size_t block, RowMask counted) const {
  if (counted != ~RowMask{0} || has_partials[block] == 0) return {};
  return {partials.data() + block * plan.slots().size(), 0, 1};
}

std::vector<uint32_t> BatchDriver::Impl::Select(const columns::ColumnBatch& batch) const {
  std::vector<uint32_t> selected;
  selected.reserve(batch.rows());
  const columns::Column condition = view.where ? view.where->Evaluate(batch) : columns::Column();
  for (uint32_t row = 0; row < batch.rows(); ++row)
    if (!view.where || (!condition.IsNull(row) && condition.Bool(row))) selected.push_back(row);
  return selected;
}

RowMask BatchDriver::Impl::Counted(const Cut& cut, size_t block, RowMask mask) const {
  if (cut.epoch_max) mask = rows.UpToPosition(block, PositionMax(*cut.epoch_max), mask);
  if (cut.known_at_max) mask = rows.KnownBy(block, cut.known_at_max->us, mask);
  if (cut.without && view.self != SelfRule::kIncluded)
    mask = rows.Without(block, *cut.without, mask);
  if (cut.without_row) mask = rows.WithoutRow(block, *cut.without_row, mask);
  return mask;
}

PreparedRows::Range BatchDriver::Impl::UpTo(PreparedRows::Range range, int64_t time) const {
  const int64_t* times = rows.times();
  const int64_t* end = std::upper_bound(times + range.begin, times + range.end, time);
  return {range.begin, static_cast<size_t>(end - times)};
}

// The event time of the newest row inside the cut: the key is known when there is one.
std::optional<int64_t> BatchDriver::Impl::NewestCounted(const Question& question,
                                                        PreparedRows::Range range) const {
  range = UpTo(range, question.as_of.us);
  while (range.end > range.begin) {
    const size_t block = (range.end - 1) / kBlockRows;
    const size_t base = block * kBlockRows;
    const size_t first = std::max(range.begin, base);
    const RowMask counted = Counted(
        question.cut, block,
        RowsBetween(static_cast<uint32_t>(first - base), static_cast<uint32_t>(range.end - base)));
    if (counted != 0)
      return rows.times()[base + 63 - static_cast<size_t>(std::countl_zero(counted))];
    range.end = first;
  }
  return std::nullopt;
}

void BatchDriver::Impl::AddRows(const Cut& cut, PreparedRows::Range range, ArgumentBlock* arguments,
                                NestedWindows<ViewAnswer>& windows) const {
  range = UpTo(range, windows.end_time());
  while (range.end > range.begin && !windows.done()) {
    const size_t block = (range.end - 1) / kBlockRows;
    const size_t base = block * kBlockRows;
    const auto first = static_cast<uint32_t>(std::max(range.begin, base) - base);
    const auto last = static_cast<uint32_t>(range.end - base);
    const RowMask counted = Counted(cut, block, RowsBetween(first, last));
    windows.Add(rows.Block(block, arguments), first, last, counted, PartialsOf(block, counted));
    range.end = base + first;
  }
}

BatchDriver::BatchDriver(const ViewDefinition& view, const StreamDefinition& stream,
                         std::optional<size_t> without_field)
    : impl_(std::make_unique<Impl>(view, stream, without_field)) {}
BatchDriver::~BatchDriver() = default;
BatchDriver::BatchDriver(BatchDriver&&) noexcept = default;
BatchDriver& BatchDriver::operator=(BatchDriver&&) noexcept = default;

void BatchDriver::Add(const columns::ColumnBatch& rows,
                      std::span<const columns::Position> positions,
                      std::span<const int64_t> known_at) {
  HR_CHECK(!impl_->prepared, "rows were added after Prepare");
  HR_CHECK(positions.size() == rows.rows() && known_at.size() == rows.rows(),
           "a position and a known_at for each row");
  const columns::ColumnBatch batch = columns::ConformTo(impl_->stream.schema(), rows);
  std::vector<columns::Column> arguments;
  for (const Expression& argument : impl_->view.arguments)
    arguments.push_back(argument.Evaluate(batch));
  const std::vector<uint32_t> selected = impl_->Select(batch);
  impl_->rows.Add({.batch = batch,
                   .by = impl_->view.by,
                   .times = batch.column(impl_->stream.timing.event_time_field).Int64s(),
                   .positions = positions,
                   .known_at = known_at,
                   .arguments = arguments,
                   .without = impl_->without_field ? &batch.column(*impl_->without_field) : nullptr,
                   .rows = selected});
}

void BatchDriver::AddOfOneKey(const OfOneKey& rows) {
  HR_CHECK(!impl_->prepared, "rows were added after Prepare");
  const columns::ColumnBatch no_key(std::make_shared<const columns::Schema>(), rows.times.size(),
                                    {});
  const std::vector<int64_t> known_at(rows.times.size(), 0);
  impl_->rows.Add({.batch = no_key,
                   .by = {},
                   .times = rows.times,
                   .positions = rows.positions,
                   .known_at = known_at,
                   .arguments = rows.arguments,
                   .without = nullptr,
                   .rows = rows.rows});
}

void BatchDriver::Prepare() {
  HR_CHECK(!impl_->prepared, "Prepare was called twice");
  impl_->rows.Sort();
  impl_->ComputePartials();
  impl_->prepared = true;
}

uint64_t BatchDriver::rows() const { return impl_->rows.rows(); }

ViewAnswer BatchDriver::Answer(const Question& question) const {
  HR_CHECK(impl_->prepared, "a question before Prepare");
  const PreparedRows::Range range = impl_->rows.RangeOf(question.key);
  ViewAnswer answer = impl_->outputs.NotFound();
  if (const auto& row = question.cut.without_row) {
    const size_t told_apart = row->or_later ? 0 : 1;
    const PreparedRows::Range known = row->or_later ? impl_->UpTo(range, question.as_of.us) : range;
    if (impl_->rows.CountOf(known, *row, question.cut.epoch_max) > told_apart) {
      std::ranges::fill(answer.statuses, FeatureStatus::kInvalid);
      return answer;
    }
  }
  const std::optional<int64_t> newest = impl_->NewestCounted(question, range);
  if (!newest) return answer;
  Accumulators accumulated(impl_->plan);
  std::vector<ArgumentBlock> arguments(impl_->plan.argument_types().size());
  for (size_t pass = 0; pass < impl_->outputs.passes(); ++pass) {
    if (pass > 0) accumulated.Reset();
    NestedWindows windows(impl_->outputs, impl_->plan, pass, question.as_of, accumulated, answer);
    impl_->AddRows(question.cut, range, arguments.data(), windows);
    windows.Finish();
  }
  impl_->outputs.WriteEventTime({*newest}, question.as_of, answer);
  return answer;
}

}  // namespace headrace::pipeline
