#include "training/stream_scan.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "columns/conform.h"
#include "columns/numbered_batches.h"
#include "log/sequencer.h"
#include "pipeline/streams/as_of_table.h"
#include "pipeline/streams/first_rows.h"
#include "pipeline/streams/interval_table.h"
#include "pipeline/streams/unnest.h"

namespace headrace::training {
namespace {

using base::Result;
using tables::PositionedRows;

columns::ColumnBatch Project(const columns::ColumnBatch& batch, const std::vector<size_t>& fields) {
  std::vector<columns::Field> schema;
  std::vector<columns::Column> columns;
  for (const size_t field : fields) {
    schema.push_back(batch.schema()->field(field));
    columns.push_back(batch.column(field));
  }
  return {std::make_shared<const columns::Schema>(std::move(schema)), batch.rows(),
          std::move(columns)};
}

PositionedRows WithOrigin(columns::ColumnBatch derived, const std::vector<uint32_t>& from,
                          const PositionedRows& source) {
  PositionedRows rows{std::move(derived), {}, {}};
  rows.positions.reserve(from.size());
  rows.known_at.reserve(from.size());
  for (const uint32_t row : from) {
    rows.positions.push_back(source.positions[row]);
    rows.known_at.push_back(source.known_at[row]);
  }
  return rows;
}

// What a stream's rows are to a join. Where arrival is observed the log's order says what was
// known: an event then knows all versions before it, and a version is known to all events behind.
class Joining {
 public:
  enum class Side : uint8_t { kEvents, kPartners };

  // `rules`: of the stream that its rows come from in the end.
  Joining(const pipeline::StreamDefinition& stream, ArrivalRules rules, Side side)
      : stream_(stream), rules_(std::move(rules)), side_(side) {}

  // They see `batch` and `rows`, and are good until the next ones are asked for.
  pipeline::JoiningRows Rows(const columns::ColumnBatch& batch, const PositionedRows& rows) {
    return {.rows = batch,
            .times = batch.rows() == 0 ? std::span<const int64_t>()
                                       : batch.column(stream_.timing.event_time_field).Int64s(),
            .positions = rows.positions,
            .known_at = KnownAt(rows)};
  }

 private:
  std::span<const int64_t> KnownAt(const PositionedRows& rows) {
    const auto assumed = [&](columns::Position of) { return rules_.assumed(of.epoch()); };
    if (std::ranges::none_of(rows.positions, assumed)) return {};
    using Limits = std::numeric_limits<int64_t>;
    known_at_ = rows.known_at;
    for (size_t row = 0; row < known_at_.size(); ++row)
      if (!assumed(rows.positions[row]))
        known_at_[row] = side_ == Side::kEvents ? Limits::max() : Limits::min();
    return known_at_;
  }

  const pipeline::StreamDefinition& stream_;
  const ArrivalRules rules_;
  const Side side_;
  std::vector<int64_t> known_at_;
};

class DerivedScan {
 public:
  DerivedScan(const History& history, const pipeline::PipelineDefinition& definition, size_t stream)
      : history_(history),
        definition_(definition),
        stream_(stream),
        derivation_(*definition.streams[stream].derivation),
        source_(definition.streams[derivation_.source]),
        counts_(pipeline::CountsOf(derivation_)) {}

  Result<ScannedRows> Run(const std::vector<size_t>& fields, const tables::VisitRows& visit) {
    return derivation_.dedupe ? WithoutRepeats(fields, visit) : Scan(fields, visit);
  }

 private:
  Joining JoiningOf(size_t stream, Joining::Side side) const {
    return {definition_.streams[stream],
            history_.RulesOf(definition_.streams[definition_.RootOf(stream)]), side};
  }

