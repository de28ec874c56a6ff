#include "training/history.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "log/catalogue.h"
#include "pipeline/streams/known_at.h"
#include "tables/publish/plan.h"
#include "tables/stream_rows.h"
#include "tables/table_reader.h"
#include "training/engine_pauses.h"

namespace headrace::training {
namespace {

using base::EpochId;
using base::ErrorCode;
using base::Fail;
using base::Result;

columns::SchemaRef Selected(const columns::Schema& schema, const std::set<size_t>& fields) {
  std::vector<columns::Field> selected;
  for (const size_t field : fields) selected.push_back(schema.field(field));
  return std::make_shared<const columns::Schema>(std::move(selected));
}

void CountUnknown(const tables::PositionedRows& rows, ScannedRows::OfStream& scanned) {
  scanned.of_unknown_time +=
      static_cast<uint64_t>(std::ranges::count(rows.known_at, base::Timestamp::Max().us));
}

// Through which epoch each stream is planned, by its newest plan.
Result<void> LearnPlans(const log::Epoch& epoch, std::map<base::StreamId, EpochId>& planned) {
  for (const log::ControlEntry& entry : epoch.controls) {
    HR_TRY(const auto plan, tables::DecodePlan(entry));
    if (plan) planned[plan->stream] = plan->last;
  }
  return {};
}

}  // namespace

ScannedRows::OfStream ScannedRows::total() const {
  OfStream all;
  for (const auto& [stream, rows] : streams) {
    all.from_table += rows.from_table;
    all.from_log += rows.from_log;
    all.files_of_others += rows.files_of_others;
    all.of_unknown_time += rows.of_unknown_time;
  }
  return all;
}

void ScannedRows::Add(const ScannedRows& more) {
  for (const auto& [stream, rows] : more.streams) streams[stream] = rows;
  table_version = std::max(table_version, more.table_version);
  assumed_before = std::max(assumed_before, more.assumed_before);
}

History::History(env::Environment& environment, std::string data_folder, WorkProgress* progress)
    : environment_(environment), data_folder_(std::move(data_folder)), progress_(progress) {}

Result<std::unique_ptr<History>> History::Open(env::Environment& environment,
                                               const std::string& data_folder,
                                               WorkProgress* progress) {
  std::unique_ptr<History> history(new History(environment, data_folder, progress));
  HR_TRY(history->log_, log::LogReader::Open(environment, data_folder + "/log"));
  HR_TRY(history->newest_, history->log_->Newest());
  HR_TRY_VOID(history->ReadControls());
  return history;
}

Result<void> History::ReadControls() {
  const auto learn = [this](const log::EpochRef& epoch) -> Result<void> {
    for (const log::ControlEntry& entry : epoch->controls) {
      if (entry.kind == log::ControlEntry::Kind::kStream) {
        HR_TRY(const log::StreamEntry stream, log::DecodeStreamEntry(entry.name, entry.payload));
        streams_[stream.name] = stream.id;
      } else if (entry.kind == log::ControlEntry::Kind::kDefinition) {
        HR_TRY(pipeline::LoggedDefinition logged, pipeline::DecodeEntry(entry, epoch->id));
        definitions_.push_back({epoch->id, epoch->sealed_at, std::move(logged)});
      }
    }
    return LearnPlans(*epoch, planned_);
  };
  return log_->ScanRefused(EpochId{1}, newest_, learn);
}

Result<pipeline::LoggedDefinition> History::Newest() const {
  if (!definitions_.empty()) return definitions_.back().logged;
  return Fail(ErrorCode::kNotFound, "the log names no pipeline: serve one with this folder first");
}

// A start answers before its entry is in the log: then the first one that comes.
Result<pipeline::LoggedDefinition> History::Named(base::DefinitionId id, EpochId epoch) const {
  const Entry* found = nullptr;
  for (const Entry& entry : definitions_)
    if (entry.logged.definition->id == id && (found == nullptr || entry.epoch <= epoch))
      found = &entry;
  if (found != nullptr) return found->logged;
  return Fail(base::Error(ErrorCode::kNotFound, "the log does not name this definition")
                  .With("definition", id.ToString()));
}

ArrivalRules History::RulesOf(const pipeline::StreamDefinition& stream) const {
  ArrivalRules rules;
  if (stream.known_at.assumed() || definitions_.empty()) {
    rules.Add(EpochId{0}, base::Timestamp::Min(), stream.known_at);
    return rules;
  }
  for (const Entry& entry : definitions_)
    rules.Add(entry.epoch, entry.sealed_at, pipeline::RuleUnder(*entry.logged.definition, stream));
  return rules;
}

Result<ScannedRows> History::ScanRows(const pipeline::StreamDefinition& stream,
                                      const std::vector<size_t>& fields,
                                      const tables::VisitRows& visit_known) const {
  ScannedRows scanned;
  ScannedRows::OfStream counts;
  const ArrivalRules rules = RulesOf(stream);
  std::set<size_t> wanted(fields.begin(), fields.end());
  wanted.merge(rules.Fields(stream));
  const auto visit = [&](const tables::PositionedRows& rows) -> Result<void> {
    if (progress_ != nullptr) progress_->Note(rows.rows.rows());
    if (!rules.any_assumed()) {
      CountUnknown(rows, counts);
      return visit_known(rows);
    }
    tables::PositionedRows known = rows;
    scanned.assumed_before = std::max(scanned.assumed_before, rules.SetKnownAt(stream, known));
    CountUnknown(known, counts);
    return visit_known(known);
  };
  const auto id = streams_.find(stream.name);
  if (id == streams_.end()) return scanned;
  const tables::PublishedStream published{id->second, stream.name, stream.schema(),
                                          stream.timing.event_time_field, stream.known_at};
  const tables::LogKeeps keeps =
      HasTable(stream.name) ? tables::LogKeeps::kUntilPublished : tables::LogKeeps::kAsLongAsItDoes;
  HR_TRY(const auto table, OpenTable(stream.name, id->second));
  // Before the table's rows are read: an engine may go on meanwhile.
  HR_TRY(const EpochId after, tables::LogGoesOnAfter(*log_, published, table.marker, keeps));
  if (table.marker.value > 0) {
    scanned.table_version = table.reader->version();
    HR_TRY_VOID(ScanTable(table, id->second, Selected(*stream.schema(), wanted), visit, counts));
  }
  HR_TRY_VOID(ScanTail(published, after, visit, counts));
  scanned.streams[id->second] = counts;
  scanned.through = std::max(newest_, table.marker);
  return scanned;
}

// In the definition that the log named last.
bool History::HasTable(const std::string& stream) const {
  if (definitions_.empty()) return false;
  const pipeline::PipelineDefinition& definition = *definitions_.back().logged.definition;
  const auto index = definition.StreamNamed(stream);
  return index && definition.HasTable(*index);
}

// Of a table that there is not, or with nothing of this log in it, no reader.
Result<History::Table> History::OpenTable(const std::string& stream, base::StreamId id) const {
  const std::string folder = data_folder_ + "/tables/" + stream;
  auto table = tables::TableReader::Open(environment_, folder);
  if (!table && table.error().code() == ErrorCode::kNotFound) return Table{};
  if (!table) return Fail(table.error());
  const auto marker = (*table)->Marker(log(), stream);
  if (!marker) return Table{};
  HR_TRY(const EpochId planned, PlannedThrough(id, *marker));
  if (*marker > planned)
    return Fail(base::Error(ErrorCode::kConflict,
                            fmt::format("the table has epochs up to {}, but the log has planned "
                                        "only up to {}: the log was restored from an older copy",
                                        marker->value, planned.value))
                    .With("table", folder));
  return Table{std::move(*table), *marker};
}

// By the newest plan of the stream's table; `marker` is there.
Result<EpochId> History::PlannedThrough(base::StreamId stream, EpochId marker) const {
  std::map<base::StreamId, EpochId> planned = planned_;
  if (marker <= planned[stream]) return planned[stream];
  const auto learn = [&](const log::EpochRef& epoch) { return LearnPlans(*epoch, planned); };
  // An engine may have gone on since the log was looked at. That a plan was carried out proves the
  // epoch that has it, whatever else does.
  HR_TRY(const EpochId now, log_->Newest());
  HR_TRY_VOID(log_->ScanRefused(newest_.Next(), now, learn));
  HR_TRY(const log::EpochRef unproven, log_->Unproven());
  if (unproven != nullptr) HR_TRY_VOID(learn(unproven));
  return planned[stream];
}

// Where others rewrote files of ours, only positions tell whose rows are whose: one that is there
// twice, or is not in the table yet, is a row that somebody appended.
Result<void> History::ScanTable(const Table& table, base::StreamId stream,
                                const columns::SchemaRef& wanted, const tables::VisitRows& visit,
                                ScannedRows::OfStream& scanned) const {
  HR_TRY(const auto ours, table.reader->FindOurs(log(), stream));
  scanned.files_of_others = ours.of_others.size();
  std::vector<columns::Position> seen;
  auto pass = TrainingPass(environment_);
  const auto counted = [&](const tables::PositionedRows& rows) {
    pass.Wait();
    scanned.from_table += rows.rows.rows();
    if (ours.rewritten_by_others)
      seen.insert(seen.end(), rows.positions.begin(), rows.positions.end());
    return visit(rows);
  };
  for (const size_t file : ours.files) HR_TRY_VOID(table.reader->ScanFile(file, wanted, counted));
  std::ranges::sort(seen);
  const bool foreign = std::ranges::adjacent_find(seen) != seen.end() ||
                       (!seen.empty() && seen.back().epoch() > table.marker);
  if (foreign) return Fail(tables::MixedRows());
  return {};
}

Result<void> History::ScanTail(const tables::PublishedStream& stream, EpochId after,
                               const tables::VisitRows& visit,
                               ScannedRows::OfStream& scanned) const {
  auto pass = TrainingPass(environment_);
  const auto hand_out = [&](tables::EpochRows epoch) -> Result<void> {
    pass.Wait();
    tables::PositionedRows rows{std::move(epoch.rows), {}, std::move(epoch.known_at)};
    rows.positions.reserve(rows.rows.rows());
    for (size_t row = 0; row < rows.rows.rows(); ++row)
      rows.positions.push_back(columns::Position::Of(epoch.epoch, row));
    scanned.from_log += rows.rows.rows();
    return visit(rows);
  };
  return tables::ScanStreamRows(*log_, stream, after, newest_, tables::UnknownTime::kNever,
                                hand_out);
}

}  // namespace headrace::training
