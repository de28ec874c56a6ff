#include "pipeline/views/explained_rows.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "columns/batch_builder.h"
#include "pipeline/views/batch_driver.h"

namespace headrace::pipeline {
namespace {

// Indexes of rows that a question may see, those of the view, oldest first.
std::vector<size_t> VisibleRows(const KeyRows& rows, const RowQuestion& question) {
  std::vector<size_t> visible;
  for (size_t row = 0; row < rows.size(); ++row) {
    const base::EpochId epoch = rows.positions[row].epoch();
    if (rows.of_view[row] != 0 && epoch <= question.epoch && epoch > question.since &&
        rows.times[row] <= question.as_of.us)
      visible.push_back(row);
  }
  return visible;
}

// The first of the rows visible[0, end) that is in a session.
size_t SessionBegin(const Window& window, const KeyRows& rows, const std::vector<size_t>& visible,
                    int64_t after, size_t end, int64_t until) {
  const auto gap = static_cast<uint64_t>(window.step.count());
  std::optional<int64_t> next;
  if (window.kind == Window::Kind::kSession) next = until;
  size_t begin = end;
  while (begin > 0) {
    const int64_t time = rows.times[visible[begin - 1]];
    if (time <= after) break;
    if (next && static_cast<uint64_t>(*next) - static_cast<uint64_t>(time) > gap) break;
    next = time;
    --begin;
  }
  return begin;
}

class Judge {
 public:
  Judge(const ViewDefinition& view, size_t output, const KeyRows& rows, const RowQuestion& question)
      : view_(view),
        output_(view.outputs[output]),
        rows_(rows),
        question_(question),
        visible_(VisibleRows(rows, question)) {}

  ExplainedRows Run() {
    explained_.verdicts.assign(rows_.size(), RowVerdict::kNotOfView);
    for (size_t row = 0; row < rows_.size(); ++row) explained_.verdicts[row] = Unseen(row);
    if (view_.lifetime()) {
      explained_.until = question_.as_of.us;
      Take(0, visible_.size(), RowVerdict::kBeforeWindow);
    } else {
      InWindow(view_.windows[output_.window]);
    }
    for (const RowVerdict verdict : explained_.verdicts)
      ++explained_.counts[static_cast<size_t>(verdict)];
    FindLate();
    return std::move(explained_);
  }

 private:
  // Of a row that the question does not see; kCounts for the others.
  RowVerdict Unseen(size_t row) const {
    const base::EpochId epoch = rows_.positions[row].epoch();
    if (rows_.of_view[row] == 0) return RowVerdict::kNotOfView;
    if (epoch <= question_.since) return RowVerdict::kBeforeView;
    if (epoch > question_.epoch) return RowVerdict::kNotThereYet;
    return rows_.times[row] > question_.as_of.us ? RowVerdict::kAfterAsOf : RowVerdict::kCounts;
  }

  void InWindow(const Window& window) {
    const WindowBounds bounds = BoundsOf(window, question_.as_of);
    explained_.after = bounds.after;
    explained_.until = bounds.until;
    const auto up_to = [&](int64_t time) {
      return static_cast<size_t>(
          std::ranges::upper_bound(visible_, time, {},
                                   [&](size_t row) { return rows_.times[row]; }) -
          visible_.begin());
    };
    const size_t end = up_to(bounds.until);
    for (size_t i = end; i < visible_.size(); ++i)
      explained_.verdicts[visible_[i]] = RowVerdict::kAfterWindow;
    if (window.kind == Window::Kind::kLastRows) {
      const size_t begin = end - std::min<size_t>(end, window.rows);
      if (begin > 0 && begin < end) explained_.after = rows_.times[visible_[begin]] - 1;
      return Take(begin, end, RowVerdict::kNotAmongLast);
    }
    size_t begin = std::min(end, up_to(bounds.after));
    if (window.is_session()) {
      const size_t in_time = begin;
      begin = SessionBegin(window, rows_, visible_, bounds.after, end, bounds.until);
      if (begin < end) explained_.after = rows_.times[visible_[begin]] - 1;
      for (size_t i = in_time; i < begin; ++i)
        explained_.verdicts[visible_[i]] = RowVerdict::kOtherSession;
      Take(begin, end, RowVerdict::kBeforeWindow, in_time);
      return;
    }
    Take(begin, end, RowVerdict::kBeforeWindow);
  }

