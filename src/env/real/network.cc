#include "env/network.h"

#include <sys/resource.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "base/log.h"
#include "env/real/client_stream.h"
#include "env/real/io_loop.h"
#include "env/real/tcp_listener.h"

namespace headrace::env {
namespace {

size_t IoThreads(size_t asked) {
  constexpr size_t kMost = 8;
  if (asked != kIoThreadsByCores) return asked;
  return std::clamp<size_t>(std::thread::hardware_concurrency() / 2, 1, kMost);
}

class RealNetwork final : public Network {
 public:
  RealNetwork(Clock& clock, size_t io_threads) {
    for (size_t i = 0; i < IoThreads(io_threads); ++i) {
      auto loop = real::IoLoop::Start(clock, "hr-io-" + std::to_string(i));
      HR_CHECK(loop.has_value(), "no descriptor for an I/O thread");
      loops_.push_back(*std::move(loop));
    }
  }
  ~RealNetwork() override {
    for (const auto& loop : loops_) loop->Stop();
  }

  base::Result<std::unique_ptr<Listener>> Listen(const std::string& host, uint16_t port,
                                                 ConnectionLimits limits,
                                                 SessionFactory factory) override {
    return real::ListenOn(loops_, host, port, std::move(limits), std::move(factory));
  }
  base::Result<std::unique_ptr<ClientStream>> Connect(const std::string& host, uint16_t port,
                                                      std::chrono::milliseconds timeout) override {
    return ConnectClientStream(host, port, timeout);
  }

 private:
  std::vector<std::shared_ptr<real::IoLoop>> loops_;
};

}  // namespace
uint64_t RaiseOpenFilesMax(uint64_t wanted) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
  if (limit.rlim_cur >= wanted) return limit.rlim_cur;
  rlimit raised = limit;
  raised.rlim_cur = wanted;
  raised.rlim_max = std::max<rlim_t>(limit.rlim_max, wanted);  // root may
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) return raised.rlim_cur;
  raised.rlim_max = limit.rlim_max;
  raised.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max);
  return setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : limit.rlim_cur;
}

std::unique_ptr<Network> MakeRealNetwork(Clock& clock, size_t io_threads) {
  return std::make_unique<RealNetwork>(clock, io_threads);
}

}  // namespace headrace::env
