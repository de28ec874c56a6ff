#include "protocols/tls_serving.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "env/simulated/environment.h"
#include "env/simulated/network.h"
#include "protocols/tls_fixture.h"

namespace headrace::protocols {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Step = TlsChannel::Step;

constexpr uint16_t kPort = 443;

// Sends back what it gets; "bye" ends the connection.
class Echo final : public env::Session {
 public:
  Echo(env::Connection& connection, std::map<std::string, int>& seen)
      : connection_(connection), seen_(seen) {
    ++seen_["begun"];
  }
  void OnBytes(std::span<const uint8_t> bytes) override {
    const std::string text(bytes.begin(), bytes.end());
    connection_.Write(text);
    if (text.ends_with("bye")) connection_.CloseAfterWrites();
  }
  void OnEndOfInput() override {
    ++seen_["ended"];
    connection_.CloseAfterWrites();
  }
  void OnTick(env::MonotonicTime /*now*/) override {}
  void OnDrain() override { connection_.CloseAfterWrites(); }
  void OnClosed() override { ++seen_["closed"]; }

 private:
  env::Connection& connection_;
  std::map<std::string, int>& seen_;
};

// A server on a simulated network, which cuts what passes into pieces, from a seed.
class World {
 public:
  explicit World(uint64_t seed) : machine_(seed), network_(machine_) {
    Write("cert.pem", own_.certificate());
    Write("key.pem", own_.key());
    machine_.StepWall(base::Timestamp{int64_t{time(nullptr)} * 1'000'000} -
                      machine_.clock().Wall());
    identity_ = std::move(
        *TlsIdentity::Open(machine_.files(), machine_.clock(),
                           {.certificate = "cert.pem", .key = "key.pem", .client_ca = ""}));
    handshakes_ = machine_.NewExecutor("tls", env::Priority::kBackground);
    serving_ = std::make_unique<TlsServing>(*identity_, machine_.clock(), budget_, *handshakes_);
    auto echo = [this](env::Connection& c) { return std::make_unique<Echo>(c, seen_); };
    listener_ =
        *network_.Listen("", kPort, {}, OverTls(*serving_, {"echo", "", "speak TLS\n"}, echo));
  }
  void Write(const std::string& path, const std::string& text) {
    EXPECT_TRUE(env::PutAtomically(machine_.files(), path,
                                   {reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
  }
  void Pass(env::MonotonicTime time = milliseconds(200)) { machine_.RunFor(time); }

  const TestCertificate ca_{{.name = "test CA"}};
  const TestCertificate own_{{.issuer = &ca_}};
  base::MemoryBudget budget_{64U << 20};
  env::simulated::SimulatedEnvironment machine_;
  env::simulated::SimulatedNetwork network_;
  std::map<std::string, int> seen_;
  std::unique_ptr<TlsIdentity> identity_;
  std::unique_ptr<env::Executor> handshakes_;
  std::unique_ptr<TlsServing> serving_;
  std::unique_ptr<env::Listener> listener_;
};

// The far end.
class Client {
 public:
  explicit Client(World& world)
      : channel_(
            TlsChannel::Connect(*MakeClientTls({.peer_ca = world.ca_.certificate()}), "localhost")),
        peer_(world.network_.Dial(
            kPort, [this](std::string_view bytes) { Hear(bytes); }, [this] { ended = true; })) {}
  void Begin() { Hear(""); }
  void Send(const std::string& text) {
    ASSERT_EQ(channel_->Write({reinterpret_cast<const uint8_t*>(text.data()), text.size()}),
              Step::kDone);
    SendRaw(channel_->TakeOutput());
  }
  void SendRaw(const std::string& bytes) { peer_->Send(bytes); }
  // And nothing after it, whatever is answered.
  std::string ClientHello() {
    mute_ = true;
    (void)channel_->Handshake();
    return channel_->TakeOutput();
  }
  void End() {
    channel_->End();
    SendRaw(channel_->TakeOutput());
  }

  std::string first_words;  // sent in one flight with the end of the handshake
  bool open = false;
  bool ended = false;
  std::string plain;  // what came, before anything is decrypted
  std::string heard;

 private:
  void Hear(std::string_view bytes) {
    plain += bytes;
    if (mute_) return;
    channel_->Supply({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
    if (!open && channel_->Handshake() == Step::kDone) {
      open = true;
      if (!first_words.empty()) Send(std::exchange(first_words, {}));
    }
    std::vector<uint8_t> buffer(1 << 14);
    size_t count = 0;
    while (open && channel_->Read(buffer, count) == Step::kDone)
      heard.append(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(count));
    if (const std::string out = channel_->TakeOutput(); !out.empty() && peer_ != nullptr)
      peer_->Send(out);
  }

  bool mute_ = false;
  std::unique_ptr<TlsChannel> channel_;
  std::unique_ptr<env::simulated::Peer> peer_;
};

TEST(TlsServing, CarriesASession) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    World world(seed);
    Client client(world);
    client.Begin();
    world.Pass();
    ASSERT_TRUE(client.open) << "seed " << seed;
    std::string sent;
    for (const size_t size : {1, 40'000, 7}) {
      sent += std::string(size, 'x');
      client.Send(std::string(size, 'x'));
    }
    client.Send("bye");
    world.Pass();
    EXPECT_EQ(client.heard, sent + "bye") << "seed " << seed;
    world.Pass();
    EXPECT_TRUE(client.ended);
    EXPECT_EQ(world.seen_["closed"], 1);
    EXPECT_EQ(world.serving_->done.load(), 1U);
    EXPECT_EQ(world.serving_->under_way.size(), 0U);
    EXPECT_EQ(world.budget_.used_bytes(), 0U);
  }
}

TEST(TlsServing, TakesWhatComesWithTheEndOfTheHandshake) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    World world(seed);
    Client client(world);
    const std::string words(300'000, 'w');
    client.first_words = words;
    client.Begin();
    world.Pass();
    EXPECT_EQ(client.heard.size(), words.size()) << "seed " << seed;
    EXPECT_TRUE(client.heard == words);
  }
}

TEST(TlsServing, TellsTheSessionThatNoMoreComes) {
  World world(1);
  Client client(world);
  client.Begin();
  world.Pass();
  client.Send("last");
  client.End();
  world.Pass();
  EXPECT_EQ(client.heard, "last");
  EXPECT_EQ(world.seen_["ended"], 1);
}

TEST(TlsServing, AnswersPlainClientsPlainly) {
  World world(2);
  Client client(world);
  client.SendRaw("GET / HTTP/1.1\r\n\r\n");
  world.Pass();
  EXPECT_EQ(client.plain, "speak TLS\n");
  EXPECT_TRUE(client.ended);
  EXPECT_EQ(world.serving_->plain_clients.load(), 1U);
  EXPECT_EQ(world.seen_["begun"], 0);
}

TEST(TlsServing, GivesUpAHandshakeThatTakesTooLong) {
  World world(3);
  Client silent(world);
  Client half(world);
  half.SendRaw(half.ClientHello());
  Client first_bytes(world);
  first_bytes.SendRaw(std::string("\x16\x03\x01", 3));
  world.Pass(seconds(5));
  EXPECT_FALSE(silent.ended || half.ended || first_bytes.ended);
  EXPECT_EQ(world.serving_->under_way.size(), 1U);
  EXPECT_EQ(world.budget_.used_bytes(), world.serving_->limits.handshake_charge_bytes);
  world.Pass(seconds(8));
  EXPECT_TRUE(silent.ended && half.ended && first_bytes.ended);
  EXPECT_EQ(world.serving_->failed.load(), 3U);
  EXPECT_EQ(world.serving_->under_way.size(), 0U);
  EXPECT_EQ(world.budget_.used_bytes(), 0U);
}

TEST(TlsServing, OverTheLimitTheFirstHandshakeGoes) {
  World world(4);
  world.serving_->limits.handshakes_max = 2;
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<Client>(world));
    clients.back()->SendRaw(clients.back()->ClientHello());
    world.Pass();
  }
  EXPECT_TRUE(clients[0]->ended);
  EXPECT_FALSE(clients[1]->ended || clients[2]->ended);
  EXPECT_EQ(world.serving_->turned_away.load(), 1U);
  EXPECT_EQ(world.serving_->under_way.size(), 2U);
  EXPECT_EQ(world.budget_.used_bytes(), 2 * world.serving_->limits.handshake_charge_bytes);
  Client honest(world);
  honest.Begin();
  world.Pass();
  EXPECT_TRUE(honest.open) << "half handshakes shut nobody out";
  EXPECT_TRUE(clients[1]->ended);
  EXPECT_FALSE(clients[2]->ended);
  EXPECT_EQ(world.serving_->under_way.size(), 1U);
}

TEST(HandshakeSteps, TheNewestIsMadeFirst) {
  HandshakeSteps steps;
  std::string made;
  steps.Push([&] { made += 'a'; });
  steps.Push([&] { made += 'b'; });
  steps.MakeNewest();
  steps.Push([&] { made += 'c'; });
  steps.MakeNewest();
  steps.MakeNewest();
  EXPECT_EQ(made, "bca");
}

TEST(TlsServing, TurnsAwayWhatIsTooLong) {
  World world(5);
  Client announces(world);
  announces.SendRaw(std::string("\x16\x03\x01\x01\x00\x01\x01\x00\x00", 9));  // 64 KiB of hello
  world.Pass();
  EXPECT_TRUE(announces.ended);
  EXPECT_EQ(world.serving_->under_way.size(), 0U);
  Client sends(world);
  std::string hello = sends.ClientHello();
  hello.resize(hello.size() - 1);
  sends.SendRaw(hello);
  sends.SendRaw(std::string(100'000, '\0'));
  world.Pass();
  EXPECT_TRUE(sends.ended);
  EXPECT_EQ(world.serving_->under_way.size(), 0U);
}

TEST(TlsServing, TheBudgetBoundsHandshakes) {
  World world(6);
  auto rest = world.budget_.TryCharge(base::MemoryAccount::kConnections,
                                      world.budget_.limit_bytes() - (50U << 10));
  ASSERT_TRUE(rest);
  Client first(world);
  first.SendRaw(first.ClientHello());
  world.Pass();
  Client second(world);
  second.SendRaw(second.ClientHello());
  world.Pass();
  EXPECT_FALSE(first.ended);
  EXPECT_TRUE(second.ended);
}

// Any damage, anywhere: the session hears the bytes that were sent, or a part of them, or nothing.
TEST(TlsServing, SurvivesDamage) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    World world(seed);
    std::mt19937_64 random(seed);
    Client client(world);
    std::string bytes = client.ClientHello();
    if (random() % 4 == 0) {
      bytes.resize(9 + random() % 300);
      for (char& c : bytes) c = static_cast<char>(random());
      bytes[0] = 0x16;
    } else {
      for (uint64_t i = 0; i <= random() % 3; ++i)
        bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    client.SendRaw(bytes);
    world.Pass();
    if (!client.ended) client.SendRaw(std::string(1 + random() % 500, static_cast<char>(random())));
    world.Pass(seconds(13));
    EXPECT_TRUE(client.ended) << "seed " << seed;
    EXPECT_EQ(world.seen_["begun"], 0) << "seed " << seed;
    EXPECT_EQ(world.serving_->under_way.size(), 0U) << "seed " << seed;
    EXPECT_EQ(world.budget_.used_bytes(), 0U) << "seed " << seed;
  }
}

TEST(TlsServing, DamageBehindTheHandshakeEndsTheConnection) {
  World world(7);
  Client client(world);
  client.Begin();
  world.Pass();
  client.Send("good");
  client.SendRaw(std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x'));
  world.Pass();
  EXPECT_EQ(client.heard, "good");
  EXPECT_TRUE(client.ended);
  EXPECT_EQ(world.seen_["closed"], 1);
}

TEST(TlsIdentity, TakesANewPairAndKeepsTheOldOneWhenTheNewOneIsBroken) {
  World world(8);
  EXPECT_FALSE(*world.identity_->Reload()) << "nothing is new";
  const TestCertificate next{{.name = "next", .issuer = &world.ca_}};
  world.Write("cert.pem", next.certificate());
  const auto half = world.identity_->Reload();
  ASSERT_FALSE(half);
  EXPECT_NE(half.error().ToString().find("file=key.pem"), std::string::npos);
  EXPECT_NE(world.identity_->figures().problem, "");
  EXPECT_EQ(world.identity_->figures().certificate.subject, "CN=localhost");
  Client client(world);
  client.Begin();
  world.Pass();
  EXPECT_TRUE(client.open) << "with the pair before";

  world.Write("key.pem", next.key());
  EXPECT_TRUE(*world.identity_->Reload());
  EXPECT_EQ(world.identity_->figures().certificate.subject, "CN=next");
  EXPECT_EQ(world.identity_->figures().problem, "");
  EXPECT_EQ(world.identity_->figures().loaded, 2U);
  client.Send("still there");
  world.Pass();
  EXPECT_EQ(client.heard, "still there") << "an open connection goes on";
  Client late(world);
  late.Begin();
  world.Pass();
  EXPECT_FALSE(late.open) << "the new certificate is not for localhost";
}

TEST(TlsIdentity, TakesANewCaOfClients) {
  World world(11);
  world.Write("clients.pem", world.ca_.certificate());
  const auto identity =
      TlsIdentity::Open(world.machine_.files(), world.machine_.clock(),
                        {.certificate = "cert.pem", .key = "key.pem", .client_ca = "clients.pem"});
  ASSERT_TRUE(identity) << identity.error().ToString();
  EXPECT_FALSE(*(*identity)->Reload()) << "nothing is new";
  const TestCertificate other{{.name = "another CA"}};
  world.Write("clients.pem", other.certificate());
  EXPECT_TRUE(*(*identity)->Reload());
  EXPECT_EQ((*identity)->texts().peer_ca, other.certificate());
  EXPECT_EQ((*identity)->figures().loaded, 2U);
}

TEST(TlsIdentity, RefusesWhatNoClientWouldBelieve) {
  World world(9);
  const auto open = [&](const TestCertificate& pair) {
    world.Write("cert.pem", pair.certificate());
    world.Write("key.pem", pair.key());
    const auto identity =
        TlsIdentity::Open(world.machine_.files(), world.machine_.clock(),
                          {.certificate = "cert.pem", .key = "key.pem", .client_ca = ""});
    return identity ? std::string() : identity.error().ToString();
  };
  EXPECT_NE(open(TestCertificate{{.from_s = -7200, .until_s = -60}}).find("expired"),
            std::string::npos);
  EXPECT_NE(open(TestCertificate{{.from_s = 3600}}).find("not valid yet"), std::string::npos);
  EXPECT_EQ(open(TestCertificate{{}}), "");
  EXPECT_FALSE(
      TlsIdentity::Open(world.machine_.files(), world.machine_.clock(), {"no", "key.pem", ""}));
}

}  // namespace
}  // namespace headrace::protocols
