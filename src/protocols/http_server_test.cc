#include "protocols/http_server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>

#include "env/environment.h"
#include "env/simulated/network.h"
#include "protocols/http_client.h"

namespace headrace::protocols {
namespace {

using std::chrono::milliseconds;

// A server on a simulated network, and a connection to it.
struct SimulatedPeer {
  SimulatedPeer(base::MemoryBudget& budget, const HttpRouter& router)
      : server(*HttpServer::Start(network, machine.clock(), budget, router, "", 0,
                                  HttpServerOptions{})),
        peer(network.Dial(
            server->port(), [this](std::string_view bytes) { heard += bytes; },
            [this] { over = true; })) {}

  std::string heard;
  bool over = false;  // the server closed it
  env::simulated::SimulatedEnvironment machine{1};
  env::simulated::SimulatedNetwork network{machine};
  std::unique_ptr<HttpServer> server;
  std::unique_ptr<env::simulated::Peer> peer;
};

class HttpServerTest : public testing::Test {
 protected:
  HttpServerTest() {
    router_.Add(HttpMethod::kGet, "/hello",
                [](HttpRequest, HttpReply reply) { reply.Send(HttpResponse::Text("hello")); });
    router_.Add(HttpMethod::kPost, "/size", [](HttpRequest request, HttpReply reply) {
      reply.Send(HttpResponse::Text(std::to_string(request.body.size())));
    });
    router_.Add(HttpMethod::kGet, "/later/{name}", [this](HttpRequest request, HttpReply reply) {
      std::lock_guard lock(mutex_);
      later_.emplace_back(std::string(request.Parameter("name")), std::move(reply));
    });
    router_.Add(HttpMethod::kGet, "/dropped", [](HttpRequest, HttpReply) {});
  }
  void Start(HttpServerOptions options = {}) {
    auto server = HttpServer::Start(*network_, environment_->clock(), budget_, router_, "127.0.0.1",
                                    0, std::move(options));
    ASSERT_TRUE(server.has_value()) << server.error().ToString();
    server_ = std::move(*server);
  }
  // Sends raw bytes and reads until `answers` responses came or the server closed.
  std::string Exchange(std::string_view bytes, size_t answers) {
    auto stream = network_->Connect("127.0.0.1", server_->port(), milliseconds(2000));
    EXPECT_TRUE(stream.has_value());
    const auto written = (*stream)->Write(
        {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, milliseconds(9000));
    EXPECT_TRUE(written.has_value()) << written.error().ToString();
    return ReadAnswers(**stream, answers);
  }
  static std::string ReadAnswers(env::ClientStream& stream, size_t answers) {
    std::string text;
    std::vector<uint8_t> buffer(65536);
    while (Count(text, "Content-Length:") < answers) {
      const auto count = stream.Read(buffer, milliseconds(9000));
      if (!count || *count == 0) break;
      text.append(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(*count));
    }
    return text;
  }
  static size_t Count(std::string_view text, std::string_view part) {
    size_t count = 0;
    for (size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1))
      ++count;
    return count;
  }
  void WaitForLater(size_t count) {
    for (int i = 0; i < 2000; ++i) {
      {
        std::lock_guard lock(mutex_);
        if (later_.size() >= count) return;
      }
      std::this_thread::sleep_for(milliseconds(1));
    }
    FAIL() << "the requests did not arrive";
  }

