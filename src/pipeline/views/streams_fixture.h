#pragma once
// For tests: two streams, streams that are derived from them, random epochs, and what the derived
// rows must be, found by looking at every row.

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "columns/batch_builder.h"
#include "columns/key.h"
#include "contract/contract.h"
#include "log/epoch.h"
#include "pipeline/pipeline_file.h"
#include "pipeline/streams/derived_streams.h"

namespace headrace::pipeline::streams_fixture {

inline constexpr std::string_view kPaymentsContract = R"(apiVersion: v3.1.0
kind: DataContract
id: payments
version: 1.0.0
status: active
schema:
  - name: payments
    logicalType: object
    properties:
      - {name: card, logicalType: string, required: true}
      - {name: shop, logicalType: integer}
      - {name: amount, logicalType: integer}
      - {name: paid_at, logicalType: timestamp, required: true}
      - {name: came_at, logicalType: timestamp, required: true}
)";
inline constexpr std::string_view kShopsContract = R"(apiVersion: v3.1.0
kind: DataContract
id: shops
version: 1.0.0
status: active
schema:
  - name: shops
    logicalType: object
    properties:
      - {name: shop, logicalType: integer}
      - {name: country, logicalType: string}
      - {name: risk, logicalType: number}
      - {name: open, logicalType: boolean}
      - {name: since, logicalType: timestamp, required: true}
      - {name: came_at, logicalType: timestamp, required: true}
)";
inline constexpr std::string_view kPaymentsPipeline = R"(headrace: 1
pipeline: payments
promise: {budget: {p99: 200ms}}
clock: events
streams:
  payments:
    contract: payments.yaml
    source: {http: push}
    time: {event: paid_at, late: 1m}
    history: {arrived: came_at}
  shops:
    contract: shops.yaml
    source: {http: push}
    time: {event: since, late: 10m}
    history: {arrived: came_at}
  paid:
    from: payments
    derive: {inverse: 1000 / amount, wide: amount * 2}
    where: wide > 10 and amount < 90
    drop: [came_at]
  placed:
    from: paid asof left join shops using (shop)
    derive:
      abroad: shops.country <> 'NL'
      at: coalesce(shops.country, '?')
  checked:
    from: placed
    where: shops.open
    select: [card, at, paid_at, amount, shops.risk]
views:
  card:
    from: placed
    by: card
    over: [20s, 2m]
    features:
      n: count(*)
      spend: sum(amount)
      abroad: count(*) where abroad
      risk: sum(shops.risk)
      inverse: sum(inverse)
      last: last(at)
  place:
    from: checked
    by: at
    over: [1m]
    features: {n: count(*), risk: sum(shops.risk)}
  known:
    from: payments asof join shops using (shop)
    by: [shops.country, card]
    over: [1m]
    features: {n: count(*), least: min(amount)}
)";

inline PipelineRef PaymentsPipeline(std::string_view text = kPaymentsPipeline) {
  const auto checked = CheckPipeline(
      "pipeline.yaml", text, [](const std::string& name) -> base::Result<std::string> {
        return std::string(name == "shops.yaml" ? kShopsContract : kPaymentsContract);
      });
  for (const auto& diagnostic : checked.diagnostics)
    HR_CHECK(diagnostic.severity != contract::Severity::kError, diagnostic.message);
  return checked.definition;
}

inline constexpr int64_t kSecond = 1'000'000;
inline constexpr base::StreamId kPayments{1};
inline constexpr base::StreamId kShops{2};

struct Payment {
  uint64_t epoch = 0;
  uint32_t row = 0;
  std::string card;
  std::optional<int64_t> shop, amount;
  int64_t at = 0;
  int64_t came_at = 0;  // when it became known
};
struct Shop {
  uint64_t epoch = 0;
  uint32_t row = 0;
  std::optional<int64_t> shop;
  std::optional<std::string> country;
  std::optional<double> risk;
  std::optional<bool> open;
  int64_t at = 0;
  int64_t came_at = 0;  // when it became known
};

// Epochs in which some rows are late by less than is allowed, keys and values are NULL now and
// then, and versions come before, with and after the events that they are valid for.
class RandomEpochs {
 public:
  RandomEpochs(uint64_t seed, PipelineRef pipeline, int64_t shops_late_seconds = 600)
      : random_(seed), pipeline_(std::move(pipeline)), shops_late_seconds_(shops_late_seconds) {}

