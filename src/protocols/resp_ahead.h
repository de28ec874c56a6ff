#pragma once
// Commands of a connection that were parsed and not run yet: while one is answered, the memory that
// the next ones need is on its way.

#include <array>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace headrace::protocols {

// Lives as long as the bytes that were parsed stay where they are.
class RespAhead {
 public:
  static constexpr size_t kCommandsMax = 16;

  bool empty() const { return next_ == commands_; }
  bool full() const { return !empty() && commands_ == kCommandsMax; }
  // Of those that were added and not taken.
  size_t bytes() const { return bytes_; }

  void Add(std::span<const std::string_view> arguments, size_t bytes) {
    if (empty()) Clear();
    arguments_.insert(arguments_.end(), arguments.begin(), arguments.end());
    ends_[commands_] = arguments_.size();
    sizes_[commands_++] = bytes;
    bytes_ += bytes;
  }
  // Behind the last one that was added, of no command.
  void AddBytes(size_t bytes) {
    sizes_[commands_ - 1] += bytes;
    bytes_ += bytes;
  }
  // All that were added since the last one was taken; valid until Add.
  std::span<const std::span<const std::string_view>> commands() {
    for (size_t i = next_; i < commands_; ++i) views_[i] = ArgumentsOf(i);
    return std::span(views_).subspan(next_, commands_ - next_);
  }
  std::span<const std::string_view> arguments() const { return ArgumentsOf(next_); }
  // Of the first one.
  size_t size() const { return sizes_[next_]; }
  // Takes the first one: its bytes.
  size_t Take() {
    bytes_ -= sizes_[next_];
    return sizes_[next_++];
  }

 private:
  void Clear() {
    arguments_.clear();
    next_ = commands_ = 0;
  }
  std::span<const std::string_view> ArgumentsOf(size_t command) const {
    const size_t begin = command == 0 ? 0 : ends_[command - 1];
    return std::span(arguments_).subspan(begin, ends_[command] - begin);
  }

  std::vector<std::string_view> arguments_;
  std::array<size_t, kCommandsMax> ends_;
  std::array<size_t, kCommandsMax> sizes_;
  std::array<std::span<const std::string_view>, kCommandsMax> views_;
  size_t next_ = 0;
  size_t commands_ = 0;
  size_t bytes_ = 0;
};

}  // namespace headrace::protocols
