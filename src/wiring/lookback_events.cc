// Lookback: the newest rows of a key, of a view out of the state while it has them, else, and of a
// stream, out of table and log.

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "pipeline/restricted_features.h"
#include "serving/caller_rights.h"
#include "serving/input_values.h"
#include "serving/not_found.h"
#include "tables/table_rows.h"
#include "wiring/lookback.h"
#include "wiring/no_such_stream.h"

namespace headrace::wiring {

using base::Error;
using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::Value;
using pipeline::KeyRows;
using pipeline::ViewDefinition;

namespace {

// Rows beyond the wanted ones that are gathered before the oldest are let go.
constexpr size_t kGatheredMax = 65'536;

std::string KeptText(const ViewDefinition& view) {
  const std::string history = base::FormatDuration(view.history);
  if (view.lifetime())
    return fmt::format("the state keeps rows of the last {}, and one tile for all before", history);
  if (view.precision)
    return fmt::format("the state keeps rows of the last {}, and tiles of {} before", history,
                       base::FormatDuration(*view.precision));
  const std::string rows =
      view.last_rows() > 0 ? fmt::format(", and the newest {}", view.last_rows()) : "";
  return fmt::format("the state keeps rows of the last {}{}", base::FormatDuration(view.horizon()),
                     rows);
}

// Newest first, at most `last` of those that were there.
std::vector<size_t> NewestRows(const KeyRows& rows, base::EpochId epoch, base::EpochId since,
                               size_t last) {
  std::vector<size_t> newest;
  for (size_t row = rows.size(); row-- > 0 && newest.size() < last;) {
    const base::EpochId of_row = rows.positions[row].epoch();
    if (rows.of_view[row] != 0 && of_row <= epoch && of_row > since) newest.push_back(row);
  }
  return newest;
}

// The newest rows of a stream's key, out of batches in any order.
class NewestOfStream {
 public:
  NewestOfStream(const pipeline::StreamDefinition& stream, std::vector<size_t> by,
                 columns::KeyBytes key, size_t last)
      : stream_(stream), by_(std::move(by)), key_(std::move(key)), last_(last) {}

  void Add(const columns::ColumnBatch& batch, std::span<const columns::Position> positions,
           std::span<const int64_t> known_at) {
    std::vector<uint32_t> taken;
    columns::KeyBytes key;
    const auto times = batch.column(stream_.timing.event_time_field).Int64s();
    for (uint32_t row = 0; row < batch.rows(); ++row) {
      columns::KeyOfRow(batch, by_, row, key);
      if (key != key_) continue;
      taken.push_back(row);
      rows_.push_back({times[row], positions[row], known_at[row]});
    }
    if (taken.empty()) return;
    parts_.push_back(batch.Take(taken));
    if (rows_.size() > last_ + kGatheredMax) Prune();
  }
  LastEvents Finish() {
    Prune();
    LastEvents events;
    for (const Row& row : rows_) {
      events.times.push_back(row.time);
      events.positions.push_back(row.position);
      events.known_at.push_back(row.known_at);
    }
    if (!parts_.empty()) events.values = parts_.front();
    return events;
  }

 private:
  struct Row {
    int64_t time;
    columns::Position position;
    int64_t known_at;
  };
  // The newest ones, in one part, newest first.
  void Prune() {
    if (parts_.empty()) return;
    std::vector<uint32_t> order(rows_.size());
    std::iota(order.begin(), order.end(), 0U);
    std::ranges::sort(order, std::ranges::greater{}, [&](uint32_t row) {
      return std::pair(rows_[row].time, rows_[row].position);
    });
    order.resize(std::min(order.size(), last_));
    std::vector<Row> rows;
    for (const uint32_t row : order) rows.push_back(rows_[row]);
    rows_ = std::move(rows);
    parts_ = {columns::ColumnBatch::Concat(parts_).Take(order)};
  }

