#include "serving/resp/commands.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "env/simulated/environment.h"
#include "serving/testing/served_trips.h"

namespace headrace::serving {
namespace {

using protocols::RespReply;
using protocols::RespVersion;
using protocols::RespWriter;
using testing::ServedTrips;

// A connection without sockets.
class Connection {
 public:
  explicit Connection(ServedTrips& trips, const access::AccessList* access = nullptr)
      : handlers_(RespCommandHandlers({trips.service.get(),
                                       [] {
                                         ServerFigures info;
                                         info.version = "1.2.3";
                                         info.epoch = 7;
                                         return info;
                                       },
                                       access})),
        handler_(handlers_(42)) {}

  // The answer to a command of words with blanks between, line ends as blanks.
  std::string operator()(std::string_view command) { return Run(WordsOf(command)); }
  // One behind the other, after the handler was told of them and of an empty one before them.
  std::vector<std::string> Pipeline(std::span<const std::string_view> commands) {
    std::vector<std::vector<std::string_view>> words(1);
    for (const std::string_view command : commands) words.push_back(WordsOf(command));
    handler_->Expect(std::vector<std::span<const std::string_view>>(words.begin(), words.end()));
    std::vector<std::string> answers;
    for (size_t i = 1; i < words.size(); ++i) answers.push_back(Run(words[i]));
    return answers;
  }
  bool closed = false;
  size_t kept_max = 100;
  std::vector<std::vector<std::string>> kept;

 private:
  static std::vector<std::string_view> WordsOf(std::string_view command) {
    std::vector<std::string_view> words;
    for (size_t begin = 0; begin <= command.size();) {
      const size_t end = std::min(command.find(' ', begin), command.size());
      words.push_back(command.substr(begin, end - begin));
      begin = end + 1;
    }
    return words;
  }
  std::string Run(std::span<const std::string_view> words) {
    std::string out;
    RespWriter writer(version_, out);
    Call call(*this, words, writer);
    handler_->Run(call);
    version_ = writer.version();
    if (later_) {
      (*later_)(writer);
      later_.reset();
    }
    std::string shown;
    for (const char c : out)
      if (c != '\r') shown += c == '\n' ? ' ' : c;
    if (shown.ends_with(' ')) shown.pop_back();
    if (std::exchange(run_kept_, false))
      for (const auto& command : std::exchange(kept, {}))
        shown += " " + Run(std::vector<std::string_view>(command.begin(), command.end()));
    return shown;
  }
  class Call final : public protocols::RespCall {
   public:
    Call(Connection& connection, std::span<const std::string_view> arguments, RespWriter& out)
        : RespCall(arguments, out), connection_(connection) {}
    RespReply Later() override {
      return RespReply([&connection = connection_](RespReply::Write write) {
        connection.later_.emplace(std::move(write));
      });
    }
    void CloseAfter() override { connection_.closed = true; }
    base::Result<void> Keep() override {
      if (connection_.kept.size() == connection_.kept_max)
        return base::Fail(base::ErrorCode::kInvalidInput, "too many");
      auto& words = connection_.kept.emplace_back();
      for (const std::string_view word : arguments()) words.emplace_back(word);
      return {};
    }
    size_t kept() const override { return connection_.kept.size(); }
    void DropKept() override { connection_.kept.clear(); }
    void RunKept() override { connection_.run_kept_ = true; }

   private:
    Connection& connection_;
  };