  Result<ScannedRows> Scan(const std::vector<size_t>& fields, const tables::VisitRows& visit) {
    const size_t columns = source_.schema()->size();
    std::set<size_t> needed = {source_.timing.event_time_field};
    std::set<size_t> joined;
    for (const size_t field : pipeline::InputFieldsOf(derivation_, fields)) {
      if (field < columns) {
        needed.insert(field);
      } else if (!derivation_.interval || field < derivation_.event_time) {
        joined.insert(field - columns);
      }
    }
    if (derivation_.interval)
      return WithinTime(std::move(needed), std::move(joined), fields, visit);
    ScannedRows of_versions;
    bool by_epoch = derivation_.unnest.has_value();
    if (derivation_.as_of) {
      needed.insert(derivation_.as_of->key.begin(), derivation_.as_of->key.end());
      HR_TRY(of_versions, ReadVersions(std::move(joined)));
      events_.emplace(JoiningOf(derivation_.source, Joining::Side::kEvents));
      by_epoch |= versions_->MayFill(EpochRowsMax());
    }
    const tables::VisitRows make = [&](const PositionedRows& rows) -> Result<void> {
      PositionedRows derived = Make(rows, fields);
      if (derived.positions.empty()) return {};
      return visit(derived);
    };
    ScannedRows scanned;
    if (by_epoch) {
      HR_TRY(scanned, ByEpoch(needed, make));
    } else {
      HR_TRY(scanned, ScanStream(history_, definition_, derivation_.source,
                                 {needed.begin(), needed.end()}, make));
    }
    scanned.Add(of_versions);
    return scanned;
  }

  // Of the source's rows.
  uint64_t EpochRowsMax() const {
    return definition_.KeepsPositions(derivation_.source) ? log::LogOptions().epoch_rows_max
                                                          : pipeline::kUnnestedRowsMax;
  }

  // The source's rows by whole epochs, in their order: an epoch has one room for texts, and where
  // several rows are made of one their numbers are those among their epoch's.
  Result<ScannedRows> ByEpoch(const std::set<size_t>& fields, const tables::VisitRows& visit) {
    Ordered ordered;
    HR_TRY(ScannedRows scanned, ReadOrdered(derivation_.source, fields, ordered));
    while (ordered.next < ordered.positions.size())
      HR_TRY_VOID(visit(TakeEpoch(ordered, ordered.positions[ordered.next].epoch())));
    return scanned;
  }

  // The log's epochs once more, in their order: which row is the first depends on it.
  Result<ScannedRows> WithoutRepeats(const std::vector<size_t>& fields,
                                     const tables::VisitRows& visit) {
    const columns::SchemaRef& schema = derivation_.schema;
    const pipeline::StreamDefinition& stream = definition_.streams[stream_];
    std::set<size_t> needed(fields.begin(), fields.end());
    needed.insert(derivation_.dedupe->by.begin(), derivation_.dedupe->by.end());
    needed.insert(stream.timing.event_time_field);
    Gathered gathered;
    HR_TRY(ScannedRows scanned,
           Scan({needed.begin(), needed.end()}, [&](const PositionedRows& rows) -> Result<void> {
             gathered.Add(schema, rows);
             return {};
           }));
    Ordered ordered = std::move(gathered).InOrder();
    pipeline::FirstRows first(*derivation_.dedupe, stream.timing.event_time_field,
                              stream.timing.late);
    pipeline::DedupeCounts counts;
    while (ordered.next < ordered.positions.size()) {
      const base::EpochId epoch = ordered.positions[ordered.next].epoch();
      const PositionedRows rows = TakeEpoch(ordered, epoch);
      const std::vector<uint32_t> kept = first.Apply(epoch, rows.rows, counts);
      if (kept.empty()) continue;
      HR_TRY_VOID(visit(WithOrigin(Project(rows.rows.Take(kept), fields), kept, rows)));
    }
    return scanned;
  }

  // All rows of a stream in the order of the log.
  struct Ordered {
    columns::NumberedBatches batches;
    std::vector<uint32_t> order;  // of their rows
    std::vector<columns::Position> positions;
    std::vector<int64_t> known_at;
    size_t next = 0;
  };
  struct Gathered {
    std::vector<columns::ColumnBatch> parts;
    std::vector<columns::Position> positions;
    std::vector<int64_t> known_at;

