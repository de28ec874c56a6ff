#include "watch/status_document.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include "base/json_text.h"
#include "base/zones/time_zone.h"
#include "columns/key.h"
#include "pipeline/restricted_features.h"
#include "plan/budget.h"
#include "watch/status_verdict.h"

namespace headrace::watch {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kMegabyte = 1024.0 * 1024.0;

double Milliseconds(uint64_t us) { return static_cast<double>(us) / 1000.0; }
double Milliseconds(base::Duration d) { return static_cast<double>(d.count()) / 1000.0; }
double Seconds(base::Duration d) { return static_cast<double>(d.count()) / 1e6; }
double Megabytes(uint64_t bytes) { return static_cast<double>(bytes) / kMegabyte; }

Json Times(const base::Histogram& us) {
  const double worst = Milliseconds(us.max());
  return {{"count", us.count()},
          {"p50_ms", Milliseconds(us.Quantile(0.5))},
          {"p99_ms", Milliseconds(us.Quantile(0.99))},
          {"p999_ms", Milliseconds(us.Quantile(0.999))},
          {"worst_ms", worst},
          {"max_ms", worst}};
}

// Without recent events there are no percentiles.
Json Times(const RecentSamples& us) {
  Json json = {{"count", us.count()}};
  if (us.count() == 0) return json;
  json["p50_ms"] = Milliseconds(us.Quantile(0.5));
  json["p99_ms"] = Milliseconds(us.Quantile(0.99));
  json["p999_ms"] = Milliseconds(us.Quantile(0.999));
  json["worst_ms"] = Milliseconds(us.Quantile(1));
  return json;
}

Json RecentJson(const StatusFigures& figures) {
  const auto times = [&](const base::Histogram& us) { return Times(figures.recent.Of(us)); };
  Json json = {{"span_s", Seconds(figures.recent.span)},
               {"fdatasync", times(figures.sync_us)},
               {"stages",
                {{"ingest", times(figures.durable_us)},
                 {"transform", times(figures.visible_us)},
                 {"serve", times(figures.serve_us)},
                 {"visible", times(figures.end_to_end_us)}}}};
  if (figures.pushes) json["pushes"] = times(*figures.pushes->answered_us);
  return json;
}

// Null under `clock: events` before the first event: there is no now yet.
Json ClockJson(base::Timestamp clock) {
  return clock == base::Timestamp::Min() ? Json() : Json(base::FormatTimestamp(clock));
}

Json VerdictJson(const plan::StageVerdict& recent, const plan::StageVerdict& since_start) {
  using State = plan::StageVerdict::State;
  Json json = {{"given_ms", Milliseconds(recent.given)}, {"verdict", plan::NameOf(recent.state)}};
  if (recent.state != State::kUnmeasured) json["measured_ms"] = Milliseconds(recent.measured);
  if (since_start.state != State::kUnmeasured)
    json["since_start_ms"] = Milliseconds(since_start.measured);
  return json;
}

Json PromiseJson(const StatusFigures& figures, const plan::LatencyBudget& budget,
                 const JudgedPromise& judged) {
  Json stages = Json::object();
  for (size_t i = 0; i < plan::kStages; ++i)
    stages[std::string(plan::NameOf(static_cast<plan::Stage>(i)))] =
        VerdictJson(judged.recent.stages[i], judged.since_start.stages[i]);
  return {{"percentile", figures.definition.promise.percentile},
          {"budget_ms", Milliseconds(budget.promised)},
          {"outside_ms", Milliseconds(budget.outside)},
          {"ours_ms", Milliseconds(budget.ours)},
          {"stages", std::move(stages)},
          {"together", VerdictJson(judged.recent.together, judged.since_start.together)}};
}

Json VerdictJson(const StatusVerdict& verdict) {
  Json json = {
      {"state", NameOf(verdict.state)}, {"says", verdict.says}, {"findings", Json::array()}};
  for (const StatusVerdict::Finding& finding : verdict.findings)
    json["findings"].push_back(
        {{"state", NameOf(finding.state)}, {"what", finding.what}, {"next", finding.next}});
  return json;
}

Json LogJson(const StatusFigures& figures) {
  const log::LogStatus& log = figures.log;
  Json json = {{"id", log.log.ToString()},
               {"epoch", log.durable.value},
               {"clock", ClockJson(log.clock)},
               {"bytes", log.log_bytes},
               {"bytes_max", log.log_bytes_max},
               {"first_epoch", log.first.value},
               {"segments", log.segments},
               {"residue_bytes", log.residue_bytes},
               {"refused_forgotten", log.refused_forgotten},
               {"held_by", figures.retention.held_by},
               {"durability", figures.durability == log::Durability::kFsync ? "fsync" : "os"},
               {"read_only", log.read_only}};
  if (log.read_only) json["read_only_reason"] = log.read_only_reason;
  if (!log.retention_error.empty()) json["retention_error"] = log.retention_error;
  return json;
}

// What the wall clock did; the log clock leans towards it, and does not follow a step.
Json ClockJson(const log::ClockSteps& clock) {
  const bool apart =
      clock.behind_wall > log::LogClock::kStep || clock.behind_wall < -log::LogClock::kStep;
  Json json = {{"stepped", apart},
               {"steps", clock.steps},
               {"behind_wall_ms", Milliseconds(clock.behind_wall)}};
  if (clock.steps > 0) {
    json["last_step_ms"] = Milliseconds(clock.last);
    json["last_step_at"] = base::FormatTimestamp(clock.last_at);
  }
  return json;
}

Json MemoryJson(const StatusFigures& figures) {
  Json accounts = Json::object();
  for (int i = 0; i < static_cast<int>(base::MemoryAccount::kCount); ++i) {
    const auto account = static_cast<base::MemoryAccount>(i);
    accounts[std::string(base::NameOf(account))] = Megabytes(figures.budget.used_bytes(account));
  }
  return {{"used_mb", Megabytes(figures.memory.resident_bytes)},
          {"peak_mb", Megabytes(figures.memory.peak_bytes)},
          {"budget_mb", Megabytes(figures.budget.limit_bytes())},
          {"charged_mb", Megabytes(figures.budget.used_bytes())},
          {"uncharged_mb", Megabytes(figures.budget.uncharged_bytes())},
          {"state_mb", Megabytes(figures.budget.used_bytes(base::MemoryAccount::kState))},
          {"state_spare_mb", Megabytes(figures.budget.spare_bytes())},
          {"accounts_mb", std::move(accounts)}};
}

// A key by its fields `by`, {"origin": "ATL"}. Restricted values are shown to nobody.
Json KeyJson(const columns::Schema& schema, const std::vector<size_t>& by,
             const std::vector<bool>& restricted, const columns::KeyBytes& key) {
  std::vector<columns::Type> types;
  for (const size_t field : by) types.push_back(schema.field(field).type);
  const auto values = columns::DecodeKey(types, key);
  Json json = Json::object();
  for (size_t i = 0; values && i < by.size(); ++i)
    json[schema.field(by[i]).name] =
        restricted[by[i]] ? Json("***") : Json::parse((*values)[i].ToJson());
  return json;
}

// Under `name`, of the rows of `stream` by their fields `by`; nothing when there are none.
void AddHotKeys(Json& json, const char* name, const std::vector<pipeline::HotKey>& hot_keys,
                const pipeline::PipelineDefinition& definition, size_t stream,
                const std::vector<size_t>& by, const pipeline::RestrictedFeatures& restricted) {
  for (const pipeline::HotKey& hot : hot_keys)
    json[name].push_back({{"key", KeyJson(*definition.streams[stream].schema(), by,
                                          restricted.streams[stream].columns, hot.key)},
                          {"share", std::round(hot.share * 1000) / 1000}});
}

// `views` of the figures are the definition's, in its order.
Json ViewsJson(const StatusFigures& figures) {
  const pipeline::RestrictedFeatures restricted = pipeline::FindRestricted(figures.definition);
  Json views = Json::array();
  for (size_t i = 0; i < figures.views.size(); ++i) {
    const pipeline::ViewStatus& view = figures.views[i];
    const pipeline::ViewDefinition& definition = figures.definition.views[i];
    Json json = {
        {"name", view.name}, {"keys", view.keys}, {"rows", view.rows}, {"bytes", view.bytes}};
    if (view.tiles)
      json["tiles"] = {{"bytes", view.tiles->bytes},
                       {"folds", view.tiles->folds},
                       {"rows", view.tiles->rows},
                       {"late_rows", view.tiles->late_rows}};
    if (const base::EpochId since = pipeline::SinceOf(figures.since, view.name); since.value > 0)
      json["since_epoch"] = since.value;
    if (!view.hot_keys.empty())
      AddHotKeys(json, "hot_keys", view.hot_keys, figures.definition, definition.stream,
                 definition.by, restricted);
    views.push_back(std::move(json));
  }
  return views;
}

// Calls `f` with what an expression is for, as "view card", and the expression.
template <typename F>
void ForEachExpression(const pipeline::PipelineDefinition& definition, F f) {
  for (const pipeline::ViewDefinition& view : definition.views) {
    if (view.where) f("view " + view.name, *view.where);
    for (const pipeline::Expression& argument : view.arguments) f("view " + view.name, argument);
  }
  for (const pipeline::OnRequestFeature& feature : definition.on_request)
    f("on_request " + feature.name, feature.expression);
}

// Of the joins and the dedupe of a derived stream; nothing when the definition has no such one.
void AddHotKeys(Json& json, const pipeline::DerivedStreamStatus& status,
                const pipeline::PipelineDefinition& definition,
                const pipeline::RestrictedFeatures& restricted) {
  const auto stream = definition.StreamNamed(status.name);
  if (!stream || !definition.streams[*stream].derived()) return;
  const pipeline::Derivation& made = *definition.streams[*stream].derivation;
  if (made.as_of && json.contains("as_of"))
    AddHotKeys(json["as_of"], "hot_keys", status.hot_keys, definition, made.source, made.as_of->key,
               restricted);
  if (made.interval && json.contains("within")) {
    AddHotKeys(json["within"], "hot_keys", status.hot_keys, definition, made.source,
               made.interval->key, restricted);
    AddHotKeys(json["within"], "other_hot_keys", status.other_hot_keys, definition,
               made.interval->stream, made.interval->other_key, restricted);
  }
  if (made.dedupe && json.contains("dedupe"))
    AddHotKeys(json["dedupe"], "hot_keys", status.dedupe_hot_keys, definition, *stream,
               made.dedupe->by, restricted);
}

// What derived streams left out, since the log began, and what their joins keep.
Json DerivedStreamsJson(const StatusFigures& figures) {
  const pipeline::RestrictedFeatures restricted = pipeline::FindRestricted(figures.definition);
  Json streams = Json::array();
  for (const pipeline::DerivedStreamStatus& stream : figures.derived_streams) {
    const pipeline::DerivationCounts& rows = stream.counts.rows;
    Json json = {{"name", stream.name},
                 {"from", stream.from},
                 {"rows_in", rows.rows_in},
                 {"rows_out", rows.rows_out},
                 {"where_false", rows.where_false},
                 {"where_null", rows.where_null}};
    using Join = pipeline::DerivedStreamStatus::Join;
    if (stream.join == Join::kAsOf)
      json["as_of"] = {{"dimension", stream.joined},
                       {"matched", stream.counts.as_of.matched},
                       {"unmatched", stream.counts.as_of.unmatched},
                       {"null_keys", stream.counts.as_of.null_keys},
                       {"version_null_keys", stream.counts.as_of.version_null_keys},
                       {"without_texts", stream.counts.as_of.without_texts},
                       {"keys", stream.kept.keys},
                       {"versions", stream.kept.rows},
                       {"bytes", stream.kept.bytes}};
    if (stream.join == Join::kInterval)
      json["within"] = {{"other", stream.joined},
                        {"pairs", stream.counts.interval.pairs},
                        {"alone", stream.counts.interval.alone},
                        {"given_up", stream.counts.interval.given_up},
                        {"null_keys", stream.counts.interval.null_keys},
                        {"other_null_keys", stream.counts.interval.other_null_keys},
                        {"waiting", stream.kept.rows},
                        {"bytes", stream.kept.bytes}};
    if (stream.unnests)
      json["unnest"] = {{"elements", rows.unnest.elements},
                        {"empty", rows.unnest.empty},
                        {"null_lists", rows.unnest.null_lists},
                        {"not_lists", rows.unnest.not_lists},
                        {"left_out", rows.unnest.left_out}};
    if (stream.dedupes)
      json["dedupe"] = {{"repeats", stream.counts.dedupe.repeats},
                        {"null_keys", stream.counts.dedupe.null_keys},
                        {"forgotten", stream.counts.dedupe.forgotten},
                        {"remembered", stream.remembered.rows},
                        {"bytes", stream.remembered.bytes}};
    AddHotKeys(json, stream, figures.definition, restricted);
    streams.push_back(std::move(json));
  }
  return streams;
}

// Calls `f` with "stream big", the text and the failed rows of each expression of derived streams.
template <typename F>
void ForEachDerivedExpression(const StatusFigures& figures, F f) {
  for (const pipeline::DerivedStreamStatus& stream : figures.derived_streams)
    for (size_t i = 0; i < stream.expressions.size(); ++i)
      f("stream " + stream.name, stream.expressions[i], stream.counts.rows.failed[i]);
}

// Those that gave NULL by failure: of views and requests since the start, of derived streams since
// the log began.
Json FailedExpressionsJson(const StatusFigures& figures) {
  Json failed = Json::array();
  ForEachExpression(
      figures.definition, [&](const std::string& of, const pipeline::Expression& expression) {
        if (expression.errors() == 0) return;
        failed.push_back(
            {{"of", of}, {"text", expression.text()}, {"failed_rows", expression.errors()}});
      });
  ForEachDerivedExpression(
      figures, [&](const std::string& of, const std::string& text, uint64_t rows) {
        if (rows != 0) failed.push_back({{"of", of}, {"text", text}, {"failed_rows", rows}});
      });
  return failed;
}

// All bytes that were written for the table.
uint64_t WrittenBytes(const TableFigures& table) {
  return table.bytes + table.log_bytes + table.optimize.bytes_made;
}

// What the table is to its readers, and what it has cost since the start.
Json LayerJson(const TableFigures& table) {
  Json json = {{"kind", plan::NameOf(table.layer)}, {"readers", table.readers}};
  if (!table.advice.empty()) json["advice"] = table.advice;
  if (table.visible_us != nullptr) json["visible"] = Times(*table.visible_us);
  json["log_bytes"] = table.log_bytes;
  json["written_bytes"] = WrittenBytes(table);
  if (table.rows > 0) {
    const auto written = static_cast<double>(WrittenBytes(table));
    json["bytes_per_row"] = written / static_cast<double>(table.rows);
    json["rows_per_file"] =
        static_cast<double>(table.rows) / static_cast<double>(std::max<uint64_t>(1, table.files));
    json["write_amplification"] = written / static_cast<double>(std::max<uint64_t>(1, table.bytes));
  }
  return json;
}

Json TablesJson(const StatusFigures& figures) {
  Json tables = Json::array();
  for (const TableFigures& table : figures.tables) {
    Json json = {{"name", table.name},
                 {"folder", table.folder},
                 {"state", table.state},
                 {"committed_epoch", table.committed.value},
                 {"pending_rows", table.pending_rows},
                 {"lag_ms", Milliseconds(table.lag)},
                 {"commit_every_ms", Milliseconds(table.commit_every)},
                 {"commits", table.commits},
                 {"files", table.files},
                 {"rows", table.rows},
                 {"bytes", table.bytes},
                 {"commit_p50_ms", Milliseconds(table.commit_p50_us)},
                 {"commit_p99_ms", Milliseconds(table.commit_p99_us)}};
    if (!table.reason.empty()) json["reason"] = table.reason;
    json["optimize"] = {{"state", table.optimize.state},
                        {"versions", table.optimize.versions},
                        {"files_taken", table.optimize.files_taken},
                        {"files_made", table.optimize.files_made},
                        {"bytes_taken", table.optimize.bytes_taken},
                        {"bytes_made", table.optimize.bytes_made},
                        {"given_up", table.optimize.given_up},
                        {"failed", table.optimize.failed}};
    if (!table.optimize.reason.empty()) json["optimize"]["reason"] = table.optimize.reason;
    json["layer"] = LayerJson(table);
    tables.push_back(std::move(json));
  }
  return tables;
}

Json SourcesJson(const StatusFigures& figures) {
  Json sources = Json::array();
  for (const SourceFigures& source : figures.sources) sources.push_back(SourceJson(source));
  return sources;
}

// Who yields to the real-time stages, why and for how long.
Json BackgroundJson(const GovernorFigures& figures) {
  const auto seconds = [](env::MonotonicTime span) {
    return std::chrono::duration<double>(span).count();
  };
  Json classes = Json::array();
  for (const GovernorFigures::Class& each : figures.classes) {
    const env::WorkClassFigures& gate = each.gate;
    Json json = {{"work", env::NameOf(each.work)},  {"state", gate.paused ? "paused" : "running"},
                 {"pauses", gate.pauses},           {"paused_s", seconds(gate.paused_total)},
                 {"waiting", gate.waiting},         {"waited_s", seconds(gate.waited_total)},
                 {"let_through", each.let_through}, {"overridden", gate.overridden}};
    if (gate.paused) json["for_s"] = seconds(figures.now - gate.since);
    if (!gate.why.empty()) json[gate.paused ? "why" : "last_why"] = gate.why;
    if (!gate.overridden_by.empty()) json["overridden_by"] = gate.overridden_by;
    classes.push_back(std::move(json));
  }
  return {{"pressure",
           {{"stage", figures.worst.what},
            {"share", figures.worst.share},
            {"taken", figures.worst.taken}}},
          {"level", figures.level},
          {"classes", std::move(classes)}};
}

Json SnapshotsJson(const SnapshotFigures& snapshots) {
  Json json = {{"taken", snapshots.taken},
               {"failed", snapshots.failed},
               {"under_way", snapshots.under_way},
               {"after_epoch", snapshots.after.value},
               {"bytes", snapshots.bytes},
               {"took_ms", Milliseconds(snapshots.took)},
               {"writing_ms", Milliseconds(snapshots.writing)},
               {"recovery_bound_ms", Milliseconds(snapshots.recovery)},
               {"recovery_estimate_ms", Milliseconds(snapshots.recovery_estimate)},
               {"bound_holds", snapshots.bound_holds},
               {"used_at_start", !snapshots.used_at_start.empty()},
               {"passed_over_at_start", snapshots.passed_over_at_start},
               {"replayed_rows_at_start", snapshots.replayed_rows_at_start}};
  if (snapshots.age) json["age_ms"] = Milliseconds(*snapshots.age);
  if (!snapshots.reason.empty()) json["reason"] = snapshots.reason;
  return json;
}

Json RecoveryJson(const log::RecoveryFigures& recovery) {
  Json json = {{"phase", log::NameOf(recovery.phase)},
               {"elapsed_s", Seconds(recovery.elapsed)},
               {"rows", recovery.rows}};
  if (recovery.phase == log::RecoveryPhase::kReady) return json;
  json["bytes_done"] = recovery.bytes_done;
  json["bytes_total"] = recovery.bytes_total;
  json["bytes_per_s"] = std::llround(recovery.bytes_per_second);
  json["rows_per_s"] = std::llround(recovery.rows_per_second);
  if (recovery.left) json["seconds_left"] = Seconds(*recovery.left);
  return json;
}

Json StartingVerdictJson(const log::RecoveryFigures& recovery) {
  std::string says(log::Describe(recovery.phase));
  if (recovery.left) says += fmt::format(", about {:.0f} s left", Seconds(*recovery.left));
  return {{"state", "starting"}, {"says", std::move(says)}, {"findings", Json::array()}};
}

}  // namespace

