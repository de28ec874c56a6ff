#include "wiring/lookback.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "log/reader.h"
#include "serving/input_values.h"
#include "tables/table_reader.h"
#include "tables/table_rows.h"

namespace headrace::wiring {

using base::EpochId;
using base::Error;
using base::ErrorCode;
using base::Fail;
using base::Result;
using base::Timestamp;
using columns::Value;
using pipeline::KeyRows;
using pipeline::ViewDefinition;

namespace {

// Of the condition on a key, which is an expression: those have a limit, too.
constexpr size_t kConditionBytesMax = 4 << 10;

}  // namespace

std::string WhyNotState(const ViewDefinition& view, const Result<KeyRows>& rows,
                        const Result<pipeline::ViewAnswer>& answer, bool earlier) {
  if (!rows) return "the key has more rows than are copied out of the state";
  if (rows->tiles_until != KeyRows::kNever)
    return "the state keeps tiles in the place of these rows";
  if (!answer) return "as_of is before the history of view " + view.name;
  if (view.forgets_after())
    return "the state lets rows and keys go, and can't tell whether there were earlier ones";
  return earlier ? "the state has let rows go that the epoch may have seen"
                 : "the state has let rows go";
}

Result<Lookback::KeyOfView> Lookback::ResolveKey(
    const pipeline::PipelineDefinition& definition, size_t view,
    const std::vector<std::pair<std::string, Value>>& given) {
  KeyOfView key{.view = view, .values = {}, .bytes = {}};
  const ViewDefinition& of = definition.views[view];
  const columns::Schema& schema = *definition.streams[of.stream].schema();
  for (const size_t field : of.by) {
    const columns::Field& column = schema.field(field);
    const auto found =
        std::ranges::find(given, column.name, [](const auto& each) { return each.first; });
    if (found == given.end())
      return Fail(Error(ErrorCode::kInvalidInput, "the key lacks `" + column.name + "`")
                      .With("field", column.name));
    auto value = serving::ConvertInput(found->second, column.type);
    if (!value) return Fail(std::move(value).error().With("field", column.name));
    columns::AppendKeyValue(key.bytes, *value);
    key.values.push_back(value->is_null() ? Value::Null(column.type) : std::move(*value));
  }
  for (const auto& [name, value] : given)
    if (std::ranges::none_of(of.by, [&](size_t field) { return schema.field(field).name == name; }))
      return Fail(Error(ErrorCode::kInvalidInput,
                        fmt::format("`{}` is no part of the key of view {}", name, of.name))
                      .With("field", name));
  return key;
}

Result<Lookback::When> Lookback::Settle(When when) const {
  if (when.epoch && !when.as_of && *when.epoch < sources_.views.visible()) {
    HR_TRY(when.as_of, ClockOf(*when.epoch));
  }
  return when;
}

Result<std::optional<Lookback::Reading>> Lookback::ReadState(
    const pipeline::LoggedDefinition& logged, std::span<const KeyOfView> keys, const When& when,
    Copied copied) const {
  HR_TRY(const pipeline::Pin pin, sources_.views.PinNewest());
  if (pin.definition() != logged.definition) return std::nullopt;
  if (when.epoch && *when.epoch > pin.epoch())
    return Fail(
        Error(ErrorCode::kUnavailable, fmt::format("epoch {} is not visible yet: the newest is {}",
                                                   when.epoch->value, pin.epoch().value))
            .With("epoch", std::to_string(when.epoch->value)));
  Reading reading{.epoch = pin.epoch(), .as_of = {}, .keys = {}};
  const bool clocked_by_events = pin.definition()->clock == log::ClockMode::kEvents;
  reading.as_of =
      when.as_of ? *when.as_of
                 : (clocked_by_events ? pin.clock() : std::max(pin.clock(), sources_.log_clock()));
  for (const KeyOfView& key : keys) {
    KeyReading& read = reading.keys.emplace_back();
    read.answer = sources_.views.Get(pin, key.view, key.bytes, reading.as_of);
    if (copied == Copied::kAlways || !read.answer || (when.epoch && *when.epoch < pin.epoch()))
      read.rows = sources_.views.RowsOf(pin, key.view, key.bytes, kStateRowsMax);
    if (pin.revoked()) return std::nullopt;
  }
  return reading;
}

// What "now" was at an epoch.
Result<Timestamp> Lookback::ClockOf(EpochId epoch) const {
  HR_TRY(const auto reader, log::LogReader::Open(environment_, sources_.log_folder));
  std::optional<Timestamp> clock;
  const auto scanned = reader->Scan(epoch, epoch, [&](const log::EpochRef& each) -> Result<void> {
    clock = each->clock;
    return {};
  });
  if (clock) return *clock;
  return Fail(Error(ErrorCode::kFailedPrecondition,
                    fmt::format("the log has let epoch {} go, and with it what time it was: give "
                                "as_of, too",
                                epoch.value))
                  .With("error", scanned ? "not there" : scanned.error().ToString()));
}

std::string Lookback::KeyCondition(const pipeline::StreamDefinition& stream,
                                   std::span<const size_t> by, std::span<const Value> key) {
  std::string condition;
  for (size_t i = 0; i < by.size(); ++i) {
    const columns::Field& field = stream.schema()->field(by[i]);
    if (key[i].is_null() || field.name.find('"') != std::string::npos) continue;
    std::string constant;
    if (field.type == columns::Type::kString) {
      constant = "'";
      for (const char c : key[i].as_text()) constant.append(c == '\'' ? 2 : 1, c);
      constant += "'";
    } else if (field.type == columns::Type::kInt64 || field.type == columns::Type::kInt32) {
      constant = std::to_string(key[i].as_int());
    } else {
      continue;
    }
    const std::string term =
        fmt::format("{}\"{}\" = {}", condition.empty() ? "" : " and ", field.name, constant);
    if (condition.size() + term.size() <= kConditionBytesMax) condition += term;
  }
  return condition;
}

Result<tables::ScanFigures> Lookback::ScanRows(tables::ScanRequest request,
                                               env::MonotonicTime deadline,
                                               const VisitPlaced& visit) {
  const auto split = static_cast<ptrdiff_t>(request.columns.size());
  for (const char* column : {tables::kEpochColumn, tables::kRowColumn, tables::kKnownAtColumn})
    request.columns.emplace_back(column);
  const auto late = [this, deadline] { return Now() >= deadline; };
  const auto told = [&](Error error) {
    if (!late()) return error;
    return Error(ErrorCode::kDeadlineExceeded,
                 "the rows could not be read out of table and log in time: give it longer, or ask "
                 "for an epoch that the state still has");
  };
  auto scan = sources_.scans.Open(request, late, tables::RowsOfOthers::kLeftOut);
  if (!scan) return Fail(told(std::move(scan).error()));
  const bool mixed = (*scan)->figures().rewritten_by_others;
  std::set<columns::Position> seen;
  for (;;) {
    auto batch = (*scan)->Next();
    if (!batch) return Fail(told(std::move(batch).error()));
    if (!*batch) return (*scan)->figures();
    const std::vector<columns::Field>& fields = (*batch)->schema()->fields();
    const std::vector<columns::Column>& columns = (*batch)->columns();
    const columns::ColumnBatch rows(
        std::make_shared<const columns::Schema>(
            std::vector<columns::Field>(fields.begin(), fields.begin() + split)),
        (*batch)->rows(), {columns.begin(), columns.begin() + split});
    const auto at = static_cast<size_t>(split);
    const auto epochs = columns[at].Int64s();
    const auto numbers = columns[at + 1].Int32s();
    std::vector<columns::Position> positions;
    for (size_t row = 0; row < rows.rows(); ++row)
      positions.push_back(columns::Position::Of({static_cast<uint64_t>(epochs[row])},
                                                static_cast<uint64_t>(numbers[row])));
    for (size_t row = 0; mixed && row < positions.size(); ++row)
      if (!seen.insert(positions[row]).second) return Fail(tables::MixedRows());
    HR_TRY_VOID(visit(rows, positions, columns[at + 2].Int64s()));
  }
}

Result<Lookback::TableRows> Lookback::ReadTable(const pipeline::LoggedDefinition& logged,
                                                std::span<const KeyOfView> keys, EpochId epoch,
                                                env::MonotonicTime deadline) {
  const ViewDefinition& view = logged.definition->views[keys.front().view];
  const pipeline::StreamDefinition& stream = logged.definition->streams[view.stream];
  tables::ScanRequest request;
  request.stream = stream.name;
  for (const size_t field : pipeline::FieldsOf(view, stream))
    request.columns.push_back(stream.schema()->field(field).name);
  if (keys.size() == 1) request.where = KeyCondition(stream, view.by, keys.front().values);
  request.epoch = epoch.value;
  std::vector<pipeline::KeyRowsBuilder> builders;
  builders.reserve(keys.size());
  for (const KeyOfView& key : keys) builders.emplace_back(view, stream, key.bytes);
  const VisitPlaced gather = [&](const columns::ColumnBatch& rows,
                                 std::span<const columns::Position> positions,
                                 std::span<const int64_t> known_at) -> Result<void> {
    size_t gathered = 0;
    for (pipeline::KeyRowsBuilder& builder : builders) {
      builder.Add(rows, positions, known_at);
      gathered += builder.size();
    }
    if (gathered <= kTableRowsMax) return {};
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("there are more than {} rows of this in the table, the most that are "
                            "looked at: use `headrace scan`",
                            kTableRowsMax));
  };
  HR_TRY(const tables::ScanFigures figures, ScanRows(std::move(request), deadline, gather));
  TableRows read{.rows = {}, .table_version = figures.table_version};
  for (pipeline::KeyRowsBuilder& builder : builders) read.rows.push_back(builder.Finish());
  return read;
}

}  // namespace headrace::wiring
