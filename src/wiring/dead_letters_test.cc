#include "wiring/dead_letters.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "wiring/lives_fixture.h"

namespace headrace::wiring {
namespace {

using namespace lives_fixture;  // NOLINT: the test is written in the fixture's words

// The only one that there is.
nlohmann::json Letter(Lives& lives) {
  nlohmann::json letters;
  lives.machine_->Run(
      [&] { letters = nlohmann::json::parse(*lives.core_->DeadLettersJson("", 0, 10)); });
  EXPECT_EQ(letters.size(), 1U) << letters;
  return letters.at(0);
}

void RefuseRefundWithoutCard(Lives& lives, double amount) {
  const size_t refunds = *lives.definition_->StreamNamed("refunds");
  columns::BatchBuilder builder(lives.definition_->streams[refunds].schema());
  builder.column(0).AppendNull();
  builder.column(1).AppendDouble(amount);
  builder.column(2).AppendInt(lives.now_);
  bool told = false;
  lives.machine_->Run([&] {
    auto batch = lives.definition_->streams[refunds].contract->Enforce(builder.Finish());
    batch.stream = *lives.core_->StreamNamed("refunds");
    lives.core_->Submit(std::move(batch), [&](const auto& /*ack*/) { told = true; });
  });
  lives.machine_->RunUntil([&] { return told; });
}

// Nothing says any more which of its fields are restricted.
TEST(DeadLetters, NoPayloadOfAStreamThatIsNotInTheFile) {
  const std::string without = Text(kHour, Table::kNo);
  std::string with = without;
  with.insert(with.find("views:\n"),
              "  refunds: {contract: c.yaml, source: {http: push}, time: {event: paid_at}}\n");
  Lives lives(with);
  RefuseRefundWithoutCard(lives, 7.25);
  EXPECT_EQ(Letter(lives)["stream"], "refunds");
  EXPECT_NE(Letter(lives)["payload"].get<std::string>().find("7.25"), std::string::npos);
  lives.definition_ = Define(without);
  lives.Die();
  ASSERT_TRUE(lives.started_) << lives.started_.error().ToString();
  EXPECT_EQ(Letter(lives)["payload"], "***");
}

}  // namespace
}  // namespace headrace::wiring
