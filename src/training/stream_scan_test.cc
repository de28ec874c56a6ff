// Rows of a derived stream that are made of an epoch with more text than it has room for.

#include "training/stream_scan.h"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "columns/batch_builder.h"
#include "env/simulated/environment.h"
#include "log/reader.h"
#include "log/sequencer.h"
#include "pipeline/pipeline_file.h"
#include "pipeline/streams/as_of_table.h"
#include "pipeline/streams/derived_streams.h"
#include "tables/publish/publisher.h"

namespace headrace::training {
namespace {

constexpr const char* kPipeline = R"(headrace: 1
pipeline: payments
promise: {budget: {p99: 200ms}}
clock: events
streams:
  payments: {contract: payments.yaml, source: {http: push}, time: {event: at, late: 1h}}
  shops: {contract: shops.yaml, source: {http: push}, time: {event: since, late: 1h}}
  placed:
    from: payments asof left join shops using (shop)
    derive: {size: length(shops.terms)}
    drop: [shops.terms, shops.since]
views:
  card: {from: placed, by: card, features: {size: sum(size)}}
tables: {payments: {commit: 1h}}
)";

constexpr const char* kContract = R"(apiVersion: v3.1.0
kind: DataContract
id: {0}
version: 1.0.0
status: active
schema:
  - name: {0}
    logicalType: object
    properties:
)";
constexpr const char* kPayments =
    "      - {name: card, logicalType: integer}\n"
    "      - {name: shop, logicalType: integer}\n"
    "      - {name: at, logicalType: timestamp, required: true}\n";
constexpr const char* kShops =
    "      - {name: shop, logicalType: integer}\n"
    "      - {name: terms, logicalType: string}\n"
    "      - {name: kind, logicalType: string}\n"
    "      - {name: grade, logicalType: integer}\n"
    "      - {name: since, logicalType: timestamp, required: true}\n";

std::string ContractOf(std::string_view name, std::string_view properties) {
  std::string text = kContract;
  for (size_t at = text.find("{0}"); at != std::string::npos; at = text.find("{0}"))
    text.replace(at, 3, name);
  return text.append(properties);
}

// A payment of the card of its number, in each epoch; shop 1 has long terms. The payments are in a
// table, which is read in parts of 65,536 rows.
class Payments {
 public:
  static constexpr size_t kTerms = 8'000;
  static constexpr std::string_view kKind = "food";
  static constexpr size_t kWithTexts = pipeline::AsOfTable::kTextMax / (kTerms + kKind.size());

  Payments() {
    definition = pipeline::CheckPipeline("payments.yaml", kPipeline, [](const std::string& name) {
                   return base::Result<std::string>(name == "shops.yaml"
                                                        ? ContractOf("shops", kShops)
                                                        : ContractOf("payments", kPayments));
                 }).definition;
    derived_ = std::make_unique<pipeline::DerivedStreams>(*definition, budget);
    log::LogOptions options;
    options.clock = log::ClockMode::kEvents;
    auto opened = log::Sequencer::Open(machine, budget, "data/log", options,
                                       [](const log::Epoch&) { return base::Result<void>(); });
    sequencer_ = std::move(*opened);
    for (size_t stream = 0; stream < 2; ++stream) {
      const pipeline::StreamDefinition& of = definition->streams[stream];
      ids.push_back(*sequencer_->AddStream(of.name, of.schema(), of.timing));
    }
    const pipeline::StreamDefinition& payments = definition->streams[0];
    tables::PublisherOptions publish;
    publish.folder = "data/tables/payments";
    publish.commit = std::chrono::hours(1);
    publisher_ = std::make_unique<tables::Publisher>(
        machine, budget,
        tables::PublishedStream{ids[0], payments.name, payments.schema(),
                                payments.timing.event_time_field, payments.known_at},
        publish);
    sequencer_->Start([this](const log::EpochRef& epoch) {
      EXPECT_TRUE(publisher_->NoteDurable(*epoch));
      Apply(*epoch);
      sequencer_->MarkVisible(epoch->id, machine.clock().Wall());
    });
    publisher_->Start(*log::LogReader::Open(machine, "data/log"),
                      [this](log::ControlEntry entry, auto done) {
                        sequencer_->Append(std::move(entry), std::move(done));
                      });
    columns::BatchBuilder shops(definition->streams[1].schema());
    shops.column(0).AppendInt(1);
    shops.column(1).AppendText(std::string(kTerms, 't'));
    shops.column(2).AppendText(kKind);
    shops.column(3).AppendInt(3);
    shops.column(4).AppendInt(1'000'000);
    Submit(1, shops.Finish());
  }