    void Add(const columns::SchemaRef& schema, const PositionedRows& rows) {
      parts.push_back(columns::ConformTo(schema, rows.rows));
      positions.insert(positions.end(), rows.positions.begin(), rows.positions.end());
      known_at.insert(known_at.end(), rows.known_at.begin(), rows.known_at.end());
    }
    Ordered InOrder() && {
      Ordered ordered{.batches = columns::NumberedBatches(std::move(parts)),
                      .order = std::vector<uint32_t>(positions.size())};
      std::iota(ordered.order.begin(), ordered.order.end(), 0U);
      std::ranges::stable_sort(ordered.order, {}, [&](uint32_t row) { return positions[row]; });
      for (const uint32_t row : ordered.order) {
        ordered.positions.push_back(positions[row]);
        ordered.known_at.push_back(known_at[row]);
      }
      return ordered;
    }
  };
  Result<ScannedRows> ReadOrdered(size_t stream, const std::set<size_t>& fields, Ordered& ordered) {
    Gathered gathered;
    HR_TRY(ScannedRows scanned,
           ScanStream(history_, definition_, stream, {fields.begin(), fields.end()},
                      [&](const PositionedRows& rows) -> Result<void> {
                        gathered.Add(definition_.streams[stream].schema(), rows);
                        return {};
                      }));
    ordered = std::move(gathered).InOrder();
    return scanned;
  }

  // The rows of an epoch; `next` goes on behind them.
  static PositionedRows TakeEpoch(Ordered& ordered, base::EpochId epoch) {
    const size_t begin = ordered.next;
    while (ordered.next < ordered.positions.size() &&
           ordered.positions[ordered.next].epoch() == epoch)
      ++ordered.next;
    const auto part = [&](const auto& values) {
      return std::vector(values.begin() + static_cast<ptrdiff_t>(begin),
                         values.begin() + static_cast<ptrdiff_t>(ordered.next));
    };
    if (begin == ordered.next) return {};
    const auto rows = std::span(ordered.order).subspan(begin, ordered.next - begin);
    return {ordered.batches.Take(rows), part(ordered.positions), part(ordered.known_at)};
  }

  // The log's epochs once more, in their order, as they were applied.
  Result<ScannedRows> WithinTime(std::set<size_t> fields, std::set<size_t> other_fields,
                                 const std::vector<size_t>& wanted,
                                 const tables::VisitRows& visit) {
    const pipeline::IntervalJoin& join = *derivation_.interval;
    const pipeline::StreamDefinition& other = definition_.streams[join.stream];
    fields.insert(join.key.begin(), join.key.end());
    other_fields.insert(join.other_key.begin(), join.other_key.end());
    other_fields.insert(other.timing.event_time_field);
    Ordered events;
    Ordered others;
    HR_TRY(ScannedRows scanned, ReadOrdered(derivation_.source, fields, events));
    HR_TRY(const ScannedRows of_others, ReadOrdered(join.stream, other_fields, others));
    scanned.Add(of_others);
    pipeline::IntervalTable table(derivation_, *source_.schema(), *other.schema(),
                                  source_.timing.late, other.timing.late,
                                  pipeline::IntervalTable::Limits{});
    pipeline::IntervalCounts counts;
    Joining of_events = JoiningOf(derivation_.source, Joining::Side::kEvents);
    Joining partners = JoiningOf(join.stream, Joining::Side::kPartners);
    while (events.next < events.positions.size() || others.next < others.positions.size()) {
      const base::EpochId epoch = NextEpoch(events, others);
      const PositionedRows some = TakeEpoch(events, epoch);
      const PositionedRows met = TakeEpoch(others, epoch);
      auto made =
          table.Apply(epoch, of_events.Rows(some.rows, some), partners.Rows(met.rows, met), counts);
      // Observed: with its epoch, whichever row made it.
      if (made.known_at.empty())
        made.known_at.assign(made.rows.rows(),
                             some.known_at.empty() ? met.known_at[0] : some.known_at[0]);
      HR_TRY_VOID(VisitMade(epoch, made, wanted, visit));
    }
    return scanned;
  }

