#include "tables/stream_rows.h"

#include <fmt/format.h>

#include <deque>
#include <limits>
#include <optional>
#include <utility>

#include "columns/conform.h"
#include "log/catalogue.h"
#include "pipeline/streams/known_at.h"
#include "tables/publish/made_rows.h"
#include "tables/publish/plan.h"

namespace headrace::tables {
namespace {

using base::EpochId;
using base::Result;
using base::Timestamp;

constexpr EpochId kNoEnd{std::numeric_limits<uint64_t>::max() >> 24};

class StreamScan {
 public:
  StreamScan(const PublishedStream& stream, EpochId last,
             const std::function<Result<void>(EpochRows)>& visit)
      : stream_(stream), last_(last), visit_(visit) {}

  bool live() const { return !stream_.known_at.assumed(); }
  bool done() const { return seen_ >= last_ && waiting_.empty(); }
  EpochId seen() const { return seen_; }

  Result<void> Take(const log::EpochRef& epoch) {
    seen_ = epoch->id;
    while (!waiting_.empty() && waiting_.front()->id <= epoch->visible_through)
      HR_TRY_VOID(EmitFront(epoch->visible_at));
    if (epoch->id > last_ || !HasRows(*epoch)) return {};
    waiting_.push_back(epoch);
    return live() ? Result<void>() : EmitFront(Timestamp::Min());
  }

  Result<void> EmitAll(Timestamp visible) {
    while (!waiting_.empty()) HR_TRY_VOID(EmitFront(visible));
    return {};
  }

 private:
  bool HasRows(const log::Epoch& epoch) const {
    return stream_.made != nullptr ? stream_.made->Of(epoch.id).has_value()
                                   : epoch.RowsOf(stream_.logged_id()) != nullptr;
  }

  Result<void> EmitFront(Timestamp visible) {
    const log::EpochRef epoch = std::move(waiting_.front());
    waiting_.pop_front();
    if (stream_.made != nullptr) return EmitMade(*epoch, visible);
    const columns::ColumnBatch& rows = *epoch->RowsOf(stream_.logged_id());
    if (stream_.root) return EmitDerived(*epoch, *stream_.root, rows, visible);
    pipeline::KnownAtRule known_at = stream_.known_at;
    known_at.field = FieldIn(*rows.schema(), known_at.field);
    const size_t event_time = FieldIn(*rows.schema(), stream_.event_time_field);
    return visit_({epoch->id, rows, pipeline::KnownAt(known_at, event_time, rows, visible),
                   epoch->sealed_at});
  }

  // Times are required, so they are there under every schema that the stream has had; but for a
  // field that no rule asks for, 0.
  size_t FieldIn(const columns::Schema& logged, size_t field) const {
    return logged.IndexOf(stream_.schema->field(field).name).value_or(0);
  }

  Result<void> EmitMade(const log::Epoch& epoch, Timestamp visible) {
    auto made = stream_.made->Of(epoch.id);
    HR_CHECK(made.has_value(), "rows of a plan are gone before the table has them");
    if (made->known_at.empty()) made->known_at.assign(made->rows.rows(), visible.us);
    return visit_({epoch.id, std::move(made->rows), std::move(made->known_at), epoch.sealed_at});
  }

  Result<void> EmitDerived(const log::Epoch& epoch, const PublishedStream::Root& root,
                           const columns::ColumnBatch& logged, Timestamp visible) {
    const columns::ColumnBatch rows = columns::ConformTo(root.schema, logged);
    const auto known_at = pipeline::KnownAt(stream_.known_at, root.event_time_field, rows, visible);
    pipeline::DerivedRows derived = root.derive(rows);
    if (derived.rows.rows() == 0) return {};
    std::vector<int64_t> known;
    known.reserve(derived.from.size());
    for (const uint32_t row : derived.from) known.push_back(known_at[row]);
    return visit_({epoch.id, std::move(derived.rows), std::move(known), epoch.sealed_at});
  }

