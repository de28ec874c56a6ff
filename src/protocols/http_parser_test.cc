#include "protocols/http_parser.h"

#include <gtest/gtest.h>

#include <random>

namespace headrace::protocols {
namespace {

using State = HttpRequestParser::State;

std::span<const uint8_t> Bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

class HttpParserTest : public testing::Test {
 protected:
  // Feeds in pieces of `piece` bytes until complete or failed; returns the bytes used.
  static size_t FeedAll(HttpRequestParser& parser, std::string_view text, size_t piece = 1 << 20) {
    size_t used = 0;
    while (used < text.size() && parser.state() != State::kComplete &&
           parser.state() != State::kFailed)
      used += parser.Feed(Bytes(text.substr(used, piece)));
    return used;
  }
  HttpRequest Parse(std::string_view text, size_t piece = 1 << 20) {
    HttpRequestParser parser(limits_, budget_);
    FeedAll(parser, text, piece);
    EXPECT_EQ(parser.state(), State::kComplete) << parser.failure().ToString() << "\n" << text;
    return parser.state() == State::kComplete ? parser.Take() : HttpRequest{};
  }
  int StatusOf(std::string_view text, size_t piece = 1 << 20) {
    HttpRequestParser parser(limits_, budget_);
    FeedAll(parser, text, piece);
    return parser.state() == State::kFailed ? parser.failure_status() : 0;
  }