std::string StartingStatusJson(const std::string& pipeline, const log::RecoveryFigures& recovery) {
  return base::JsonText(Json{{"pipeline", pipeline},
                             {"state", "recovering"},
                             {"verdict", StartingVerdictJson(recovery)},
                             {"uptime_s", Seconds(recovery.elapsed)},
                             {"recovery", RecoveryJson(recovery)}});
}

std::string StatusJson(const StatusFigures& figures) {
  const Json times = Times(figures.end_to_end_us);
  const plan::LatencyBudget budget = plan::DivideBudget(figures.definition.promise);
  const JudgedPromise promise = JudgePromise(figures, budget);
  Json json = {
      {"pipeline", figures.definition.name},
      {"state", "ready"},
      {"verdict", VerdictJson(VerdictOf(figures, promise))},
      {"definition", figures.definition.id.ToString()},
      {"clock", figures.definition.clock == log::ClockMode::kEvents ? "events" : "wall"},
      {"uptime_s", static_cast<double>(figures.uptime.count()) / 1e6},
      {"epoch", figures.visible.value},
      {"backlog_rows", figures.backlog_rows},
      {"backlog_age_ms", Milliseconds(figures.backlog_age)},
      {"rows",
       {{"accepted", figures.log.rows_accepted},
        {"refused", figures.log.rows_refused},
        {"batches_repeated", figures.log.batches_repeated}}},
      {"log", LogJson(figures)},
      {"log_clock", ClockJson(figures.clock)},
      {"recent", RecentJson(figures)},
      {"fdatasync", Times(figures.sync_us)},
      {"stages",
       {{"ingest", Times(figures.durable_us)},
        {"transform", Times(figures.visible_us)},
        {"serve", Times(figures.serve_us)},
        {"visible", times},
        {"together", times}}},
      {"promise", PromiseJson(figures, budget, promise)},
      {"memory", MemoryJson(figures)},
      {"views", ViewsJson(figures)},
      {"derived_streams", DerivedStreamsJson(figures)},
      {"tables", TablesJson(figures)},
      {"sources", SourcesJson(figures)},
      {"failed_expressions", FailedExpressionsJson(figures)},
      {"time_zones", base::TimeZone::Version()},
      {"dead_letters", figures.dead_letters},
      {"dead_letters_replayed", figures.dead_letters_replayed},
      {"revoked_pins", figures.revoked_pins},
  };
  if (figures.pushes) json["pushes"] = Json::parse(PushesJson(*figures.pushes));
  if (figures.change.state != ChangeFigures::State::kNone)
    json["change"] = Json::parse(ChangeJson(figures.change));
  json["snapshots"] = SnapshotsJson(figures.snapshots);
  if (figures.background) json["background"] = BackgroundJson(*figures.background);
  if (figures.tls) json["tls"] = Json::parse(TlsJson(*figures.tls));
  if (figures.recovery) json["recovery"] = RecoveryJson(*figures.recovery);
  return base::JsonText(json);
}