  static base::EpochId NextEpoch(const Ordered& events, const Ordered& others) {
    if (events.next == events.positions.size()) return others.positions[others.next].epoch();
    if (others.next == others.positions.size()) return events.positions[events.next].epoch();
    return std::min(events.positions[events.next], others.positions[others.next]).epoch();
  }

  Result<void> VisitMade(base::EpochId epoch, const pipeline::IntervalTable::Made& made,
                         const std::vector<size_t>& wanted, const tables::VisitRows& visit) {
    if (made.rows.rows() == 0) return {};
    const pipeline::DerivedRows derived = pipeline::Derive(derivation_, made.rows, counts_);
    if (derived.from.empty()) return {};
    PositionedRows rows{Project(derived.rows, wanted), {}, {}};
    for (size_t row = 0; row < derived.from.size(); ++row) {
      rows.positions.push_back(columns::Position::Of(epoch, row));
      rows.known_at.push_back(made.known_at[derived.from[row]]);
    }
    return visit(rows);
  }

  // All of them: labels may be of any time.
  Result<ScannedRows> ReadVersions(std::set<size_t> fields) {
    const pipeline::AsOfJoin& join = *derivation_.as_of;
    const pipeline::StreamDefinition& dimension = definition_.streams[join.stream];
    versions_ = std::make_unique<pipeline::AsOfTable>(derivation_, *dimension.schema());
    fields.insert(dimension.timing.event_time_field);
    fields.insert(join.dimension_key.begin(), join.dimension_key.end());
    Joining versions = JoiningOf(join.stream, Joining::Side::kPartners);
    return ScanStream(history_, definition_, join.stream, {fields.begin(), fields.end()},
                      [&](const PositionedRows& rows) -> Result<void> {
                        const auto batch = columns::ConformTo(dimension.schema(), rows.rows);
                        versions_->Insert(versions.Rows(batch, rows), as_of_counts_);
                        return {};
                      });
  }

  PositionedRows Make(const PositionedRows& source, const std::vector<size_t>& fields) {
    const columns::ColumnBatch batch = columns::ConformTo(source_.schema(), source.rows);
    pipeline::DerivedRows input{batch, {}};
    if (versions_ != nullptr) input = versions_->Join(events_->Rows(batch, source), as_of_counts_);
    pipeline::DerivedRows derived = pipeline::Derive(derivation_, input.rows, counts_);
    if (!input.from.empty())
      for (uint32_t& row : derived.from) row = input.from[row];
    PositionedRows made = WithOrigin(Project(derived.rows, fields), derived.from, source);
    if (derivation_.unnest)
      for (size_t row = 0; row < made.positions.size(); ++row)
        made.positions[row] = columns::Position::Of(made.positions[row].epoch(), row);
    return made;
  }

  const History& history_;
  const pipeline::PipelineDefinition& definition_;
  const size_t stream_;
  const pipeline::Derivation& derivation_;
  const pipeline::StreamDefinition& source_;
  std::unique_ptr<pipeline::AsOfTable> versions_;
  std::optional<Joining> events_;  // that get them
  pipeline::DerivationCounts counts_;
  pipeline::AsOfCounts as_of_counts_;
};

}  // namespace

Result<ScannedRows> ScanStream(const History& history,
                               const pipeline::PipelineDefinition& definition, size_t stream,
                               const std::vector<size_t>& fields, const tables::VisitRows& visit) {
  if (!definition.streams[stream].derived())
    return history.ScanRows(definition.streams[stream], fields, visit);
  return DerivedScan(history, definition, stream).Run(fields, visit);
}

}  // namespace headrace::training
