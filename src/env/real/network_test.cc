#include "env/network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <mutex>
#include <thread>

#include "env/environment.h"

namespace headrace::env {
namespace {

using std::chrono::milliseconds;

// Sends back what comes; "bye" ends the connection.
class EchoSession final : public Session {
 public:
  EchoSession(Connection& connection, std::atomic<int>& closed)
      : connection_(connection), closed_(closed) {}
  void OnBytes(std::span<const uint8_t> bytes) override {
    const std::string text(bytes.begin(), bytes.end());
    connection_.Write(text);
    if (text.ends_with("bye")) connection_.CloseAfterWrites();
  }
  void OnEndOfInput() override { connection_.CloseAfterWrites(); }
  void OnTick(MonotonicTime) override {}
  void OnDrain() override { connection_.CloseAfterWrites(); }
  void OnClosed() override { ++closed_; }

 private:
  Connection& connection_;
  std::atomic<int>& closed_;
};

class NetworkTest : public testing::Test {
 protected:
  std::unique_ptr<Listener> Echo(ConnectionLimits limits = {}, uint16_t port = 0) {
    auto listener =
        network_->Listen("127.0.0.1", port, std::move(limits), [this](Connection& connection) {
          return std::make_unique<EchoSession>(connection, closed_);
        });
    EXPECT_TRUE(listener.has_value()) << listener.error().ToString();
    return std::move(*listener);
  }
  std::unique_ptr<ClientStream> Dial(uint16_t port) {
    auto stream = network_->Connect("127.0.0.1", port, milliseconds(2000));
    EXPECT_TRUE(stream.has_value()) << stream.error().ToString();
    return std::move(*stream);
  }
  static void Say(ClientStream& stream, std::string_view text) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
    ASSERT_TRUE(stream.Write({bytes, text.size()}, milliseconds(5000)).has_value());
  }
  static bool Within(milliseconds span, const std::function<bool()>& holds) {
    for (milliseconds waited{0}; waited < span && !holds(); ++waited)
      std::this_thread::sleep_for(milliseconds(1));
    return holds();
  }
  // Reads `size` bytes, or up to the end of the stream.
  static std::string Hear(ClientStream& stream, size_t size) {
    std::string text;
    std::vector<uint8_t> buffer(1 << 16);
    while (text.size() < size) {
      const auto count = stream.Read(buffer, milliseconds(5000));
      if (!count || *count == 0) break;
      text.append(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(*count));
    }
    return text;
  }

  std::unique_ptr<Environment> environment_ = MakeRealEnvironment();
  std::unique_ptr<Network> network_ = MakeRealNetwork(environment_->clock(), 2);
  std::atomic<int> closed_{0};
};

TEST_F(NetworkTest, EchoesOnSeveralConnectionsAtOnce) {
  const auto listener = Echo();
  auto first = Dial(listener->port());
  auto second = Dial(listener->port());
  Say(*first, "one");
  Say(*second, "two");
  EXPECT_EQ(Hear(*second, 3), "two");
  EXPECT_EQ(Hear(*first, 3), "one");
  EXPECT_EQ(listener->connections(), 2);
}

TEST_F(NetworkTest, SendsWhatIsQueuedBeforeItCloses) {
  const auto listener = Echo();
  auto stream = Dial(listener->port());
  Say(*stream, "good bye");
  EXPECT_EQ(Hear(*stream, 1000), "good bye");
}

// Takes everything in and says nothing, so that only the end of the input tells it of the end.
// Writes pieces of these lengths to who says anything.
class PiecesSession final : public Session {
 public:
  PiecesSession(Connection& connection, const std::vector<std::string>& pieces)
      : connection_(connection), pieces_(pieces) {}
  void OnBytes(std::span<const uint8_t>) override {
    size_t bytes = connection_.unsent_bytes();
    for (const std::string& piece : pieces_) {
      connection_.Write(piece);
      bytes += piece.size();
      EXPECT_EQ(connection_.unsent_bytes(), bytes);
    }
    connection_.CloseAfterWrites();
  }
  void OnEndOfInput() override {}
  void OnTick(MonotonicTime) override {}
  void OnDrain() override {}
  void OnClosed() override {}

