#include "protocols/tls_client_stream.h"

#include <utility>
#include <vector>

namespace headrace::protocols {
namespace {

using base::ErrorCode;
using base::Fail;
using std::chrono::milliseconds;
using Step = TlsChannel::Step;

constexpr size_t kReadBytes = 32U << 10;

class TlsStream final : public env::ClientStream {
 public:
  TlsStream(std::unique_ptr<env::ClientStream> carrier, std::unique_ptr<TlsChannel> channel)
      : carrier_(std::move(carrier)), channel_(std::move(channel)), buffer_(kReadBytes) {}

  base::Result<void> Handshake(milliseconds timeout) {
    while (true) {
      const Step step = channel_->Handshake();
      const auto sent = Send(timeout);
      if (step == Step::kFailed) return Fail(channel_->failure());
      if (step == Step::kEnded) return Fail(Left());
      if (!sent) return sent;
      if (step == Step::kDone) return {};
      HR_TRY_VOID(Receive(timeout));
    }
  }
  base::Result<void> Write(std::span<const uint8_t> bytes, milliseconds timeout) override {
    if (channel_->Write(bytes) != Step::kDone) return Fail(channel_->failure());
    return Send(timeout);
  }
  base::Result<size_t> Read(std::span<uint8_t> out, milliseconds timeout) override {
    while (true) {
      size_t count = 0;
      switch (channel_->Read(out, count)) {
        case Step::kDone: return count;
        case Step::kEnded: return size_t{0};
        case Step::kFailed: return Fail(channel_->failure());
        case Step::kWants: break;
      }
      HR_TRY_VOID(Send(timeout));
      HR_TRY_VOID(Receive(timeout));
    }
  }

 private:
  static base::Error Left() {
    return {ErrorCode::kUnavailable, "the other side closed the connection without a word"};
  }
  base::Result<void> Send(milliseconds timeout) {
    const std::string out = channel_->TakeOutput();
    if (out.empty()) return {};
    return carrier_->Write({reinterpret_cast<const uint8_t*>(out.data()), out.size()}, timeout);
  }
  // The channel has read all that came before.
  base::Result<void> Receive(milliseconds timeout) {
    HR_TRY(const size_t count, carrier_->Read(buffer_, timeout));
    if (count == 0) return Fail(Left());
    channel_->Supply(std::span(buffer_).first(count));
    return {};
  }

  std::unique_ptr<env::ClientStream> carrier_;
  std::unique_ptr<TlsChannel> channel_;
  std::vector<uint8_t> buffer_;
};

}  // namespace

base::Result<std::unique_ptr<env::ClientStream>> SpeakTls(std::unique_ptr<env::ClientStream> stream,
                                                          TlsContextRef context,
                                                          const std::string& host,
                                                          milliseconds timeout) {
  auto channel = TlsChannel::Connect(std::move(context), host);
  auto secured = std::make_unique<TlsStream>(std::move(stream), std::move(channel));
  HR_TRY_VOID(secured->Handshake(timeout));
  return secured;
}

}  // namespace headrace::protocols
