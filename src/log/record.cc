#include "log/record.h"

#include <cstring>

#include "base/hash.h"

namespace headrace::log {
namespace {

constexpr uint32_t kMagic = 0x31455248;  // "HRE1"

// The bytes as they lie on disk, little-endian (columns/batch_codec.cc asserts the machine is).
struct HeaderBytes {
  uint64_t checksum;
  uint32_t magic;
  uint32_t flags;
  uint64_t payload_bytes;
  uint64_t epoch;
  uint8_t log[16];
  uint64_t previous_checksum;
  uint64_t reserved;
};
static_assert(sizeof(HeaderBytes) == kRecordHeaderBytes);

}  // namespace

uint64_t SealRecord(RecordHeader header, std::vector<uint8_t>& record) {
  const uint64_t payload_bytes = record.size() - kRecordHeaderBytes;
  record.resize(RecordBytes(payload_bytes), 0);
  HeaderBytes bytes{};
  bytes.magic = kMagic;
  bytes.flags = header.flags;
  bytes.payload_bytes = payload_bytes;
  bytes.epoch = header.epoch.value;
  std::memcpy(bytes.log, header.log.bytes.data(), sizeof(bytes.log));
  bytes.previous_checksum = header.previous_checksum;
  std::memcpy(record.data(), &bytes, sizeof(bytes));
  bytes.checksum = base::Hash64(std::span(record).subspan(sizeof(bytes.checksum)));
  std::memcpy(record.data(), &bytes.checksum, sizeof(bytes.checksum));
  return bytes.checksum;
}

std::optional<RecordHeader> ParseRecordHeader(std::span<const uint8_t> bytes) {
  HeaderBytes raw;
  if (bytes.size() < sizeof(raw)) return std::nullopt;
  std::memcpy(&raw, bytes.data(), sizeof(raw));
  if (raw.magic != kMagic || raw.reserved != 0) return std::nullopt;
  base::LogId log;
  std::memcpy(log.bytes.data(), raw.log, sizeof(raw.log));
  return RecordHeader{.checksum = raw.checksum,
                      .flags = raw.flags,
                      .payload_bytes = raw.payload_bytes,
                      .epoch = {raw.epoch},
                      .log = log,
                      .previous_checksum = raw.previous_checksum};
}

bool ChecksumMatches(const RecordHeader& header, std::span<const uint8_t> record) {
  return base::Hash64(record.subspan(sizeof(header.checksum))) == header.checksum;
}

}  // namespace headrace::log
