#pragma once
// Reads commands of the Redis serialization protocol (RESP 2 and 3, redis.io/docs/reference/
// protocol-spec): an array of bulk strings, or a line of words as people type it.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headrace::protocols {

struct RespLimits {
  size_t arguments_max = 8192;  // of a command, its name included
  size_t argument_bytes_max = 1 << 20;
  size_t command_bytes_max = 4 << 20;  // as it is sent
  size_t line_bytes_max = 64 << 10;    // of a command typed as a line
};

// Fed with what has come of a command, from its first byte on, until it is whole; looks at each
// byte once. Not thread-safe.
class RespParser {
 public:
  enum class Outcome : uint8_t {
    kCommand,     // arguments() and size() tell it; then Next
    kIncomplete,  // feed more
    kFailed,      // failure() says why; the connection can't go on
  };
  explicit RespParser(RespLimits limits) : limits_(limits) {}

  // `input` begins with the command's first byte and has at least what the call before had.
  Outcome Parse(std::string_view input);
  // None: an empty line or array, which is no command. Valid while the fed bytes are.
  std::span<const std::string_view> arguments() const { return arguments_; }
  // They are pieces of the fed bytes, and stay when the next command is parsed. Not those of a line
  // of words.
  bool borrows() const { return expect_ != Expect::kFirstByte; }
  // Bytes of the command.
  size_t size() const { return at_; }
  // As Redis words it, without the "ERR ".
  const std::string& failure() const { return failure_; }
  // From the next command on.
  void UseLimits(const RespLimits& limits) { limits_ = limits; }
  // The next byte fed is the first of another command.
  void Next();
  // Some bytes of a command have come.
  bool begun() const { return begun_; }
  // Between two commands: gives the memory of a large one back. arguments() is empty then.
  void GiveBack();
  // What is kept of the command beside its bytes.
  size_t kept_bytes() const;

 private:
  enum class Expect : uint8_t { kFirstByte, kBulkHead, kBulkBody };

  Outcome Fail(std::string why);
  Outcome Whole(std::string_view input);
  // The line that begins at at_, without its end; false when it is not whole.
  bool Line(std::string_view input, std::string_view& line);
  Outcome ParseLine(std::string_view input);
  Outcome ParseArrayHead(std::string_view input);
  Outcome ParseBulks(std::string_view input);
  bool ShortBulk(std::string_view input);

  RespLimits limits_;
  Expect expect_ = Expect::kFirstByte;
  bool begun_ = false;
  size_t at_ = 0;         // everything before it is understood
  size_t searched_ = 0;   // no line end before it
  size_t remaining_ = 0;  // bulk strings to come
  size_t bulk_bytes_ = 0;
  std::vector<std::pair<size_t, size_t>> places_;  // begin and size of each argument
  std::vector<std::string_view> arguments_;
  std::vector<std::string> words_;  // of a line with quotes
  std::string failure_;
};

}  // namespace headrace::protocols