  protocols::RespHandlers handlers_;
  std::unique_ptr<protocols::RespHandler> handler_;
  RespVersion version_ = RespVersion::k2;
  std::optional<RespReply::Write> later_;
  bool run_kept_ = false;
};

class Resp : public ::testing::Test {
 protected:
  Resp() {
    trips.Apply({{0, "ORD", "SFO", 7, 10}, {30, "ORD", "ATL", 7, 20}});
    trips.Apply({{60, "ATL", "S:F", 8, 5}});
  }
  ServedTrips trips;
  Connection ask{trips};
};

struct Exchange {
  std::string_view command;
  std::string_view answer;
};

TEST_F(Resp, APipelineAnswersEachCommandForItsOwnKey) {
  const auto commands = std::to_array<std::string_view>(
      {"hget origin:ORD trips_24h", "hget origin:ATL", "hexists origin:JFK trips_24h",
       "hget origin:ATL trips_24h", "hget nowhere:x y", "hmget route:ORD:SFO trips_24h",
       "hgetall origin:JFK", "type origin:ORD"});
  ask(commands[0]);  // the first command looks a definition up
  const std::vector<std::string> answers = ask.Pipeline(commands);
  for (size_t i = 0; i < commands.size(); ++i)
    EXPECT_EQ(answers[i], Connection(trips)(commands[i])) << commands[i];
}

TEST_F(Resp, ReadsViewsAsHashes) {
  constexpr auto kCases = std::to_array<Exchange>({
      {"HMGET origin:ORD trips_24h mean_delay_24h", "*2 $1 2 $2 15"},
      {"hmget origin:ORD trips_1h trips_24h trips_1h", "*3 $1 1 $1 2 $1 1"},
      {"hmget origin:ORD _epoch _lag _as_of _event_time _status",
       "*5 $1 2 $1 0 $20 2001-01-01T01:00:00Z $20 2001-01-01T00:30:00Z $7 PRESENT"},
      {"hget origin:ORD mean_delay_24h", "$2 15"},
      {"hget origin:JFK trips_1h", "$-1"},
      {"hmget origin:JFK trips_1h _status _status:trips_1h _event_time",
       "*4 $-1 $9 NOT_FOUND $9 NOT_FOUND $-1"},
      {"hgetall origin:ATL",
       "*14 $8 trips_1h $1 1 $9 trips_24h $1 1 $13 mean_delay_1h $1 5 $14 mean_delay_24h $1 5 "
       "$6 _epoch $1 2 $4 _lag $1 0 $7 _status $7 PRESENT"},
      {"hgetall origin:JFK", "*0"},
      {"hexists origin:ORD trips_1h", ":1"},
      {"hexists origin:JFK trips_1h", ":0"},
      {"exists origin:ORD origin:JFK origin:ATL", ":2"},
      {"type origin:ORD", "+hash"},
      {"type origin:JFK", "+none"},
      {"hget route:ORD:SFO trips_24h", "$1 1"},
      {"hget route:ATL:S%3AF trips_24h", "$1 1"},
      {"hget route:ATL:S%3aF trips_24h", "$1 1"},
      {"hget driver:7 late_1h", "$1 1"},
      {"get origin.trips_24h:ORD", "$1 2"},
      {"mget origin.trips_24h:ORD route.trips_24h:ORD:SFO origin.trips_1h:JFK", "*3 $1 2 $1 1 $-1"},
  });
  for (const Exchange& c : kCases) EXPECT_EQ(ask(c.command), c.answer) << c.command;
}

TEST_F(Resp, NamesThatAreNone) {
  constexpr auto kCases = std::to_array<Exchange>({
      {"hmget origin trips_1h", "-ERR `origin` names no key: keys are view:key"},
      {"hmget orign:ORD trips_1h", "-ERR no view `orign`: did you mean: origin?"},
      {"hmget origin:ORD trip_1h",
       "-ERR view `origin` has no feature `trip_1h`: did you mean: trips_1h?"},
      {"hmget origin:ORD trips_1h _statu", "-ERR view `origin` has no feature `_statu`"},
      {"hmget origin:ORD _status:x", "-ERR view `origin` has no feature `x`"},
      {"hget driver:x late_1h", "-ERR `x` is no int64"},
      {"hget route:ORD trips_24h",
       "-ERR the key of view `route` is origin,destination, so 2 parts with colons between (%3A is "
       "a colon inside a part), not 1"},
      {"get origin:ORD",
       "-ERR `origin` names no feature: these keys are view.feature:key; HMGET and HGETALL take "
       "view:key"},
      {"mget origin.trips_1h:ORD origin.x:ORD", "-ERR view `origin` has no feature `x`"},
      {"hmget origin:ORD",
       "-ERR wrong number of arguments for 'hmget' command: it is hmget view:key field [field "
       "...]"},
      {"hget origin:ORD a b",
       "-ERR wrong number of arguments for 'hget' command: it is hget view:key field"},
      {"HSET origin:ORD a 1",
       "-READONLY features are computed from events: FEATURES.PUSH takes them in"},
      {"zrange a 0 1", "-ERR unknown command 'zrange': COMMAND lists those that there are"},
  });
  for (const Exchange& c : kCases) EXPECT_EQ(ask(c.command).substr(0, c.answer.size()), c.answer);
}

TEST_F(Resp, ValuesThatAreTooOldAreNull) {
  trips.Apply({{200, "ATL", "SFO", 9, 5}});  // driver 7 was last seen at minute 30, ttl 2 h
  EXPECT_EQ(ask("hmget driver:7 late_1h _status"), "*2 $-1 $15 OUTSIDE_MAX_AGE");
  EXPECT_EQ(ask("hmget driver:7 _status"), "*1 $15 OUTSIDE_MAX_AGE");
  EXPECT_EQ(ask("hexists driver:7 late_1h"), ":0");
  EXPECT_EQ(ask("hmget origin:ORD trips_1h mean_delay_1h _status"), "*3 $1 0 $-1 $10 NULL_VALUE");
  EXPECT_EQ(ask("hmget origin:ORD trips_1h _status"), "*2 $1 0 $7 PRESENT");
}

TEST_F(Resp, ServicesOfOneEpoch) {
  EXPECT_EQ(ask("features.get trip KEY origin ORD destination SFO").substr(0, 61),
            "*10 $5 epoch :2 $5 as_of $20 2001-01-01T01:00:00Z $3 lag $1 0");
  EXPECT_EQ(ask("hello 3").substr(0, 2), "%7");
  EXPECT_EQ(ask("features.get fresh key origin ORD"),
            "%5 $5 epoch :2 $5 as_of $20 2001-01-01T01:00:00Z $3 lag ,0 $8 features %1 $8 trips_1h "
            ":1 $8 statuses %1 $8 trips_1h $7 PRESENT");
  constexpr auto kCases = std::to_array<Exchange>({
      {"features.get nope KEY origin ORD", "-ERR no service `nope`"},
      {"features.get fresh KEY destination ORD", "-ERR missing join key `origin`"},
      {"features.get fresh KEY origin", "-ERR wrong number of arguments"},
      {"features.get fresh KEY origin ORD x", "-ERR KEY is followed by names and values"},
      {"features.get fresh KEY origin ORD origin ATL", "-ERR `origin` is given twice"},
      {"features.get fresh origin ORD", "-ERR wrong number of arguments"},
      {"features.get fresh ORIGIN ORD KEY", "-ERR `ORIGIN` is no option"},
      {"features.get fresh MIN_EPOCH x KEY origin ORD", "-ERR MIN_EPOCH wants a whole number"},
      {"features.get fresh DEADLINE -1 KEY origin ORD", "-ERR DEADLINE wants milliseconds"},
      {"features.get fresh MIN_EPOCH 2 DEADLINE 5 KEY origin ORD", "%5"},
      {"features.get fresh AS_OF 2001-01-01T01:00:00Z KEY origin ORD", "%5"},
      {"features.get fresh AS_OF 2000-01-01T01:00:00Z KEY origin ORD", "-ERR"},
      {"features.list", "%2 $4 trip *6 $15 origin.trips_1h"},
  });
  for (const Exchange& c : kCases)
    EXPECT_EQ(ask(c.command).substr(0, c.answer.size()), c.answer) << c.command;
}

TEST_F(Resp, AServiceThatNeedsNoKeyHasOneRow) {
  trips.CutOver(testing::TripsWithFresh("{features: [fixed]}"), {{61, "ORD", "ATL", 7, 20}});
  EXPECT_EQ(ask("features.get fresh key x 1").substr(0, 5), "*10 $");
  EXPECT_NE(ask("features.get fresh key x 1").find("features *2 $5 fixed $1 8"), std::string::npos);
}

TEST_F(Resp, AnAnswerHasABound) {
  for (int i = 0; i < 100; ++i) trips.Apply({{61 + i, "JFK", "SFO", 7, 10}});
  const auto repeated = [](std::string command, std::string_view word, size_t times) {
    for (size_t i = 0; i < times; ++i) command.append(" ").append(word);
    return command;
  };
  EXPECT_EQ(ask(repeated("hmget seen:JFK", "drivers_24h", 2'000)).substr(0, 5), "*2000");
  EXPECT_EQ(ask(repeated("mget", "seen.drivers_24h:JFK", 2'000)).substr(0, 5), "*2000");
  for (const std::string& command : {repeated("hmget seen:JFK", "drivers_24h", 8'000),
                                     repeated("mget", "seen.drivers_24h:JFK", 8'000)})
    EXPECT_EQ(ask(command).substr(0, 100),
              "-ERR more than 262144 values are asked for at once: ask for fewer of them");
}

// However long the lists of their views may be.
TEST_F(Resp, KeysAreChargedForWhatTheyHave) {
  const auto charge =
      trips.budget.TryCharge(base::MemoryAccount::kReplies, (1U << 30) - (3U << 20));
  ASSERT_TRUE(charge);
  // One that keeps no record of its answers.
  auto service = AnswerService::Make({.views = trips.views.get(),
                                      .log = {},
                                      .log_clock = trips.log_clock,
                                      .waiting = &trips.executor,
                                      .clock = &trips.clock,
                                      .budget = &trips.budget,
                                      .on_answer = {}});
  ASSERT_TRUE(service);
  trips.service = std::move(*service);
  Connection connection(trips);
  const auto of_keys = [](std::string command, std::string_view key, size_t times) {
    for (size_t i = 0; i < times; ++i) command.append(" ").append(key);
    return command;
  };
  EXPECT_EQ(connection(of_keys("exists", "seen:JFK", 2'500)), ":0");
  EXPECT_EQ(connection(of_keys("mget", "seen.drivers_24h:JFK", 2'500)).substr(0, 5), "*2500");
  for (int i = 0; i < 100; ++i) trips.Apply({{61 + i, "JFK", "SFO", 7, 10}});
  EXPECT_EQ(connection(of_keys("exists", "seen:JFK", 2'500)), ":2500");
  EXPECT_EQ(connection(of_keys("mget", "seen.drivers_24h:JFK", 100)).substr(0, 4), "*100");
  const std::string refused = connection(of_keys("mget", "seen.drivers_24h:JFK", 2'500));
  EXPECT_EQ(refused.substr(0, 9), "-TRYAGAIN") << refused.substr(0, 100);
}

TEST_F(Resp, WaitsForAnEpoch) {
  // The handler keeps the promise; the executor of those who wait is driven by hand.
  EXPECT_EQ(ask("features.get fresh MIN_EPOCH 3 DEADLINE 1000 KEY origin ORD"), "");
}

TEST_F(Resp, AboutTheConnection) {
  constexpr auto kCases = std::to_array<Exchange>({
      {"PING", "+PONG"},
      {"ping hello", "$5 hello"},
      {"echo a", "$1 a"},
      {"features.push payments", "-ERR wrong number of arguments for 'features.push' command"},
      {"features.push payments {}", "-ERR events are not taken in here"},
      {"features.pushget trip payments {}", "-ERR events are not taken in here"},
      {"select 0", "+OK"},
      {"select 1", "-ERR DB index is out of range"},
      {"auth secret", "-NOPERM"},
      {"hello 3 AUTH user secret", "-NOPERM"},
      {"hello 4", "-NOPROTO"},
      {"hello 2 SETNAME", "-ERR syntax error in HELLO"},
      {"client id", ":42"},
      {"client getname", "$-1"},
      {"client setname me", "+OK"},
      {"client getname", "$2 me"},
      {"client setinfo lib-name redis-py", "+OK"},
      {"client no-evict on", "+OK"},
      {"client info",
       "$184 id=42 name=me age=0 idle=0 flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 qbuf=0 "
       "qbuf-free=0 argv-mem=0 multi-mem=0 obl=0 oll=0 omem=0 tot-mem=0 events=r "
       "cmd=client|info user=default resp=2"},
      {"client kill 1", "-ERR unknown subcommand"},
      {"config get save appendonly", "*4 $4 save $0  $10 appendonly $3 yes"},
      {"config set save x", "-ERR nothing can be set here"},
      {"command count", ":29"},
      {"command info hget nothing",
       "*2 *10 $4 hget :3 *2 +readonly +fast :1 :1 :1 *0 *0 *0 *0 $-1"},
      {"command docs hget nothing", "*2 $4 hget *6 $7 summary"},
      {"command getkeys", "-ERR unknown subcommand"},
      {"hello 3 setname you", "%7 $6 server $8 headrace $7 version $5 1.2.3 $5 proto :3 $2 id :42"},
      {"client getname", "$3 you"},
      {"reset", "+RESET"},
      {"client getname", "$-1"},
      {"quit", "+OK"},
  });
  for (const Exchange& c : kCases)
    EXPECT_EQ(ask(c.command).substr(0, c.answer.size()), c.answer) << c.command;
  EXPECT_TRUE(ask.closed);
  EXPECT_NE(ask("info").find("epoch:7"), std::string::npos);
}

TEST_F(Resp, KeepsCommandsUntilExec) {
  constexpr auto kCases = std::to_array<Exchange>({
      {"exec", "-ERR EXEC without MULTI"},
      {"discard", "-ERR DISCARD without MULTI"},
      {"multi", "+OK"},
      {"exec", "*0"},
      {"multi", "+OK"},
      {"multi", "-ERR MULTI calls can not be nested"},
      {"hget origin:ORD trips_24h", "+QUEUED"},
      {"hget origin:ORD no_such", "+QUEUED"},
      {"features.get trip", "-ERR wrong number of arguments"},
      {"ping", "+QUEUED"},
      {"exec", "-EXECABORT Transaction discarded because of previous errors."},
      {"ping", "+PONG"},
      {"multi", "+OK"},
      {"ping", "+QUEUED"},
      {"no_such_command", "-ERR unknown command"},
      {"discard", "+OK"},
      {"multi", "+OK"},
      {"hget origin:ORD trips_24h", "+QUEUED"},
      {"features.push payments {}", "+QUEUED"},
      {"hget origin:ATL trips_24h", "+QUEUED"},
      {"exec", "*3 $1 2 -ERR events are not taken in here $1 1"},
      {"exec", "-ERR EXEC without MULTI"},
      {"multi", "+OK"},
      {"ping", "+QUEUED"},
      {"reset", "+RESET"},
      {"exec", "-ERR EXEC without MULTI"},
  });
  for (const Exchange& c : kCases)
    EXPECT_EQ(ask(c.command).substr(0, c.answer.size()), c.answer) << c.command;
  ask.kept_max = 1;
  EXPECT_EQ(ask("multi"), "+OK");
  EXPECT_EQ(ask("ping"), "+QUEUED");
  EXPECT_EQ(ask("ping").substr(0, 13), "-ERR too many");
  EXPECT_TRUE(ask.kept.empty());
  EXPECT_EQ(ask("ping"), "+QUEUED");
  EXPECT_EQ(ask("exec").substr(0, 10), "-EXECABORT");
}

TEST_F(Resp, AnExecThatIsRefusedEndsItsMulti) {
  env::simulated::SimulatedEnvironment machine(3);
  const auto write = [&](const std::string& text) {
    auto file = machine.files().OpenForWriting("tokens", env::Files::Open::kCreateNew);
    ASSERT_TRUE(file &&
                (*file)->WriteAt(0, {reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
  };
  write(access::AccessLine("one", *access::Scope::Parse("read"), "a-token") +
        access::AccessLine("two", *access::Scope::Parse("read"), "another"));
  const auto access = access::AccessList::Open(machine.files(), "tokens");
  ASSERT_TRUE(access);
  Connection asks(trips, access->get());
  EXPECT_EQ(asks("auth a-token"), "+OK");
  EXPECT_EQ(asks("multi"), "+OK");
  EXPECT_EQ(asks("hget origin:ORD trips_24h"), "+QUEUED");
  ASSERT_TRUE(machine.files().Remove("tokens"));
  write(access::AccessLine("two", *access::Scope::Parse("read"), "another"));
  ASSERT_TRUE(*(*access)->Reload());
  EXPECT_EQ(asks("exec").substr(0, 7), "-NOAUTH");
  EXPECT_TRUE(asks.kept.empty());
  EXPECT_EQ(asks("auth another"), "+OK") << "it is not kept";
  EXPECT_EQ(asks("hget origin:ORD trips_24h"), "$1 2");
}

TEST_F(Resp, AnswersAreLoggedAsThoseOverHttp) {
  trips.answered.clear();
  ask("mget origin.trips_24h:ORD route.trips_24h:ORD:SFO");
  ASSERT_EQ(trips.answered.size(), 2U);
  const FeatureAnswer route = trips.answered[1];
  EXPECT_EQ(route.epoch.value, 2U);
  EXPECT_EQ(route.columns->size(), 1U);
  ASSERT_EQ(route.inputs.size(), 2U);
  EXPECT_EQ(route.inputs[0].name, "origin");
  EXPECT_EQ(route.inputs[1].values[0].as_text(), "SFO");
  FeatureQuery again;
  again.features = {"route.*"};
  again.inputs = route.inputs;
  const auto over_http = trips.service->Answer(again);
  ASSERT_TRUE(over_http.has_value());
  EXPECT_TRUE(over_http->values[0].SameBits(route.values[0]));
  EXPECT_EQ(over_http->statuses, route.statuses);
  EXPECT_EQ(over_http->event_times, route.event_times);
}

TEST(RespStarting, SaysHowFarItIs) {
  const protocols::RespHandlers handlers = RespStartingHandlers(
      {.info = [] { return ServerFigures(); }}, [] { return std::string("reading the log"); });
  const auto handler = handlers(1);
  class Call final : public protocols::RespCall {
   public:
    using RespCall::RespCall;
    RespReply Later() override {
      return RespReply([](const RespReply::Write&) {});
    }
    void CloseAfter() override {}
    base::Result<void> Keep() override { return {}; }
    size_t kept() const override { return 0; }
    void DropKept() override {}
    void RunKept() override {}
  };
  const auto ask = [&](std::vector<std::string_view> words) {
    std::string out;
    RespWriter writer(RespVersion::k2, out);
    Call call(words, writer);
    handler->Run(call);
    return out;
  };
  EXPECT_EQ(ask({"ping"}), "-LOADING reading the log\r\n");
  EXPECT_EQ(ask({"hmget", "a:b", "c"}), "-LOADING reading the log\r\n");
  EXPECT_EQ(ask({"client", "id"}), ":1\r\n");
  EXPECT_EQ(ask({"nothing"}).substr(0, 4), "-ERR");
}

// This file is src/serving/resp/commands_test.cc of the checkout.
TEST(RespReferenceTest, PageIsUpToDate) {
  const std::filesystem::path path =
      std::filesystem::path(__FILE__).parent_path() / "../../../docs/reference/resp.md";
  if (std::getenv("HEADRACE_REWRITE") != nullptr) std::ofstream(path) << RespReference();
  std::ifstream file(path);
  std::stringstream page;
  page << file.rdbuf();
  EXPECT_TRUE(page.str() == RespReference())
      << "docs/reference/resp.md is out of date: run the tests once with HEADRACE_REWRITE=1";
}

}  // namespace
}  // namespace headrace::serving
