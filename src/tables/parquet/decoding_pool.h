#pragma once
// Memory for decoding files of others: like Arrow's own, but no single piece may be larger than any
// honest file needs, so that a forged length in a footer or a page header is refused.

#include <cstdint>

namespace arrow {
class MemoryPool;
}

namespace headrace::tables {

inline constexpr int64_t kDecodedPieceBytesMax = 512LL << 20;

// Lives for ever: what was decoded may outlive its reader. Thread-safe.
arrow::MemoryPool* DecodingPool();

}  // namespace headrace::tables