namespace {

void AppendLayerMetrics(const std::vector<TableFigures>& tables, MetricsText& text) {
  const auto counter = [&](const char* name, const char* help, auto value) {
    for (const TableFigures& table : tables)
      text.Counter(name, help, value(table), {{"table", table.name}});
  };
  for (const TableFigures& table : tables)
    if (table.visible_us != nullptr)
      text.Summary("headrace_tables_visible_seconds",
                   "Of each row, from its epoch's sealing to the commit that has it.",
                   *table.visible_us, {{"table", table.name}});
  counter("headrace_tables_commits_total", "Commits since the start.",
          [](const TableFigures& table) { return table.commits; });
  counter("headrace_tables_files_total", "Data files published since the start.",
          [](const TableFigures& table) { return table.files; });
  counter("headrace_tables_rows_total", "Rows published since the start.",
          [](const TableFigures& table) { return table.rows; });
  counter("headrace_tables_data_bytes_total", "Bytes of the data files that were published.",
          [](const TableFigures& table) { return table.bytes; });
  counter("headrace_tables_log_bytes_total",
          "Bytes of commits, checkpoints and checksum files since the start.",
          [](const TableFigures& table) { return table.log_bytes; });
  counter("headrace_tables_rewritten_bytes_total",
          "Bytes of the files that OPTIMIZE made since the start.",
          [](const TableFigures& table) { return table.optimize.bytes_made; });
}

void AppendSourceMetrics(const std::vector<SourceFigures>& sources, MetricsText& text) {
  const auto gauge = [&](std::string_view name, std::string_view help, auto value) {
    for (const SourceFigures& source : sources)
      text.Gauge(name, help, static_cast<double>(value(source)), {{"stream", source.stream}});
  };
  const auto counter = [&](std::string_view name, std::string_view help, auto value) {
    for (const SourceFigures& source : sources)
      text.Counter(name, help, value(source), {{"stream", source.stream}});
  };
  gauge("headrace_tables_source_lag_versions",
        "Versions of the table that a stream is read from that are not in the log.",
        [](const SourceFigures& source) { return source.waiting_versions(); });
  gauge("headrace_tables_source_lag_rows", "Rows that are known to be in those versions.",
        [](const SourceFigures& source) { return source.waiting_rows; });
  gauge("headrace_tables_source_stopped", "1 when a source stopped; the status says why.",
        [](const SourceFigures& source) { return source.state == "stopped" ? 1 : 0; });
  counter("headrace_tables_source_accepted_rows_total", "Rows that went in, since the start.",
          [](const SourceFigures& source) { return source.accepted; });
  counter("headrace_tables_source_refused_rows_total", "Rows that were refused, since the start.",
          [](const SourceFigures& source) { return source.refused; });
  counter("headrace_tables_source_errors_total",
          "Failures that made a source retry or stop, since the start.",
          [](const SourceFigures& source) { return source.errors; });
}

}  // namespace

