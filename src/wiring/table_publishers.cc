#include "wiring/table_publishers.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "columns/batch_codec.h"
#include "contract/no_such_name.h"
#include "log/catalogue.h"
#include "log/reader.h"
#include "pipeline/streams/derived_streams.h"
#include "pipeline/table_patterns.h"
#include "plan/layers.h"

namespace headrace::wiring {
namespace {

// Waits for several answers; calls `done` once, with the first error if there was one.
struct FlushWait {
  std::mutex mutex;
  size_t missing;
  std::optional<base::Error> error;
  std::move_only_function<void(base::Result<void>)> done;

  void Answer(base::Result<void> result) {
    {
      const std::lock_guard lock(mutex);
      if (!result && !error) error = std::move(result).error();
      if (--missing > 0) return;
    }
    if (error) {
      done(base::Fail(std::move(*error)));
    } else {
      done({});
    }
  }
};

// The streams that come in and whose rows decide which ones `stream` has.
std::set<size_t> InputsOf(const pipeline::PipelineDefinition& definition, size_t stream) {
  if (!definition.streams[stream].derived()) return {stream};
  const pipeline::Derivation& derivation = *definition.streams[stream].derivation;
  std::set<size_t> inputs = InputsOf(definition, derivation.source);
  if (derivation.as_of) inputs.merge(InputsOf(definition, derivation.as_of->stream));
  if (derivation.interval) inputs.merge(InputsOf(definition, derivation.interval->stream));
  return inputs;
}

std::optional<tables::OptimizeSchedule> ScheduleOf(const pipeline::TableDefinition& table) {
  if (!table.optimize) return std::nullopt;
  const pipeline::OptimizeDefinition& optimize = *table.optimize;
  return tables::OptimizeSchedule{
      .every = optimize.every,
      .request = {.where = optimize.where,
                  .z_order = optimize.z_order,
                  .target_bytes = optimize.target_bytes,
                  .effort = tables::RewriteRequest::Effort::kWorthwhile}};
}

}  // namespace

TablePublishers::TablePublishers(env::Environment& environment, base::MemoryBudget& budget,
                                 const pipeline::PipelineDefinition& definition,
                                 const std::string& folder, tables::delta::UpkeepOptions upkeep)
    : environment_(environment),
      budget_(budget),
      definition_(definition),
      upkeep_(std::move(upkeep)) {
  for (const pipeline::TableDefinition& table : definition.tables)
    tables_.push_back(
        {table.stream, folder + "/" + definition.streams[table.stream].name, table.commit,
         ScheduleOf(table),
         definition.DependsOnOtherRows(table.stream)
             ? std::make_unique<tables::MadeRows>(definition.streams[table.stream].schema(), budget)
             : nullptr,
         nullptr});
}

void TablePublishers::ReadFrom(pipeline::ViewSet& views) {
  for (const Table& table : tables_) {
    if (table.made == nullptr) continue;
    const auto number = views.NumberOf(definition_, table.stream);
    HR_CHECK(number.has_value(), "a change of definition leaves streams with a table as they are");
    views.ReadDerived(
        *number, [made = table.made.get()](base::EpochId epoch, const columns::ColumnBatch& rows,
                                           std::span<const int64_t> known_at) {
          made->Add(epoch, {rows, {known_at.begin(), known_at.end()}});
        });
  }
}

base::Result<void> TablePublishers::NoteDurable(const log::Epoch& epoch) {
  for (const log::ControlEntry& entry : epoch.controls) {
    if (entry.kind != log::ControlEntry::Kind::kStream) continue;
    HR_TRY(const log::StreamEntry stream, log::DecodeStreamEntry(entry.name, entry.payload));
    Bind(stream.name, stream.id);
  }
  for (Table& table : tables_)
    if (table.publisher) HR_TRY_VOID(table.publisher->NoteDurable(epoch));
  return {};
}

void TablePublishers::Bind(const std::string& stream, base::StreamId id) {
  if (const auto index = definition_.StreamNamed(stream)) ids_[*index] = id;
  for (Table& table : tables_) {
    const std::set<size_t> inputs = InputsOf(definition_, table.stream);
    const auto known = [this](size_t of) { return ids_.contains(of); };
    if (table.publisher || !known(table.stream) || !std::ranges::all_of(inputs, known)) continue;
    table.publisher = std::make_unique<tables::Publisher>(
        environment_, budget_, Published(table.stream, table.made.get()),
        tables::PublisherOptions{.folder = table.folder,
                                 .commit = table.commit,
                                 .upkeep = upkeep_,
                                 .optimize = table.optimize});
  }
}

tables::PublishedStream TablePublishers::Published(size_t stream, tables::MadeRows* made) const {
  const pipeline::StreamDefinition& definition = definition_.streams[stream];
  const size_t root = definition_.RootOf(stream);
  const auto id = ids_.find(stream);  // the log need not know a derived stream without a table
  tables::PublishedStream published{
      id == ids_.end() ? base::StreamId{} : id->second, definition.name, definition.schema(),
      definition.timing.event_time_field, definition_.streams[root].known_at};
  if (made != nullptr) {
    published.made = made;
    for (const size_t input : InputsOf(definition_, stream)) {
      published.inputs.push_back(ids_.at(input));
      if (!definition_.streams[input].known_at.assumed()) published.known_at = {};
    }
  } else if (definition.derived()) {
    published.root = {ids_.at(root), definition_.streams[root].schema(),
                      definition_.streams[root].timing.event_time_field,
                      [this, stream](const columns::ColumnBatch& rows) {
                        return pipeline::DeriveFromRoot(definition_, stream, rows);
                      }};
  }
  return published;
}

base::Result<TablePublishers::Described> TablePublishers::Describe(size_t stream) const {
  const auto table = std::ranges::find(tables_, stream, &Table::stream);
  if (table != tables_.end()) return Described{Published(stream, table->made.get()), table->folder};
  if (!definition_.DependsOnOtherRows(stream)) return Described{Published(stream, nullptr), ""};
  return base::Fail(base::ErrorCode::kUnsupported,
                    "rows of stream `" + definition_.streams[stream].name +
                        "` depend on others, as it is joined or has no repeats, and without a "
                        "table they stand nowhere: give it one under `tables`");
}

tables::PlannedRows TablePublishers::Planned(const std::string& stream) const {
  const std::lock_guard lock(closing_);
  for (const Table& table : tables_) {
    if (!table.publisher || definition_.streams[table.stream].name != stream) continue;
    const tables::PublisherStatus status = table.publisher->status();
    return {.through = status.planned, .first = status.first_pending};
  }
  return {};
}

base::Result<void> TablePublishers::Start(const std::string& log_folder,
                                          const tables::Publisher::Append& append) {
  for (Table& table : tables_) {
    HR_TRY(auto reader, log::LogReader::Open(environment_, log_folder));
    table.publisher->Start(std::move(reader), append);
  }
  return {};
}

std::optional<tables::PublisherCapture> TablePublishers::Capture() const {
  std::optional<tables::PublisherCapture> all;
  for (const Table& table : tables_) {
    if (!table.publisher) continue;
    const tables::PublisherCapture one = table.publisher->Capture();
    if (!all) all.emplace(tables::PublisherCapture{one.epoch, {}});
    all->epoch = std::min(all->epoch, one.epoch);
    columns::ByteWriter out(all->bytes);
    out.Text(definition_.streams[table.stream].name);
    out.U32(static_cast<uint32_t>(one.bytes.size()));
    out.Bytes(one.bytes);
  }
  return all;
}

base::Result<void> TablePublishers::Restore(std::span<const uint8_t> bytes) {
  // The log had no rows yet for a table whose streams it did not know.
  const auto known = [this](size_t stream) { return ids_.contains(stream); };
  std::set<std::string> missing;
  for (const Table& table : tables_)
    if (known(table.stream) || std::ranges::any_of(InputsOf(definition_, table.stream), known))
      missing.insert(definition_.streams[table.stream].name);
  columns::ByteReader in(bytes);
  while (in.remaining() > 0) {
    HR_TRY(const std::string_view stream, in.Text());
    HR_TRY(const uint32_t size, in.U32());
    HR_TRY(const auto capture, in.Bytes(size));
    for (Table& table : tables_) {
      if (definition_.streams[table.stream].name != stream || !table.publisher) continue;
      HR_TRY_VOID(table.publisher->Restore(capture));
      missing.erase(std::string(stream));
    }
  }
  if (missing.empty()) return {};
  return base::Fail(base::ErrorCode::kFailedPrecondition,
                    "the table of stream `" + *missing.begin() + "` is new");
}

void TablePublishers::NoteSchema(const std::string& stream, const columns::SchemaRef& schema) {
  for (Table& table : tables_)
    if (table.publisher && definition_.streams[table.stream].name == stream)
      table.publisher->NoteSchema(schema);
}

std::optional<base::EpochId> TablePublishers::CommittedThrough() const {
  std::optional<base::EpochId> earliest;
  for (const Table& table : tables_) {
    if (!table.publisher) continue;
    const tables::PublisherStatus status = table.publisher->status();
    // Without pending rows everything durable is in the table.
    const base::EpochId through =
        status.pending_rows == 0 && status.state == tables::PublisherStatus::State::kRunning
            ? status.durable
            : status.committed;
    earliest = earliest ? std::min(*earliest, through) : through;
  }
  return earliest;
}

void TablePublishers::Flush(std::move_only_function<void(base::Result<void>)> done) {
  if (tables_.empty()) {
    done({});
    return;
  }
  auto wait = std::make_shared<FlushWait>();
  wait->missing = tables_.size();
  wait->done = std::move(done);
  for (Table& table : tables_)
    table.publisher->Flush([wait](base::Result<void> result) { wait->Answer(std::move(result)); });
}

base::Result<TablePublishers::Table*> TablePublishers::Named(const std::string& stream) {
  for (Table& table : tables_)
    if (definition_.streams[table.stream].name == stream && table.publisher) return &table;
  std::vector<std::string> names;
  for (const Table& table : tables_)
    if (table.publisher) names.push_back(definition_.streams[table.stream].name);
  return base::Fail(contract::NoSuchName("table", stream, names, "pipeline " + definition_.name));
}

void TablePublishers::Optimize(const std::string& stream, tables::OptimizeRequest request,
                               tables::TableRewriter::OptimizeDone done) {
  const auto table = Named(stream);
  if (!table) return done(base::Fail(table.error()));
  const size_t number = (*table)->stream;
  const columns::SchemaRef schema = definition_.streams[number].schema();
  const auto is_column = [&](const std::string& name) {
    return std::ranges::find(schema->fields(), name, &columns::Field::name) !=
           schema->fields().end();
  };
  if (request.z_order == std::vector<std::string>{"auto"} && !is_column("auto")) {
    request.z_order = pipeline::ZOrderByPatterns(definition_, number);
    if (request.z_order.empty())
      return done(base::Fail(base::ErrorCode::kInvalidInput,
                             "no reader of the table filters on anything: no Z-order is worth its "
                             "work"));
  }
  for (const std::string& column : request.z_order) {
    if (!is_column(column)) continue;  // the rewriter says so
    if (auto why = pipeline::NotFilteredBy(definition_, number, column))
      return done(base::Fail(base::ErrorCode::kInvalidInput, "Z-order: " + std::move(*why)));
  }
  (*table)->publisher->Optimize(std::move(request), std::move(done));
}

void TablePublishers::Vacuum(const std::string& stream, tables::VacuumRequest request,
                             const tables::ReadPins& readers,
                             tables::TableRewriter::VacuumDone done) {
  const auto table = Named(stream);
  if (!table) return done(base::Fail(table.error()));
  request.read_since = [&readers, folder = (*table)->folder] { return readers.ReadSince(folder); };
  (*table)->publisher->Vacuum(request, std::move(done));
}

void TablePublishers::Close() {
  const std::lock_guard lock(closing_);
  for (Table& table : tables_) table.publisher.reset();
}

std::vector<watch::TableFigures> TablePublishers::Figures() const {
  std::vector<watch::TableFigures> all;
  const std::vector<plan::Layer> layers = plan::LayersOf(definition_);
  for (size_t i = 0; i < tables_.size(); ++i) {
    const Table& table = tables_[i];  // in the definition's order, as the layers are
    if (!table.publisher) continue;
    const tables::PublisherStatus status = table.publisher->status();
    const base::Histogram& commits = table.publisher->commit_us();
    all.push_back({.name = definition_.streams[table.stream].name,
                   .folder = table.folder,
                   .state = std::string(tables::NameOf(status.state)),
                   .reason = status.reason,
                   .committed = status.committed,
                   .pending_rows = status.pending_rows,
                   .lag = status.lag,
                   .commit_every = table.commit,
                   .commits = status.commits,
                   .files = status.files,
                   .rows = status.rows,
                   .bytes = status.bytes,
                   .log_bytes = status.log_bytes,
                   .layer = layers[i].kind,
                   .readers = layers[i].readers,
                   .advice = plan::AdviceFor(layers[i]).value_or(""),
                   .visible_us = &table.publisher->visible_us(),
                   .optimize = {.state = status.optimize.state,
                                .versions = status.optimize.versions,
                                .given_up = status.optimize.given_up,
                                .failed = status.optimize.failed,
                                .files_taken = status.optimize.files_taken,
                                .files_made = status.optimize.files_made,
                                .bytes_taken = status.optimize.bytes_taken,
                                .bytes_made = status.optimize.bytes_made,
                                .reason = status.optimize.reason},
                   .commit_p50_us = commits.Quantile(0.5),
                   .commit_p99_us = commits.Quantile(0.99)});
  }
  return all;
}

}  // namespace headrace::wiring
