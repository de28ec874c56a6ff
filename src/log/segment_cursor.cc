#include "log/segment_cursor.h"

#include <algorithm>

namespace headrace::log {
namespace {

// The first read is small, as a tail usually is; then they grow.
constexpr uint64_t kFirstChunkBytes = 256ULL << 10;
constexpr uint64_t kChunkBytesMax = 4ULL << 20;

bool AllZero(std::span<const uint8_t> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == 0; });
}

}  // namespace

SegmentCursor::SegmentCursor(std::unique_ptr<env::ReadableFile> file, std::string path,
                             base::LogId log, uint64_t offset)
    : file_(std::move(file)),
      path_(std::move(path)),
      log_(log),
      offset_(offset),
      size_(file_->size() / kRecordAlignment * kRecordAlignment),
      next_chunk_bytes_(kFirstChunkBytes) {}

base::Result<SegmentCursor> SegmentCursor::Open(env::Files& files, std::string path,
                                                base::LogId log, uint64_t offset) {
  HR_TRY(auto file, files.OpenForReading(path));
  return SegmentCursor(std::move(file), std::move(path), log, offset);
}

base::Result<std::span<const uint8_t>> SegmentCursor::Bytes(uint64_t offset, uint64_t size) {
  const bool held = chunk_.bytes != nullptr && offset >= chunk_.offset &&
                    offset + size <= chunk_.offset + chunk_.size;
  if (!held) {
    Chunk chunk;
    chunk.offset = offset;
    chunk.size = std::min(size_ - offset, std::max(size, next_chunk_bytes_));
    chunk.bytes = std::make_shared_for_overwrite<uint8_t[]>(chunk.size);
    HR_TRY_VOID(file_->ReadAt(chunk.offset, {chunk.bytes.get(), chunk.size}));
    chunk_ = std::move(chunk);
    next_chunk_bytes_ = std::min(next_chunk_bytes_ * 4, kChunkBytesMax);
  }
  return std::span<const uint8_t>(chunk_.bytes.get() + (offset - chunk_.offset), size);
}

base::Result<std::optional<RecordHeader>> SegmentCursor::HeaderAt(uint64_t offset) {
  if (offset + kRecordAlignment > size_) return std::nullopt;
  HR_TRY(const auto bytes, Bytes(offset, kRecordAlignment));
  auto header = ParseRecordHeader(bytes);
  if (!header || header->payload_bytes > size_ - offset ||
      RecordBytes(header->payload_bytes) > size_ - offset)
    return std::nullopt;
  return header;
}

base::Result<std::optional<Record>> SegmentCursor::RecordAt(uint64_t offset) {
  HR_TRY(const auto header, HeaderAt(offset));
  if (!header) return std::nullopt;
  HR_TRY(const auto bytes, Bytes(offset, RecordBytes(header->payload_bytes)));
  if (!ChecksumMatches(*header, bytes)) return std::nullopt;
  return Record{*header, offset, bytes.subspan(kRecordHeaderBytes, header->payload_bytes),
                chunk_.bytes};
}

base::Result<std::optional<Record>> SegmentCursor::Next() {
  HR_TRY(auto record, RecordAt(offset_));
  if (!record || record->header.log != log_) {
    chunk_ = {};  // the next call looks at the disk again
    return std::nullopt;
  }
  Skip(record->header);
  return record;
}

base::Result<std::optional<RecordHeader>> SegmentCursor::Peek() {
  HR_TRY(auto header, HeaderAt(offset_));
  if (header && header->log != log_) header.reset();
  if (!header) chunk_ = {};
  return header;
}

base::Result<bool> SegmentCursor::IsBlank() {
  if (offset_ + kRecordAlignment > size_) return true;
  HR_TRY(const auto bytes, Bytes(offset_, kRecordAlignment));
  return AllZero(bytes);
}

base::Result<std::optional<Record>> SegmentCursor::FindLater(base::EpochId epoch) {
  HR_TRY(auto begun, HeaderAt(offset_));
  if (begun && (begun->log != log_ || begun->epoch != epoch)) begun.reset();
  const uint64_t begun_end = offset_ + (begun ? RecordBytes(begun->payload_bytes) : 0);
  const auto proves_loss = [&](uint64_t at, const RecordHeader& header) {
    if (header.log != log_) return at == offset_;
    if ((header.flags & kPreviousUnsynced) != 0) return false;
    if (at >= begun_end) return header.epoch > epoch;
    // Nobody can put a record into a row that names the checksum of all of that row's epoch.
    return header.epoch == epoch.Next() && header.previous_checksum == begun->checksum;
  };
  for (uint64_t at = offset_; at < size_; at += kRecordAlignment) {
    HR_TRY(const auto header, HeaderAt(at));
    if (!header || !proves_loss(at, *header)) continue;
    HR_TRY(auto record, RecordAt(at));
    if (record) return record;
  }
  return std::nullopt;
}

base::Result<uint64_t> SegmentCursor::EndOfDirt() {
  uint64_t end = offset_;
  for (uint64_t at = offset_; at < size_; at += kRecordAlignment) {
    HR_TRY(const auto bytes, Bytes(at, kRecordAlignment));
    if (!AllZero(bytes)) end = at + kRecordAlignment;
  }
  return end;
}

}  // namespace headrace::log
