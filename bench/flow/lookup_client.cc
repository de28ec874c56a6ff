// An open-loop load generator for POST /get-online-features, or for any requests with a body.
//
// 1. Request k is due at start + k / rate, whatever became of the ones before it.
// 2. It leaves on the first free connection; while none is free it waits, and its clock runs.
// 3. Its latency is the time from when it was due until its answer was read whole, so that a stall
// of the
//    engine counts against every request that it delayed.
//
// lookup_client PORT RATE SECONDS KEYS [CONNECTIONS]
//   KEYS: lines of "origin destination", each one row of the service departure; of whole bodies;
//         or of "/path?query {body}", a POST each; behind a +, with an idempotency key of its own
// Prints one JSON line: answered, errors, p50_ms, p99_ms, p999_ms, worst_ms, per_s.

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "http_connection.h"

namespace headrace::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  uint16_t port = 0;
  double rate = 0;
  double seconds = 0;
  std::string keys_file;
  int connections = 4;
};

struct Outcome {
  std::vector<double> latencies_ms;
  uint64_t errors = 0;
  double seconds = 0;
};

std::string Post(const std::string& path, const std::string& body) {
  return "POST " + path +
         " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
         "Content-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

constexpr std::string_view kKeyHeader = "\r\nIdempotency-Key: ";
constexpr size_t kKeyDigits = 12;

// With a key that is written when it is sent.
std::string WithKey(std::string request) {
  const size_t line = request.find("\r\n");
  return request.insert(line, std::string(kKeyHeader) + std::string(kKeyDigits, '0'));
}

void WriteKey(std::string& request, uint64_t number) {
  const size_t header = request.find(kKeyHeader);
  if (header == std::string::npos) return;
  for (size_t at = header + kKeyHeader.size() + kKeyDigits; number > 0; number /= 10)
    request[--at] = static_cast<char>('0' + number % 10);
}

std::vector<std::string> MakeRequests(const std::string& keys_file) {
  std::vector<std::string> requests;
  std::ifstream file(keys_file);
  std::string line;
  while (std::getline(file, line)) {
    const size_t blank = line.find(' ');
    if (line.starts_with('{')) {
      requests.push_back(Post("/get-online-features", line));
    } else if (blank != std::string::npos) {
      const std::string first = line.substr(0, blank), rest = line.substr(blank + 1);
      requests.push_back(first.starts_with('+') ? WithKey(Post(first.substr(1), rest))
                         : first.starts_with('/')
                             ? Post(first, rest)
                             : Post("/get-online-features",
                                    R"({"feature_service":"departure","entities":{"origin":[")" +
                                        first + R"("],"destination":[")" + rest + "\"]}}"));
    }
  }
  return requests;
}

