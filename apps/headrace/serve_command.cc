// headrace serve: an engine in the foreground, until SIGTERM or SIGINT.

#include <fmt/core.h>
#include <pthread.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <thread>

#include "commands.h"
#include "text_file.h"
#include "wiring/engine.h"

namespace headrace::app {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kSilenceMax{1};  // a longer start says what it is doing
constexpr int kExitOnSecondSignal = 130;

wiring::ListenAddress ListenAt(const Address& address) {
  using Chosen = wiring::ListenAddress::Chosen;
  return {.host = address.host,
          .port = address.port,
          .chosen = address.given ? Chosen::kByUser : Chosen::kByDefault};
}

wiring::EngineOptions EngineOptionsOf(const ServeOptions& options) {
  return {.pipeline_path = options.pipeline,
          .data_folder = options.data,
          .http = ListenAt(options.http),
          .flight = ListenAt(options.flight),
          .answers_file = options.answers,
          .demo_faults = options.demo_faults ? wiring::DemoFaults::kOn : wiring::DemoFaults::kOff};
}

// The signals that end the engine wait for us to fetch them; threads that start later inherit that.
sigset_t BlockStopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

// Says so when the start takes long: most of it is reading the log.
class SlowStartNotice {
 public:
  explicit SlowStartNotice(std::FILE* err)
      : thread_([this, err](const std::stop_token& stop) {
          std::unique_lock lock(mutex_);
          const bool done = wake_.wait_for(lock, stop, kSilenceMax, [] { return false; });
          if (!done && !stop.stop_requested())
            fmt::print(err, "starting: reading the log and rebuilding the state ...\n");
        }) {}

 private:
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;
};

// "http 6567 (6566 was taken)".
std::string PortText(std::string_view name, uint16_t port, const Address& wanted) {
  if (port == wanted.port || wanted.port == 0) return fmt::format("{} {}", name, port);
  return fmt::format("{} {} ({} was taken)", name, port, wanted.port);
}

std::string ReadyJson(wiring::Engine& engine) {
  return fmt::format(R"({{"http":{},"flight":{},"log":"{}","epoch":{},"pid":{}}})",
                     engine.http_port(), engine.flight_port(),
                     engine.core().log_status().log.ToString(), engine.core().visible().value,
                     getpid());
}

// Prints the line that people wait for, and writes the file that programs wait for.
base::Result<void> AnnounceReady(const ServeOptions& options, const CommandContext& context,
                                 wiring::Engine& engine, steady_clock::duration took) {
  const std::string document = ReadyJson(engine);
  if (context.json()) {
    fmt::print(context.out, "{}\n", document);
  } else {
    fmt::print(context.out, "ready in {:.1f} s: {}, {}, log {}, epoch {}\n",
               std::chrono::duration<double>(took).count(),
               PortText("http", engine.http_port(), options.http),
               PortText("flight", engine.flight_port(), options.flight),
               engine.core().log_status().log.ToString().substr(0, 8),
               engine.core().visible().value);
  }
  std::fflush(context.out);
  if (options.ready_file.empty()) return {};
  return WriteTextFile(options.ready_file, document + "\n");
}

int WaitForSignal(const sigset_t& signals) {
  int signal = 0;
  sigwait(&signals, &signal);
  return signal;
}

// A second signal while stopping ends the process at once: nothing acknowledged is lost by that.
void LeaveAtNextSignal(const sigset_t& signals) {
  std::thread([signals] {
    WaitForSignal(signals);
    _exit(kExitOnSecondSignal);
  }).detach();
}

}  // namespace

int RunServe(const ServeOptions& options, CommandContext& context) {
  const sigset_t signals = BlockStopSignals();
  const auto begin = steady_clock::now();
  base::Result<std::unique_ptr<wiring::Engine>> engine = [&] {
    const SlowStartNotice notice(context.err);
    return wiring::Engine::Start(EngineOptionsOf(options));
  }();
  if (!engine) return ReportError(context, engine.error());
  if (const auto announced = AnnounceReady(options, context, **engine, steady_clock::now() - begin);
      !announced)
    return ReportError(context, announced.error());

  const int signal = WaitForSignal(signals);
  fmt::print(context.err, "stopping ({}): making everything durable, publishing ...\n",
             signal == SIGINT ? "interrupt" : "terminate");
  LeaveAtNextSignal(signals);
  const auto stop_begin = steady_clock::now();
  (*engine)->Stop();
  fmt::print(context.err, "stopped in {:.1f} s\n",
             std::chrono::duration<double>(steady_clock::now() - stop_begin).count());
  return 0;
}

}  // namespace headrace::app
