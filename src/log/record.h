#pragma once
// One epoch's bytes in a segment: a header of 64 bytes, the payload (epoch_codec.h), zeros up to a
// multiple of 512. docs/internals/log-format.md has the layout.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/ids.h"

namespace headrace::log {

inline constexpr size_t kRecordHeaderBytes = 64;
inline constexpr size_t kRecordAlignment = 512;  // what a disk writes whole or not at all

// Bits of RecordHeader::flags.
inline constexpr uint32_t kChangesCatalogue =
    1;  // it tells of streams: a reader that skips rows must still look at it
inline constexpr uint32_t kPreviousUnsynced =
    2;  // written before the previous record was synced (durability `os`)
inline constexpr uint32_t kResidue = 4;  // of a residue file: what stays of epochs let go

// A value.
struct RecordHeader {
  uint64_t checksum = 0;  // XXH3-64 of every byte behind it, padding included
  uint32_t flags = 0;
  uint64_t payload_bytes = 0;
  base::EpochId epoch;
  base::LogId log;
  uint64_t previous_checksum = 0;  // of the record before it in the log; 0 for epoch 1
};

// Bytes on disk of a record with that payload.
constexpr uint64_t RecordBytes(uint64_t payload_bytes) {
  return (kRecordHeaderBytes + payload_bytes + kRecordAlignment - 1) / kRecordAlignment *
         kRecordAlignment;
}

// Completes a record: `record` holds kRecordHeaderBytes of room and the payload behind it;
// afterwards header and padding too. Sets header's payload_bytes and checksum and returns the
// checksum.
uint64_t SealRecord(RecordHeader header, std::vector<uint8_t>& record);

// Reads a header, of whatever log. Nothing when `bytes` (at least kRecordHeaderBytes) begin no
// record. The checksum is not looked at.
std::optional<RecordHeader> ParseRecordHeader(std::span<const uint8_t> bytes);

// Whether the whole record (RecordBytes long) is what was sealed.
bool ChecksumMatches(const RecordHeader& header, std::span<const uint8_t> record);

}  // namespace headrace::log
