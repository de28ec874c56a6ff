#pragma once
// Walks the records of one segment file, reading it in large chunks.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "env/files.h"
#include "log/record.h"

namespace headrace::log {

// A whole, checksummed record. The payload lives as long as `owner`.
struct Record {
  RecordHeader header;
  uint64_t offset = 0;
  std::span<const uint8_t> payload;
  std::shared_ptr<const void> owner;
};

// Not thread-safe. Beside a running writer it may meet a record that is half there: that one is
// "none", and may be a record at the next call.
class SegmentCursor {
 public:
  static base::Result<SegmentCursor> Open(env::Files& files, std::string path, base::LogId log,
                                          uint64_t offset = 0);

  // The record at offset(), and steps over it. Nothing (and no step) when there is no whole record.
  base::Result<std::optional<Record>> Next();
  // The header at offset() without its checksum, when the record would fit the file. Skip steps
  // over it.
  base::Result<std::optional<RecordHeader>> Peek();
  void Skip(const RecordHeader& header) { offset_ += RecordBytes(header.payload_bytes); }

  const std::string& path() const { return path_; }
  uint64_t offset() const { return offset_; }
  uint64_t size() const { return size_; }

  // Whether the 512 bytes at offset() are zeros, or the file ends there.
  base::Result<bool> IsBlank();
  // The first whole record that proves that offset(), where `epoch` belongs, is not the log's end:
  // one of another log right there, or of a later epoch at or behind it. Rows may hold what looks
  // like a record: inside of a record of `epoch` that is half there, only its successor proves
  // anything, by the checksum that both name. Records written before their predecessor was synced
  // (kPreviousUnsynced) prove nothing.
  base::Result<std::optional<Record>> FindLater(base::EpochId epoch);
  // The end of the last 512 bytes at or behind offset() that are not all zero; offset() when there
  // are none.
  base::Result<uint64_t> EndOfDirt();

 private:
  struct Chunk {
    uint64_t offset = 0;
    uint64_t size = 0;
    std::shared_ptr<uint8_t[]> bytes;
  };
  SegmentCursor(std::unique_ptr<env::ReadableFile> file, std::string path, base::LogId log,
                uint64_t offset);
  // `size` bytes at `offset` (inside the file), from the chunk or from the disk.
  base::Result<std::span<const uint8_t>> Bytes(uint64_t offset, uint64_t size);
  base::Result<std::optional<RecordHeader>> HeaderAt(uint64_t offset);
  base::Result<std::optional<Record>> RecordAt(uint64_t offset);

  std::unique_ptr<env::ReadableFile> file_;
  std::string path_;
  base::LogId log_;
  uint64_t offset_;
  uint64_t size_;
  uint64_t next_chunk_bytes_;
  Chunk chunk_;
};

}  // namespace headrace::log
