#include "protocols/resp_server.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <mutex>
#include <thread>

#include "env/environment.h"
#include "env/simulated/network.h"

namespace headrace::protocols {
namespace {

using std::chrono::milliseconds;

class RespServerTest : public testing::Test {
 protected:
  // echo TEXT, big BYTES, proto 2|3, later TEXT (answered by AnswerLater), dropped, now TEXT (a
  // later answer that comes at once), over TEXT (overlaps; answered by AnswerLater), overnow TEXT
  // (overlaps; answered at once), told TEXT (answered with the last word of the command that was
  // expected), bye.
  class Commands final : public RespHandler {
   public:
    Commands(RespServerTest& test, std::string greeting)
        : test_(test), greeting_(std::move(greeting)) {}
    void Expect(std::span<const std::span<const std::string_view>> commands) override {
      told_.clear();
      for (const auto& arguments : commands)
        told_.emplace_back(arguments.empty() ? "nothing" : arguments.back());
    }
    void Run(RespCall& call) override {
      std::string name(call.arguments()[0]);
      const std::string argument(call.arguments().size() > 1 ? call.arguments()[1] : "");
      const std::string told = told_.front();
      told_.pop_front();
      if (name == "begin") {
        keeping_ = true;
        return call.out().Ok();
      }
      if (keeping_ && name != "drop" && name != "run") name = "keep";
      if (name == "told") return call.out().Bulk(told);
      if (name == "echo") return call.out().Bulk(greeting_ + argument);
      if (name == "big") return call.out().Bulk(std::string(std::stoul(argument), 'x'));
      if (name == "proto") {
        call.out().UseVersion(argument == "3" ? RespVersion::k3 : RespVersion::k2);
        return call.out().Map(0);
      }
      if (name == "overnow") return call.out().Bulk(argument);
      if (name == "later" || name == "over") {
        const std::lock_guard lock(test_.mutex_);
        test_.later_.emplace_back(argument, call.Later());
        return;
      }
      if (name == "now")
        return call.Later().Send([argument](RespWriter& out) { out.Bulk(argument); });
      if (name == "dropped") return void(call.Later());
      if (name == "keep") {
        const auto kept = call.Keep();
        return kept ? call.out().Simple("kept") : call.out().Error("ERR", kept.error().message());
      }
      if (name == "drop") {
        call.DropKept();
        return call.out().Ok();
      }
      if (name == "run") {
        keeping_ = false;
        call.out().Array(call.kept());
        return call.RunKept();
      }
      if (name == "bye") {
        call.out().Ok();
        return call.CloseAfter();
      }
      call.out().Error("ERR", "unknown\r\ncommand");
    }

    bool MayOverlap(std::span<const std::string_view> arguments) const override {
      return arguments[0].starts_with("over");
    }

   private:
    RespServerTest& test_;
    const std::string greeting_;
    std::deque<std::string> told_;
    bool keeping_ = false;
  };

