#include "base/hash.h"

#define XXH_INLINE_ALL  // keys are short: a call would cost as much as their hash
#include <xxhash.h>

#include "base/hash_stream.h"

namespace headrace::base {

uint64_t Hash64(std::span<const uint8_t> bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

uint64_t Hash64(std::string_view text, uint64_t seed) {
  return XXH3_64bits_withSeed(text.data(), text.size(), seed);
}

struct HashStream::State {
  State() : xxh3(XXH3_createState()) { XXH3_64bits_reset(xxh3); }
  ~State() { XXH3_freeState(xxh3); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  XXH3_state_t* const xxh3;
};

HashStream::HashStream() : state_(std::make_unique<State>()) {}
HashStream::HashStream(HashStream&&) noexcept = default;
HashStream& HashStream::operator=(HashStream&&) noexcept = default;
HashStream::~HashStream() = default;

void HashStream::Add(std::span<const uint8_t> bytes) {
  XXH3_64bits_update(state_->xxh3, bytes.data(), bytes.size());
}
uint64_t HashStream::value() const { return XXH3_64bits_digest(state_->xxh3); }

}  // namespace headrace::base
