#pragma once
// Hash64 of bytes that come in pieces.

#include <cstdint>
#include <memory>
#include <span>

namespace headrace::base {

// Not thread-safe.
class HashStream {
 public:
  HashStream();
  HashStream(HashStream&&) noexcept;
  HashStream& operator=(HashStream&&) noexcept;
  ~HashStream();

  void Add(std::span<const uint8_t> bytes);
  // Of all that was added: what Hash64 says of it in one piece.
  uint64_t value() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace headrace::base
