// When the sources of views were last heard of, against a look at every epoch; also after a
// restart.

#include <gtest/gtest.h>

#include "base/memory_budget.h"
#include "pipeline/views/capture_fixture.h"
#include "pipeline/views/replay_fixture.h"
#include "pipeline/views/streams_fixture.h"

namespace headrace::pipeline {
namespace {

using streams_fixture::kPayments;
using streams_fixture::kShops;

constexpr std::string_view kPipeline = R"(headrace: 1
pipeline: progress
promise: {budget: {p99: 200ms}}
clock: events
streams:
  payments: {contract: payments.yaml, source: {http: push}, time: {event: paid_at, late: 1m}}
  shops: {contract: shops.yaml, source: {http: push}, time: {event: since, late: 10m}}
  large: {from: payments, where: amount > 50}
views:
  card: {from: large, by: card, over: [2m], features: {n: count(*)}}
  shop: {from: shops, by: shop, over: [2m], features: {n: count(*)}}
  placed: {from: large asof left join shops using (shop), by: card, over: [2m], features: {n: count(*)}}
  settled: {from: large left join shops using (shop) within 20s, by: card, over: [2m], features: {n: count(*)}}
)";

struct Heard {
  std::optional<int64_t> payments;
  std::optional<int64_t> shops;
};

// Epochs of rows, refused rows, heartbeats, and of neither.
log::EpochRef RandomEpoch(std::mt19937_64& random, streams_fixture::RandomEpochs& rows,
                          std::vector<Heard>& heard) {
  auto epoch = std::make_shared<log::Epoch>(*rows.Next());
  Heard now = heard.empty() ? Heard() : heard.back();
  const auto note = [&](base::StreamId of) {
    (of == kPayments ? now.payments : now.shops) = epoch->clock.us;
  };
  if (random() % 3 != 0) epoch->streams.clear();
  for (const log::StreamRows& of : epoch->streams) note(of.stream);
  for (const auto& [id, name] : {std::pair(kPayments, "payments"), std::pair(kShops, "shops")}) {
    if (random() % 8 == 0) {
      epoch->rejects.push_back({id, {{}}});
      note(id);
    }
    if (random() % 8 == 0) {
      epoch->controls.push_back({log::ControlEntry::Kind::kHeartbeat, name, {}});
      note(id);
    }
  }
  // Other entries are of no source.
  if (random() % 4 == 0)
    epoch->controls.push_back({log::ControlEntry::Kind::kPublishPlan, "payments", {}});
  heard.push_back(now);
  return epoch;
}

std::string Shown(ViewSet& views) {
  std::string text;
  const auto pin = views.PinNewest();
  HR_CHECK(pin.has_value(), "no pin");
  for (size_t view = 0; view < views.definition().views.size(); ++view)
    text += std::to_string(views.ProgressOf(*pin, view).us) + " ";
  return text;
}

std::string Naive(const Heard& heard) {
  const int64_t never = base::Timestamp::Min().us;
  const int64_t payments = heard.payments.value_or(never);
  const int64_t shops = heard.shops.value_or(never);
  std::string text;
  for (const int64_t us : {payments, shops, payments, std::min(payments, shops)})
    text += std::to_string(us) + " ";
  return text;
}

TEST(Progress, IsWhenTheSourcesWereLastHeardOf) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const PipelineRef pipeline = streams_fixture::PaymentsPipeline(kPipeline);
    std::mt19937_64 random(seed);
    streams_fixture::RandomEpochs rows(seed, pipeline);
    base::MemoryBudget budget(1ULL << 40);
    fixture::ManualClock clock;
    std::vector<Heard> heard;
    std::vector<log::EpochRef> epochs;
    ViewSet views(pipeline, budget, clock);
    const auto bind = [](ViewSet& to) {
      to.BindStream(0, kPayments);
      to.BindStream(1, kShops);
    };
    const auto apply = [&] {
      epochs.push_back(RandomEpoch(random, rows, heard));
      views.Apply({{epochs.back()}});
      ASSERT_EQ(Shown(views), Naive(heard.back())) << "seed " << seed;
    };
    bind(views);
    for (int step = 0; step < 30; ++step) apply();
    const auto captured = fixture::CaptureAll(views, 60, [&] {
      // Without a replay, what is there can only be of the capture.
      if (seed % 2 == 0 && epochs.size() < 60) apply();
    });
    ViewSet restored(pipeline, budget, clock);
    bind(restored);
    fixture::Restore(restored, captured, epochs);
    EXPECT_EQ(Shown(restored), Naive(heard.back())) << "seed " << seed;
  }
}

}  // namespace
}  // namespace headrace::pipeline
