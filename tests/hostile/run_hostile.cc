// headrace_hostile http|resp FILE [--port N [--tls-ca FILE]] [--only PART], or
// headrace_hostile write FOLDER: sends
// every request of the file, whole, a few bytes and one byte at a time, and compares what comes
// back. With a port the requests go to an engine that listens there, whole. Exit code 1 when an
// answer is another one.

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include <fmt/core.h>

#include "env/environment.h"
#include "hostile/answers.h"
#include "hostile/request_file.h"
#include "hostile/small_engine.h"
#include "protocols/tls_client_stream.h"

namespace headrace::hostile {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPatience{20'000};

// What came back of one request.
struct Outcome {
  std::string bytes;
  bool closed = false;
};

// A request that every connection in order answers in one way.
std::string_view Probe(Protocol protocol, Asking asking) {
  if (protocol == Protocol::kResp && asking == Asking::kTokens)
    return "*2\r\n$4\r\nAUTH\r\n$9\r\ntoken-all\r\n";
  return protocol == Protocol::kHttp ? "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
                                     : "*2\r\n$4\r\nECHO\r\n$5\r\nprobe\r\n";
}
std::string_view ProbeAnswer(Protocol protocol, Asking asking) {
  if (protocol == Protocol::kResp && asking == Asking::kTokens) return "+OK";
  return protocol == Protocol::kHttp ? "200 " : "$5\r\nprobe\r\n";
}

std::string Cut(std::string_view text) {
  constexpr size_t kShown = 300;
  std::string shown;
  for (const char c : text.substr(0, kShown)) {
    if (c == '\r')
      shown += "\\r";
    else if (c == '\n')
      shown += "\\n";
    else
      shown += c >= ' ' && c < 127 ? c : '?';
  }
  return text.size() > kShown ? shown + "..." : shown;
}

bool Matches(Protocol protocol, std::string_view wanted, std::string_view got) {
  if (protocol == Protocol::kResp) return got.starts_with(wanted);
  const std::string_view status = wanted.substr(0, 3);
  const bool same = std::ranges::equal(status, got.substr(0, 3),
                                       [](char a, char b) { return a == 'x' || a == b; });
  return same && (wanted.size() <= 4 || got.find(wanted.substr(4)) != std::string_view::npos);
}

// Empty when all is as it must be.
std::string Judge(Protocol protocol, Asking asking, const HostileRequest& request,
                  const Outcome& outcome) {
  const auto answers = ReadAnswers(protocol, outcome.bytes);
  if (!answers) return "no whole answers: " + Cut(outcome.bytes);
  std::vector<std::string> wanted = request.answers;
  if (request.ending == Ending::kOpen) wanted.emplace_back(ProbeAnswer(protocol, asking));
  if (answers->size() != wanted.size())
    return fmt::format("{} answers instead of {}: {}", answers->size(), wanted.size(),
                       Cut(outcome.bytes));
  for (size_t i = 0; i < wanted.size(); ++i)
    if (!Matches(protocol, wanted[i], (*answers)[i]))
      return fmt::format("answer {}: {}\n    wanted: {}", i + 1, Cut((*answers)[i]),
                         Cut(wanted[i]));
  const bool closed = request.ending == Ending::kClosed;
  if (outcome.closed != closed) return closed ? "not closed" : "closed";
  return "";
}

class HeldSide {
 public:
  explicit HeldSide(Asking asking) : asking_(asking), engine_(asking) {}
  Outcome Ask(Protocol protocol, const HostileRequest& request, size_t piece) {
    const std::unique_ptr<HeldPeer> peer = engine_.Dial(protocol);
    Outcome outcome;
    std::string bytes = request.bytes;
    if (request.ending == Ending::kOpen ||
        (request.ending == Ending::kClosed && request.wait.count() == 0))
      bytes += Probe(protocol, asking_);
    for (size_t at = 0; at < bytes.size(); at += piece) {
      engine_.Run([&] { peer->Send(std::string_view(bytes).substr(at, piece)); });
      Collect(*peer, outcome);
    }
    if (request.wait.count() > 0) {
      engine_.Wait(*peer, request.wait);
      Collect(*peer, outcome);
    }
    // An answer that waits for an epoch comes by its deadline.
    for (int i = 0; i < 3 && Owes(protocol, request, *peer, outcome); ++i) {
      engine_.Wait(*peer, milliseconds(30'000));
      Collect(*peer, outcome);
    }
    outcome.closed = peer->closed();
    return outcome;
  }

 private:
  static bool Owes(Protocol protocol, const HostileRequest& request, const HeldPeer& peer,
                   const Outcome& outcome) {
    if (peer.closed() || request.ending == Ending::kWaiting) return false;
    const auto answers = ReadAnswers(protocol, outcome.bytes);
    return answers &&
           answers->size() <= request.answers.size() - (request.ending == Ending::kOpen ? 0 : 1);
  }
  void Collect(HeldPeer& peer, Outcome& outcome) {
    engine_.Settle();
    engine_.Run([&] { outcome.bytes += peer.Take(); });
    engine_.Settle();
    engine_.Run([&] { outcome.bytes += peer.Take(); });
  }
  const Asking asking_;
  SmallEngine engine_;
};

// A running engine, over a socket. What must be answered is waited for; what must not, for a
// moment.
class RealSide {
 public:
  // `tls`: null where none is spoken.
  RealSide(uint16_t port, protocols::TlsContextRef tls) : port_(port), tls_(std::move(tls)) {}

  Outcome Ask(Protocol protocol, const HostileRequest& request) {
    Outcome outcome;
    auto stream = network_->Connect("127.0.0.1", port_, kPatience);
    if (stream && tls_ != nullptr)
      stream = protocols::SpeakTls(std::move(*stream), tls_, "127.0.0.1", kPatience);
    if (!stream) return {"no connection: " + stream.error().ToString(), false};
    std::string bytes = request.bytes;
    if (request.ending != Ending::kWaiting) bytes += Probe(protocol, Asking::kNobody);
    // The engine may close before it has read everything.
    (void)(*stream)->Write({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()},
                           kPatience);
    const size_t wanted = request.answers.size() + (request.ending == Ending::kOpen ? 1 : 0);
    while (!outcome.closed) {
      const auto answers = ReadAnswers(protocol, outcome.bytes);
      const bool all = answers && answers->size() >= wanted && request.ending != Ending::kClosed;
      std::array<uint8_t, 65536> buffer;
      const auto count = (*stream)->Read(buffer, all ? milliseconds(30) : kPatience);
      if (!count && count.error().code() == base::ErrorCode::kDeadlineExceeded) break;
      if (!count || *count == 0)
        outcome.closed = true;
      else
        outcome.bytes.append(reinterpret_cast<const char*>(buffer.data()), *count);
    }
    return outcome;
  }

 private:
  const uint16_t port_;
  const protocols::TlsContextRef tls_;
  std::unique_ptr<env::Environment> environment_ = env::MakeRealEnvironment();
  std::unique_ptr<env::Network> network_ = env::MakeRealNetwork(environment_->clock());
};

struct Options {
  Protocol protocol = Protocol::kHttp;
  Asking asking = Asking::kNobody;  // of a file whose name says "access"
  std::string file;
  std::string only;
  std::string seeds;  // the folder to write them to
  uint16_t port = 0;
  protocols::TlsContextRef tls;  // of the engine at the port
};

size_t RunHeld(const Options& options, const std::vector<HostileRequest>& requests) {
  size_t failed = 0;
  HeldSide side(options.asking);
  for (const HostileRequest& request : requests) {
    // So that long ones stay quick.
    const size_t least = 1 + request.bytes.size() / 2048;
    for (const size_t piece : {request.bytes.size() + 100, least, least + 6}) {
      const std::string wrong = Judge(options.protocol, options.asking, request,
                                      side.Ask(options.protocol, request, piece));
      if (wrong.empty()) continue;
      fmt::print("{}:{}: {} ({} bytes at a time)\n    {}\n", options.file, request.line,
                 request.name, piece, wrong);
      ++failed;
      break;
    }
  }
  return failed;
}

size_t RunReal(const Options& options, const std::vector<HostileRequest>& requests) {
  size_t failed = 0;
  RealSide side(options.port, options.tls);
  for (const HostileRequest& request : requests) {
    if (request.wait.count() > 0) continue;
    const std::string wrong =
        Judge(options.protocol, Asking::kNobody, request, side.Ask(options.protocol, request));
    if (wrong.empty()) continue;
    fmt::print("{}:{}: {} (over a socket)\n    {}\n", options.file, request.line, request.name,
               wrong);
    ++failed;
  }
  return failed;
}

// Each request as an input of a fuzz target: all at once, says its first byte.
int WriteSeeds(const Options& options, const std::vector<HostileRequest>& requests) {
  constexpr size_t kBytesMax = 2048;  // longer ones are long for their length's sake
  size_t number = 0;
  for (const HostileRequest& request : requests) {
    if (request.bytes.size() > kBytesMax) continue;
    std::ofstream file(fmt::format("{}/hostile-{:04}", options.seeds, ++number), std::ios::binary);
    file.put('\0');
    file << request.bytes;
    if (!file) return 1;
  }
  return 0;
}

int Run(const Options& options) {
  std::ifstream file(options.file, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  auto requests = ReadRequests(text.str());
  if (!file || !requests) {
    fmt::print("{}: {}\n", options.file, file ? requests.error().ToString() : "no such file");
    return 2;
  }
  if (!options.seeds.empty()) return WriteSeeds(options, *requests);
  std::erase_if(*requests, [&](const HostileRequest& request) {
    return request.name.find(options.only) == std::string::npos;
  });
  const size_t failed =
      options.port == 0 ? RunHeld(options, *requests) : RunReal(options, *requests);
  fmt::print("{} requests, {} answered wrongly\n", requests->size(), failed);
  if (failed > 0)
    fmt::print("replay one: headrace_hostile {} {} --only NAME\n",
               options.protocol == Protocol::kHttp ? "http" : "resp", options.file);
  return failed == 0 && !requests->empty() ? 0 : 1;
}

int WriteFiles(const std::string& folder) {
  std::ofstream(folder + "/pipeline.yaml") << SmallPipeline::Pipeline();
  std::ofstream(folder + "/payments.yaml") << SmallPipeline::Contract();
  return 0;
}

}  // namespace
}  // namespace headrace::hostile

int main(int argc, char** argv) {
  using headrace::hostile::Protocol;
  headrace::hostile::Options options;
  std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() == 2 && words[0] == "write") return headrace::hostile::WriteFiles(words[1]);
  if (words.size() == 4 && words[0] == "seeds") {
    options.seeds = words[3];
    words.erase(words.begin());
    words.pop_back();
  }
  if (words.size() < 2 || (words[0] != "http" && words[0] != "resp")) {
    fmt::print(
        "headrace_hostile http|resp FILE [--port N [--tls-ca FILE]] [--only PART]\n"
        "headrace_hostile write FOLDER\n"
        "headrace_hostile seeds http|resp FILE FOLDER\n");
    return 2;
  }
  options.protocol = words[0] == "http" ? Protocol::kHttp : Protocol::kResp;
  options.file = words[1];
  if (options.file.find("access") != std::string::npos)
    options.asking = headrace::hostile::Asking::kTokens;
  for (size_t i = 2; i + 1 < words.size(); i += 2) {
    if (words[i] == "--only") options.only = words[i + 1];
    if (words[i] == "--tls-ca") {
      std::stringstream ca;
      ca << std::ifstream(words[i + 1]).rdbuf();
      const auto tls = headrace::protocols::MakeClientTls({.peer_ca = ca.str()});
      if (!tls) return 2;
      options.tls = *tls;
    }
    if (words[i] == "--port")
      std::from_chars(words[i + 1].data(), words[i + 1].data() + words[i + 1].size(), options.port);
  }
  return headrace::hostile::Run(options);
}
