#pragma once
// A log and a publisher on the simulated machine, for tests: lives that write, die and come back.
// The oracle is the log itself: a table must hold its rows up to the marker.

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "columns/batch_builder.h"
#include "env/simulated/environment.h"
#include "log/sequencer.h"
#include "tables/publish/publisher.h"
#include "tables/stream_rows.h"
#include "tables/table_reader.h"

namespace headrace::tables {

inline constexpr const char* kTable = "data/tables/events";

inline columns::SchemaRef EventSchema() {
  using columns::Nullable;
  using columns::Type;
  return std::make_shared<const columns::Schema>(std::vector<columns::Field>{
      {.id = 1, .name = "at", .type = Type::kTimestamp, .nullable = Nullable::kNo},
      {.id = 2, .name = "n", .type = Type::kInt64, .nullable = Nullable::kNo},
      {.id = 3, .name = "s", .type = Type::kString}});
}

// What may follow it: a field before the others, and one that need not be there any more.
inline columns::SchemaRef EvolvedSchema() {
  using columns::Nullable;
  using columns::Type;
  return std::make_shared<const columns::Schema>(std::vector<columns::Field>{
      {.id = 1, .name = "place", .type = Type::kString},
      {.id = 2, .name = "at", .type = Type::kTimestamp, .nullable = Nullable::kNo},
      {.id = 3, .name = "s", .type = Type::kString},
      {.id = 4, .name = "n", .type = Type::kInt64}});
}

// EventSchema with a number more, which is of `type`.
inline columns::SchemaRef WithItems(columns::Type type) {
  std::vector<columns::Field> fields = EventSchema()->fields();
  fields.push_back({.id = 4, .name = "items", .type = type});
  return std::make_shared<const columns::Schema>(std::move(fields));
}

struct TableRow {
  uint64_t position;
  int64_t n;
  int64_t known_at;
  std::string place = {};
  std::optional<int64_t> items = {};
  bool operator==(const TableRow&) const = default;
};
inline std::ostream& operator<<(std::ostream& out, const TableRow& row) {
  return out << "(" << row.position << ", " << row.n << ", " << row.known_at << ")";
}

// One life of log and publisher on a machine.
class Life {
 public:
  Life(env::simulated::SimulatedEnvironment& machine, pipeline::KnownAtRule::Kind known_at,
       PublisherOptions options, columns::SchemaRef schema = EventSchema())
      : machine_(machine),
        known_at_(known_at),
        options_(std::move(options)),
        schema_(std::move(schema)) {}
  ~Life() {
    publisher.reset();
    sequencer.reset();
  }

  // False: the process died.
  bool Open() {
    return machine_.Run([&] {
      std::vector<log::Epoch> recovered;
      log::LogOptions log_options;
      log_options.clock = log::ClockMode::kEvents;
      log_options.segment_bytes = 1 << 20;
      auto opened = log::Sequencer::Open(machine_, budget_, "data/log", log_options,
                                         [&](const log::Epoch& epoch) -> base::Result<void> {
                                           recovered.push_back(epoch);
                                           return {};
                                         });
      ASSERT_TRUE(opened) << opened.error().ToString();
      sequencer = std::move(*opened);
      const size_t event_time = *schema_->IndexOf("at");
      const auto id = sequencer->AddStream("events", schema_, {.event_time_field = event_time});
      ASSERT_TRUE(id) << id.error().ToString();
      stream = {*id, "events", schema_, event_time, {.kind = known_at_}};
      publisher = std::make_unique<Publisher>(machine_, budget_, stream, options_);
      for (const log::Epoch& epoch : recovered) ASSERT_TRUE(publisher->NoteDurable(epoch));
      sequencer->Start([this](const log::EpochRef& epoch) {
        if (publisher == nullptr) return;  // synced while this life ends
        EXPECT_TRUE(publisher->NoteDurable(*epoch));
        sequencer->MarkVisible(epoch->id, machine_.clock().Wall());
      });
      auto reader = log::LogReader::Open(machine_, "data/log");
      ASSERT_TRUE(reader) << reader.error().ToString();
      publisher->Start(std::move(*reader), [this](log::ControlEntry entry, auto done) {
        sequencer->Append(std::move(entry), std::move(done));
      });
    });
  }

