// What joins and dedupe keep, as it was captured before.
#include <gtest/gtest.h>

#include <map>

#include "base/memory_budget.h"
#include "columns/batch_codec.h"
#include "pipeline/views/streams_fixture.h"

namespace headrace::pipeline {
namespace {

using streams_fixture::RandomEpochs;

constexpr std::string_view kRemembering = R"(headrace: 1
pipeline: remembering
promise: {budget: {p99: 200ms}}
clock: events
streams:
  payments: {contract: payments.yaml, source: {http: push}, time: {event: paid_at, late: 1m}}
  shops: {contract: shops.yaml, source: {http: push}, time: {event: since, late: 10m}}
  once: {from: payments, dedupe: {by: [card, shop], within: 7s}}
  settled: {from: payments left join shops using (shop) within -5s to 20s}
)";

// Parts as they were captured when there were 16 of each kind, whose number was all that was told.
std::vector<std::vector<uint8_t>> InSixteenParts(const std::vector<std::vector<uint8_t>>& parts) {
  struct Old {
    std::vector<uint8_t> head, keys;
    uint32_t count = 0;
  };
  std::map<std::pair<uint8_t, uint32_t>, Old> of_before;
  std::vector<std::vector<uint8_t>> all;
  for (const auto& part : parts) {
    columns::ByteReader in(part);
    const uint8_t kind = *in.U8();
    if (kind != 3 && kind != 4) {
      all.push_back(part);
      continue;
    }
    const std::string identity(*in.Text());
    const uint32_t number = (*in.U32() & 0xffff) % 16;
    const size_t newest_bytes = (kind == 3 ? 4 : 2) * sizeof(uint64_t);
    const auto newest = *in.Bytes(newest_bytes);
    Old& old = of_before[{kind, number}];
    old.head.clear();
    columns::ByteWriter head(old.head);
    head.U8(kind);
    head.Text(identity);
    head.U32(number);
    head.Bytes(newest);
    old.count += *in.U32();
    const auto keys = *in.Bytes(in.remaining());
    old.keys.insert(old.keys.end(), keys.begin(), keys.end());
  }
  for (auto& [place, old] : of_before) {
    columns::ByteWriter(old.head).U32(old.count);
    old.head.insert(old.head.end(), old.keys.begin(), old.keys.end());
    all.insert(all.begin(), old.head);
  }
  return all;
}

TEST(DerivedStreams, TakeCapturesOfSixteenParts) {
  const PipelineRef pipeline = streams_fixture::PaymentsPipeline(kRemembering);
  base::MemoryBudget budget(1ULL << 40);
  RandomEpochs random(3, pipeline);
  DerivedStreams streams(*pipeline, budget);
  DerivedStreams restored(*pipeline, budget);
  const auto apply = [&](DerivedStreams& to, const log::Epoch& epoch) {
    return streams_fixture::Made(*pipeline, to, epoch);
  };
  for (int epoch = 0; epoch < 40; ++epoch) (void)apply(streams, *random.Next());
  DerivedStreams::Cursor cursor;
  std::vector<std::vector<uint8_t>> parts(1);
  while (streams.Encode(cursor, {40}, 100, parts.back())) parts.emplace_back();
  parts.pop_back();
  const auto of_before = InSixteenParts(parts);
  ASSERT_EQ(of_before.size(), 33U) << "16 of each kind, and the counts";
  for (const auto& part : of_before) {
    columns::ByteReader in(part);
    ASSERT_TRUE(restored.Restore(in, {40}));
  }
  size_t rows = 0;
  for (int epoch = 0; epoch < 40; ++epoch) {
    const log::EpochRef next = random.Next();
    const auto made = apply(streams, *next);
    EXPECT_EQ(apply(restored, *next), made);
    EXPECT_EQ(restored.bytes(), streams.bytes());
    rows += made.size();
  }
  EXPECT_GT(rows, 20U);
}

}  // namespace
}  // namespace headrace::pipeline