  std::mutex mutex_;
  std::vector<std::pair<std::string, HttpReply>> later_;
  std::unique_ptr<env::Environment> environment_ = env::MakeRealEnvironment();
  base::MemoryBudget budget_{256U << 20};
  HttpRouter router_;
  std::unique_ptr<env::Network> network_ = env::MakeRealNetwork(environment_->clock());
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, KeepsAConnectionForManyRequests) {
  Start();
  HttpClient client(*network_, "127.0.0.1", server_->port());
  for (int i = 0; i < 50; ++i) {
    const auto response = client.Get("/hello");
    ASSERT_TRUE(response.has_value()) << response.error().ToString();
    EXPECT_EQ(response->body, "hello");
  }
  const auto posted = client.Post("/size", std::string(300'000, 'x'));
  ASSERT_TRUE(posted.has_value()) << posted.error().ToString();
  EXPECT_EQ(posted->body, "300000");
  EXPECT_EQ(server_->counters().requests, 51);
  EXPECT_EQ(server_->counters().connections, 1);
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrderAcrossThreads) {
  Start();
  auto stream = network_->Connect("127.0.0.1", server_->port(), milliseconds(2000));
  ASSERT_TRUE(stream.has_value());
  const std::string bytes =
      "GET /later/a HTTP/1.1\r\nHost: h\r\n\r\nGET /later/b HTTP/1.1\r\nHost: h\r\n\r\nGET /hello "
      "HTTP/1.1\r\nHost: h\r\n\r\n";
  ASSERT_TRUE((*stream)->Write({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()},
                               milliseconds(2000)));
  WaitForLater(2);
  std::thread second([&] { later_[1].second.Send(HttpResponse::Text("second")); });
  second.join();
  std::thread first([&] { later_[0].second.Send(HttpResponse::Text("first")); });
  first.join();
  const std::string text = ReadAnswers(**stream, 3);
  EXPECT_LT(text.find("first"), text.find("second"));
  EXPECT_LT(text.find("second"), text.find("hello"));
}

TEST_F(HttpServerTest, WhatBeginsInTurnWaitsForAllBeforeIt) {
  std::atomic<int> read = 0;
  router_.Add(HttpMethod::kGet, "/read/{name}", [&](HttpRequest request, HttpReply reply) {
    ++read;
    reply.Send(HttpResponse::Text("read " + std::string(request.Parameter("name"))));
  });
  router_.BeginInTurn(HttpMethod::kGet, "/read/{name}");
  Start();
  auto stream = network_->Connect("127.0.0.1", server_->port(), milliseconds(2000));
  ASSERT_TRUE(stream.has_value());
  std::string bytes;
  for (const char* path : {"/read/a", "/later/b", "/later/c", "/read/d", "/read/e", "/later/f"})
    bytes += "GET " + std::string(path) + " HTTP/1.1\r\nHost: h\r\n\r\n";
  ASSERT_TRUE((*stream)->Write({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()},
                               milliseconds(2000)));
  WaitForLater(2);
  later_[1].second.Send(HttpResponse::Text("later c"));
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_EQ(read, 1);
  later_[0].second.Send(HttpResponse::Text("later b"));
  WaitForLater(3);
  EXPECT_EQ(read, 3);
  later_[2].second.Send(HttpResponse::Text("later f"));
  const std::string text = ReadAnswers(**stream, 6);
  size_t at = 0;
  for (const char* answer : {"read a", "later b", "later c", "read d", "read e", "later f"}) {
    at = text.find(answer, at);
    ASSERT_NE(at, std::string::npos) << answer << "\n" << text;
  }
}

// A request whose turn has not come is answered before the connection ends.
TEST_F(HttpServerTest, WhatWaitsForItsTurnIsAnsweredThoughThePeerSendsNoMore) {
  router_.BeginInTurn(HttpMethod::kGet, "/hello");
  SimulatedPeer to(budget_, router_);
  to.peer->Send("GET /later/a HTTP/1.1\r\nHost: h\r\n\r\nGET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
  to.peer->EndOutput();
  to.machine.RunFor(milliseconds(200));
  ASSERT_EQ(later_.size(), 1U);
  EXPECT_FALSE(to.over);
  to.machine.Run([&] { later_[0].second.Send(HttpResponse::Text("a")); });
  to.machine.RunFor(milliseconds(200));
  EXPECT_TRUE(to.heard.ends_with("\r\n\r\nhello")) << to.heard;
  EXPECT_TRUE(to.over);
}

TEST_F(HttpServerTest, TakesNoMoreThanItsPipelineAndThenTheRest) {
  HttpServerOptions options;
  options.pipelined_max = 4;
  Start(options);
  auto stream = network_->Connect("127.0.0.1", server_->port(), milliseconds(2000));
  ASSERT_TRUE(stream.has_value());
  std::string bytes;
  for (int i = 0; i < 12; ++i)
    bytes += "GET /later/" + std::to_string(i) + " HTTP/1.1\r\nHost: h\r\n\r\n";
  ASSERT_TRUE((*stream)->Write({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()},
                               milliseconds(2000)));
  for (size_t i = 0; i < 12; ++i) {
    WaitForLater(i + 1);
    if (i == 0) std::this_thread::sleep_for(milliseconds(50));
    std::unique_lock lock(mutex_);
    EXPECT_LE(later_.size(), i + 4);
    HttpReply reply = std::move(later_[i].second);
    lock.unlock();
    reply.Send(HttpResponse::Text("answer " + std::to_string(i)));
  }
  const std::string text = ReadAnswers(**stream, 12);
  EXPECT_NE(text.find("answer 11"), std::string::npos);
}

// As `printf ... | nc -N` does.
TEST_F(HttpServerTest, AnswersAPeerThatSendsNoMore) {
  SimulatedPeer to(budget_, router_);
  to.peer->Send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
  to.peer->EndOutput();
  to.machine.RunFor(milliseconds(200));
  EXPECT_TRUE(to.heard.ends_with("\r\n\r\nhello")) << to.heard;
  EXPECT_TRUE(to.over);
}

TEST_F(HttpServerTest, RefusesMalformedRequestsAndCloses) {
  Start();
  const std::string text =
      Exchange("GET / HTTP/1.1\r\nBad Field: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: h\r\n\r\n", 9);
  EXPECT_TRUE(text.starts_with("HTTP/1.1 400 Bad Request\r\n")) << text;
  EXPECT_NE(text.find("application/problem+json"), std::string::npos);
  EXPECT_NE(text.find("Connection: close"), std::string::npos);
  EXPECT_EQ(Count(text, "HTTP/1.1"), 1) << "nothing after it is read";
  EXPECT_EQ(server_->counters().refused, 1);
}

TEST_F(HttpServerTest, A200MegabyteRequestReadsItsRefusal) {
  Start();
  const std::string head = "POST /size HTTP/1.1\r\nHost: h\r\nContent-Length: 209715200\r\n\r\n";
  std::string request = head;
  request.resize(head.size() + 209'715'200, 'x');
  const std::string text = Exchange(request, 1);
  EXPECT_TRUE(text.starts_with("HTTP/1.1 413 Content Too Large\r\n")) << text;
  EXPECT_NE(text.find("caller_should"), std::string::npos);
  EXPECT_EQ(budget_.used_bytes(base::MemoryAccount::kIngest), 0);
}

TEST_F(HttpServerTest, SaysContinueOnlyForAWelcomeBody) {
  Start();
  const std::string expect =
      "POST /size HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: ";
  auto stream = network_->Connect("127.0.0.1", server_->port(), milliseconds(2000));
  ASSERT_TRUE(stream.has_value());
  const std::string head = expect + "3\r\n\r\n";
  ASSERT_TRUE((*stream)->Write({reinterpret_cast<const uint8_t*>(head.data()), head.size()},
                               milliseconds(2000)));
  std::vector<uint8_t> buffer(1000);
  const auto count = (*stream)->Read(buffer, milliseconds(5000));
  ASSERT_TRUE(count.has_value());
  EXPECT_EQ(std::string(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(*count)),
            "HTTP/1.1 100 Continue\r\n\r\n");
  const std::string body = "abc";
  ASSERT_TRUE((*stream)->Write({reinterpret_cast<const uint8_t*>(body.data()), body.size()},
                               milliseconds(2000)));
  EXPECT_TRUE(ReadAnswers(**stream, 1).ends_with("3"));
  EXPECT_TRUE(Exchange(expect + "999999999\r\n\r\n", 1).starts_with("HTTP/1.1 413"));
}

TEST_F(HttpServerTest, AnswersEvenWhenAHandlerDoesNot) {
  Start();
  EXPECT_TRUE(Exchange("GET /dropped HTTP/1.1\r\nHost: h\r\n\r\n", 1).starts_with("HTTP/1.1 500"));
}

TEST_F(HttpServerTest, LeavesTheBodyOutForHead) {
  Start();
  const std::string text =
      Exchange("HEAD /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", 9);
  EXPECT_NE(text.find("Content-Length: 5"), std::string::npos);
  EXPECT_TRUE(text.ends_with("\r\n\r\n"));
  const std::string refused = Exchange("HEAD /hello HTTP/1.1\r\n\r\n", 9);
  EXPECT_TRUE(refused.starts_with("HTTP/1.1 400"));
  EXPECT_TRUE(refused.ends_with("\r\n\r\n")) << refused;
}

TEST_F(HttpServerTest, LongBodiesComeBehindTheirHeadsInTurn) {
  const std::string body(100'000, 'l');
  router_.Add(HttpMethod::kGet, "/long",
              [&](HttpRequest, HttpReply reply) { reply.Send(HttpResponse::Text(body)); });
  Start();
  const std::string host = " HTTP/1.1\r\nHost: h\r\n";
  std::string text = Exchange("GET /long" + host + "\r\nHEAD /long" + host + "\r\nGET /hello" +
                                  host + "\r\nGET /long" + host + "Connection: close\r\n\r\n",
                              99);
  for (size_t at = 0; (at = text.find("Date:", at)) != std::string::npos;)
    text.erase(at, text.find('\n', at) + 1 - at);
  const auto answer = [](const std::string& fields, const std::string& of) {
    return "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n" + fields + "\r\n\r\n" +
           of;
  };
  const std::string length = "Content-Length: 100000";
  EXPECT_TRUE(text == answer(length, body) + answer(length, "") +
                          answer("Content-Length: 5", "hello") +
                          answer("Connection: close\r\n" + length, body))
      << text.substr(0, 300) << " ... " << text.size();
}

TEST_F(HttpServerTest, GivesUpOnASlowHead) {
  HttpServerOptions options;
  options.header_time_max = milliseconds(100);
  Start(options);
  EXPECT_TRUE(Exchange("GET / HTT", 1).starts_with("HTTP/1.1 408"));
}

TEST_F(HttpServerTest, TheTimeOfAHeadStandsStillWhileNothingIsRead) {
  HttpServerOptions options;
  options.header_time_max = milliseconds(300);
  Start(options);
  auto stream = network_->Connect("127.0.0.1", server_->port(), milliseconds(2000));
  ASSERT_TRUE(stream.has_value());
  const auto send = [&](std::string_view bytes) {
    ASSERT_TRUE((*stream)->Write({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()},
                                 milliseconds(2000)));
  };
  send("GET /later/x HTTP/1.1\r\nHost: h\r\n\r\nGET /hel");
  WaitForLater(1);
  later_[0].second.Send(HttpResponse::Text(std::string(32U << 20, 'x')));
  send("lo HTTP/1.1\r\nHost: h\r\n\r\n");
  std::this_thread::sleep_for(milliseconds(2500));  // over a tick of the connection
  const std::string text = ReadAnswers(**stream, 2);
  EXPECT_EQ(Count(text, "HTTP/1.1 408"), 0U);
  EXPECT_TRUE(text.ends_with("hello")) << text.substr(text.size() - 300);
}

TEST_F(HttpServerTest, DrainAnswersWhatIsUnderWay) {
  Start();
  std::string text;
  std::thread client([&] { text = Exchange("GET /later/x HTTP/1.1\r\nHost: h\r\n\r\n", 1); });
  WaitForLater(1);
  std::thread answer([&] {
    std::this_thread::sleep_for(milliseconds(50));
    later_[0].second.Send(HttpResponse::Text("in time"));
  });
  server_->Drain(milliseconds(5000));
  client.join();
  answer.join();
  EXPECT_TRUE(text.ends_with("in time")) << text;
  EXPECT_NE(text.find("Connection: close"), std::string::npos);
}

TEST_F(HttpServerTest, RepliesMayOutliveTheServer) {
  Start();
  auto stream = network_->Connect("127.0.0.1", server_->port(), milliseconds(2000));
  ASSERT_TRUE(stream.has_value());
  const std::string bytes = "GET /later/x HTTP/1.1\r\nHost: h\r\n\r\n";
  ASSERT_TRUE((*stream)->Write({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()},
                               milliseconds(2000)));
  WaitForLater(1);
  server_.reset();
  later_[0].second.Send(HttpResponse::Text("too late"));
  EXPECT_EQ(ReadAnswers(**stream, 1), "");
}

}  // namespace
}  // namespace headrace::protocols