  log::EpochRef Next() {
    ++epoch_;
    now += static_cast<int64_t>(random_() % 5) * kSecond;
    std::vector<Payment> some;
    for (uint64_t n = random_() % 8; n > 0; --n) some.push_back(RandomPayment(some.size()));
    std::vector<Shop> versions;
    for (uint64_t n = random_() % 4; n > 1; --n) versions.push_back(RandomShop(versions.size()));
    auto epoch = std::make_shared<log::Epoch>();
    epoch->id = {epoch_};
    epoch->clock = {now};
    if (!some.empty()) epoch->streams.push_back({kPayments, BatchOf(some)});
    if (!versions.empty()) epoch->streams.push_back({kShops, BatchOf(versions)});
    payments.insert(payments.end(), some.begin(), some.end());
    shops.insert(shops.end(), versions.begin(), versions.end());
    epochs.push_back(epoch);
    return epoch;
  }

  uint64_t Random(uint64_t below) { return random_() % below; }

  std::vector<Payment> payments;
  std::vector<Shop> shops;
  std::vector<log::EpochRef> epochs;
  int64_t now = 1'000'000 * kSecond;

 private:
  int64_t Back(int64_t seconds_max) {
    return static_cast<int64_t>(random_() % static_cast<uint64_t>(seconds_max)) * kSecond;
  }
  bool Rarely() { return random_() % 8 == 0; }

  Payment RandomPayment(size_t row) {
    Payment payment{.epoch = epoch_,
                    .row = static_cast<uint32_t>(row),
                    .card = "c" + std::to_string(random_() % 4),
                    .shop = {},
                    .amount = {},
                    .at = now - (Rarely() ? Back(60) : Back(3)),
                    .came_at = 0};
    if (!Rarely()) payment.shop = static_cast<int64_t>(random_() % 5);
    if (!Rarely()) payment.amount = static_cast<int64_t>(random_() % 100);
    payment.came_at = payment.at + (random_() % 2 == 0 ? Back(20) : 0);
    return payment;
  }
  Shop RandomShop(size_t row) {
    static const char* const kCountries[] = {"NL", "DE", "a country with a long name"};
    Shop shop{.epoch = epoch_,
              .row = static_cast<uint32_t>(row),
              .shop = {},
              .country = {},
              .risk = {},
              .open = {},
              .at = now - (random_() % 3 == 0 ? Back(shops_late_seconds_ - 1) : Back(4)),
              .came_at = 0};
    if (!Rarely()) shop.shop = static_cast<int64_t>(random_() % 5);
    if (!Rarely()) shop.country = kCountries[random_() % 3];
    if (!Rarely()) shop.risk = static_cast<double>(random_() % 1000) / 7;
    if (!Rarely()) shop.open = random_() % 2 == 0;
    shop.came_at = shop.at + (random_() % 2 == 0 ? Back(30) : 0);
    return shop;
  }

  template <typename T, typename With>
  static void Put(columns::ColumnBuilder& column, const std::optional<T>& value, With with) {
    if (value) {
      with(column, *value);
    } else {
      column.AppendNull();
    }
  }
  static void Integer(columns::ColumnBuilder& column, int64_t value) { column.AppendInt(value); }

  columns::ColumnBatch BatchOf(const std::vector<Payment>& rows) const {
    columns::BatchBuilder builder(pipeline_->streams[0].schema());
    for (const Payment& row : rows) {
      builder.column(0).AppendText(row.card);
      Put(builder.column(1), row.shop, Integer);
      Put(builder.column(2), row.amount, Integer);
      builder.column(3).AppendInt(row.at);
      builder.column(4).AppendInt(row.came_at);
    }
    return builder.Finish();
  }
  columns::ColumnBatch BatchOf(const std::vector<Shop>& rows) const {
    columns::BatchBuilder builder(pipeline_->streams[1].schema());
    for (const Shop& row : rows) {
      Put(builder.column(0), row.shop, Integer);
      Put(builder.column(1), row.country,
          [](columns::ColumnBuilder& c, const std::string& v) { c.AppendText(v); });
      Put(builder.column(2), row.risk,
          [](columns::ColumnBuilder& c, double v) { c.AppendDouble(v); });
      Put(builder.column(3), row.open, [](columns::ColumnBuilder& c, bool v) { c.AppendBool(v); });
      builder.column(4).AppendInt(row.at);
      builder.column(5).AppendInt(row.came_at);
    }
    return builder.Finish();
  }

