#include "protocols/tls_channel.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "protocols/tls_fixture.h"

namespace headrace::protocols {
namespace {

using base::ErrorCode;
using Step = TlsChannel::Step;

// Both sides of a connection, one step after the other.
class TlsChannelTest : public testing::Test {
 protected:
  void Make(const TlsTexts& server, const TlsTexts& client, const std::string& host) {
    server_ = TlsChannel::Accept(*MakeServerTls(server), "");
    client_ = TlsChannel::Connect(*MakeClientTls(client), host);
  }
  // True when both are through. What the client reads after that counts: in TLS 1.3 a server that
  // refuses its certificate says so then.
  bool Shake() {
    Step client = Step::kWants;
    Step server = Step::kWants;
    for (int turn = 0; turn < 10 && (client == Step::kWants || server == Step::kWants); ++turn) {
      if (client == Step::kWants) client = client_->Handshake();
      Carry(*client_, *server_, to_server_);
      if (server == Step::kWants) server = server_->Handshake();
      Carry(*server_, *client_, to_client_);
    }
    return client == Step::kDone && server == Step::kDone;
  }
  static void Carry(TlsChannel& from, TlsChannel& to, std::string& bytes) {
    bytes.assign(to.unread().begin(), to.unread().end());
    bytes += from.TakeOutput();
    to.Supply({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  }
  static std::string ReadAll(TlsChannel& channel, Step& last) {
    std::string text;
    std::vector<uint8_t> buffer(1 << 14);
    size_t count = 0;
    while ((last = channel.Read(buffer, count)) == Step::kDone)
      text.append(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(count));
    return text;
  }
  static std::span<const uint8_t> Bytes(const std::string& text) {
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
  }

  const TestCertificate ca_{{.name = "test CA"}};
  const TestCertificate own_{{.name = "localhost", .issuer = &ca_}};
  std::unique_ptr<TlsChannel> server_;
  std::unique_ptr<TlsChannel> client_;
  std::string to_server_;
  std::string to_client_;
};

TEST_F(TlsChannelTest, CarriesWhatIsWrittenWhateverItsLength) {
  for (const char* host : {"localhost", "127.0.0.1"}) {
    Make(own_.texts(), {.peer_ca = ca_.certificate()}, host);
    ASSERT_TRUE(Shake()) << client_->failure().ToString();
    EXPECT_EQ(server_->version(), "TLSv1.3");
    for (const size_t size : {1UL, 5UL, 16'383UL, 16'384UL, 16'385UL, 100'000UL}) {
      const std::string text(size, static_cast<char>('a' + size % 26));
      ASSERT_EQ(client_->Write(Bytes(text)), Step::kDone);
      Carry(*client_, *server_, to_server_);
      Step last{};
      EXPECT_EQ(ReadAll(*server_, last), text);
      EXPECT_EQ(last, Step::kWants);
      EXPECT_TRUE(server_->unread().empty());
    }
    client_->End();
    Carry(*client_, *server_, to_server_);
    Step last{};
    EXPECT_EQ(ReadAll(*server_, last), "");
    EXPECT_EQ(last, Step::kEnded);
  }
}

TEST_F(TlsChannelTest, AChangedByteIsNoticed) {
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    Make(own_.texts(), {.peer_ca = ca_.certificate()}, "localhost");
    ASSERT_TRUE(Shake());
    ASSERT_EQ(client_->Write(Bytes("GET / HTTP/1.1\r\n\r\n")), Step::kDone);
    std::string bytes = client_->TakeOutput();
    bytes[random() % bytes.size()] ^= static_cast<char>(1 + random() % 255);
    server_->Supply(Bytes(bytes));
    Step last{};
    EXPECT_EQ(ReadAll(*server_, last), "") << "round " << round;
  }
}

TEST_F(TlsChannelTest, BelievesOnlyWhomItIsTold) {
  const TestCertificate other_ca{{.name = "other CA"}};
  Make(own_.texts(), {.peer_ca = other_ca.certificate()}, "localhost");
  EXPECT_FALSE(Shake());
  EXPECT_EQ(client_->failure().code(), ErrorCode::kFailedPrecondition);
  EXPECT_NE(client_->failure().message().find("--tls-ca"), std::string::npos);

  Make(own_.texts(), {.peer_ca = ca_.certificate()}, "elsewhere.example");
  EXPECT_FALSE(Shake());
  EXPECT_NE(client_->failure().message().find("not for elsewhere.example"), std::string::npos);

  const TestCertificate old{{.issuer = &ca_, .from_s = -7200, .until_s = -60}};
  Make(old.texts(), {.peer_ca = ca_.certificate()}, "localhost");
  EXPECT_FALSE(Shake());
  EXPECT_NE(client_->failure().message().find("expired"), std::string::npos);
}

TEST_F(TlsChannelTest, AsksClientsForTheirCertificate) {
  const TestCertificate clients{{.name = "clients' CA"}};
  const TestCertificate good{{.name = "scoring", .issuer = &clients}};
  const TestCertificate stranger{{.name = "stranger", .issuer = &ca_}};
  const TlsTexts server = own_.texts(clients.certificate());

  Make(server, good.texts(ca_.certificate()), "localhost");
  EXPECT_TRUE(Shake()) << server_->failure().ToString();

  Make(server, {.peer_ca = ca_.certificate()}, "localhost");
  EXPECT_FALSE(Shake());
  EXPECT_EQ(server_->failure().message(), "the client showed no certificate");
  Step last{};
  EXPECT_EQ(ReadAll(*client_, last), "");
  EXPECT_EQ(last, Step::kFailed);
  EXPECT_NE(client_->failure().message().find("client certificate"), std::string::npos);

  Make(server, stranger.texts(ca_.certificate()), "localhost");
  EXPECT_FALSE(Shake());
  EXPECT_NE(server_->failure().message().find("not believed"), std::string::npos);
}

TEST_F(TlsChannelTest, SaysWhatIsWrongWithAPair) {
  const auto says = [](const TlsTexts& texts) {
    const auto made = MakeServerTls(texts);
    return made ? std::string() : made.error().ToString();
  };
  EXPECT_EQ(says(own_.texts()), "");
  const TestCertificate another{{.issuer = &ca_}};
  const auto has = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  EXPECT_TRUE(has(says({.certificate = own_.certificate(), .key = another.key()}), "not that of"));
  EXPECT_TRUE(has(says({.certificate = own_.key(), .key = own_.certificate()}), "swapped"));
  EXPECT_TRUE(
      has(says({.certificate = own_.certificate(), .key = own_.encrypted_key()}), "encrypted"));
  EXPECT_TRUE(has(says({.certificate = "nothing", .key = own_.key()}), "no certificate in PEM"));
  EXPECT_TRUE(has(says({.certificate = own_.certificate(), .key = ""}), "no private key"));
  std::string torn = own_.certificate();
  torn.resize(torn.size() / 2);
  EXPECT_TRUE(has(says({.certificate = torn, .key = own_.key()}), "no certificate in PEM"));
  EXPECT_TRUE(has(says(own_.texts("no CA")), "of=ca"));
}

}  // namespace
}  // namespace headrace::protocols