  const pipeline::StreamDefinition& stream_;
  const std::vector<size_t> by_;
  const columns::KeyBytes key_;
  const size_t last_;
  std::vector<Row> rows_;
  std::vector<columns::ColumnBatch> parts_;
};

// What a view keeps of some of its rows: its arguments, under their texts.
LastEvents EventsOf(const ViewDefinition& view, const KeyRows& rows,
                    const std::vector<size_t>& newest) {
  LastEvents events;
  std::vector<uint32_t> taken;
  for (const size_t row : newest) {
    taken.push_back(static_cast<uint32_t>(row));
    events.times.push_back(rows.times[row]);
    events.positions.push_back(rows.positions[row]);
    events.known_at.push_back(rows.known_at[row]);
  }
  std::vector<columns::Field> fields;
  for (const pipeline::Expression& argument : view.arguments)
    fields.push_back({.name = argument.text(), .type = argument.type()});
  events.values = {std::make_shared<const columns::Schema>(std::move(fields)), taken.size(),
                   rows.arguments.Take(taken).columns()};
  return events;
}

}  // namespace

Result<LastEvents> Lookback::EventsOfView(const EventsRequest& request,
                                          const access::CallerRef& caller,
                                          env::MonotonicTime deadline) {
  for (int pins = 0; pins < kPinsMax; ++pins) {
    const pipeline::LoggedDefinition logged = sources_.views.current();
    const auto index = logged.definition->ViewNamed(request.view);
    if (!index) return serving::NoSuchView(*logged.definition, request.view);
    const ViewDefinition& view = logged.definition->views[*index];
    if (caller != nullptr) {
      HR_TRY_VOID(serving::CheckView(*caller, view));
      const auto restricted = pipeline::FindRestricted(*logged.definition);
      for (size_t output = 0; output < view.outputs.size(); ++output)
        HR_TRY_VOID(serving::CheckOutput(*caller, *logged.definition, restricted, *index, output));
    }
    HR_TRY(const KeyOfView key, ResolveKey(*logged.definition, *index, request.key));
    const When when{.epoch = request.epoch, .as_of = {}};
    HR_TRY(std::optional<Reading> reading, ReadState(logged, {&key, 1}, when, Copied::kAlways));
    if (!reading) continue;
    const base::EpochId epoch = request.epoch.value_or(reading->epoch);
    const base::EpochId since = pipeline::SinceOf(logged.since, view.name);
    Result<KeyRows>& rows = reading->keys.front().rows;
    std::vector<size_t> newest;
    bool enough = false;
    if (rows) {
      newest = NewestRows(*rows, epoch, since, request.last);
      enough = rows->complete_after == KeyRows::kNever ||
               (newest.size() == request.last && !newest.empty() &&
                rows->times[newest.back()] > rows->complete_after);
    }
    LastEvents events;
    if (enough && request.source != RowSource::kTable) {
      FindKnownAt(logged.definition->streams[view.stream], newest, *rows);
      events = EventsOf(view, *rows, newest);
    } else {
      const std::string because =
          enough ? "the table was asked for"
                 : WhyNotState(view, rows, reading->keys.front().answer, epoch != reading->epoch);
      if (request.source == RowSource::kState)
        return Fail(ErrorCode::kFailedPrecondition,
                    because + ": leave `source` out, and table and log are read");
      auto table = ReadTable(logged, {&key, 1}, epoch, deadline);
      if (!table) return Fail(std::move(table).error().With("state", because));
      const KeyRows& of_table = table->rows.front();
      events = EventsOf(view, of_table, NewestRows(of_table, epoch, since, request.last));
      events.source = RowSource::kTable;
      events.because = because;
    }
    events.epoch = epoch;
    events.log = sources_.log;
    events.kept = KeptText(view);
    events.positions_of = PositionsOf(*logged.definition, view, events.source);
    events.assumed = logged.definition->streams[view.stream].known_at.assumed();
    return events;
  }
  return Fail(ErrorCode::kUnavailable,
              "the state moved on faster than the key's rows were read: ask again");
}

Result<LastEvents> Lookback::EventsOfStream(const EventsRequest& request,
                                            const access::CallerRef& caller,
                                            env::MonotonicTime deadline) {
  if (caller != nullptr && !caller->scope.ReadsEverything())
    return Fail(Error(ErrorCode::kUnauthorized,
                      "whole events are shown to tokens that may read everything: ask for a view")
                    .With("token", caller->name)
                    .With("needs", "read,restricted"));
  if (request.source == RowSource::kState)
    return Fail(ErrorCode::kFailedPrecondition, "the state keeps rows of views, not of streams");
  const pipeline::PipelineRef definition = sources_.views.current().definition;
  const auto index = definition->StreamNamed(request.stream);
  if (!index) return Fail(NoSuchStream(*definition, request.stream));
  const pipeline::StreamDefinition& stream = definition->streams[*index];
  const columns::Schema& schema = *stream.schema();
  if (request.key.empty())
    return Fail(ErrorCode::kInvalidInput, "name a key: one column of the stream, or several");
  std::vector<size_t> by;
  std::vector<Value> values;
  columns::KeyBytes key;
  for (const auto& [name, given] : request.key) {
    const auto field = schema.IndexOf(name);
    if (!field)
      return Fail(Error(ErrorCode::kInvalidInput,
                        fmt::format("stream {} has no column `{}`", request.stream, name))
                      .With("field", name));
    auto value = serving::ConvertInput(given, schema.field(*field).type);
    if (!value) return Fail(std::move(value).error().With("field", name));
    by.push_back(*field);
    values.push_back(value->is_null() ? Value::Null(schema.field(*field).type) : *value);
    columns::AppendKeyValue(key, values.back());
  }
  tables::ScanRequest scan;
  scan.stream = stream.name;
  for (const columns::Field& field : schema.fields()) scan.columns.push_back(field.name);
  scan.where = KeyCondition(stream, by, values);
  if (request.epoch) scan.epoch = request.epoch->value;
  NewestOfStream newest(stream, by, key, request.last);
  HR_TRY(
      const tables::ScanFigures figures,
      ScanRows(std::move(scan), deadline,
               [&](const columns::ColumnBatch& rows, std::span<const columns::Position> positions,
                   std::span<const int64_t> known_at) -> Result<void> {
                 newest.Add(rows, positions, known_at);
                 return {};
               }));
  LastEvents events = newest.Finish();
  events.source = RowSource::kTable;
  events.because = "the state keeps rows of views, not of streams";
  events.epoch = figures.epoch;
  events.log = sources_.log;
  events.kept = "table and log keep whole events, the log those that are in no table yet";
  events.positions_of = stream.name;
  events.assumed = stream.known_at.assumed();
  return events;
}

Result<LastEvents> Lookback::Events(const EventsRequest& request, const access::CallerRef& caller,
                                    env::MonotonicTime deadline) {
  if (request.last == 0 || request.last > kRowsListedMax)
    return Fail(ErrorCode::kInvalidInput, fmt::format("`last` is 1 to {} events", kRowsListedMax));
  if (request.view.empty() == request.stream.empty())
    return Fail(ErrorCode::kInvalidInput, "name a view or a stream: one of the two");
  return request.view.empty() ? EventsOfStream(request, caller, deadline)
                              : EventsOfView(request, caller, deadline);
}

}  // namespace headrace::wiring