  void Start(RespServerOptions options = {}) {
    auto server = RespServer::Start(*network_, environment_->clock(), budget_, first_, "127.0.0.1",
                                    0, std::move(options));
    ASSERT_TRUE(server.has_value()) << server.error().ToString();
    server_ = std::move(*server);
  }
  std::unique_ptr<env::ClientStream> Connect() {
    auto stream = network_->Connect("127.0.0.1", server_->port(), milliseconds(2000));
    EXPECT_TRUE(stream.has_value());
    return std::move(*stream);
  }
  static void Send(env::ClientStream& stream, std::string_view bytes) {
    const auto written = stream.Write(
        {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, milliseconds(9000));
    ASSERT_TRUE(written.has_value()) << written.error().ToString();
  }
  // Until `size` bytes came or the server closed.
  static std::string Read(env::ClientStream& stream, size_t size) {
    std::string text;
    std::vector<uint8_t> buffer(65536);
    while (text.size() < size) {
      const auto count = stream.Read(buffer, milliseconds(9000));
      if (!count || *count == 0) break;
      text.append(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(*count));
    }
    return text;
  }
  std::string Exchange(std::string_view bytes, std::string_view expected) {
    const auto stream = Connect();
    Send(*stream, bytes);
    return Read(*stream, expected.size());
  }
  void WaitForLater(size_t count = 1) {
    for (int i = 0; i < 9000; ++i) {
      {
        const std::lock_guard lock(mutex_);
        if (later_.size() >= count) return;
      }
      std::this_thread::sleep_for(milliseconds(1));
    }
    FAIL() << "the command did not arrive";
  }
  void AnswerLater() {
    WaitForLater();
    const std::lock_guard lock(mutex_);
    for (auto& [text, reply] : later_)
      reply.Send([text = text](RespWriter& out) { out.Bulk(text); });
    later_.clear();
  }

  // The last one first, once `count` of them wait.
  void AnswerBackwards(size_t count) {
    WaitForLater(count);
    const std::lock_guard lock(mutex_);
    for (; !later_.empty(); later_.pop_back())
      later_.back().second.Send([text = later_.back().first](RespWriter& out) { out.Bulk(text); });
  }

  std::mutex mutex_;
  std::deque<std::pair<std::string, RespReply>> later_;
  std::unique_ptr<env::Environment> environment_ = env::MakeRealEnvironment();
  base::MemoryBudget budget_{256U << 20};
  RespHandlers first_ = [this](uint64_t) { return std::make_unique<Commands>(*this, ""); };
  RespHandlers second_ = [this](uint64_t) { return std::make_unique<Commands>(*this, "second "); };
  std::unique_ptr<env::Network> network_ = env::MakeRealNetwork(environment_->clock());
  std::unique_ptr<RespServer> server_;
};

void ExpectEqual(const std::string& got, std::string_view expected) { EXPECT_EQ(got, expected); }

TEST_F(RespServerTest, AnswersInTheOrderOfTheCommands) {
  Start();
  constexpr std::string_view kExpected =
      "$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n-ERR unknown  command\r\n$1\r\nd\r\n";
  ExpectEqual(Exchange("echo a\r\n*2\r\n$4\r\necho\r\n$1\r\nb\r\nnow c\r\nnothing\r\necho d\r\n",
                       kExpected),
              kExpected);
  EXPECT_EQ(server_->counters().commands, 5U);
}

// Bytes of no command, an empty array or line, are of no command's number.
TEST_F(RespServerTest, TheHandlerIsToldOfTheCommandsThatItGets) {
  Start();
  constexpr std::string_view kTold = "*2\r\n$4\r\ntold\r\n$1\r\n";
  std::string commands = "*0\r\n";
  for (const std::string_view text : {"a", "b", "c"})
    commands.append(kTold).append(text).append("\r\n*0\r\n*-1\r\n");
  commands += "\r\n";
  constexpr std::string_view kExpected = "$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n";
  ExpectEqual(Exchange(commands, kExpected), kExpected);
  EXPECT_EQ(server_->counters().commands, 3U);
}

TEST_F(RespServerTest, WhatIsBehindALaterAnswerWaitsForIt) {
  Start();
  const auto stream = Connect();
  Send(*stream, "echo a\r\nlater b\r\necho c\r\nlater d\r\necho e\r\n");
  EXPECT_EQ(Read(*stream, 7), "$1\r\na\r\n");
  AnswerLater();
  EXPECT_EQ(Read(*stream, 14), "$1\r\nb\r\n$1\r\nc\r\n");
  AnswerLater();
  EXPECT_EQ(Read(*stream, 14), "$1\r\nd\r\n$1\r\ne\r\n");
}

TEST_F(RespServerTest, OverlappingCommandsAreUnderWayTogetherAndAnsweredInOrder) {
  Start();
  const auto stream = Connect();
  Send(*stream, "over a\r\nover b\r\novernow c\r\nover d\r\necho e\r\nover f\r\n");
  AnswerBackwards(3);
  constexpr std::string_view kExpected = "$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n";
  EXPECT_EQ(Read(*stream, kExpected.size()), kExpected);
  AnswerBackwards(1);
  EXPECT_EQ(Read(*stream, 7), "$1\r\nf\r\n");
}

TEST_F(RespServerTest, WhatIsKeptIsRunBeforeWhatCameSince) {
  Start();
  const auto stream = Connect();
  // All of it at once, in both forms of commands, with a part of another one behind it.
  Send(*stream,
       "begin\r\necho a\r\n*2\r\n$5\r\nlater\r\n$1\r\nb\r\nover c\r\nover d\r\necho e\r\nrun\r\n"
       "echo f\r\n*2\r\n$4\r\nec");
  constexpr std::string_view kFirst =
      "+OK\r\n+kept\r\n+kept\r\n+kept\r\n+kept\r\n+kept\r\n*5\r\n$1\r\na\r\n";
  EXPECT_EQ(Read(*stream, kFirst.size()), kFirst);
  AnswerLater();
  EXPECT_EQ(Read(*stream, 7), "$1\r\nb\r\n");
  AnswerBackwards(2);
  constexpr std::string_view kRest = "$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n";
  EXPECT_EQ(Read(*stream, kRest.size()), kRest);
  Send(*stream, "ho\r\n$1\r\ng\r\nbegin\r\necho h\r\n");
  constexpr std::string_view kSecond = "$1\r\ng\r\n+OK\r\n+kept\r\n";
  EXPECT_EQ(Read(*stream, kSecond.size()), kSecond);
  // Of a read of its own.
  Send(*stream, "run\r\necho i\r\n");
  constexpr std::string_view kThird = "*1\r\n$1\r\nh\r\n$1\r\ni\r\n";
  EXPECT_EQ(Read(*stream, kThird.size()), kThird);
}

TEST_F(RespServerTest, WhatIsKeptIsBoundedAndCharged) {
  RespServerOptions options;
  options.kept_max = 3;
  options.kept_bytes_max = 20'000;
  Start(options);
  const auto stream = Connect();
  const auto ask = [&](const std::string& command, std::string_view answer) {
    Send(*stream, command + "\r\n");
    EXPECT_EQ(Read(*stream, answer.size()), answer);
  };
  ask("echo a", "$1\r\na\r\n");  // from here on the connection itself is charged
  const uint64_t before = budget_.used_bytes();
  ask("keep " + std::string(15'000, 'x'), "+kept\r\n");
  ask("keep a", "+kept\r\n");
  EXPECT_GE(budget_.used_bytes(), before + 15'000);
  ask("drop", "+OK\r\n");
  // What came is given back behind its answer.
  for (int i = 0; i < 9000 && budget_.used_bytes() != before; ++i)
    std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(budget_.used_bytes(), before);
  constexpr std::string_view kTooMany = "-ERR more than 3 commands, or 20000 bytes of them\r\n";
  ask("keep " + std::string(15'000, 'x'), "+kept\r\n");
  ask("keep " + std::string(15'000, 'x'), kTooMany);
  ask("drop", "+OK\r\n");
  for (int i = 0; i < 3; ++i) ask("keep a", "+kept\r\n");
  ask("keep a", kTooMany);
}

TEST_F(RespServerTest, OthersWaitForThoseThatOverlap) {
  Start();
  const auto stream = Connect();
  Send(*stream, "over a\r\necho b\r\n");
  WaitForLater();
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(server_->counters().commands, 1U);
  AnswerBackwards(1);
  EXPECT_EQ(Read(*stream, 14), "$1\r\na\r\n$1\r\nb\r\n");
}

TEST_F(RespServerTest, AtMostSoManyOverlap) {
  RespServerOptions options;
  options.overlapping_max = 2;
  Start(options);
  const auto stream = Connect();
  Send(*stream, "over a\r\nover b\r\nover c\r\n");
  WaitForLater(2);
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(server_->counters().commands, 2U);
  AnswerBackwards(2);
  AnswerBackwards(1);
  EXPECT_EQ(Read(*stream, 21), "$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
}

TEST_F(RespServerTest, AProtocolErrorIsToldBehindThoseThatOverlap) {
  Start();
  const auto stream = Connect();
  Send(*stream, "over a\r\n*1\r\n?\r\n");
  AnswerBackwards(1);
  EXPECT_EQ(Read(*stream, 1000), "$1\r\na\r\n-ERR Protocol error: expected '$', got '?'\r\n");
}

TEST_F(RespServerTest, ThatACommandCameTooSlowlyIsToldBehindThoseThatOverlap) {
  env::simulated::SimulatedEnvironment machine(1);
  env::simulated::SimulatedNetwork network(machine);
  const auto server =
      *RespServer::Start(network, machine.clock(), budget_, first_, "", 0, RespServerOptions{});
  std::string heard;
  bool over = false;
  const auto peer = network.Dial(
      server->port(), [&](std::string_view bytes) { heard += bytes; }, [&] { over = true; });
  peer->Send("over a\r\n*2\r\n$4\r\nec");
  machine.RunFor(std::chrono::seconds(35));
  EXPECT_EQ(heard, "");
  AnswerBackwards(1);
  machine.RunFor(std::chrono::seconds(1));
  EXPECT_EQ(heard, "$1\r\na\r\n-ERR the command came too slowly\r\n");
  EXPECT_TRUE(over);
  EXPECT_EQ(server->counters().refused, 1U);
}

TEST_F(RespServerTest, ACommandThatComesAByteAtATimeIsTooSlowAfterAMinute) {
  env::simulated::SimulatedEnvironment machine(1);
  env::simulated::SimulatedNetwork network(machine);
  const auto server =
      *RespServer::Start(network, machine.clock(), budget_, first_, "", 0, RespServerOptions{});
  std::string heard;
  const auto peer =
      network.Dial(server->port(), [&](std::string_view bytes) { heard += bytes; }, [] {});
  // The clock of a command begins with its own first byte, not with one of the command before.
  peer->Send("*2\r\n$4\r\nec");
  machine.RunFor(std::chrono::seconds(25));
  peer->Send("ho\r\n");
  machine.RunFor(std::chrono::seconds(25));
  peer->Send("$1\r\na\r\n*2\r\n");
  machine.RunFor(std::chrono::seconds(1));
  EXPECT_EQ(heard, "$1\r\na\r\n");
  heard.clear();
  for (const std::string_view byte : {"$", "4"}) {
    machine.RunFor(std::chrono::seconds(25));
    peer->Send(std::string(byte));
  }
  EXPECT_EQ(heard, "");
  machine.RunFor(std::chrono::seconds(15));
  EXPECT_EQ(heard, "-ERR the command came too slowly\r\n");
  EXPECT_EQ(server->counters().refused, 1U);
}

// Peers that begin a command and leave it there, over a network that is simulated.
class RespMemoryTest : public RespServerTest {
 protected:
  static constexpr size_t kLimit = 16U << 20;
  static constexpr size_t kPiece = 64U << 10;
  struct Caller {
    std::unique_ptr<env::simulated::Peer> peer;
    std::string heard;
    bool over = false;
  };

  Caller& Call(std::string_view bytes) {
    Caller& caller = callers_.emplace_back();
    caller.peer = network_->Dial(
        server_->port(), [&caller](std::string_view heard) { caller.heard += heard; },
        [&caller] { caller.over = true; });
    Send(caller, bytes);
    return caller;
  }
  void Send(Caller& caller, std::string_view bytes) {
    for (; !bytes.empty(); bytes.remove_prefix(std::min(kPiece, bytes.size()))) {
      caller.peer->Send(std::string(bytes.substr(0, kPiece)));
      machine_.RunFor(milliseconds(5));
      most_ = std::max(most_, memory_.used_bytes());
    }
  }
  // All of a command but its end.
  static std::string Unfinished(size_t arguments, size_t argument_bytes) {
    std::string text = "*" + std::to_string(arguments + 1) + "\r\n";
    for (size_t i = 0; i < arguments; ++i)
      text +=
          "$" + std::to_string(argument_bytes) + "\r\n" + std::string(argument_bytes, 'x') + "\r\n";
    return text;
  }
  size_t Refused() const {
    return static_cast<size_t>(std::ranges::count_if(callers_, [](const Caller& caller) {
      return caller.over && caller.heard.starts_with("-TRYAGAIN the memory budget is used up") &&
             caller.heard.ends_with("connect anew, and send it again\r\n");
    }));
  }

  env::simulated::SimulatedEnvironment machine_{1};
  base::MemoryBudget memory_{kLimit};
  std::unique_ptr<env::simulated::SimulatedNetwork> network_ =
      std::make_unique<env::simulated::SimulatedNetwork>(machine_);
  std::deque<Caller> callers_;
  uint64_t most_ = 0;  // that was in use
  std::unique_ptr<RespServer> server_ =
      *RespServer::Start(*network_, machine_.clock(), memory_, first_, "", 0, RespServerOptions{});
};

TEST_F(RespMemoryTest, UnfinishedCommandsAreHeldToTheBudget) {
  constexpr size_t kCallers = 20;
  const std::string command = Unfinished(3, 1U << 20);
  for (size_t i = 0; i < kCallers; ++i) Call(command);
  machine_.RunFor(milliseconds(100));
  EXPECT_LE(most_, kLimit);
  EXPECT_GE(Refused(), kCallers / 2);
  EXPECT_LT(Refused(), kCallers) << "what there is room for is kept";
  EXPECT_EQ(server_->counters().refused, Refused());
  // Who asks little is answered all the while.
  const Caller& small = Call("echo a\r\n");
  machine_.RunFor(milliseconds(10));
  EXPECT_EQ(small.heard, "$1\r\na\r\n");
}

// A command of 50 KB may be 8,000 arguments, and the place of each is kept.
TEST_F(RespMemoryTest, SoAreTheirArguments) {
  constexpr size_t kCallers = 200;
  const std::string command = Unfinished(8000, 0);
  for (size_t i = 0; i < kCallers; ++i) Call(command);
  machine_.RunFor(milliseconds(100));
  EXPECT_LE(most_, kLimit);
  EXPECT_GE(Refused(), kCallers / 4);
}

TEST_F(RespMemoryTest, NothingOfALargeCommandStays) {
  Call("echo a\r\n");
  machine_.RunFor(milliseconds(100));
  const uint64_t idle = memory_.used_bytes();
  Send(callers_.back(), Unfinished(8000, 0));
  EXPECT_GT(memory_.used_bytes(), idle + (100U << 10));
  Send(callers_.back(), "$1\r\na\r\necho b\r\n");
  machine_.RunFor(milliseconds(100));
  EXPECT_EQ(callers_.back().heard, "$1\r\na\r\n-ERR unknown  command\r\n$1\r\nb\r\n");
  EXPECT_EQ(memory_.used_bytes(), idle);
}

TEST_F(RespMemoryTest, ThatMemoryIsShortIsToldBehindThoseThatOverlap) {
  base::MemoryCharge rows = *memory_.TryCharge(base::MemoryAccount::kIngest, 13U << 20);
  Caller& caller = Call("over a\r\n" + Unfinished(3, 1U << 20));
  machine_.RunFor(milliseconds(100));
  EXPECT_EQ(caller.heard, "");
  EXPECT_LE(memory_.used_bytes(base::MemoryAccount::kIngest), rows.bytes()) << "dropped at once";
  AnswerBackwards(1);
  machine_.RunFor(milliseconds(100));
  EXPECT_TRUE(caller.heard.starts_with("$1\r\na\r\n-TRYAGAIN the memory budget is used up"))
      << caller.heard;
}

// Rows that fill their part of the budget take nothing from those who read.
TEST_F(RespMemoryTest, CommandsOfAFewKilobytesAreReadWhenRowsHaveFilledTheBudget) {
  const auto rows = memory_.TryCharge(base::MemoryAccount::kIngest, kLimit - (2U << 20));
  ASSERT_TRUE(rows.has_value());
  ASSERT_FALSE(memory_.TryCharge(base::MemoryAccount::kIngest, 1U << 10).has_value());
  Caller& caller = Call(Unfinished(2, 10'000));
  Send(caller, "$1\r\na\r\n");
  machine_.RunFor(milliseconds(100));
  EXPECT_EQ(caller.heard, "-ERR unknown  command\r\n");
}

TEST_F(RespServerTest, DrainAnswersThoseThatOverlap) {
  Start();
  auto stream = Connect();
  Send(*stream, "over a\r\nover b\r\n");
  WaitForLater(2);
  std::thread drain([this] { server_->Drain(milliseconds(5000)); });
  std::this_thread::sleep_for(milliseconds(50));
  AnswerBackwards(2);
  EXPECT_EQ(Read(*stream, 1000), "$1\r\na\r\n$1\r\nb\r\n");
  stream.reset();
  drain.join();
}

TEST_F(RespServerTest, AnAnswerThatNobodyGivesIsAnError) {
  Start();
  constexpr std::string_view kExpected =
      "-ERR the command was dropped without an answer\r\n$1\r\na\r\n";
  ExpectEqual(Exchange("dropped\r\necho a\r\n", kExpected), kExpected);
}

TEST_F(RespServerTest, AnAnswerForAConnectionThatHasGone) {
  Start();
  {
    const auto stream = Connect();
    Send(*stream, "later b\r\n");
    WaitForLater();
  }
  AnswerLater();
  EXPECT_EQ(Exchange("echo a\r\n", "$1\r\na\r\n"), "$1\r\na\r\n");
}

TEST_F(RespServerTest, EachConnectionKeepsItsVersion) {
  Start();
  constexpr std::string_view kExpected = "%0\r\n%0\r\n*0\r\n";
  ExpectEqual(Exchange("proto 3\r\nproto 3\r\nproto 2\r\n", kExpected), kExpected);
  EXPECT_EQ(Exchange("proto 2\r\n", "*0\r\n"), "*0\r\n");
}

TEST_F(RespServerTest, AProtocolErrorEndsTheConnectionBehindItsAnswer) {
  Start();
  EXPECT_EQ(Exchange("echo a\r\n*1\r\n?\r\necho b\r\n", std::string(1000, ' ')),
            "$1\r\na\r\n-ERR Protocol error: expected '$', got '?'\r\n");
  EXPECT_EQ(server_->counters().refused, 1U);
  EXPECT_EQ(Exchange("bye\r\necho b\r\n", std::string(1000, ' ')), "+OK\r\n");
}

TEST_F(RespServerTest, TheEndOfInputIsAnsweredFirst) {
  Start();
  const auto stream = Connect();
  Send(*stream, "later a\r\necho b\r\n");
  AnswerLater();
  EXPECT_EQ(Read(*stream, 14), "$1\r\na\r\n$1\r\nb\r\n");
}

TEST_F(RespServerTest, APipelineOfManyMegabytesIsNotGathered) {
  RespServerOptions options;
  options.connection.unsent_bytes_max = 256U << 10;
  Start(options);
  const auto stream = Connect();
  constexpr size_t kAnswers = 400;
  constexpr size_t kBytes = 100'000;
  std::string commands;
  for (size_t i = 0; i < kAnswers; ++i) commands += "big " + std::to_string(kBytes) + "\r\n";
  Send(*stream, commands);
  std::this_thread::sleep_for(milliseconds(100));
  EXPECT_LT(server_->counters().commands, kAnswers) << "the rest waits for the reader";
  const size_t expected = kAnswers * (kBytes + std::string_view("$100000\r\n\r\n").size());
  EXPECT_EQ(Read(*stream, expected).size(), expected);
  EXPECT_EQ(server_->counters().commands, kAnswers);
}

TEST_F(RespServerTest, OtherHandlersTakeOver) {
  Start();
  const auto stream = Connect();
  Send(*stream, "echo a\r\n");
  EXPECT_EQ(Read(*stream, 7), "$1\r\na\r\n");
  server_->UseHandlers(second_);
  Send(*stream, "echo a\r\n");
  EXPECT_EQ(Read(*stream, 14), "$8\r\nsecond a\r\n");
}

TEST_F(RespServerTest, WhoShowedATokenToTheHandlersBeforeConnectsAnew) {
  RespServerOptions options;
  options.authentication = Authentication::kFirst;
  Start(options);
  const auto stream = Connect();
  Send(*stream, "echo a\r\n");
  EXPECT_EQ(Read(*stream, 7), "$1\r\na\r\n");
  server_->UseHandlers(second_);
  Send(*stream, "echo a\r\n");
  EXPECT_EQ(Read(*stream, 1000), "-LOADING the start is over: connect anew\r\n");
  EXPECT_EQ(Exchange("echo a\r\n", "$8\r\nsecond a\r\n"), "$8\r\nsecond a\r\n");
}

TEST_F(RespServerTest, OneConnectionTooMany) {
  RespServerOptions options;
  options.connection.connections_max = 1;
  Start(options);
  const auto stream = Connect();
  Send(*stream, "echo a\r\n");
  EXPECT_EQ(Read(*stream, 7), "$1\r\na\r\n");
  const auto refused = Connect();
  EXPECT_TRUE(Read(*refused, 1000).starts_with("-ERR max number of clients reached"));
}

TEST_F(RespServerTest, DrainAnswersWhatIsUnderWay) {
  Start();
  auto stream = Connect();
  Send(*stream, "later a\r\n");
  WaitForLater();
  std::thread drain([this] { server_->Drain(milliseconds(5000)); });
  std::this_thread::sleep_for(milliseconds(50));
  AnswerLater();
  EXPECT_EQ(Read(*stream, 1000), "$1\r\na\r\n");
  stream.reset();
  drain.join();
}

TEST(RespWriterTest, FormsOfBothVersions) {
  const auto written = [](RespVersion version) {
    std::string out;
    RespWriter writer(version, out);
    writer.Null();
    writer.Double(1.5);
    writer.Double(-HUGE_VAL);
    writer.Double(std::nan(""));
    writer.Boolean(true);
    writer.Integer(INT64_MIN);
    writer.Array(2);
    writer.Map(2);
    return out;
  };
  EXPECT_EQ(written(RespVersion::k2),
            "$-1\r\n$3\r\n1.5\r\n$4\r\n-inf\r\n$3\r\nnan\r\n:1\r\n:-9223372036854775808\r\n*2\r\n"
            "*4\r\n");
  EXPECT_EQ(written(RespVersion::k3),
            "_\r\n,1.5\r\n,-inf\r\n,nan\r\n#t\r\n:-9223372036854775808\r\n*2\r\n%2\r\n");
}

}  // namespace
}  // namespace headrace::protocols
