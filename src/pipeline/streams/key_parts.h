#pragma once
// Keys by the hash of their bytes in equal parts: what is kept of keys is captured one part at a
// time, each as of an epoch of its own.

#include <cstddef>
#include <string_view>

#include "base/hash.h"

namespace headrace::pipeline {

inline constexpr size_t kKeyParts = 256;

inline size_t KeyPartOf(std::string_view key) { return base::Hash64(key) % kKeyParts; }

// Whether a capture of so many parts has this one. With fewer parts each is several of ours: of
// part 3 of 16 are 3, 19, 35, ...
inline bool IsKeyPart(size_t part, size_t parts) {
  return parts != 0 && kKeyParts % parts == 0 && part < parts;
}

}  // namespace headrace::pipeline
