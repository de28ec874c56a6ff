#include "protocols/http_body.h"

#include <algorithm>

namespace headrace::protocols {
namespace {

constexpr uint64_t kReserveMax = 1U << 20;  // at most this is reserved on a length's word alone
constexpr size_t kPadding = 64;             // HttpRequest::body promises it
constexpr uint64_t kUncharged = 2U << 10;   // smaller bodies are covered by the connection's charge

}  // namespace

HttpBody::HttpBody(Framing framing, uint64_t length, ChunkLimits limits, base::MemoryBudget* budget)
    : framing_(framing),
      length_(length),
      chunks_(limits),
      bytes_max_(limits.body_bytes_max),
      budget_(budget) {
  if (framing == Framing::kNone) state_ = State::kComplete;
  if (framing == Framing::kLength && length > bytes_max_) state_ = State::kTooLarge;
  if (state_ == State::kMore) bytes_.reserve(std::min(length, kReserveMax) + kPadding);
}

size_t HttpBody::Feed(std::string_view bytes) {
  if (state_ != State::kMore) return 0;
  if (framing_ == Framing::kChunked) {
    const size_t used = chunks_.Feed(bytes, [this](std::string_view piece) { return Keep(piece); });
    if (state_ != State::kMore) return used;
    if (chunks_.state() == ChunkDecoder::State::kDone) state_ = State::kComplete;
    if (chunks_.state() == ChunkDecoder::State::kMalformed) state_ = State::kMalformed;
    if (chunks_.state() == ChunkDecoder::State::kTooLarge) state_ = State::kTooLarge;
    return used;
  }
  const uint64_t wanted = framing_ == Framing::kLength ? length_ - bytes_.size() : bytes.size();
  const size_t used = static_cast<size_t>(std::min<uint64_t>(wanted, bytes.size()));
  if (bytes_.size() + used > bytes_max_)
    state_ = State::kTooLarge;
  else if (Keep(bytes.substr(0, used)) && framing_ == Framing::kLength && bytes_.size() == length_)
    state_ = State::kComplete;
  return used;
}

bool HttpBody::Keep(std::string_view piece) {
  const uint64_t size = bytes_.size() + piece.size();
  if (budget_ != nullptr && size > kUncharged && size > charge_.bytes()) {
    auto grown =
        budget_->TryCharge(base::MemoryAccount::kIngest, std::max(size, 2 * charge_.bytes()));
    if (!grown) {
      state_ = State::kOverBudget;
      return false;
    }
    charge_ = std::move(*grown);
  }
  bytes_.append(piece);
  return true;
}

void HttpBody::EndOfInput() {
  if (state_ == State::kMore)
    state_ = framing_ == Framing::kToTheEnd ? State::kComplete : State::kMalformed;
}

std::string HttpBody::Take() {
  bytes_.reserve(bytes_.size() + kPadding);
  return std::move(bytes_);
}

}  // namespace headrace::protocols
