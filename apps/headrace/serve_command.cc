// headrace serve: an engine in the foreground, until SIGTERM or SIGINT.

#include <fmt/core.h>
#include <pthread.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "commands.h"
#include "env/allocator.h"
#include "env/busy_polling.h"
#include "env/process_end.h"
#include "text_file.h"
#include "wiring/engine.h"
#include "wiring/starting.h"

namespace headrace::app {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kSilenceMax{1};   // a longer start says how far it is
constexpr std::chrono::seconds kNoticeEvery{3};  // and again
constexpr int kExitOnSecondSignal = 130;
constexpr auto kCancelled = base::ErrorCode::kUnavailable;  // of a start: log::RecoveryProgress

wiring::ListenAddress ListenAt(const Address& address) {
  using Chosen = wiring::ListenAddress::Chosen;
  return {.host = address.host,
          .port = address.port,
          .chosen = address.given ? Chosen::kByUser : Chosen::kByDefault};
}

base::Result<std::optional<protocols::TlsFiles>> TlsOf(const ServeOptions& options) {
  if (options.tls_cert.empty() && options.tls_key.empty() && options.tls_client_ca.empty())
    return std::nullopt;
  if (options.tls_cert.empty() || options.tls_key.empty())
    return base::Fail(base::ErrorCode::kInvalidInput,
                      "TLS needs a certificate and its key: give --tls-cert and --tls-key");
  return protocols::TlsFiles{
      .certificate = options.tls_cert, .key = options.tls_key, .client_ca = options.tls_client_ca};
}

wiring::EngineOptions EngineOptionsOf(const ServeOptions& options,
                                      std::optional<protocols::TlsFiles> tls) {
  return {.pipeline_path = options.pipeline,
          .data_folder = options.data,
          .http = ListenAt(options.http),
          .flight = ListenAt(options.flight),
          .resp = options.no_resp ? std::nullopt : std::optional(ListenAt(options.resp)),
          .io_threads = options.io_threads,
          .answers_file = options.answers,
          .tokens_file = options.tokens,
          .tls = std::move(tls),
          .version = std::string(kVersion),
          .demo_faults = options.demo_faults ? wiring::DemoFaults::kOn : wiring::DemoFaults::kOff,
          .governing = options.no_governor ? wiring::Governing::kOff : wiring::Governing::kOn};
}

// Fetches the signals that end the engine, on a thread of its own that ends with the process. A
// second signal ends the process at once: nothing acknowledged is lost by that. One object a
// process, made before any other thread, as those inherit what is blocked.
class StopSignals {
 public:
  StopSignals() : state_(std::make_shared<State>()) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    std::thread([state = state_, signals] {
      int signal = 0;
      sigwait(&signals, &signal);
      state->Arrived(signal);
      sigwait(&signals, &signal);
      _exit(kExitOnSecondSignal);
    }).detach();
  }

  // Calls `act` when the first signal comes, at once if it has; until the next call. What `act`
  // uses must live until then: OnFirst({}) returns when it no longer runs.
  void OnFirst(std::function<void()> act) {
    const std::lock_guard lock(state_->mutex);
    state_->act = std::move(act);
    if (state_->signal != 0 && state_->act) state_->act();
  }
  bool came() const {
    const std::lock_guard lock(state_->mutex);
    return state_->signal != 0;
  }
  int Wait() const {
    std::unique_lock lock(state_->mutex);
    state_->changed.wait(lock, [this] { return state_->signal != 0; });
    return state_->signal;
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    int signal = 0;
    std::function<void()> act;

    void Arrived(int number) {
      const std::lock_guard lock(mutex);
      signal = number;
      if (act) act();
      changed.notify_all();
    }
  };
  std::shared_ptr<State> state_;
};

// Says how far the start is when it takes long.
class StartNotice {
 public:
  StartNotice(std::FILE* err, const wiring::Engine& engine)
      : thread_([this, err, &engine](const std::stop_token& stop) {
          std::unique_lock lock(mutex_);
          std::chrono::seconds pause = kSilenceMax;
          while (!wake_.wait_for(lock, stop, pause, [] { return false; }) &&
                 !stop.stop_requested()) {
            fmt::print(err, "starting: {}\n", wiring::ProgressText(engine.recovery()));
            std::fflush(err);
            pause = kNoticeEvery;
          }
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
  return fmt::format(
      R"({{"http":{},"flight":{},"resp":{},"log":"{}","epoch":{},"pid":{}}})", engine.http_port(),
      engine.flight_port(), engine.resp_port() ? std::to_string(*engine.resp_port()) : "null",
      engine.core().log_status().log.ToString(), engine.core().visible().value, getpid());
}

// Prints the line that people wait for, and writes the file that programs wait for.
base::Result<void> AnnounceReady(const ServeOptions& options, const CommandContext& context,
                                 wiring::Engine& engine, steady_clock::duration took) {
  const std::string document = ReadyJson(engine);
  if (context.json()) {
    fmt::print(context.out, "{}\n", document);
  } else {
    fmt::print(context.out, "ready in {:.1f} s: {}, {}, {}{}, log {}, epoch {}\n",
               std::chrono::duration<double>(took).count(),
               PortText("http", engine.http_port(), options.http),
               PortText("flight", engine.flight_port(), options.flight),
               engine.resp_port() ? PortText("resp", *engine.resp_port(), options.resp) : "no resp",
               options.tls_cert.empty() ? "" : ", all over TLS",
               engine.core().log_status().log.ToString().substr(0, 8),
               engine.core().visible().value);
  }
  std::fflush(context.out);
  if (options.ready_file.empty()) return {};
  return WriteTextFile(options.ready_file, document + "\n");
}

// Nothing was accepted yet, so there is nothing to make durable.
int EndedWhileStarting(const CommandContext& context) {
  fmt::print(context.err, "stopped while starting: nothing is lost, the next start begins anew\n");
  env::EndWithoutDestructors(0);
  return 0;
}

}  // namespace

int RunServe(const ServeOptions& options, CommandContext& context) {
  env::GiveMemoryBackEarly();
  env::UseBusyPolling(options.busy_poll);
  StopSignals signals;
  const auto begin = steady_clock::now();
  auto tls = TlsOf(options);
  if (!tls) return ReportError(context, tls.error());
  auto engine = wiring::Engine::Listen(EngineOptionsOf(options, std::move(*tls)));
  if (!engine) return ReportError(context, engine.error());
  signals.OnFirst([&] { (*engine)->CancelRecovery(); });
  const base::Result<void> recovered = [&] {
    const StartNotice notice(context.err, **engine);
    return (*engine)->Recover();
  }();
  signals.OnFirst({});
  if (!recovered && recovered.error().code() == kCancelled && signals.came())
    return EndedWhileStarting(context);
  if (!recovered) return ReportError(context, recovered.error());
  if (const auto announced = AnnounceReady(options, context, **engine, steady_clock::now() - begin);
      !announced)
    return ReportError(context, announced.error());

  const int signal = signals.Wait();
  fmt::print(context.err, "stopping ({}): making everything durable, publishing ...\n",
             signal == SIGINT ? "interrupt" : "terminate");
  const auto stop_begin = steady_clock::now();
  (*engine)->Stop();
  fmt::print(context.err, "stopped in {:.1f} s\n",
             std::chrono::duration<double>(steady_clock::now() - stop_begin).count());
  env::EndWithoutDestructors(0);
  return 0;
}

}  // namespace headrace::app
