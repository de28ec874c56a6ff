#pragma once
// What a fuzz target is: libFuzzer's one function, called again and again in one process, by
// libFuzzer itself or by seeded_driver.cc. A broken promise ends the process.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace headrace::fuzz {

// The first byte of an input says in which pieces the others come; 0 is all at once.
struct Pieces {
  size_t piece;
  std::string_view bytes;
};
inline Pieces Cut(const uint8_t* data, size_t size) {
  if (size == 0) return {1, {}};
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  return {data[0] == 0 ? size : data[0], bytes};
}

inline void Promise(bool kept, const char* what) {
  if (kept) return;
  std::fprintf(stderr, "fuzz: broken promise: %s\n", what);
  std::abort();
}

// `told(bytes, piece)` is what was read of the bytes when they came in such pieces.
template <typename Told>
int ReadsTheSameInPieces(const uint8_t* data, size_t size, Told told) {
  const Pieces cut = Cut(data, size);
  Promise(told(cut.bytes, size + 1) == told(cut.bytes, cut.piece),
          "pieces do not change what is read");
  return 0;
}

}  // namespace headrace::fuzz