  // visible_[begin, end) are in the window, those before `older_end` are `older`.
  void Take(size_t begin, size_t end, RowVerdict older, std::optional<size_t> older_end = {}) {
    for (size_t i = 0; i < older_end.value_or(begin); ++i) explained_.verdicts[visible_[i]] = older;
    for (size_t i = begin; i < end; ++i) explained_.verdicts[visible_[i]] = InFeature(visible_[i]);
  }

  RowVerdict InFeature(size_t row) const {
    const AggregateSpec& feature = view_.features[output_.feature];
    if (feature.where) {
      const columns::Column& condition = rows_.arguments.column(*feature.where);
      if (condition.IsNull(row) || !condition.Bool(row)) return RowVerdict::kConditionFalse;
    }
    // A NULL is a value of theirs.
    const bool takes_null =
        feature.kind == AggregateKind::kFirst || feature.kind == AggregateKind::kLast;
    if (!takes_null && feature.argument && rows_.arguments.column(*feature.argument).IsNull(row))
      return RowVerdict::kNull;
    return RowVerdict::kCounts;
  }

  void FindLate() {
    explained_.late.assign(rows_.size(), base::Duration(0));
    std::vector<size_t> order(rows_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::ranges::sort(order, {}, [&](size_t row) { return rows_.positions[row]; });
    int64_t newest = KeyRows::kNever;
    for (const size_t row : order) {
      if (rows_.of_view[row] == 0) continue;
      if (newest > rows_.times[row])
        explained_.late[row] = base::Timestamp{newest} - base::Timestamp{rows_.times[row]};
      newest = std::max(newest, rows_.times[row]);
    }
  }

  const ViewDefinition& view_;
  const OutputFeature& output_;
  const KeyRows& rows_;
  const RowQuestion& question_;
  const std::vector<size_t> visible_;
  ExplainedRows explained_;
};

// The newest row that the state let go, with NULLs: it is in no window, but without it the key
// would not be known, or would be older.
KeyRows WithDroppedRow(const KeyRows& rows) {
  KeyRows more = rows;
  more.times.push_back(rows.dropped_time);
  more.positions.push_back({0});
  columns::BatchBuilder nulls(rows.arguments.schema());
  for (size_t i = 0; i < rows.arguments.columns().size(); ++i) nulls.column(i).AppendNull();
  const columns::ColumnBatch last = rows.arguments.columns().empty()
                                        ? columns::ColumnBatch(rows.arguments.schema(), 1, {})
                                        : nulls.Finish();
  const columns::ColumnBatch parts[] = {rows.arguments, last};
  more.arguments = columns::ColumnBatch::Concat(parts);
  return more;
}

// What the driver answers that is given `taken`, the newest visible row among them.
ViewAnswer DriverAnswer(const ViewDefinition& view, const StreamDefinition& stream,
                        const KeyRows& rows, std::vector<uint32_t> taken, int64_t newest,
                        base::Timestamp as_of) {
  const bool dropped = rows.dropped_time > newest && rows.dropped_time <= as_of.us;
  const KeyRows with_dropped = dropped ? WithDroppedRow(rows) : KeyRows{};
  if (dropped) taken.push_back(static_cast<uint32_t>(rows.size()));
  const KeyRows& all = dropped ? with_dropped : rows;
  BatchDriver driver(view, stream, std::nullopt);
  driver.AddOfOneKey({.times = all.times,
                      .positions = all.positions,
                      .arguments = all.arguments.columns(),
                      .rows = taken});
  driver.Prepare();
  return driver.Answer({.key = {}, .as_of = as_of, .cut = {}});
}

int64_t NewestOf(const KeyRows& rows, const std::vector<size_t>& visible) {
  return visible.empty() ? KeyRows::kNever : rows.times[visible.back()];
}

}  // namespace

std::string_view NameOf(RowVerdict verdict) {
  switch (verdict) {
    case RowVerdict::kCounts: return "counts";
    case RowVerdict::kNull: return "null_argument";
    case RowVerdict::kConditionFalse: return "condition_not_true";
    case RowVerdict::kBeforeWindow: return "before_window";
    case RowVerdict::kAfterWindow: return "after_window";
    case RowVerdict::kNotAmongLast: return "not_among_last";
    case RowVerdict::kOtherSession: return "other_session";
    case RowVerdict::kAfterAsOf: return "after_as_of";
    case RowVerdict::kNotThereYet: return "not_there_yet";
    case RowVerdict::kBeforeView: return "before_view";
    case RowVerdict::kNotOfView: return "not_of_view";
  }
  return "";
}

std::string_view ReasonOf(RowVerdict verdict) {
  switch (verdict) {
    case RowVerdict::kCounts: return "counts";
    case RowVerdict::kNull: return "its argument is NULL";
    case RowVerdict::kConditionFalse: return "the feature's condition is not true";
    case RowVerdict::kBeforeWindow: return "older than the window";
    case RowVerdict::kAfterWindow: return "after the window's end";
    case RowVerdict::kNotAmongLast: return "not among the last rows";
    case RowVerdict::kOtherSession: return "before the session's gap";
    case RowVerdict::kAfterAsOf: return "later than as_of";
    case RowVerdict::kNotThereYet: return "came in a later epoch";
    case RowVerdict::kBeforeView: return "came before the view began";
    case RowVerdict::kNotOfView: return "the view's `where` keeps it out";
  }
  return "";
}

ExplainedRows ExplainRows(const ViewDefinition& view, size_t output, const KeyRows& rows,
                          const RowQuestion& question) {
  return Judge(view, output, rows, question).Run();
}

OutputValue RecomputeFrom(const ViewDefinition& view, const StreamDefinition& stream, size_t output,
                          const KeyRows& rows, const ExplainedRows& explained,
                          const RowQuestion& question) {
  // Of a session the rows that do not count are its length, too.
  const bool session = !view.lifetime() && view.windows[view.outputs[output].window].is_session();
  const auto taken_as = [session](RowVerdict verdict) {
    return verdict == RowVerdict::kCounts ||
           (session && (verdict == RowVerdict::kNull || verdict == RowVerdict::kConditionFalse));
  };
  const std::vector<size_t> visible = VisibleRows(rows, question);
  std::vector<uint32_t> taken;
  for (const size_t row : visible)
    if (taken_as(explained.verdicts[row]) || row == visible.back())
      taken.push_back(static_cast<uint32_t>(row));
  ViewAnswer answer =
      DriverAnswer(view, stream, rows, std::move(taken), NewestOf(rows, visible), question.as_of);
  return {std::move(answer.values[output]), answer.statuses[output], answer.event_time};
}

ViewAnswer AnswerFrom(const ViewDefinition& view, const StreamDefinition& stream,
                      const KeyRows& rows, const RowQuestion& question) {
  const std::vector<size_t> visible = VisibleRows(rows, question);
  return DriverAnswer(view, stream, rows, {visible.begin(), visible.end()}, NewestOf(rows, visible),
                      question.as_of);
}

bool IsEnough(const ViewDefinition& view, std::span<const size_t> windows, const KeyRows& rows,
              const RowQuestion& question, CopyIsOf copy) {
  if (rows.complete_after == KeyRows::kNever) return true;
  if (view.lifetime()) return false;
  const std::vector<size_t> visible = VisibleRows(rows, question);
  if (copy == CopyIsOf::kLaterEpoch && NewestOf(rows, visible) <= rows.complete_after) return false;
  const auto enough = [&](const Window& window) {
    const WindowBounds bounds = BoundsOf(window, question.as_of);
    if (window.kind != Window::Kind::kLastRows) return bounds.after >= rows.complete_after;
    if (copy == CopyIsOf::kThatEpoch && rows.tiles_until == KeyRows::kNever) return true;
    const auto count = std::ranges::count_if(visible, [&](size_t row) {
      return rows.times[row] > rows.complete_after && rows.times[row] <= bounds.until;
    });
    return static_cast<uint64_t>(count) >= window.rows;
  };
  if (windows.empty()) return std::ranges::all_of(view.windows, enough);
  return std::ranges::all_of(windows, [&](size_t window) { return enough(view.windows[window]); });
}

}  // namespace headrace::pipeline