 private:
  Connection& connection_;
  const std::vector<std::string>& pieces_;
};

TEST_F(NetworkTest, LongAndShortPiecesArriveInTheirOrder) {
  std::vector<std::string> pieces;
  std::string all;
  for (size_t i = 0; i < 400; ++i) {
    // Some of each together, and more than one call takes.
    const size_t size = i % 7 < 3 ? 1 + i : (16U << 10) + i * 211;
    pieces.emplace_back(size, static_cast<char>('a' + i % 26));
    all += pieces.back();
  }
  base::MemoryBudget budget(256U << 20);
  ConnectionLimits limits;
  limits.budget = &budget;
  auto listener = network_->Listen("127.0.0.1", 0, limits, [&](Connection& connection) {
    return std::make_unique<PiecesSession>(connection, pieces);
  });
  ASSERT_TRUE(listener.has_value());
  auto stream = Dial((*listener)->port());
  Say(*stream, "go");
  std::this_thread::sleep_for(milliseconds(50));  // until the socket takes no more
  EXPECT_EQ(Hear(*stream, all.size() + 1), all);
  stream.reset();
  listener->reset();
  EXPECT_EQ(budget.used_bytes(), 0U);
}

class SilentSession final : public Session {
 public:
  SilentSession(Connection& connection, std::atomic<int>& ended)
      : connection_(connection), ended_(ended) {}
  void OnBytes(std::span<const uint8_t>) override {}
  void OnEndOfInput() override {
    ++ended_;
    connection_.Close();
  }
  void OnTick(MonotonicTime) override {}
  void OnDrain() override { connection_.Close(); }
  void OnClosed() override {}