std::string StatusMetrics(const StatusFigures& figures) {
  MetricsText text;
  const log::LogStatus& log = figures.log;
  text.Counter("headrace_log_rows_accepted_total", "Rows accepted since the log began.",
               log.rows_accepted);
  text.Counter("headrace_log_rows_refused_total", "Rows refused since the log began.",
               log.rows_refused);
  for (const auto& [stream, rules] : figures.dead_letters)
    for (const auto& [rule, rows] : rules)
      text.Counter("headrace_log_dead_letters_total", "Rows refused by a rule since the log began.",
                   rows, {{"stream", stream}, {"rule", rule}});
  for (const auto& [stream, rows] : figures.dead_letters_replayed)
    text.Counter("headrace_log_dead_letters_replayed_total",
                 "Refused rows that came in when they were sent again, since the log began.", rows,
                 {{"stream", stream}});
  text.Counter("headrace_log_batches_repeated_total", "Batches that were repeats, since the start.",
               log.batches_repeated);
  text.Gauge("headrace_log_durable_epoch", "The newest durable epoch.",
             static_cast<double>(log.durable.value));
  text.Gauge("headrace_log_bytes", "Bytes of the log on disk.", static_cast<double>(log.log_bytes));
  text.Gauge("headrace_log_read_only", "1 when the log refuses writes.", log.read_only ? 1 : 0);
  text.Counter("headrace_wiring_snapshots_total", "Snapshots taken since the start.",
               figures.snapshots.taken);
  text.Counter("headrace_wiring_snapshots_failed_total", "Snapshots that failed since the start.",
               figures.snapshots.failed);
  text.Gauge("headrace_wiring_recovery_estimate_seconds", "What a start would take now.",
             Seconds(figures.snapshots.recovery_estimate));
  AddChange(figures.change, text);
  text.Summary("headrace_log_fdatasync_seconds", "Time of an fdatasync.", figures.sync_us);
  text.Summary("headrace_ingest_durable_seconds", "From accepted to durable.", figures.durable_us);
  text.Summary("headrace_pipeline_visible_seconds", "From durable to visible.", figures.visible_us);
  text.Summary("headrace_pipeline_end_to_end_seconds", "From accepted to visible, per batch.",
               figures.end_to_end_us);
  text.Gauge("headrace_pipeline_visible_epoch", "The newest visible epoch.",
             static_cast<double>(figures.visible.value));
  text.Gauge("headrace_pipeline_backlog_rows", "Rows durable and not yet visible.",
             static_cast<double>(figures.backlog_rows));
  text.Gauge("headrace_pipeline_backlog_age_seconds",
             "How long the oldest of what is durable and not yet visible has waited.",
             Seconds(figures.backlog_age));
  for (const pipeline::ViewStatus& view : figures.views)
    text.Gauge("headrace_pipeline_view_keys", "Keys of a view.", static_cast<double>(view.keys),
               {{"view", view.name}});
  for (const pipeline::ViewStatus& view : figures.views)
    text.Gauge("headrace_pipeline_view_bytes", "Bytes of a view's state.",
               static_cast<double>(view.bytes), {{"view", view.name}});
  const auto for_tiled = [&](auto add) {
    for (const pipeline::ViewStatus& view : figures.views)
      if (view.tiles) add(*view.tiles, view.name);
  };
  for_tiled([&](const pipeline::TileFigures& tiles, const std::string& view) {
    text.Gauge("headrace_pipeline_view_tile_bytes", "Bytes of a view's tiles, part of its state.",
               static_cast<double>(tiles.bytes), {{"view", view}});
  });
  for_tiled([&](const pipeline::TileFigures& tiles, const std::string& view) {
    text.Counter("headrace_pipeline_view_folds_total",
                 "Times at which rows of a key became tiles, since the start.", tiles.folds,
                 {{"view", view}});
  });
  for_tiled([&](const pipeline::TileFigures& tiles, const std::string& view) {
    text.Counter("headrace_pipeline_view_folded_rows_total",
                 "Rows of a view that became tiles, since the start.", tiles.rows,
                 {{"view", view}});
  });
  for_tiled([&](const pipeline::TileFigures& tiles, const std::string& view) {
    text.Counter("headrace_pipeline_view_late_tile_rows_total",
                 "Rows that came for a tile that was there, since the start.", tiles.late_rows,
                 {{"view", view}});
  });
  for (const pipeline::ViewStatus& view : figures.views)
    text.Gauge("headrace_pipeline_view_since_epoch",
               "The epoch up to which rows are none of a view's; 0: it begins with the log.",
               static_cast<double>(pipeline::SinceOf(figures.since, view.name).value),
               {{"view", view.name}});
  for (const pipeline::ViewStatus& view : figures.views)
    text.Gauge("headrace_pipeline_view_hottest_key_share",
               "Share of a view's rows that one key has; 0 below 5 %.",
               view.hot_keys.empty() ? 0 : view.hot_keys[0].share, {{"view", view.name}});
  std::map<std::string, uint64_t> failed;
  ForEachExpression(figures.definition,
                    [&](const std::string& of, const pipeline::Expression& expression) {
                      failed[of] += expression.errors();
                    });
  ForEachDerivedExpression(figures, [&](const std::string& of, const std::string&, uint64_t rows) {
    failed[of] += rows;
  });
  for (const auto& [of, rows] : failed)
    text.Counter("headrace_pipeline_expression_failed_rows_total",
                 "Rows whose value is NULL since an expression failed, since the start.", rows,
                 {{"of", of}});
  for (const pipeline::DerivedStreamStatus& stream : figures.derived_streams)
    text.Counter("headrace_pipeline_derived_rows_total",
                 "Rows of a derived stream since the log began.", stream.counts.rows.rows_out,
                 {{"stream", stream.name}});
  for (const pipeline::DerivedStreamStatus& stream : figures.derived_streams)
    text.Counter("headrace_pipeline_derived_left_out_rows_total",
                 "Rows that a derived stream's condition left out, since the log began.",
                 stream.counts.rows.where_false + stream.counts.rows.where_null,
                 {{"stream", stream.name}});
  for (const pipeline::DerivedStreamStatus& stream : figures.derived_streams) {
    const auto add = [&](const char* keys, const std::vector<pipeline::HotKey>& hot) {
      text.Gauge("headrace_pipeline_derived_hottest_key_share",
                 "Share of the rows of a join, or of a dedupe, that one key has; 0 below 5 %.",
                 hot.empty() ? 0 : hot[0].share, {{"stream", stream.name}, {"keys", keys}});
    };
    if (stream.join != pipeline::DerivedStreamStatus::Join::kNone) add("join", stream.hot_keys);
    if (stream.join == pipeline::DerivedStreamStatus::Join::kInterval)
      add("join_other", stream.other_hot_keys);
    if (stream.dedupes) add("dedupe", stream.dedupe_hot_keys);
  }
  text.Summary("headrace_serving_answer_seconds", "Time of an answer inside the engine.",
               figures.serve_us);
  text.Counter("headrace_serving_pins_revoked_total", "Pins taken away from slow readers.",
               figures.revoked_pins);
  if (figures.pushes) AppendPushMetrics(*figures.pushes, text);
  if (figures.tls) AppendTlsMetrics(*figures.tls, text);
  if (figures.background) {
    for (const GovernorFigures::Class& each : figures.background->classes)
      text.Gauge("headrace_watch_paused", "1 while a class of background work is paused.",
                 each.gate.paused ? 1 : 0, {{"work", env::NameOf(each.work)}});
    for (const GovernorFigures::Class& each : figures.background->classes)
      text.Counter("headrace_watch_pauses_total", "Pauses of a class of background work.",
                   each.gate.pauses, {{"work", env::NameOf(each.work)}});
  }
  for (const TableFigures& table : figures.tables)
    text.Gauge("headrace_tables_pending_rows", "Durable rows not in the table.",
               static_cast<double>(table.pending_rows), {{"table", table.name}});
  AppendLayerMetrics(figures.tables, text);
  AppendSourceMetrics(figures.sources, text);
  text.Gauge("headrace_base_memory_charged_bytes", "Bytes charged to the budget.",
             static_cast<double>(figures.budget.used_bytes()));
  text.Gauge("headrace_base_memory_resident_bytes", "Resident memory of the process.",
             static_cast<double>(figures.memory.resident_bytes));
  return text.Take();
}

}  // namespace headrace::watch
