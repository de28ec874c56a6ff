#pragma once
// The checksum of a whole checkpoint file of ours: Parquet leaves footers and page headers
// unchecked. It stands, as 16 digits behind a marker, among the footer's key-value pairs, and is
// taken over the file with zeros in its own place.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "env/files.h"

namespace headrace::tables::delta {

inline constexpr std::string_view kCheckpointMarker = "headrace-xxh3:";
inline constexpr std::string_view kNoCheckpointDigits = "0000000000000000";

// XXH3-64 of a stream: of each piece of 1 MiB, seeded with the one before it.
class StreamedHash {
 public:
  void Update(std::span<const uint8_t> bytes);
  uint64_t Finish();

 private:
  static constexpr size_t kPieceBytes = 1 << 20;
  std::vector<uint8_t> piece_;
  uint64_t hash_ = 0;
};

enum class Author : uint8_t { kOurs, kAnother };

// Whether the file is ours, and then whole. Reads all of it, a piece at a time. Errors: kCorruption
// when it is damaged; those of the file.
base::Result<Author> CheckCheckpointFile(const env::ReadableFile& file);

}  // namespace headrace::tables::delta
