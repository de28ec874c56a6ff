// Over RESP 2. Redis streams: XADD of one field an event. A batch is either pipelined or wrapped in
// MULTI / EXEC, which Redis writes and syncs as a whole. Headrace: one FEATURES.PUSH a batch,
// numbered, so that a repeat would count once.

#include <unistd.h>

#include "event.h"
#include "socket_loop.h"

namespace headrace::bench {
namespace {

std::string Bulk(const std::string& text) {
  return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

std::string Command(const std::vector<std::string>& words) {
  std::string command = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) command += Bulk(word);
  return command;
}

class RedisWire final : public Wire {
 public:
  RedisWire(const Load& load, int producer, RedisBatch form)
      : lines_wanted_(form == RedisBatch::kPipelined ? 2 * load.batch_events
                                                     : 2 + 3 * load.batch_events) {
    if (form == RedisBatch::kTransaction) body_ += Command({"MULTI"});
    for (size_t i = 0; i < load.batch_events; ++i) {
      const std::string event =
          JsonEvent(load.event_bytes, static_cast<uint64_t>(producer) * 1'000'000 + i);
      body_ += Command({"XADD", "events", "*", "e", event});
    }
    if (form == RedisBatch::kTransaction) body_ += Command({"EXEC"});
  }

  std::string_view Head() override {
    lines_ = 0;
    read_ = 0;
    return {};
  }
  std::string_view Body() const override { return body_; }

  // An identifier answers in two lines, "$15" and itself; a transaction in two lines and one more
  // an event ("+OK", "+QUEUED" ..., "*1000") besides. No line of them is an error.
  Reply Read(std::string_view received) override {
    while (true) {
      const size_t end = received.find("\r\n", read_);
      if (end == std::string_view::npos) break;
      if (received[read_] == '-') return Reply::kRefused;
      ++lines_;
      read_ = end + 2;
    }
    return lines_ < lines_wanted_ ? Reply::kPartial : Reply::kWhole;
  }

 private:
  const size_t lines_wanted_;
  std::string body_;
  size_t lines_ = 0;
  size_t read_ = 0;
};

class PushWire final : public Wire {
 public:
  PushWire(const Load& load, int producer)
      : accepted_("\r\n:" + std::to_string(load.batch_events) + "\r\n") {
    constexpr size_t kOtherWords = 6;  // the command, the stream, and who sends
    const std::string name = "load-" + std::to_string(getpid()) + "-" +
                             std::to_string(EventTimeUs()) + "-" + std::to_string(producer);
    fixed_ = "*" + std::to_string(load.batch_events + kOtherWords) + "\r\n" +
             Bulk("FEATURES.PUSH") + Bulk("events");
    for (size_t i = 0; i < load.batch_events; ++i)
      fixed_ += Bulk(JsonEvent(load.event_bytes, static_cast<uint64_t>(producer) * 1'000'000 + i));
    fixed_ += Bulk("PRODUCER") + Bulk(name) + Bulk("SEQUENCE");
  }

  std::string_view Head() override { return fixed_; }
  std::string_view Body() const override {
    sequence_ = Bulk(std::to_string(++number_));
    return sequence_;
  }

  // A map of five pairs, as an array: "accepted" and a number first, "repeated" and another one
  // last.
  Reply Read(std::string_view received) override {
    if (received.starts_with('-')) return Reply::kRefused;
    constexpr std::string_view kLast = "repeated\r\n:0\r\n";
    if (!received.ends_with(kLast)) return Reply::kPartial;
    return received.find(accepted_) != std::string_view::npos ? Reply::kWhole : Reply::kRefused;
  }

 private:
  const std::string accepted_;
  std::string fixed_;
  mutable std::string sequence_;
  mutable uint64_t number_ = 0;
};

}  // namespace

std::unique_ptr<Wire> MakePushWire(const Load& load, int producer) {
  return std::make_unique<PushWire>(load, producer);
}

std::unique_ptr<Wire> MakeRedisWire(const Load& load, int producer, RedisBatch form) {
  return std::make_unique<RedisWire>(load, producer, form);
}

}  // namespace headrace::bench