  const PublishedStream& stream_;
  const EpochId last_;
  const std::function<Result<void>(EpochRows)>& visit_;
  std::deque<log::EpochRef> waiting_;
  EpochId seen_;
};

// What the log's control entries tell of a stream.
struct ToldOfStream {
  // The first entry of the one whose rows the log has; nothing where rows depend on others.
  std::optional<EpochId> known_from;
  EpochId planned_through;            // 0: nothing
  std::optional<LoggedPlan> goes_on;  // the plan that begins at the marker
};

Result<ToldOfStream> WhatTheLogTells(log::LogReader& log, const PublishedStream& stream,
                                     EpochId marker) {
  ToldOfStream told;
  const auto begins = [&](const log::ControlEntry& entry) -> Result<bool> {
    if (entry.kind != log::ControlEntry::Kind::kStream || stream.made != nullptr) return false;
    HR_TRY(const log::StreamEntry known, log::DecodeStreamEntry(entry.name, entry.payload));
    return known.id == stream.logged_id();
  };
  const auto learn = [&](const log::EpochRef& epoch) -> Result<void> {
    for (const log::ControlEntry& entry : epoch->controls) {
      HR_TRY(const bool first_entry, begins(entry));
      if (first_entry && !told.known_from) told.known_from = epoch->id;
      HR_TRY(const auto plan, DecodePlan(entry));
      if (!plan || plan->stream != stream.id) continue;
      told.planned_through = plan->last;
      if (plan->after == marker) told.goes_on = plan;
    }
    return {};
  };
  HR_TRY(const EpochId newest, log.Newest());
  HR_TRY_VOID(log.ScanRefused(EpochId{1}, newest, learn));
  // What it plans may be in the table by now.
  HR_TRY(const log::EpochRef unproven, log.Unproven());
  if (unproven != nullptr) HR_TRY_VOID(learn(unproven));
  return told;
}

}  // namespace

Result<void> ScanStreamRows(log::LogReader& log, const PublishedStream& stream, EpochId after,
                            EpochId last, UnknownTime unknown,
                            const std::function<Result<void>(EpochRows)>& visit) {
  if (last <= after) return {};
  StreamScan scan(stream, last, visit);
  bool ended = false;
  const auto take = [&](const log::EpochRef& epoch) -> Result<void> {
    HR_TRY_VOID(scan.Take(epoch));
    if (!scan.live() || !scan.done()) return {};
    ended = true;  // the scan has no other way to be ended than an error
    return base::Fail(base::ErrorCode::kUnavailable, "enough was read");
  };
  auto scanned = log.Scan(after.Next(), scan.live() ? kNoEnd : last, take);
  if (!scanned && !ended) return scanned;
  if (scan.seen() >= last && unknown == UnknownTime::kNever)
    HR_TRY_VOID(scan.EmitAll(Timestamp::Max()));
  if (scan.done()) return {};
  return base::Fail(
      base::Error(base::ErrorCode::kUnavailable, "the log does not reach that far yet: retry")
          .With("epoch", std::to_string(last.value))
          .With("seen", std::to_string(scan.seen().value)));
}

Result<EpochId> LogGoesOnAfter(log::LogReader& log, const PublishedStream& stream, EpochId marker,
                               LogKeeps keeps) {
  HR_TRY(const EpochId first, log.First());
  if (first <= marker.Next()) return marker;
  HR_TRY(const ToldOfStream told, WhatTheLogTells(log, stream, marker));
  const EpochId before_first{first.value - 1};
  if (told.known_from >= first) return before_first;
  const std::string held = fmt::format("the log holds rows from epoch {} on", first.value);
  if (keeps == LogKeeps::kAsLongAsItDoes)
    return base::Fail(
        base::ErrorCode::kFailedPrecondition,
        fmt::format("{}, and stream {} has no table with those before: give it one under "
                    "`tables`, or keep the log for longer (log.keep)",
                    held, stream.name));
  // Rows that no plan has yet are held in the log.
  const bool all_there =
      told.goes_on ? first <= told.goes_on->rows_after.Next() : marker == told.planned_through;
  if (all_there) return before_first;
  return base::Fail(base::ErrorCode::kFailedPrecondition,
                    fmt::format("{}, the table those up to {}: one of them was restored from an "
                                "older copy",
                                held, marker.value));
}

}  // namespace headrace::tables
