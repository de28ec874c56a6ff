#include "ingest/flight/connection_watch.h"

#include <gmock/gmock.h>

#include <array>
#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include "env/network.h"

namespace headrace::ingest {
namespace {

using env::PortConnection;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using Memory = ConnectionRules::Memory;

std::vector<uint64_t> Cookies(const std::vector<PortConnection>& connections) {
  std::vector<uint64_t> cookies;
  for (const PortConnection& each : connections) cookies.push_back(each.cookie);
  return cookies;
}

TEST(ConnectionRules, OnesTooManyAreThoseThatSayNothing) {
  ConnectionRules rules(2);
  const std::vector<PortConnection> open = {
      {.cookie = 1, .received_bytes = 100, .silent_ms = 50},
      {.cookie = 2, .received_bytes = 0, .silent_ms = 1},  // never spoke
      {.cookie = 3, .received_bytes = 100, .silent_ms = 9000},
      {.cookie = 4, .received_bytes = 100, .silent_ms = 20},
      {.cookie = 5, .received_bytes = 23, .silent_ms = 7},
  };
  EXPECT_THAT(Cookies(rules.Unwanted(open, Memory::kFits)), ElementsAre(2, 5, 3));
  EXPECT_THAT(rules.Unwanted(std::span(open).first(2), Memory::kFits), IsEmpty());
}

// They all come and greet between two looks: how long ago each did says nothing.
TEST(ConnectionRules, OfACrowdThatGreetsWhoCallsStays) {
  ConnectionRules rules(2);
  const std::vector<PortConnection> open = {
      {.cookie = 1, .received_bytes = 900, .silent_ms = 80},  // a call, under way
      {.cookie = 2, .received_bytes = 60, .silent_ms = 5},
      {.cookie = 3, .received_bytes = 60, .silent_ms = 0},
      {.cookie = 4, .received_bytes = 5000, .silent_ms = ConnectionRules::kMoment},
      {.cookie = 5, .received_bytes = 700, .silent_ms = 99},
  };
  EXPECT_THAT(Cookies(rules.Unwanted(open, Memory::kFits)), UnorderedElementsAre(4, 2, 3));
}

TEST(ConnectionRules, OverTheBudgetWhoSendsTheMostGoes) {
  ConnectionRules rules(10);
  constexpr uint64_t kLarge = ConnectionRules::kLargeBytes;
  std::vector<PortConnection> open = {{.cookie = 1, .received_bytes = 50 * kLarge},
                                      {.cookie = 2, .received_bytes = 100}};
  EXPECT_THAT(rules.Unwanted(open, Memory::kFits), IsEmpty());
  open[0].received_bytes += 10;  // it sent much, but long ago
  open[1].received_bytes += 3 * kLarge;
  EXPECT_THAT(Cookies(rules.Unwanted(open, Memory::kOver)), ElementsAre(2));
  open[1].received_bytes += kLarge;  // not more than that: nobody's message is the reason
  EXPECT_THAT(rules.Unwanted(open, Memory::kOver), IsEmpty());
}

class Silent final : public env::Session {
 public:
  void OnBytes(std::span<const uint8_t>) override {}
  void OnEndOfInput() override {}
  void OnTick(env::MonotonicTime) override {}
  void OnDrain() override {}
  void OnClosed() override {}
};

// The sockets of any listener do; only those of the port are found, and its listener is none.
TEST(ConnectionWatch, ConnectionsAreFoundAndShutDown) {
  const auto environment = env::MakeRealEnvironment();
  const auto network = env::MakeRealNetwork(environment->clock());
  const auto quiet = [](env::Connection&) { return std::make_unique<Silent>(); };
  const auto listener = *network->Listen("127.0.0.1", 0, {}, quiet);
  const auto other = *network->Listen("127.0.0.1", 0, {}, quiet);
  constexpr std::chrono::seconds kPatience{60};
  std::vector<std::unique_ptr<env::ClientStream>> clients;
  for (int i = 0; i < 3; ++i)
    clients.push_back(*network->Connect("127.0.0.1", listener->port(), kPatience));
  clients.push_back(*network->Connect("127.0.0.1", other->port(), kPatience));
  const std::string text(1000, 'x');
  ASSERT_TRUE(clients[1]
                  ->Write({reinterpret_cast<const uint8_t*>(text.data()), text.size()}, kPatience)
                  .has_value());
  std::vector<PortConnection> found;
  uint64_t received = 0;
  for (int i = 0; i < 10'000 && (found.size() < 3 || received < text.size()); ++i) {
    if (i > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    found = env::FindPortConnections(listener->port());
    received = 0;
    for (const PortConnection& each : found) received += each.received_bytes;
  }
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(received, text.size());
  base::MemoryBudget budget(1U << 30);
  const auto watch =
      ConnectionWatch::Make(*environment, budget, {.port = listener->port(), .connections_max = 1});
  std::array<uint8_t, 16> out{};
  EXPECT_EQ(*clients[0]->Read(out, kPatience), 0U);
  EXPECT_EQ(*clients[2]->Read(out, kPatience), 0U);
  EXPECT_EQ(env::FindPortConnections(other->port()).size(), 1U);
  EXPECT_FALSE(env::ShutDown({.descriptor = found[0].descriptor, .cookie = 1}));
}

}  // namespace
}  // namespace headrace::ingest
