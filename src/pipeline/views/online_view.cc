#include "pipeline/views/online_view.h"

#include <algorithm>
#include <atomic>
#include <numeric>

#include "pipeline/views/nested_windows.h"
#include "pipeline/views/tree_pass.h"

namespace headrace::pipeline {
namespace {

Retention RetentionOf(const ViewDefinition& view) {
  Retention retention{.horizon = view.horizon(), .newest_rows = view.last_rows()};
  if (view.lifetime()) retention.horizon = std::nullopt;
  // So that answers within the history don't depend on what is forgotten.
  if (const auto after = view.forgets_after()) retention.keys = *after + view.history;
  if (view.lifetime() || view.precision)
    retention.tiles = {.settled = view.history + view.ending(), .precision = view.precision};
  return retention;
}

// How many groups ahead each part of a key's state is asked for.
constexpr size_t kRowsAhead = 9;
constexpr size_t kChunksAhead = 5;
// The same for what answers look at.
constexpr size_t kOpenRowsAhead = 4;
constexpr size_t kEdgeNodesAhead = 3;
constexpr size_t kEdgeChunksAhead = 2;
constexpr size_t kWindowsAskedFor = 4;

}  // namespace

OnlineView::OnlineView(const ViewDefinition& view, StateMemory& memory)
    : view_(view), plan_(PlanOf(view)), outputs_(view), store_(plan_, RetentionOf(view), memory) {}

std::span<const uint32_t> OnlineView::Select(const columns::ColumnBatch& batch) {
  selected_.resize(batch.rows());
  if (!view_.where) {
    std::iota(selected_.begin(), selected_.end(), 0U);
    return selected_;
  }
  const columns::Column condition = view_.where->Evaluate(batch);
  size_t count = 0;
  for (uint32_t row = 0; row < batch.rows(); ++row)
    if (!condition.IsNull(row) && condition.Bool(row)) selected_[count++] = row;
  return std::span<const uint32_t>(selected_).first(count);
}

void OnlineView::Apply(const EpochRows& epoch, RowGroups& groups, Step step) {
  if (epoch.rows.empty()) return;
  std::vector<columns::Column> arguments;
  for (const Expression& argument : view_.arguments)
    arguments.push_back(argument.Evaluate(epoch.batch));
  const BatchRows batch{.times = epoch.times,
                        .epoch = epoch.epoch,
                        .arguments = arguments,
                        .positions = epoch.positions};
  const auto grouped = groups.Build(epoch.rows, epoch.numbers, epoch.numbers_end, epoch.times);
  const bool catching_up = epoch.epoch <= captured_through_;
  if (!catching_up) captured_ = {};
  if (answering_ != nullptr) answering_->answers.Begin(epoch.batch.rows());
  for (size_t i = 0; i < grouped.size(); ++i) {
    Prefetch(grouped, i, epoch.times);
    if (catching_up && IsCaptured(grouped[i].number, epoch.epoch)) continue;
    if (answering_ != nullptr) {
      AppendAnswering(grouped[i].number, batch, grouped[i].rows, epoch.clock, step);
    } else {
      store_.Append(grouped[i].number, batch, grouped[i].rows, epoch.clock, step);
    }
  }
  NoteClock(epoch.clock);
  if (answering_ == nullptr) return;
  answering_->answers.Finish();
  answering_->reader->Take(epoch.epoch, answering_->view, answering_->answers);
}

void OnlineView::Prefetch(std::span<const RowGroups::Group> groups, size_t at,
                          std::span<const int64_t> times) const {
  const auto ahead = [&](size_t groups_ahead) {
    return at + groups_ahead < groups.size() ? &groups[at + groups_ahead] : nullptr;
  };
  if (const auto* group = ahead(kRowsAhead)) store_.PrefetchRow(group->number);
  if (const auto* group = ahead(kChunksAhead)) store_.PrefetchChunk(group->number);
  if (answering_ == nullptr) return;
  if (const auto* group = ahead(kOpenRowsAhead)) store_.PrefetchRows(group->number);
  const auto edge = [&](const RowGroups::Group& group, size_t window) {
    return outputs_.NearEdgeOf(window, base::Timestamp{times[group.rows[0]]});
  };
  const size_t windows = std::min(outputs_.windows(), kWindowsAskedFor);
  for (size_t w = 0; w < windows; ++w) {
    if (const auto* group = ahead(kEdgeNodesAhead))
      store_.PrefetchEdgeNode(group->number, edge(*group, w));
    if (const auto* group = ahead(kEdgeChunksAhead))
      store_.PrefetchEdgeChunk(group->number, edge(*group, w));
  }
}

void OnlineView::AnswerRows(size_t view, RowAnswerReader* reader) {
  answering_.reset();
  if (reader == nullptr) return;
  answering_ = std::make_unique<Answering>(
      Answering{.view = view,
                .reader = reader,
                .answers = RowAnswers(view_),
                .sliding = SlidingWindows(outputs_, plan_, store_),
                .scratch = Accumulators(plan_),
                .arguments = std::vector<ArgumentBlock>(store_.layout().arguments()),
                .open = std::vector<ArgumentBlock>(store_.layout().arguments()),
                .by_position = {}});
}

size_t OnlineView::RunLength(const RowImage& image, std::span<const int64_t> times,
                             std::span<const uint32_t> rows) {
  if (image.empty() || times[rows[0]] < image.newest_time) return 1;
  // A full chunk is made room behind, in ways of its own.
  const size_t room = std::min<size_t>(image.open->capacity() - image.open_count, rows.size());
  size_t length = 1;
  while (length < room && times[rows[length]] >= times[rows[length - 1]]) ++length;
  return length;
}

void OnlineView::AppendAnswering(uint32_t number, const BatchRows& batch,
                                 std::span<const uint32_t> rows, base::Timestamp clock, Step step) {
  Answering& answering = *answering_;
  if (!std::is_sorted(rows.begin(), rows.end())) {
    answering.by_position.assign(rows.begin(), rows.end());
    std::sort(answering.by_position.begin(), answering.by_position.end());
    rows = answering.by_position;
  }
  // An epoch may span more time than the history, in any order: what its own clock makes
  // superfluous is dropped when it has been answered.
  const base::Timestamp history_begin = clock_ - view_.history;
  const bool alone = rows.size() == 1;
  const bool slides = plan_.is_additive() && outputs_.slides();
  answering.sliding.Reset();
  RowImage image = store_.Newest(number).value_or(RowImage{});
  while (!rows.empty()) {
    const auto run = rows.first(RunLength(image, batch.times, rows));
    rows = rows.subspan(run.size());
    const bool late = batch.times[run[0]] < image.newest_time;
    const RowImage before = image;
    image = store_.Append(number, batch, run, std::min(clock, clock_), step);
    if (late) answering.sliding.Reset();
    const RowBlock open =
        image.empty() ? RowBlock() : image.open->Block(store_.layout(), answering.open.data());
    for (size_t i = 0; i < run.size(); ++i) {
      const base::Timestamp as_of{batch.times[run[i]]};
      const RowAnswers::Row answer = answering.answers.At(run[i]);
      const auto index = static_cast<uint32_t>(image.open_count - run.size() + i);
      if (as_of < history_begin) {
        answering.sliding.Reset();
      } else if (view_.self == SelfRule::kExcluded) {
        AnswerBefore(i == 0 ? before : image, i == 0 ? before.open_count : index, as_of, answer);
      } else if (late) {
        AnswerRow(image, as_of, answer);
      } else {
        const bool answered =
            slides && (alone ? answering.sliding.AnswerAlone(image, as_of, answer)
                             : answering.sliding.Answer(image, open, index, answer));
        if (!answered) AnswerNewest(image, index, as_of, answer);
      }
    }
  }
}

void OnlineView::AnswerNewest(const RowImage& image, uint32_t index, base::Timestamp as_of,
                              RowAnswers::Row answer) {
  RowImage until = image;
  until.open_count = index + 1;
  AnswerRow(until, as_of, answer);
}

void OnlineView::AnswerBefore(const RowImage& image, uint32_t open_rows, base::Timestamp as_of,
                              RowAnswers::Row answer) {
  RowImage until = image;
  until.open_count = open_rows;
  const int64_t newest = std::max(NewestUpTo(store_.layout(), until, as_of.us), until.dropped_time);
  if (newest == RowImage::kNever) return answer.SetNotFound();
  AnswerRow(until, as_of, answer);
}

void OnlineView::AnswerRow(const RowImage& image, base::Timestamp as_of, RowAnswers::Row answer) {
  answering_->scratch.Reset();
  Fill(image, as_of, answering_->scratch, answering_->arguments.data(), answer);
}

void OnlineView::NoteCaptured(uint32_t page, base::EpochId epoch) {
  if (page >= captured_.size()) captured_.resize(page + 1);
  captured_[page] = epoch;
  captured_through_ = std::max(captured_through_, epoch);
}

bool OnlineView::IsCaptured(uint32_t number, base::EpochId epoch) const {
  const size_t page = number / RowStore::kPageRows;
  return page < captured_.size() && epoch <= captured_[page];
}

ViewAnswer OnlineView::Answer(const RowImage& image, base::Timestamp as_of,
                              const std::optional<LeftOutRow>& without) const {
  if (image.first_time > as_of.us) return NotFound();
  std::vector<ArgumentBlock> arguments(store_.layout().arguments());
  Accumulators scratch(plan_);
  FoundRow found;
  if (without) {
    const TilesBack tiles = store_.TilesOf(image);
    found = FindLeftOut(store_.layout(), image, tiles.empty() ? RowImage::kNever : tiles.until(),
                        *without, as_of.us);
  }
  if (found.where == FoundRow::Where::kUnclear) {
    ViewAnswer answer = NotFound();
    std::ranges::fill(answer.statuses, FeatureStatus::kInvalid);
    return answer;
  }
  ViewAnswer answer = outputs_.Unwritten();
  if (found.where == FoundRow::Where::kNowhere || without->time > as_of.us) {
    Fill(image, as_of, scratch, arguments.data(), answer);
    return answer;
  }
  const int64_t newest =
      std::max(NewestWithout(image, as_of, found, without->time), image.dropped_time);
  if (newest == RowImage::kNever) return NotFound();
  Fill(image, as_of, scratch, arguments.data(), answer, &found);
  outputs_.WriteEventTime({newest}, as_of, answer);
  return answer;
}

std::optional<ViewAnswer> OnlineView::AnswerAhead(const RowImage& image, base::Timestamp as_of,
                                                  const AheadRow& ahead) const {
  if (std::min(image.first_time, ahead.time()) > as_of.us) return NotFound();
  if (!outputs_.bounded_by_time() && NewestUpTo(store_.layout(), image, as_of.us) > ahead.time())
    return std::nullopt;
  std::vector<ArgumentBlock> arguments(store_.layout().arguments());
  Accumulators scratch(plan_);
  ViewAnswer answer = outputs_.Unwritten();
  Fill(image, as_of, scratch, arguments.data(), answer, nullptr, &ahead);
  return answer;
}

base::Result<KeyRows> OnlineView::RowsOf(std::optional<uint32_t> number, Step step,
                                         base::Timestamp clock, size_t rows_max) const {
  const auto image = number ? store_.Find(*number, step) : std::nullopt;
  // The key may have been known before, and forgotten; and what is there may be of another.
  int64_t after = KeyRows::kNever;
  if (const auto kept = store_.keys_kept()) after = (clock - *kept).us;
  return CopyRows(store_, image.value_or(RowImage{}), after, rows_max);
}

OnlineView::Kept OnlineView::KeptOf(const LeftOutRow& row, base::Timestamp clock) const {
  const bool tiled = view_.lifetime() || view_.precision;
  if (tiled && row.time < (clock - view_.history - view_.ending()).us) return Kept::kPerhapsNot;
  if (view_.lifetime() || row.time > (clock - view_.horizon()).us) return Kept::kYes;
  return view_.last_rows() > 0 || !row.row ? Kept::kPerhapsNot : Kept::kOutsideWindows;
}

int64_t OnlineView::NewestWithout(const RowImage& image, base::Timestamp as_of,
                                  const FoundRow& without, int64_t time) const {
  const int64_t newest = NewestUpTo(store_.layout(), image, as_of.us);
  if (newest != time || !without.alone) return newest;
  return NewestUpTo(store_.layout(), image, time - 1);
}

template <typename To>
void OnlineView::Fill(const RowImage& image, base::Timestamp as_of, Accumulators& scratch,
                      ArgumentBlock* arguments, To& answer, const FoundRow* without,
                      const AheadRow* ahead) const {
  int64_t newest = RowImage::kNever;
  for (size_t pass = 0; pass < outputs_.passes(); ++pass) {
    if (pass > 0) scratch.Reset();
    NestedWindows<To> windows(outputs_, plan_, pass, as_of, scratch, answer, store_.TilesOf(image),
                              ahead == nullptr ? nullptr : &ahead->block());
    const int64_t at_end = TreePass<To>(store_.layout(), image, arguments, windows, without).Run();
    windows.Finish();
    if (windows.end_time() == as_of.us) newest = at_end;
  }
  if (newest == RowImage::kNever) newest = NewestUpTo(store_.layout(), image, as_of.us);
  newest = std::max(newest, image.dropped_time);
  if (ahead != nullptr && ahead->time() <= as_of.us) newest = std::max(newest, ahead->time());
  outputs_.WriteEventTime({newest}, as_of, answer);
}

bool OnlineView::FlipBit(uint32_t number, Step step) {
  const auto image = store_.Find(number, step);
  if (!image || image->empty()) return false;
  const ChunkLayout& layout = store_.layout();
  const RowChunk& chunk = *image->open;
  std::vector<ArgumentBlock> arguments(layout.arguments());
  chunk.Block(layout, arguments.data());
  for (uint32_t row = image->open_count; row-- > 0;) {
    for (size_t i = 0; i < layout.arguments(); ++i) {
      if (layout.kind(i) == CellKind::kBool || ((arguments[i].valid >> row) & 1) == 0) continue;
      auto* cell = const_cast<uint64_t*>(chunk.cells(layout, i)) + row;
      if (layout.kind(i) == CellKind::kText && TextCell::Read(*cell).empty()) continue;
      if (layout.kind(i) == CellKind::kText && TextCell::IsOutside(*cell)) {
        *const_cast<char*>(TextCell::Read(*cell).data()) ^= 1;
      } else {
        std::atomic_ref<uint64_t>(*cell).fetch_xor(1, std::memory_order_relaxed);
      }
      return true;
    }
  }
  return false;
}

}  // namespace headrace::pipeline
