#pragma once
// XXH3 over bytes: 64 bits for checksums and hash tables. The same on every machine and build.

#include <cstdint>
#include <span>
#include <string_view>

namespace headrace::base {

// XXH3-64 with `seed` (0 for bytes on disk).
uint64_t Hash64(std::span<const uint8_t> bytes, uint64_t seed = 0);
uint64_t Hash64(std::string_view text, uint64_t seed = 0);

// Mixes a 64-bit value to a well-spread one (for integer keys and for folding hashes).
constexpr uint64_t Mix64(uint64_t x) {
  x ^= x >> 32;
  x *= 0xd6e8feb86659fd93ULL;
  x ^= x >> 32;
  x *= 0xd6e8feb86659fd93ULL;
  return x ^ (x >> 32);
}

}  // namespace headrace::base
