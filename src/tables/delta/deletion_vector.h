#pragma once
// Which rows of a data file are deleted (PROTOCOL, "Deletion Vectors"): a set of row numbers as a
// 64-bit Roaring bitmap in its portable form, inline in the log or in a file of its own.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "env/files.h"
#include "tables/delta/actions.h"

namespace headrace::tables::delta {

// The row numbers, ascending. `folder` is the table's. Errors: kCorruption when it is damaged, has
// another number of rows than it says, or one that is not below `rows`; kUnsupported when it lies
// outside the table's folder.
base::Result<std::vector<uint64_t>> ReadDeletionVector(env::Files& files, const std::string& folder,
                                                       const DeletionVector& vector, uint64_t rows);

// Five characters for four bytes (ZeroMQ's Z85). Errors: kCorruption.
base::Result<std::vector<uint8_t>> DecodeZ85(std::string_view text);

// Magic number and bitmap. `cardinality` bounds what a forged bitmap can unfold to.
base::Result<std::vector<uint64_t>> DecodeBitmap(std::span<const uint8_t> bytes,
                                                 uint64_t cardinality);

}  // namespace headrace::tables::delta