  void Submit(int64_t first, int64_t count) {
    columns::BatchBuilder builder(schema_);
    for (int64_t n = first; n < first + count; ++n) {
      builder.column(*schema_->IndexOf("at")).AppendInt(1'000'000'000 + n * 1000);
      builder.column(*schema_->IndexOf("n")).AppendInt(n);
      builder.column(*schema_->IndexOf("s")).AppendText("row " + std::to_string(n % 10));
      if (const auto place = schema_->IndexOf("place"))
        builder.column(*place).AppendText("place " + std::to_string(n % 7));
      if (const auto items = schema_->IndexOf("items")) builder.column(*items).AppendInt(n % 5);
    }
    columns::EventBatch batch;
    batch.stream = stream.id;
    batch.rows = builder.Finish();
    machine_.Run([&] {
      sequencer->Submit(std::move(batch), [this, count](base::Result<log::Acknowledgement> ack) {
        if (ack) acknowledged += count;
      });
    });
  }

  // From here on rows are of `schema`, also those that were sent under the one before.
  void Evolve(columns::SchemaRef schema = EvolvedSchema()) {
    schema_ = std::move(schema);
    machine_.Run([&] {
      sequencer->AppendEvolving({{.id = {},
                                  .name = "events",
                                  .schema = schema_,
                                  .timing = {.event_time_field = *schema_->IndexOf("at")}}},
                                {log::ControlEntry::Kind::kDefinition, "0123456789abcdef", {}},
                                [](base::Result<base::EpochId> epoch) {
                                  EXPECT_TRUE(epoch) << epoch.error().ToString();
                                });
    });
  }

  // What the flush said; nothing when the process died, or it never answered.
  std::optional<base::Result<void>> Flush() {
    std::optional<base::Result<void>> answer;
    machine_.Run([&] {
      publisher->Flush([&answer](base::Result<void> done) { answer = std::move(done); });
    });
    machine_.RunUntil([&] { return answer.has_value(); });
    return answer;
  }

  base::Result<std::vector<TableRow>> RowsOfLog(base::EpochId last) {
    HR_TRY(const auto reader, log::LogReader::Open(machine_, "data/log"));
    std::vector<TableRow> rows;
    const auto keep = [&](EpochRows epoch) -> base::Result<void> {
      for (size_t i = 0; i < epoch.rows.rows(); ++i)
        rows.push_back({columns::Position::Of(epoch.epoch, i).packed,
                        epoch.rows.column(*epoch.rows.schema()->IndexOf("n")).Int64s()[i],
                        epoch.known_at[i], PlaceOf(epoch.rows, i), ItemsOf(epoch.rows, i)});
      return {};
    };
    HR_TRY_VOID(ScanStreamRows(*reader, stream, base::EpochId{0}, last, UnknownTime::kNever, keep));
    return rows;
  }

  base::Result<std::vector<TableRow>> RowsOfTable() {
    HR_TRY(const auto table, TableReader::Open(machine_, kTable));
    std::vector<TableRow> rows;
    HR_TRY_VOID(table->Scan(schema_, [&](const PositionedRows& part) -> base::Result<void> {
      for (size_t i = 0; i < part.rows.rows(); ++i)
        rows.push_back({part.positions[i].packed,
                        part.rows.column(*schema_->IndexOf("n")).Int64s()[i], part.known_at[i],
                        PlaceOf(part.rows, i), ItemsOf(part.rows, i)});
      return {};
    }));
    return rows;
  }
  // Empty: none, or a row of before there were places.
  static std::string PlaceOf(const columns::ColumnBatch& rows, size_t row) {
    const auto place = rows.schema()->IndexOf("place");
    if (!place || rows.column(*place).IsNull(row)) return "";
    return std::string(rows.column(*place).Text(row));
  }

  static std::optional<int64_t> ItemsOf(const columns::ColumnBatch& rows, size_t row) {
    const auto items = rows.schema()->IndexOf("items");
    if (!items || rows.column(*items).IsNull(row)) return std::nullopt;
    return rows.column(*items).At(row).as_int();
  }

  // The table is a prefix of the log: none missing, none twice; in order, unless it was rewritten.
  enum class Order : uint8_t { kKept, kAny };
  void ExpectTableIsLog(Order order = Order::kKept) {
    const base::EpochId committed = publisher->status().committed;
    const auto log = RowsOfLog(committed);
    auto table = RowsOfTable();
    ASSERT_TRUE(log) << log.error().ToString();
    ASSERT_TRUE(table) << table.error().ToString();
    if (order == Order::kAny) std::ranges::sort(*table, {}, &TableRow::position);
    EXPECT_EQ(*table, *log);
  }

  // What a request for a rewriting, or a vacuum, was answered; nothing when the process died.
  std::optional<base::Result<OptimizeReport>> Optimize(OptimizeRequest request) {
    std::optional<base::Result<OptimizeReport>> answer;
    machine_.Run([&] {
      publisher->Optimize(std::move(request), [&answer](base::Result<OptimizeReport> report) {
        answer = std::move(report);
      });
    });
    machine_.RunUntil([&] { return answer.has_value(); });
    return answer;
  }
  std::optional<base::Result<VacuumReport>> Vacuum(VacuumRequest request) {
    std::optional<base::Result<VacuumReport>> answer;
    machine_.Run([&] {
      publisher->Vacuum(
          request, [&answer](base::Result<VacuumReport> report) { answer = std::move(report); });
    });
    machine_.RunUntil([&] { return answer.has_value(); });
    return answer;
  }

  env::simulated::SimulatedEnvironment& machine_;
  const pipeline::KnownAtRule::Kind known_at_;
  const PublisherOptions options_;
  columns::SchemaRef schema_;  // of the rows that are sent
  base::MemoryBudget budget_{1ULL << 30};
  PublishedStream stream;
  std::unique_ptr<log::Sequencer> sequencer;
  std::unique_ptr<Publisher> publisher;
  int64_t acknowledged = 0;
};

inline PublisherOptions Quick() {
  using std::chrono::milliseconds;
  PublisherOptions options;
  options.folder = kTable;
  options.commit = milliseconds(100);
  options.upkeep.checkpoint_every = 3;
  options.upkeep.log_retention = milliseconds(500);
  options.upkeep.log_retention_min = milliseconds(500);
  return options;
}

inline std::unique_ptr<Life> OpenLife(
    env::simulated::SimulatedEnvironment& machine,
    pipeline::KnownAtRule::Kind kind = pipeline::KnownAtRule::Kind::kEventTime,
    PublisherOptions options = Quick(), columns::SchemaRef schema = EventSchema()) {
  auto life = std::make_unique<Life>(machine, kind, std::move(options), std::move(schema));
  EXPECT_TRUE(life->Open());
  return life;
}

// Sends and lets time pass, until the end or the crash.
inline void Work(env::simulated::SimulatedEnvironment& machine, Life& life, int64_t& next,
                 int batches) {
  for (int i = 0; i < batches && !machine.crashed(); ++i) {
    const int64_t count = 1 + (next * 7 + i) % 40;
    life.Submit(next, count);
    next += count;
    machine.RunFor(std::chrono::milliseconds(20));
  }
}

}  // namespace headrace::tables