// The loop: one thread, a few connections, each with at most one request under way.
class OpenLoop {
 public:
  OpenLoop(const Options& options, std::vector<std::string> requests)
      : options_(options),
        requests_(std::move(requests)),
        dice_(2001),
        epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    Check(epoll_, "epoll_create1");
    for (int i = 0; i < options.connections; ++i) Connect();
  }
  ~OpenLoop() { close(epoll_); }
  OpenLoop(const OpenLoop&) = delete;

  Outcome Run() {
    const auto count = static_cast<uint64_t>(options_.rate * options_.seconds);
    const Clock::time_point start = Clock::now();
    const Clock::time_point give_up = start + Seconds(options_.seconds + 5);
    uint64_t issued = 0;
    while (outcome_.latencies_ms.size() + outcome_.errors < count && Clock::now() < give_up) {
      const Clock::time_point now = Clock::now();
      for (; issued < count && DueTime(start, issued) <= now; ++issued)
        waiting_.push_back(DueTime(start, issued));
      SendWaiting();
      const Clock::time_point next = issued < count ? DueTime(start, issued) : give_up;
      WaitUntil(next);
    }
    outcome_.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    return std::move(outcome_);
  }

 private:
  struct Lane {
    HttpConnection connection;
    bool busy = false;
    Clock::time_point due;
  };

  static void Check(int result, const char* call) {
    if (result >= 0) return;
    std::perror(call);
    std::exit(1);
  }
  static Clock::duration Seconds(double seconds) {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  }
  Clock::time_point DueTime(Clock::time_point start, uint64_t k) const {
    return start + Seconds(static_cast<double>(k) / options_.rate);
  }

  void Connect() {
    HttpConnection connection("127.0.0.1", options_.port);
    if (!connection.open()) return;
    auto lane = std::make_unique<Lane>(Lane{.connection = std::move(connection), .due = {}});
    epoll_event readable{.events = EPOLLIN, .data = {.ptr = lane.get()}};
    Check(epoll_ctl(epoll_, EPOLL_CTL_ADD, lane->connection.fd(), &readable), "epoll_ctl");
    lanes_.push_back(std::move(lane));
  }

  void SendWaiting() {
    for (const auto& lane : lanes_) {
      if (waiting_.empty()) return;
      if (lane->busy) continue;
      lane->due = waiting_.front();
      waiting_.pop_front();
      std::string& request = requests_[dice_() % requests_.size()];
      WriteKey(request, ++sent_);
      lane->busy = lane->connection.Send(request);
      if (!lane->busy) ++outcome_.errors;
    }
    if (!lanes_.empty()) return;
    outcome_.errors += waiting_.size();  // nobody left to send with
    waiting_.clear();
  }

  void WaitUntil(Clock::time_point next) {
    const auto left = std::max(Clock::duration::zero(), next - Clock::now());
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(left);
    const timespec timeout{
        .tv_sec = whole.count(),
        .tv_nsec = std::chrono::duration_cast<std::chrono::nanoseconds>(left - whole).count()};
    std::array<epoll_event, 64> ready;
    const int count =
        epoll_pwait2(epoll_, ready.data(), static_cast<int>(ready.size()), &timeout, nullptr);
    if (count < 0 && errno != EINTR) Check(count, "epoll_pwait2");
    for (int i = 0; i < count; ++i)
      Receive(*static_cast<Lane*>(ready[static_cast<size_t>(i)].data.ptr));
  }

  void Receive(Lane& lane) {
    int status = 0;
    const HttpConnection::Progress progress = lane.connection.Receive(status);
    if (progress == HttpConnection::Progress::kWaiting) return;
    if (lane.busy && progress == HttpConnection::Progress::kAnswered && status == 200) {
      const std::chrono::duration<double, std::milli> took = Clock::now() - lane.due;
      outcome_.latencies_ms.push_back(took.count());
    } else if (lane.busy) {
      ++outcome_.errors;
    }
    lane.busy = false;
    if (progress != HttpConnection::Progress::kBroken) return;
    std::erase_if(lanes_, [&](const auto& of) { return of.get() == &lane; });
    Connect();
  }

  Options options_;
  std::vector<std::string> requests_;
  std::mt19937_64 dice_;
  uint64_t sent_ = 0;
  const int epoll_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::deque<Clock::time_point> waiting_;
  Outcome outcome_;
};

double Percentile(const std::vector<double>& ordered, double share) {
  const auto at = static_cast<size_t>(static_cast<double>(ordered.size()) * share);
  return ordered[std::min(ordered.size() - 1, at)];
}

void Print(Outcome outcome) {
  std::vector<double>& ordered = outcome.latencies_ms;
  std::sort(ordered.begin(), ordered.end());
  std::printf("{\"answered\":%zu,\"errors\":%llu", ordered.size(),
              static_cast<unsigned long long>(outcome.errors));
  if (!ordered.empty()) {
    std::printf(
        ",\"p50_ms\":%.4f,\"p99_ms\":%.4f,\"p999_ms\":%.4f,\"worst_ms\":%.4f,\"per_s\":%.1f",
        Percentile(ordered, 0.5), Percentile(ordered, 0.99), Percentile(ordered, 0.999),
        ordered.back(), static_cast<double>(ordered.size()) / outcome.seconds);
  }
  std::printf("}\n");
}

int Main(int count, char** arguments) {
  if (count < 5) {
    std::fputs("lookup_client PORT RATE SECONDS KEYS [CONNECTIONS]\n", stderr);
    return 2;
  }
  Options options;
  options.port = static_cast<uint16_t>(std::atoi(arguments[1]));
  options.rate = std::atof(arguments[2]);
  options.seconds = std::atof(arguments[3]);
  options.keys_file = arguments[4];
  if (count > 5) options.connections = std::max(1, std::atoi(arguments[5]));
  std::vector<std::string> requests = MakeRequests(options.keys_file);
  if (options.port == 0 || options.rate <= 0 || requests.empty()) {
    std::fputs("lookup_client: PORT and RATE must be positive, and KEYS must hold a pair\n",
               stderr);
    return 2;
  }
  prctl(PR_SET_TIMERSLACK, 1);  // wake when due, not 50 us later
  Print(OpenLoop(options, std::move(requests)).Run());
  return 0;
}

}  // namespace
}  // namespace headrace::bench

int main(int count, char** arguments) { return headrace::bench::Main(count, arguments); }
