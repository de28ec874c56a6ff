#include "env/simulated/network.h"

#include <gtest/gtest.h>

namespace headrace::env::simulated {
namespace {

// Sends back what it gets.
class Echo final : public Session {
 public:
  Echo(Connection& connection, int& closed) : connection_(connection), closed_(closed) {}
  void OnBytes(std::span<const uint8_t> bytes) override {
    connection_.Write(std::string(bytes.begin(), bytes.end()));
  }
  void OnEndOfInput() override { connection_.CloseAfterWrites(); }
  void OnTick(MonotonicTime /*now*/) override {}
  void OnDrain() override { connection_.CloseAfterWrites(); }
  void OnClosed() override { ++closed_; }

 private:
  Connection& connection_;
  int& closed_;
};

struct Heard {
  std::string bytes;
  bool ended = false;
};

std::unique_ptr<Peer> DialEcho(SimulatedNetwork& network, Heard& heard) {
  return network.Dial(
      80, [&heard](std::string_view bytes) { heard.bytes += bytes; },
      [&heard] { heard.ended = true; });
}

TEST(SimulatedNetwork, BytesComeInOrderAndWhole) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SimulatedEnvironment machine(seed);
    SimulatedNetwork network(machine);
    int closed = 0;
    const auto listener = *network.Listen(
        "localhost", 80, {}, [&](Connection& c) { return std::make_unique<Echo>(c, closed); });
    Heard heard;
    const auto peer = DialEcho(network, heard);
    std::string sent;
    for (const char* text : {"one", "two", "a longer piece of text", "four"}) {
      peer->Send(text);
      sent += text;
    }
    machine.RunFor(std::chrono::milliseconds(200));
    EXPECT_EQ(heard.bytes, sent);
    EXPECT_TRUE(peer->open());
    listener->Drain(std::chrono::milliseconds(0));
    machine.RunFor(std::chrono::milliseconds(200));
    EXPECT_TRUE(heard.ended);
    EXPECT_EQ(closed, 1);
    EXPECT_EQ(listener->connections(), 0U);
  }
}

// Reads one piece, then pauses.
class Sipping final : public Session {
 public:
  Sipping(Connection& connection, std::string& heard) : connection_(connection), heard_(heard) {}
  void OnBytes(std::span<const uint8_t> bytes) override {
    heard_.append(bytes.begin(), bytes.end());
    connection_.PauseReading();
  }
  void OnEndOfInput() override {}
  void OnTick(MonotonicTime /*now*/) override {}
  void OnDrain() override {}
  void OnClosed() override {}

 private:
  Connection& connection_;
  std::string& heard_;
};

TEST(SimulatedNetwork, BytesThatCameInAPauseAreReadBeforeLaterOnes) {
  SimulatedEnvironment machine(1);
  SimulatedNetwork network(machine, {.piece_min = {}, .piece_max = {}});
  std::string heard;
  Connection* connection = nullptr;
  const auto listener = *network.Listen("localhost", 80, {}, [&](Connection& c) {
    connection = &c;
    return std::make_unique<Sipping>(c, heard);
  });
  const auto peer = network.Dial(80, [](std::string_view) {}, [] {});
  const auto run = [&] { machine.RunFor(std::chrono::milliseconds(10)); };
  run();
  const auto resume = [&] { connection->Run([&] { connection->ResumeReading(); }); };
  peer->Send("1");
  run();
  peer->Send("2");
  run();
  EXPECT_EQ(heard, "1");
  resume();
  peer->Send("3");  // is there when reading goes on
  run();
  EXPECT_EQ(heard, "123");
  peer->Send("4");
  run();
  connection->Run([&] {
    connection->ResumeReading();
    connection->PauseReading();
  });
  run();
  EXPECT_EQ(heard, "123") << "paused again before anything was read";
  resume();
  run();
  EXPECT_EQ(heard, "1234");
}

TEST(SimulatedNetwork, AConnectionBreaksAndAnotherTakesItsPlace) {
  SimulatedEnvironment machine(1);
  SimulatedNetwork network(machine, {.break_share = 1});
  int closed = 0;
  const auto listener = *network.Listen(
      "localhost", 80, {}, [&](Connection& c) { return std::make_unique<Echo>(c, closed); });
  EXPECT_EQ(network.Dial(81, {}, {}), nullptr) << "nobody listens there";
  for (int i = 1; i <= 2; ++i) {
    Heard heard;
    const auto peer = DialEcho(network, heard);
    peer->Send("lost");
    machine.RunFor(std::chrono::milliseconds(50));
    EXPECT_TRUE(heard.ended);
    EXPECT_EQ(heard.bytes, "");
    EXPECT_FALSE(peer->open());
    EXPECT_EQ(closed, i);
  }
  EXPECT_EQ(network.broken(), 2U);
}

}  // namespace
}  // namespace headrace::env::simulated
