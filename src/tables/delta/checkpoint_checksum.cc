#include "tables/delta/checkpoint_checksum.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/hash.h"
#include "tables/delta/actions.h"
#include "tables/delta/checkpoint_schema.h"

namespace headrace::tables::delta {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;

constexpr uint64_t kReadBytes = 1 << 20;
constexpr uint64_t kTrailerBytes = 8;  // the footer's length and "PAR1"

// Where the digits are in the file, and what they say.
struct Digits {
  uint64_t offset = 0;
  std::string text;
};

struct Footer {
  uint64_t offset = 0;
  std::string bytes;
};

Result<Footer> ReadFooter(const env::ReadableFile& file) {
  if (file.size() < kTrailerBytes) return Fail(ErrorCode::kCorruption, "no Parquet file");
  std::vector<uint8_t> trailer(kTrailerBytes);
  HR_TRY_VOID(file.ReadAt(file.size() - kTrailerBytes, trailer));
  uint32_t bytes = 0;
  std::memcpy(&bytes, trailer.data(), sizeof(bytes));
  if (std::memcmp(trailer.data() + 4, "PAR1", 4) != 0 || bytes > file.size() - kTrailerBytes)
    return Fail(ErrorCode::kCorruption, "no Parquet file");
  std::vector<uint8_t> footer(bytes);
  const uint64_t offset = file.size() - kTrailerBytes - bytes;
  HR_TRY_VOID(file.ReadAt(offset, footer));
  return Footer{offset, std::string(footer.begin(), footer.end())};
}

std::optional<Digits> FindDigits(const Footer& footer) {
  const size_t marker = footer.bytes.rfind(kCheckpointMarker);
  if (marker == std::string::npos) return std::nullopt;
  const size_t begin = marker + kCheckpointMarker.size();
  if (begin + kNoCheckpointDigits.size() > footer.bytes.size()) return std::nullopt;
  return Digits{footer.offset + begin, footer.bytes.substr(begin, kNoCheckpointDigits.size())};
}

// Zeros for the part of [offset, offset + digits) that lies in a piece read at `at`.
void BlankDigits(std::span<uint8_t> piece, uint64_t at, uint64_t offset) {
  for (uint64_t i = offset; i < offset + kNoCheckpointDigits.size(); ++i)
    if (i >= at && i - at < piece.size()) piece[i - at] = '0';
}

}  // namespace

void StreamedHash::Update(std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const size_t taken = std::min(bytes.size(), kPieceBytes - piece_.size());
    piece_.insert(piece_.end(), bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(taken));
    bytes = bytes.subspan(taken);
    if (piece_.size() < kPieceBytes) return;
    hash_ = base::Hash64(piece_, hash_);
    piece_.clear();
  }
}

uint64_t StreamedHash::Finish() { return base::Hash64(piece_, hash_); }

Result<Author> CheckCheckpointFile(const env::ReadableFile& file) {
  HR_TRY(const Footer footer, ReadFooter(file));
  const auto digits = FindDigits(footer);
  const bool signed_by_us = footer.bytes.find(kCheckpointCreatedBy) != std::string::npos;
  if (!digits && !signed_by_us) return Author::kAnother;
  StreamedHash hash;
  std::vector<uint8_t> piece;
  for (uint64_t at = 0; digits && at < file.size(); at += piece.size()) {
    piece.resize(std::min(kReadBytes, file.size() - at));
    HR_TRY_VOID(file.ReadAt(at, piece));
    BlankDigits(piece, at, digits->offset);
    hash.Update(piece);
  }
  if (digits && digits->text == RenderChecksum(hash.Finish())) return Author::kOurs;
  return Fail(ErrorCode::kCorruption, "this checkpoint is not as it was written");
}

}  // namespace headrace::tables::delta