  HttpLimits limits_;
  base::MemoryBudget budget_{64U << 20};
};

TEST_F(HttpParserTest, ReadsARequestWhateverThePieces) {
  const std::string text =
      "POST /streams/fl%20y/events?atomic=true&x=a+b%26c&flag HTTP/1.1\r\nHost: h:1\r\nX-Thing:  "
      "two words \r\n"
      "Content-Length: 11\r\n\r\n{\"a\":1}\n{}\n";
  for (const size_t piece : {1, 2, 3, 7, 64, 4096}) {
    HttpRequest request = Parse(text, piece);
    EXPECT_EQ(request.method, HttpMethod::kPost);
    EXPECT_EQ(request.path, "/streams/fl y/events");
    EXPECT_EQ(request.Query("atomic"), "true");
    EXPECT_EQ(request.Query("x"), "a b&c");
    EXPECT_EQ(request.Query("flag"), "");
    EXPECT_EQ(request.Query("none"), std::nullopt);
    EXPECT_EQ(request.Field("x-thing"), "two words");
    EXPECT_EQ(request.body, "{\"a\":1}\n{}\n");
    EXPECT_GE(request.body.capacity(), request.body.size() + 64);
  }
}

// The second time by its bytes (kept_heads.h).
TEST_F(HttpParserTest, AHeadThatWasReadBeforeMeansTheSame) {
  const auto text = [](int length, std::string_view body) {
    return "PUT /views/a%20b?x=1 HTTP/1.1\r\nHost: h\r\nX-Of: this test\r\nContent-Length: " +
           std::to_string(length) + "\r\n\r\n" + std::string(body);
  };
  HttpRequestParser parser(limits_, budget_);
  for (const std::string_view body : {"1234", "5678", "12345", "90ab", "67890"}) {
    const std::string request = text(static_cast<int>(body.size()), body);
    EXPECT_EQ(FeedAll(parser, request), request.size());
    ASSERT_EQ(parser.state(), State::kComplete) << parser.failure().ToString();
    EXPECT_TRUE(parser.keep_alive());
    const HttpRequest read = parser.Take();
    EXPECT_EQ(read.method, HttpMethod::kPut);
    EXPECT_EQ(read.path, "/views/a b");
    EXPECT_EQ(read.Query("x"), "1");
    EXPECT_EQ(read.fields.size(), 3U);
    EXPECT_EQ(read.Field("x-of"), "this test");
    EXPECT_EQ(read.body, body);
  }
}

TEST_F(HttpParserTest, LimitsAndSendersAreLookedAtEachTime) {
  const std::string text = "GET /status?of=everything HTTP/1.1\r\nHost: h\r\nX-Of: limits\r\n\r\n";
  EXPECT_EQ(StatusOf(text), 0);
  const HttpLimits usual = limits_;
  limits_.header_bytes_max = text.size() - 1;
  EXPECT_EQ(StatusOf(text), 431);
  limits_ = usual;
  limits_.header_fields_max = 1;
  EXPECT_EQ(StatusOf(text), 431);
  limits_ = usual;
  limits_.target_bytes_max = 10;
  EXPECT_EQ(StatusOf(text), 414);
  limits_ = usual;
  bool may = true;
  HttpRequestParser parser(limits_, budget_, [&](const RequestHead&) -> std::optional<HeadRefusal> {
    return may ? std::nullopt : std::optional(HeadRefusal{401, "not any more"});
  });
  FeedAll(parser, text);
  ASSERT_EQ(parser.state(), State::kComplete);
  (void)parser.Take();
  may = false;
  FeedAll(parser, text);
  ASSERT_EQ(parser.state(), State::kFailed);
  EXPECT_EQ(parser.failure_status(), 401);
  limits_ = usual;
  EXPECT_EQ(StatusOf(text), 0);
}

TEST_F(HttpParserTest, ReadsChunksWhateverThePieces) {
  const std::string text =
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nhello\r\n1;name=value\r\n,\r\nA\r\n 0123456 x\r\n0\r\nTrailer: dropped\r\n\r\n";
  for (size_t piece = 1; piece < text.size() + 1; ++piece) {
    HttpRequest request = Parse(text, piece);
    EXPECT_EQ(request.body, "hello, 0123456 x") << piece;
    EXPECT_EQ(request.Field("trailer"), std::nullopt);
  }
}

TEST_F(HttpParserTest, GivesBackTheNextRequestsBytes) {
  const std::string first = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nxy";
  const std::string second = "GET /b HTTP/1.1\r\nHost: h\r\n\r\n";
  HttpRequestParser parser(limits_, budget_);
  const std::string both =
      first + "\r\n" + second;  // an empty line between requests is passed over
  EXPECT_EQ(parser.Feed(Bytes(both)), first.size());
  EXPECT_EQ(parser.Take().body, "xy");
  EXPECT_EQ(FeedAll(parser, std::string_view(both).substr(first.size())), second.size() + 2);
  EXPECT_EQ(parser.Take().path, "/b");
}

TEST_F(HttpParserTest, KnowsWhetherTheConnectionStays) {
  const std::vector<std::pair<std::string, bool>> cases = {
      {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", true},
      {"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", false},
      {"GET / HTTP/1.0\r\n\r\n", false},
      {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
  };
  for (const auto& [text, stays] : cases) {
    HttpRequestParser parser(limits_, budget_);
    FeedAll(parser, text);
    ASSERT_EQ(parser.state(), State::kComplete) << text;
    EXPECT_EQ(parser.keep_alive(), stays) << text;
  }
}

TEST_F(HttpParserTest, AsksForTheBodyOnce) {
  HttpRequestParser parser(limits_, budget_);
  parser.Feed(
      Bytes("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n"));
  EXPECT_EQ(parser.state(), State::kBody);
  EXPECT_TRUE(parser.TakeContinue());
  EXPECT_FALSE(parser.TakeContinue());
  parser.Feed(Bytes("x"));
  EXPECT_EQ(parser.Take().body, "x");
}

TEST_F(HttpParserTest, RefusesADeclaredLengthBeforeAnyByteOfIt) {
  HttpRequestParser parser(limits_, budget_);
  parser.Feed(Bytes("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000000\r\n\r\n"));
  EXPECT_EQ(parser.state(), State::kFailed);
  EXPECT_EQ(parser.failure_status(), 413);
  EXPECT_EQ(budget_.used_bytes(), 0);
}

TEST_F(HttpParserTest, RefusesChunksThatTogetherPassTheLimit) {
  limits_.body_bytes_max = 10;
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(StatusOf(head + "a\r\n0123456789\r\n0\r\n\r\n"), 0);
  EXPECT_EQ(StatusOf(head + "a\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n"), 413);
}

TEST_F(HttpParserTest, ChargesBodiesToTheBudgetAndGivesBack) {
  const std::string body(200'000, 'x');
  {
    const HttpRequest request =
        Parse("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" + body, 4096);
    EXPECT_EQ(request.body, body);
    EXPECT_GE(budget_.used_bytes(base::MemoryAccount::kIngest), body.size());
  }
  EXPECT_EQ(budget_.used_bytes(), 0);
  base::MemoryBudget small(100'000);
  HttpRequestParser parser(limits_, small);
  FeedAll(parser, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" + body, 4096);
  EXPECT_EQ(parser.state(), State::kFailed);
  EXPECT_EQ(parser.failure_status(), 503);
}

struct Malformed {
  int status;
  std::string text;
};

// Everything but the request line and the body, so that a case shows only what is wrong.
std::vector<Malformed> MalformedRequests() {
  const std::string get = "GET / HTTP/1.1\r\nHost: h\r\n";
  const std::string post = "POST / HTTP/1.1\r\nHost: h\r\n";
  const std::string chunked = post + "Transfer-Encoding: chunked\r\n\r\n";
  const std::string nul("\0", 1);
  return {
      // Request lines.
      {400, "\x16\x03\x01\x02"},  // a TLS greeting
      {400, "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"},
      {400, " GET / HTTP/1.1\r\nHost: h\r\n\r\n"},
      {400, "GET /\r\nHost: h\r\n\r\n"},
      {400, "GET / HTTP/1.1 extra\r\nHost: h\r\n\r\n"},
      {400, "GET  / HTTP/1.1\r\nHost: h\r\n\r\n"},
      {400, "GET /  HTTP/1.1\r\nHost: h\r\n\r\n"},
      {400, "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n"},
      {400, "GET / HTTP/1.1\nHost: h\r\n\r\n"},
      {400, "GET / HTTP/1.1\rHost: h\r\n\r\n"},
      {400, "GET /\xc3\xa4 HTTP/1.1\r\nHost: h\r\n\r\n"},
      {400, "GET /a" + nul + " HTTP/1.1\r\nHost: h\r\n\r\n"},
      {400, "GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n"},
      {400, "GET /%4 HTTP/1.1\r\nHost: h\r\n\r\n"},
      {400, "GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n"},
      {400, "GET /a%2fb HTTP/1.1\r\nHost: h\r\n\r\n"},
      {400, "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n"},
      {400, "GET /?a=%g0 HTTP/1.1\r\nHost: h\r\n\r\n"},
      {400, "GET a HTTP/1.1\r\nHost: h\r\n\r\n"},
      {400, "GET * HTTP/1.1\r\nHost: h\r\n\r\n"},
      {400, "GET http:///a HTTP/1.1\r\nHost: h\r\n\r\n"},
      {400, "G@T / HTTP/1.1\r\nHost: h\r\n\r\n"},
      {400, "GET / http/1.1\r\nHost: h\r\n\r\n"},
      {400, "GET / HTTP/11\r\nHost: h\r\n\r\n"},
      {400, "GET / HTTP/1.\r\nHost: h\r\n\r\n"},
      {400, "GET / FTP/1.1\r\nHost: h\r\n\r\n"},
      {505, "GET / HTTP/2.0\r\nHost: h\r\n\r\n"},
      {505, "GET / HTTP/0.9\r\nHost: h\r\n\r\n"},
      {505, "GET / HTTP/1.2\r\nHost: h\r\n\r\n"},
      {505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + nul},
      {501, "BREW / HTTP/1.1\r\nHost: h\r\n\r\n"},
      {501, "get / HTTP/1.1\r\nHost: h\r\n\r\n"},
      {501, "TRACE / HTTP/1.1\r\nHost: h\r\n\r\n"},
      {501, "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n"},
      // Fields.
      {400, "GET / HTTP/1.1\r\n\r\n"},
      {400, get + "Host: h\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n"},
      {400, "GET / HTTP/1.1\r\n Host: h\r\n\r\n"},
      {400, get + "Folded: a\r\n b\r\n\r\n"},
      {400, get + "Folded: a\r\n\tb\r\n\r\n"},
      {400, get + "Name : a\r\n\r\n"},
      {400, get + "Name\t: a\r\n\r\n"},
      {400, get + "Na me: a\r\n\r\n"},
      {400, get + "N\xc3\xa4me: a\r\n\r\n"},
      {400, get + "No colon\r\n\r\n"},
      {400, get + ": no name\r\n\r\n"},
      {400, get + "A: b\n\r\n"},
      {400, get + "A: b\n\n"},
      {400, get + "A: b\rc\r\n\r\n"},
      {400, get + "A: b\r\r\n\r\n"},
      {400, get + "A: b" + nul + "\r\n\r\n"},
      {400, get + "A: \x01\r\n\r\n"},
      {400, get + "A: \x7f\r\n\r\n"},
      {400, get + "A(b): c\r\n\r\n"},
      {400, get + "\"A\": c\r\n\r\n"},
      {417, post + "Expect: 200-ok\r\nContent-Length: 1\r\n\r\nx"},
      {415, post + "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx"},
      // Lengths.
      {400, post + "Content-Length: -1\r\n\r\n"},
      {400, post + "Content-Length: +1\r\n\r\nx"},
      {400, post + "Content-Length: 0x1\r\n\r\nx"},
      {400, post + "Content-Length: 1 1\r\n\r\nx"},
      {400, post + "Content-Length: 1, 1\r\n\r\nx"},
      {400, post + "Content-Length: 1,2\r\n\r\nx"},
      {400, post + "Content-Length: 1.0\r\n\r\nx"},
      {400, post + "Content-Length: \r\n\r\n"},
      {400, post + "Content-Length: one\r\n\r\nx"},
      {400, post + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx"},
      {400, post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nx"},
      {400, post + "Content-Length: 18446744073709551617\r\n\r\nx"},
      {400, post + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {400, post + "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n"},
      {400, post + "Transfer-Encoding: identity\r\n\r\n"},
      {400, post + "Transfer-Encoding: gzip\r\n\r\n"},
      {400, post + "Transfer-Encoding: chunked, gzip\r\n\r\n"},
      {400, post + "Transfer-Encoding: chunked, chunked\r\n\r\n"},
      {400, post + "Transfer-Encoding: xchunked\r\n\r\n"},
      {400, post + "Transfer-Encoding: chunked;a\r\n\r\n"},
      {400, post + "Transfer-Encoding: \x0b"
                   "chunked\r\n\r\n"},
      {400, post + "Transfer-Encoding:\r\n\r\n"},
      {400, post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {400, post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n"},
      {400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {501, post + "Transfer-Encoding: gzip, chunked\r\n\r\n"},
      {413, post + "Content-Length: 104857601\r\n\r\n"},
      // Chunks.
      {400, chunked + "g\r\nx\r\n0\r\n\r\n"},
      {400, chunked + "-1\r\nx\r\n0\r\n\r\n"},
      {400, chunked + "0x1\r\nx\r\n0\r\n\r\n"},
      {400, chunked + "1 \nx\r\n0\r\n\r\n"},
      {400, chunked + "1\nx\n0\n\n"},
      {400, chunked + "\r\n1\r\nx\r\n0\r\n\r\n"},
      {400, chunked + "1\r\nxy\r\n0\r\n\r\n"},
      {400, chunked + "1\r\nx0\r\n\r\n"},
      {400, chunked + "1\rx\r\n0\r\n\r\n"},
      {413, chunked + "10000000000000000\r\nx\r\n0\r\n\r\n"},
      {413, chunked + "fffffffffffffff0\r\nx\r\n0\r\n\r\n"},
      {400, chunked + "1;=\r\nx\r\n0\r\n\r\n"},
      {400, chunked + "1;a=\x01\r\nx\r\n0\r\n\r\n"},
      {400, chunked + "1;" + std::string(2000, 'a')},
      {400, chunked + "0\r\nContent-Length: 1\r\n\r\n"},
      {400, chunked + "0\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {400, chunked + "0\r\nno colon\r\n\r\n"},
      // Sizes.
      {414, "GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n"},
      {414, "GET /" + std::string(5000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n"},
      {431, get + "Long: " + std::string(9000, 'a') + "\r\n\r\n"},
  };
}

TEST_F(HttpParserTest, RefusesEveryMalformedRequest) {
  const std::vector<Malformed> cases = MalformedRequests();
  ASSERT_GE(cases.size(), 100);
  for (const Malformed& bad : cases) {
    EXPECT_EQ(StatusOf(bad.text), bad.status) << bad.text.substr(0, 200);
    EXPECT_EQ(StatusOf(bad.text, 1), bad.status) << "a byte at a time: " << bad.text.substr(0, 200);
  }
}

TEST_F(HttpParserTest, CountsFields) {
  std::string text = "GET / HTTP/1.1\r\nHost: h\r\n";
  for (int i = 1; i < 100; ++i) text += "F" + std::to_string(i) + ": x\r\n";
  EXPECT_EQ(StatusOf(text + "\r\n"), 0);
  EXPECT_EQ(StatusOf(text + "One: more\r\n\r\n"), 431);
}

TEST_F(HttpParserTest, RandomBytesNeverComplete) {
  const unsigned seed = std::random_device{}();
  RecordProperty("seed", static_cast<int>(seed));
  std::mt19937 random(seed);
  const std::string good =
      "POST /a?b=c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
  for (int round = 0; round < 20'000; ++round) {
    std::string text = good;
    for (int i = 0; i < 3; ++i) text[random() % text.size()] = static_cast<char>(random());
    HttpRequestParser whole(limits_, budget_);
    HttpRequestParser pieces(limits_, budget_);
    FeedAll(whole, text);
    FeedAll(pieces, text, 1 + random() % 9);
    ASSERT_EQ(whole.state(), pieces.state()) << "seed " << seed << " round " << round << "\n"
                                             << text;
    if (whole.state() == State::kFailed) {
      ASSERT_EQ(whole.failure_status(), pieces.failure_status()) << "seed " << seed << "\n" << text;
    }
    if (whole.state() == State::kComplete) {
      ASSERT_EQ(whole.Take().body, pieces.Take().body) << "seed " << seed << "\n" << text;
    }
  }
}

TEST(HttpResponseTest, IsWrittenAndReadBack) {
  HttpResponse response = HttpResponse::Json("{\"a\":1}", 422);
  response.fields.push_back({"X-One", "two"});
  std::string bytes;
  AppendResponse(response, HttpDate(978'307'200'000'000), BodyPart::kSend, AfterResponse::kClose,
                 bytes);
  EXPECT_EQ(bytes,
            "HTTP/1.1 422 Unprocessable Content\r\nDate: Mon, 01 Jan 2001 00:00:00 GMT\r\n"
            "Content-Type: application/json\r\nX-One: two\r\nConnection: close\r\nContent-Length: "
            "7\r\n\r\n{\"a\":1}");
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    HttpResponseParser parser(1000);
    const std::string text = "HTTP/1.1 100 Continue\r\n\r\n" + bytes;
    for (size_t used = 0; used < text.size() && !parser.complete();) {
      const auto step = parser.Feed(Bytes(std::string_view(text).substr(used, piece)));
      ASSERT_TRUE(step.has_value()) << step.error().ToString();
      used += *step;
    }
    ASSERT_TRUE(parser.complete()) << piece;
    EXPECT_FALSE(parser.keep_alive());
    const HttpResponse read = parser.Take();
    EXPECT_EQ(read.status, 422);
    EXPECT_EQ(read.content_type, "application/json");
    EXPECT_EQ(read.body, "{\"a\":1}");
  }
}

}  // namespace
}  // namespace headrace::protocols