  void Pay(size_t events) {
    columns::BatchBuilder payments(definition->streams[0].schema());
    for (size_t i = 0; i < events; ++i) {
      payments.column(0).AppendInt(static_cast<int64_t>(i));
      payments.column(1).AppendInt(1);
      payments.column(2).AppendInt(2'000'000);
    }
    Submit(0, payments.Finish());
  }

  void Publish() {
    std::optional<bool> done;
    publisher_->Flush([&](const base::Result<void>& result) { done = result.has_value(); });
    ASSERT_TRUE(machine.RunUntil([&] { return done.has_value(); }));
    ASSERT_TRUE(*done);
  }

  size_t FieldOf(const char* name) const { return *definition->streams[2].schema()->IndexOf(name); }

  env::simulated::SimulatedEnvironment machine{1};
  base::MemoryBudget budget{1ULL << 34};
  pipeline::PipelineRef definition;
  std::vector<base::StreamId> ids;
  std::map<columns::Position, std::vector<std::string>> made;  // as they were applied
  pipeline::AsOfCounts counts;

 private:
  void Submit(size_t stream, columns::ColumnBatch rows) {
    columns::EventBatch batch;
    batch.stream = ids[stream];
    batch.rows = std::move(rows);
    std::optional<bool> durable;
    sequencer_->Submit(std::move(batch), [&](const base::Result<log::Acknowledgement>& ack) {
      durable = ack.has_value();
    });
    ASSERT_TRUE(machine.RunUntil([&] { return durable.has_value(); }));
    ASSERT_TRUE(*durable);
  }

  void Apply(const log::Epoch& epoch) {
    std::vector<columns::ColumnBatch> batches(definition->streams.size());
    for (size_t stream = 0; stream < 2; ++stream)
      if (const auto* rows = epoch.RowsOf(ids[stream])) batches[stream] = *rows;
    derived_->Apply(epoch.id, batches);
    for (size_t row = 0; row < batches[2].rows(); ++row)
      for (const columns::Column& column : batches[2].columns())
        made[columns::Position::Of(epoch.id, row)].push_back(column.At(row).ToJson());
    counts = derived_->status()[0].counts.as_of;
  }

  std::unique_ptr<pipeline::DerivedStreams> derived_;
  std::unique_ptr<log::Sequencer> sequencer_;
  std::unique_ptr<tables::Publisher> publisher_;
};

TEST(StreamScan, GivesTextsOfVersionsAsFarAsTheyHadRoom) {
  Payments payments;
  payments.Pay(Payments::kWithTexts + 20);
  payments.Pay(3);
  payments.Publish();
  EXPECT_EQ(payments.counts.matched, Payments::kWithTexts + 23);
  EXPECT_EQ(payments.counts.without_texts, 20U);
  const auto history = History::Open(payments.machine, "data");
  ASSERT_TRUE(history) << history.error().ToString();
  // What is read of a version must not change what there is room for.
  for (const std::vector<const char*>& names : {std::vector{"shops.kind", "shops.grade"},
                                                std::vector{"size"}, std::vector{"shops.grade"}}) {
    std::vector<size_t> fields;
    for (const char* name : names) fields.push_back(payments.FieldOf(name));
    size_t rows = 0;
    const auto scanned =
        ScanStream(**history, *payments.definition, 2, fields,
                   [&](const tables::PositionedRows& part) -> base::Result<void> {
                     for (size_t row = 0; row < part.positions.size(); ++row, ++rows)
                       for (size_t i = 0; i < fields.size(); ++i)
                         EXPECT_EQ(part.rows.column(i).At(row).ToJson(),
                                   payments.made.at(part.positions[row])[fields[i]])
                             << names[i] << " of row " << part.positions[row].row();
                     return {};
                   });
    ASSERT_TRUE(scanned) << scanned.error().ToString();
    EXPECT_EQ(scanned->total().from_log, 1U);
    EXPECT_EQ(rows, Payments::kWithTexts + 23);
  }
}

}  // namespace
}  // namespace headrace::training
