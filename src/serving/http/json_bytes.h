#pragma once
// A text that grows by what is asked for beforehand, so that the many small pieces of a large
// answer are written without a look at the room for each.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

namespace headrace::serving {

// Not thread-safe. Bytes behind `at` are unspecified until they are written.
class JsonBytes {
 public:
  explicit JsonBytes(size_t expected) { Resize(expected); }

  // So many bytes may be written without asking again.
  void Room(size_t bytes) {
    if (static_cast<size_t>(end_ - at_) < bytes) Grow(bytes);
  }
  // Needs room.
  void Write(std::string_view text) {
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }
  void Write(char c) { *at_++ = c; }
  // Makes room.
  void Put(std::string_view text) {
    Room(text.size());
    Write(text);
  }
  // Writes bytes again that were written before; `at` of them by the count of those before it.
  // Makes room.
  void Repeat(size_t at, size_t bytes) {
    Room(bytes);
    std::memcpy(at_, text_.data() + at, bytes);
    at_ += bytes;
  }
  // The same of a piece of at most kMost bytes; needs room for kMost.
  template <size_t kMost>
  void WriteAgain(size_t at, size_t bytes) {
    std::array<char, kMost> piece;
    std::memcpy(piece.data(), text_.data() + at, kMost);
    std::memcpy(at_, piece.data(), kMost);
    at_ += bytes;
  }
  // In a list whose elements end with commas: the last comma becomes the bracket. Needs room.
  void CloseList() {
    DropComma();
    *at_++ = ']';
  }
  void DropComma() {
    if (at_[-1] == ',') --at_;
  }
  char* at() { return at_; }
  char* end() { return end_; }
  void MoveTo(char* at) { at_ = at; }
  size_t used() const { return static_cast<size_t>(at_ - text_.data()); }

  std::string Take() {
    text_.resize(used());
    return std::move(text_);
  }

 private:
  void Grow(size_t bytes) {
    const size_t before = used();
    Resize(std::max(2 * text_.size(), before + bytes));
    at_ = text_.data() + before;
  }
  void Resize(size_t size) {
    text_.resize_and_overwrite(size, [](char*, size_t given) { return given; });
    at_ = text_.data();
    end_ = text_.data() + text_.size();
  }

  std::string text_;
  char* at_ = nullptr;
  char* end_ = nullptr;
};

}  // namespace headrace::serving
