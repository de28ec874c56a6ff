#include "protocols/kept_heads.h"

#include <gtest/gtest.h>

#include "protocols/http_parser.h"

namespace headrace::protocols {
namespace {

TEST(KeptHeads, FindsAHeadByAllOfItsBytes) {
  const std::string text = "GET /a?x=1 HTTP/1.1\r\nHost: h\r\n\r\n";
  KeptHeads kept;
  EXPECT_EQ(kept.Find(text), nullptr);
  RequestHead head;
  head.fields = {{"host", "h"}};
  kept.Keep(text, head, {"/a", {{"x", "1"}}});
  const KeptHeads::Entry* const found = kept.Find(text + "GET /b HTTP/1.1\r\n\r\n");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->text, text);
  EXPECT_EQ(found->head.fields.size(), 1U);
  EXPECT_EQ(found->target.path, "/a");
  for (size_t i = 0; i < text.size(); ++i) {
    std::string other = text;
    other[i] ^= 1;
    EXPECT_EQ(kept.Find(other), nullptr) << i;
    EXPECT_EQ(kept.Find(text.substr(0, i)), nullptr) << i;
  }
}

TEST(KeptHeads, KeepsSmallOnes) {
  const auto keeps = [](const std::string& text, size_t fields, size_t query) {
    KeptHeads kept;
    RequestHead head;
    head.fields.resize(fields);
    Target target;
    target.query.resize(query);
    kept.Keep(text, head, target);
    return kept.Find(text) != nullptr;
  };
  const std::string end = "\r\n\r\n";
  EXPECT_TRUE(keeps(std::string(KeptHeads::kBytesMax - end.size(), 'a') + end, 1, 1));
  EXPECT_FALSE(keeps(std::string(KeptHeads::kBytesMax - 3, 'a') + end, 1, 1));
  EXPECT_TRUE(keeps("a" + end, KeptHeads::kPartsMax, 0));
  EXPECT_FALSE(keeps("a" + end, KeptHeads::kPartsMax, 1));
}

// What a parser says of `text`, given in pieces.
std::string Told(std::string_view text, size_t piece) {
  const HttpLimits limits;
  base::MemoryBudget budget(64U << 20);
  HttpRequestParser parser(limits, budget);
  using State = HttpRequestParser::State;
  std::string told;
  for (size_t used = 0; used < text.size();) {
    const std::string_view part = text.substr(used, piece);
    used += parser.Feed({reinterpret_cast<const uint8_t*>(part.data()), part.size()});
    if (parser.TakeContinue()) told += "continue ";
    if (parser.state() == State::kFailed) return told + std::to_string(parser.failure_status());
    if (parser.state() != State::kComplete) continue;
    told += parser.keep_alive() ? "stays " : "closes ";
    told += parser.asks_for_head() ? "head " : "";
    const HttpRequest request = parser.Take();
    told += std::string(NameOf(request.method)) + " " + request.path + "?";
    for (const auto& [name, value] : request.query) told += name + "=" + value + "&";
    for (const HttpField& field : request.fields) told += field.name + ":" + field.value + ";";
    told += " " + request.body + "\n";
  }
  return told;
}

// In single bytes no head is known at sight.
TEST(KeptHeads, RequestsReadTheSame) {
  const std::string host = " HTTP/1.1\r\nHost: kept\r\n";
  const std::string body = "Content-Length: 3\r\n\r\n";
  const std::vector<std::string> requests = {
      "GET /a?b=c&d=%20" + host + "\r\n",
      "HEAD /a" + host + "\r\n",
      "HEAD /a" + host + "Content-Length: 0\r\n\r\nGET /b" + host + "\r\n",
      "POST /a" + host + body + "xyz",
      "POST /a" + host + body + "123GET /a" + host + "\r\nPOST /a" + host + body + "456",
      "POST /a" + host + "Expect: 100-continue\r\n" + body + "xyz",
      "POST /a" + host + "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
      "POST /a" + host + "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
      "GET /a" + host + "Connection: close\r\n\r\n",
      "GET /a HTTP/1.0\r\nHost: kept\r\n\r\n",
      "GET /a HTTP/1.0\r\nHost: kept\r\nConnection: keep-alive\r\n\r\n",
      "\r\nGET /a" + host + "\r\n",
      "BREW /a" + host + "\r\n",
      "GET /a" + host + "Host: twice\r\n\r\n",
      "OPTIONS *" + host + "\r\n",
  };
  for (int round = 0; round < 3; ++round)
    for (const std::string& request : requests)
      EXPECT_EQ(Told(request, request.size()), Told(request, 1)) << request;
}

}  // namespace
}  // namespace headrace::protocols
