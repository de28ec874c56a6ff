#pragma once
// The chunked transfer coding (RFC 9112, 7.1), one strict reading of it: exact line ends, no blanks
// around sizes, well-formed extensions (passed over), trailers that are fields and do not frame
// (dropped).

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace headrace::protocols {

struct ChunkLimits {
  uint64_t body_bytes_max = 0;
  size_t line_bytes_max = 0;     // a size line with its extensions, a trailer line
  size_t trailer_bytes_max = 0;  // all trailers
};

// One body. Not thread-safe.
class ChunkDecoder {
 public:
  enum class State : uint8_t { kSize, kData, kDataEnd, kTrailer, kDone, kMalformed, kTooLarge };
  // Takes a piece of the body, valid during the call; false stops the decoder there.
  using Sink = std::function<bool(std::string_view)>;

  explicit ChunkDecoder(ChunkLimits limits) : limits_(limits) {}
  // Uses bytes up to the body's end; returns how many.
  size_t Feed(std::string_view bytes, const Sink& sink);
  State state() const { return state_; }
  bool ended() const { return state_ >= State::kDone; }

 private:
  size_t FeedData(std::string_view bytes, const Sink& sink);
  // Gathers a line; acts on it when its CRLF has come.
  size_t FeedLine(std::string_view bytes);
  void LineDone();
  void SizeLine();
  void TrailerLine();

  ChunkLimits limits_;
  State state_ = State::kSize;
  std::string line_;
  uint64_t left_ = 0;   // of the chunk
  uint64_t body_ = 0;   // bytes announced so far
  size_t trailer_ = 0;  // bytes of trailers so far
};

}  // namespace headrace::protocols
