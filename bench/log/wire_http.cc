// POST /streams/events/events on a kept connection, each batch numbered, so that a repeat would
// count once: what Kafka's idempotent producer promises too.

#include <unistd.h>

#include <charconv>
#include <cstring>

#include "event.h"
#include "socket_loop.h"

namespace headrace::bench {
namespace {

class HttpWire final : public Wire {
 public:
  HttpWire(const Load& load, int producer) : batch_events_(load.batch_events) {
    for (size_t i = 0; i < load.batch_events; ++i)
      body_ += JsonEvent(load.event_bytes, static_cast<uint64_t>(producer) * 1'000'000 + i) + "\n";
    fixed_head_ =
        "POST /streams/events/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: "
        "application/x-ndjson\r\nContent-Length: " +
        std::to_string(body_.size()) + "\r\nHeadrace-Producer: load-" + std::to_string(getpid()) +
        "-" + std::to_string(EventTimeUs()) + "-" + std::to_string(producer) +
        "\r\nHeadrace-Sequence: ";
  }

  std::string_view Head() override {
    head_ = fixed_head_ + std::to_string(++sequence_) + "\r\n\r\n";
    return head_;
  }
  std::string_view Body() const override { return body_; }

  Reply Read(std::string_view received) override {
    const size_t head_end = received.find("\r\n\r\n");
    if (head_end == std::string_view::npos) return Reply::kPartial;
    constexpr std::string_view kStatus = "HTTP/1.1 200";
    const size_t body_begin = head_end + 4;
    if (received.size() < body_begin + BodyBytes(received.substr(0, head_end)))
      return Reply::kPartial;
    if (!received.starts_with(kStatus)) return Reply::kRefused;
    const bool whole = NumberBehind(received.substr(body_begin), R"("accepted":)") == batch_events_;
    return whole ? Reply::kWhole : Reply::kRefused;
  }

 private:
  static size_t NumberBehind(std::string_view text, std::string_view name) {
    const size_t at = text.find(name);
    size_t number = 0;
    if (at == std::string_view::npos) return 0;
    std::from_chars(text.data() + at + name.size(), text.data() + text.size(), number);
    return number;
  }
  static size_t BodyBytes(std::string_view head) {
    const size_t bytes = NumberBehind(head, "Content-Length: ");
    return bytes > 0 ? bytes : NumberBehind(head, "content-length: ");
  }

  const size_t batch_events_;
  std::string body_;
  std::string fixed_head_;
  std::string head_;
  uint64_t sequence_ = 0;
};

}  // namespace

std::unique_ptr<Wire> MakeHttpWire(const Load& load, int producer) {
  return std::make_unique<HttpWire>(load, producer);
}

}  // namespace headrace::bench
