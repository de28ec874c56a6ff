#include "steady_sender.h"

#include <arrow/flight/client.h>
#include <arrow/util/key_value_metadata.h>

#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>

#include "payment_batches.h"

namespace headrace::bench {
namespace {

namespace flight = arrow::flight;
using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kReconnectAfter{5};

std::optional<uint64_t> NumberBehind(std::string_view text, std::string_view name) {
  const size_t at = text.find(name);
  uint64_t number = 0;
  if (at == std::string_view::npos) return std::nullopt;
  const char* begin = text.data() + at + name.size();
  if (std::from_chars(begin, text.data() + text.size(), number).ec != std::errc())
    return std::nullopt;
  return number;
}

int64_t WallUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

class Sender {
 public:
  Sender(const Steady& steady, const std::atomic<bool>& stop)
      : steady_(steady), stop_(stop), schema_(PaymentSchema(steady.producer)) {}

  int Run() {
    while (!stop_ && !refused_) {
      const arrow::Status ended = RunConnection();
      if (stop_ || refused_) break;
      if (std::exchange(connected_, false)) Say("lost\n");
      if (ended.IsInvalid()) {
        std::fprintf(stderr, "%s\n", ended.ToString().c_str());
        return 1;
      }
      std::this_thread::sleep_for(kReconnectAfter);
    }
    return refused_ ? 1 : 0;
  }

 private:
  static void Say(const std::string& line) {
    std::fputs(line.c_str(), stdout);
    std::fflush(stdout);
  }

  // When batch `number` is due; counted anew from the first one that this process sends.
  SteadyClock::time_point DueTime(uint64_t number) const {
    if (steady_.rows_per_s <= 0) return SteadyClock::now();
    const double rows =
        static_cast<double>(number - first_) * static_cast<double>(steady_.batch_rows);
    return start_ + std::chrono::duration_cast<SteadyClock::duration>(
                        std::chrono::duration<double>(rows / steady_.rows_per_s));
  }

  arrow::Status RunConnection() {
    ARROW_ASSIGN_OR_RAISE(const auto location,
                          flight::Location::ForGrpcTcp("127.0.0.1", steady_.port));
    flight::FlightClientOptions options = flight::FlightClientOptions::Defaults();
    options.generic_options.emplace_back("grpc.use_local_subchannel_pool", 1);
    options.generic_options.emplace_back("grpc.initial_reconnect_backoff_ms", 50);
    ARROW_ASSIGN_OR_RAISE(const auto client, flight::FlightClient::Connect(location, options));
    ARROW_ASSIGN_OR_RAISE(const auto call,
                          client->DoPut(flight::FlightDescriptor::Path({steady_.stream}), schema_));
    std::shared_ptr<arrow::Buffer> message;
    ARROW_RETURN_NOT_OK(call.reader->ReadMetadata(&message));
    if (message == nullptr) return call.writer->Close();
    Greeted(NumberBehind(message->ToString(), R"("last_sequence":)").value_or(0));
    {
      const std::jthread reader([&] { ReadAcknowledgements(*call.reader); });
      SendAll(*call.writer);
      (void)call.writer->DoneWriting();
    }
    return call.writer->Close();
  }

  void Greeted(uint64_t last_durable) {
    if (first_ == 0) {
      first_ = last_durable + 1;
      start_ = SteadyClock::now();
    }
    const std::lock_guard lock(mutex_);
    under_way_.clear();
    next_ = last_durable + 1;
    broken_ = false;
    connected_ = true;
    Say("connected " + std::to_string(last_durable) + "\n");
  }

  void SendAll(flight::FlightStreamWriter& writer) {
    for (; WaitForRoom(); ++next_) {
      const SteadyClock::time_point due = DueTime(next_);
      std::this_thread::sleep_until(due);
      const auto batch = PaymentBatch(schema_, next_, steady_.batch_rows, steady_.cards, WallUs());
      if (!batch.ok()) return;
      {
        const std::lock_guard lock(mutex_);
        under_way_.push_back({next_, due});
      }
      auto metadata = arrow::Buffer::FromString(R"({"sequence":)" + std::to_string(next_) + "}");
      if (!writer.WriteWithMetadata(**batch, std::move(metadata)).ok()) return;
    }
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return broken_ || under_way_.empty(); });
  }

  // False when there is nothing more to send on this connection.
  bool WaitForRoom() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return broken_ || under_way_.size() < steady_.window; });
    return !broken_ && !stop_;
  }

  void ReadAcknowledgements(flight::FlightMetadataReader& reader) {
    std::shared_ptr<arrow::Buffer> message;
    while (reader.ReadMetadata(&message).ok() && message != nullptr)
      if (!Acknowledged(message->ToString())) break;
    const std::lock_guard lock(mutex_);
    broken_ = true;
    changed_.notify_all();
  }

  bool Acknowledged(const std::string& text) {
    const auto number = NumberBehind(text, R"("sequence":)");
    const auto accepted = NumberBehind(text, R"("accepted":)");
    const auto epoch = NumberBehind(text, R"("epoch":)");
    if (text.find(R"("error")") != std::string::npos) return false;  // the engine leaves or is full
    const std::lock_guard lock(mutex_);
    const bool expected = !under_way_.empty() && number == under_way_.front().number;
    if (!expected || accepted != steady_.batch_rows || !epoch) {
      std::fprintf(stderr, "not what was sent: %s\n", text.c_str());
      refused_ = true;
      return false;
    }
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(SteadyClock::now() -
                                                                            under_way_.front().due);
    under_way_.pop_front();
    changed_.notify_all();
    Say("ack " + std::to_string(*number) + " " + std::to_string(*epoch) + " " +
        std::to_string(took.count()) + "\n");
    return true;
  }

  struct UnderWay {
    uint64_t number;
    SteadyClock::time_point due;
  };

  const Steady steady_;
  const std::atomic<bool>& stop_;
  const std::shared_ptr<arrow::Schema> schema_;
  uint64_t first_ = 0;  // the first batch that this process sends
  SteadyClock::time_point start_;
  uint64_t next_ = 1;
  bool connected_ = false;
  std::atomic<bool> refused_ = false;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<UnderWay> under_way_;
  bool broken_ = false;
};

}  // namespace

int RunSteadySender(const Steady& steady, const std::atomic<bool>& stop) {
  return Sender(steady, stop).Run();
}

}  // namespace headrace::bench