  std::mt19937_64 random_;
  PipelineRef pipeline_;
  const int64_t shops_late_seconds_;
  uint64_t epoch_ = 0;
};

inline constexpr std::string_view kOutcomesPipeline = R"(headrace: 1
pipeline: outcomes
promise: {budget: {p99: 200ms}}
clock: events
streams:
  payments:
    contract: payments.yaml
    source: {http: push}
    time: {event: paid_at, late: 1m}
    history: {arrived: came_at}
  shops:
    contract: shops.yaml
    source: {http: push}
    time: {event: since, late: 20s}
    history: {arrived: came_at}
  settled:
    from: payments left join shops using (shop) within -5s to 20s
    derive: {met: shops.shop is not null, after: date_diff('second', paid_at, joined_at)}
    where: amount < 90 or amount is null
views:
  card:
    from: settled
    by: card
    over: [20s, 2m]
    features: {n: count(*), met: count(*) where met, spend: sum(amount), risk: sum(shops.risk), after: max(after)}
  known:
    from: payments join shops using (shop) within 0 to 20s
    by: [shops.country, card]
    over: [1m]
    features: {n: count(*), least: min(amount)}
)";
inline constexpr int64_t kOutcomesLateSeconds = 20;

// A row that `payments left join shops ... within -5s to 20s` must have, and the epoch in which it
// is made.
struct NaivePair {
  const Payment* payment;
  const Shop* shop;  // null: it found none
  uint64_t epoch;
  int64_t at;
  int64_t known_at;
};

inline std::vector<NaivePair> NaivePairs(const std::vector<Payment>& payments,
                                         const std::vector<Shop>& shops, uint64_t epochs) {
  std::vector<NaivePair> pairs;
  for (const Payment& payment : payments) {
    bool met = false;
    for (const Shop& shop : shops) {
      if (!payment.shop || shop.shop != payment.shop) continue;
      if (shop.at < payment.at - 5 * kSecond || shop.at > payment.at + 20 * kSecond) continue;
      met = true;
      pairs.push_back({&payment, &shop, std::max(payment.epoch, shop.epoch),
                       std::max(payment.at, shop.at), std::max(payment.came_at, shop.came_at)});
    }
    if (met) continue;
    // The epoch after which the log would refuse every shop that it could meet.
    for (uint64_t epoch = payment.epoch; epoch <= epochs; ++epoch) {
      const Shop* newest = nullptr;
      for (const Shop& shop : shops)
        if (shop.epoch <= epoch && (newest == nullptr || shop.at > newest->at)) newest = &shop;
      const int64_t end = payment.at + 20 * kSecond;
      if (newest == nullptr || newest->at - kOutcomesLateSeconds * kSecond <= end) continue;
      pairs.push_back({&payment, nullptr, epoch, end, std::max(payment.came_at, newest->came_at)});
      break;
    }
  }
  return pairs;
}

// The version that a payment must get, found among all of them.
inline const Shop* NaiveVersion(const std::vector<Shop>& shops, const Payment& payment) {
  const Shop* best = nullptr;
  for (const Shop& shop : shops) {
    if (!payment.shop || shop.shop != payment.shop) continue;
    if (shop.at > payment.at || shop.epoch > payment.epoch) continue;
    if (shop.came_at > std::max(payment.came_at, payment.at)) continue;
    const bool better =
        best == nullptr || shop.at > best->at ||
        (shop.at == best->at &&
         (shop.epoch > best->epoch || (shop.epoch == best->epoch && shop.row > best->row)));
    if (better) best = &shop;
  }
  return best;
}

// What derived streams make of an epoch of payments and shops.
inline std::vector<std::string> Made(const PipelineDefinition& pipeline, DerivedStreams& streams,
                                     const log::Epoch& epoch) {
  std::vector<columns::ColumnBatch> batches(pipeline.streams.size());
  if (const auto* rows = epoch.RowsOf(kPayments)) batches[0] = *rows;
  if (const auto* rows = epoch.RowsOf(kShops)) batches[1] = *rows;
  streams.Apply(epoch.id, batches);
  streams.SettleCharges();
  std::vector<std::string> made;
  for (size_t stream = 2; stream < batches.size(); ++stream)
    for (size_t row = 0; row < batches[stream].rows(); ++row)
      made.push_back(contract::RowToJson(batches[stream], row));
  return made;
}

}  // namespace headrace::pipeline::streams_fixture
