// What the bare server of sync_server.h understands.

#include <cstring>

#include "event.h"
#include "socket_loop.h"

namespace headrace::bench {
namespace {

class FramesWire final : public Wire {
 public:
  FramesWire(const Load& load, int producer) : body_(sizeof(uint32_t), '\0') {
    for (size_t i = 0; i < load.batch_events; ++i)
      body_ += JsonEvent(load.event_bytes, static_cast<uint64_t>(producer) * 1'000'000 + i);
    const auto length = static_cast<uint32_t>(body_.size() - sizeof(uint32_t));
    std::memcpy(body_.data(), &length, sizeof(length));
  }
  std::string_view Head() override { return {}; }
  std::string_view Body() const override { return body_; }
  Reply Read(std::string_view received) override {
    return received.empty() ? Reply::kPartial : Reply::kWhole;
  }

 private:
  std::string body_;
};

}  // namespace

std::unique_ptr<Wire> MakeFramesWire(const Load& load, int producer) {
  return std::make_unique<FramesWire>(load, producer);
}

}  // namespace headrace::bench