 private:
  Connection& connection_;
  std::atomic<int>& ended_;
};

// The end comes with the last bytes, before they are read: nothing tells of it a second time.
TEST_F(NetworkTest, SeesTheEndOfInputThatCameWithItsLastBytes) {
  constexpr int kPeers = 200;
  std::atomic<int> ended{0};
  const auto listener = network_->Listen("127.0.0.1", 0, {}, [&](Connection& connection) {
    return std::make_unique<SilentSession>(connection, ended);
  });
  ASSERT_TRUE(listener.has_value());
  for (int i = 0; i < kPeers; ++i) Say(*Dial((*listener)->port()), "good");
  EXPECT_TRUE(Within(milliseconds(5'000), [&] { return ended.load() == kPeers; })) << ended.load();
}

// Takes nothing more in after each piece until it is told to go on.
class PausingSession final : public Session {
 public:
  PausingSession(Connection& connection, std::atomic<size_t>& taken)
      : connection_(connection), taken_(taken) {}
  void OnBytes(std::span<const uint8_t> bytes) override {
    taken_ += bytes.size();
    connection_.PauseReading();
  }
  void OnEndOfInput() override { connection_.Close(); }
  void OnTick(MonotonicTime) override {}
  void OnDrain() override { connection_.Close(); }
  void OnClosed() override {}

 private:
  Connection& connection_;
  std::atomic<size_t>& taken_;
};

TEST_F(NetworkTest, BytesThatCameDuringAPauseAreReadAfterIt) {
  constexpr size_t kBytes = 1 << 20;
  std::atomic<size_t> taken{0};
  std::shared_ptr<Connection> kept;
  std::mutex mutex;
  const auto listener = network_->Listen("127.0.0.1", 0, {}, [&](Connection& connection) {
    const std::lock_guard lock(mutex);
    kept = connection.shared_from_this();
    return std::make_unique<PausingSession>(connection, taken);
  });
  ASSERT_TRUE(listener.has_value());
  auto stream = Dial((*listener)->port());
  const std::jthread writer([&] { Say(*stream, std::string(kBytes, 'x')); });
  ASSERT_TRUE(Within(milliseconds(5'000), [&] { return taken.load() > 0; }));
  size_t pieces = 0;
  while (taken.load() < kBytes) {
    const size_t before = taken.load();
    const std::lock_guard lock(mutex);
    kept->Run([&] { kept->ResumeReading(); });
    ASSERT_TRUE(Within(milliseconds(5'000), [&] { return taken.load() > before; })) << before;
    ++pieces;
  }
  EXPECT_GT(pieces, 4U) << "it was read while it paused";
}

TEST_F(NetworkTest, StopsReadingAPeerThatDoesNotRead) {
  ConnectionLimits limits;
  limits.unsent_bytes_max = 1 << 16;
  const auto listener = Echo(limits);
  auto stream = Dial(listener->port());
  const std::string piece(1 << 16, 'x');
  size_t sent = 0;
  const auto* bytes = reinterpret_cast<const uint8_t*>(piece.data());
  while (sent < (64U << 20) && stream->Write({bytes, piece.size()}, milliseconds(300)))
    sent += piece.size();
  EXPECT_LT(sent, 64U << 20) << "the server took everything in";
  EXPECT_GE(Hear(*stream, sent).size(), sent) << "what was taken in comes back once the peer reads";
}

// A port that is only tried out for being free meets whoever tries to reach what will listen there.
TEST_F(NetworkTest, AConnectionWithoutASessionIsClosed) {
  const auto listener =
      network_->Listen("127.0.0.1", 0, {}, [](Connection&) { return std::unique_ptr<Session>(); });
  ASSERT_TRUE(listener.has_value());
  auto stream = Dial((*listener)->port());
  Say(*stream, "is somebody there?");
  EXPECT_EQ(Hear(*stream, 1), "");
}

TEST_F(NetworkTest, KeepsNothingThatWasSentForAPeerThatIsAlwaysBehind) {
  base::MemoryBudget budget(256U << 20);
  ConnectionLimits limits;
  limits.unsent_bytes_max = 1 << 16;
  limits.budget = &budget;
  auto listener = Echo(limits);
  auto stream = Dial(listener->port());
  const std::string piece(1 << 16, 'x');
  const auto* bytes = reinterpret_cast<const uint8_t*>(piece.data());
  while (stream->Write({bytes, piece.size()}, milliseconds(200))) {
  }
  uint64_t most = 0;
  for (int i = 0; i < 100; ++i) {
    // What it reads makes room for more, once the system's own buffers have some.
    while (!stream->Write({bytes, piece.size()}, milliseconds(1))) Hear(*stream, piece.size());
    most = std::max(most, budget.used_bytes(base::MemoryAccount::kReplies));
  }
  EXPECT_GT(most, 1U << 16) << "the peer was not behind";
  EXPECT_LT(most, 2U << 20);
  EXPECT_EQ(budget.used_bytes(base::MemoryAccount::kConnections), limits.connection_bytes);
  listener.reset();
  EXPECT_EQ(budget.used_bytes(), 0U);
}

TEST_F(NetworkTest, AConnectionTooManyIsToldSo) {
  ConnectionLimits limits;
  limits.connections_max = 1;
  limits.refusal = "no room";
  const auto listener = Echo(limits);
  auto first = Dial(listener->port());
  Say(*first, "one");
  EXPECT_EQ(Hear(*first, 3), "one");
  auto second = Dial(listener->port());
  Say(*second, "what it asks is not looked at");
  EXPECT_EQ(Hear(*second, 1000), "no room");
  Say(*first, "two");
  EXPECT_EQ(Hear(*first, 3), "two");
}

TEST_F(NetworkTest, AConnectionThatTheBudgetCannotHoldIsToldSo) {
  base::MemoryBudget budget(10'000);
  ConnectionLimits limits;
  limits.budget = &budget;
  limits.refusal = "no room";
  const auto listener = Echo(limits);
  auto first = Dial(listener->port());
  Say(*first, "one");
  EXPECT_EQ(Hear(*first, 3), "one");
  auto second = Dial(listener->port());
  EXPECT_EQ(Hear(*second, 1000), "no room");
}

TEST_F(NetworkTest, NamesAPortInUse) {
  const auto listener = Echo();
  const auto again = network_->Listen("127.0.0.1", listener->port(), {}, nullptr);
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code(), base::ErrorCode::kAlreadyExists);
}

TEST_F(NetworkTest, RefusesAForeignAddress) {
  const auto listener = network_->Listen("192.0.2.1", 0, {}, nullptr);
  ASSERT_FALSE(listener.has_value());
  EXPECT_EQ(listener.error().code(), base::ErrorCode::kInvalidInput);
}

TEST_F(NetworkTest, SaysThatNobodyListens) {
  uint16_t port = 0;
  {
    port = Echo()->port();
  }
  const auto stream = network_->Connect("127.0.0.1", port, milliseconds(500));
  ASSERT_FALSE(stream.has_value());
  EXPECT_EQ(stream.error().code(), base::ErrorCode::kUnavailable);
}

TEST_F(NetworkTest, TurnsAwayConnectionsOverTheLimit) {
  ConnectionLimits limits;
  limits.connections_max = 1;
  const auto listener = Echo(limits);
  auto first = Dial(listener->port());
  Say(*first, "a");
  ASSERT_EQ(Hear(*first, 1), "a");
  auto second = Dial(listener->port());
  EXPECT_EQ(Hear(*second, 1), "");
}

TEST_F(NetworkTest, ClosesIdleConnections) {
  ConnectionLimits limits;
  limits.idle_max = milliseconds(200);
  const auto listener = Echo(limits);
  auto stream = Dial(listener->port());
  EXPECT_EQ(Hear(*stream, 1), "");
  EXPECT_TRUE(Within(milliseconds(2'000), [&] { return closed_.load() == 1; }));
}

TEST_F(NetworkTest, DrainLetsSessionsFinish) {
  auto listener = Echo();
  auto stream = Dial(listener->port());
  Say(*stream, "a");
  ASSERT_EQ(Hear(*stream, 1), "a");
  std::thread reader([&] {
    EXPECT_EQ(Hear(*stream, 1), "");
    stream.reset();
  });
  const MonotonicTime begin = environment_->clock().Now();
  listener->Drain(milliseconds(20'000));
  reader.join();
  EXPECT_LT(environment_->clock().Now() - begin, milliseconds(10'000))
      << "it does not wait out its grace";
  EXPECT_EQ(listener->connections(), 0);
  EXPECT_EQ(closed_.load(), 1);
  const auto late = network_->Connect("127.0.0.1", listener->port(), milliseconds(500));
  EXPECT_FALSE(late.has_value());
}

TEST_F(NetworkTest, TasksOfAClosedConnectionAreDropped) {
  std::shared_ptr<Connection> kept;
  std::mutex mutex;
  auto listener = network_->Listen("127.0.0.1", 0, {}, [&](Connection& connection) {
    std::lock_guard lock(mutex);
    kept = connection.shared_from_this();
    return std::make_unique<EchoSession>(connection, closed_);
  });
  ASSERT_TRUE(listener.has_value());
  auto stream = Dial((*listener)->port());
  Say(*stream, "a");
  ASSERT_EQ(Hear(*stream, 1), "a");
  std::atomic<bool> ran{false};
  kept->Run([&] {
    kept->Write("late");
    ran = true;
  });
  EXPECT_EQ(Hear(*stream, 4), "late");
  EXPECT_TRUE(ran.load());
  listener->reset();
  ran = false;
  kept->Run([&] { ran = true; });
  network_.reset();
  EXPECT_FALSE(ran.load());
}

}  // namespace
}  // namespace headrace::env
