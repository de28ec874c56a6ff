#include "log/durable_mark.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "base/hash.h"

namespace headrace::log {
namespace {

// u64 epoch, u64 its check, u64 synced epoch, u64 its check. Older versions wrote the first half.
using HalfBytes = std::array<uint8_t, 16>;
using MarkBytes = std::array<uint8_t, 32>;

constexpr uint64_t kSyncedSeed = 0x44455434e5953ULL;  // not the seed of the first half

std::string MarkPath(const std::string& folder) { return folder + "/DURABLE"; }

HalfBytes Encode(base::EpochId epoch, base::LogId log, uint64_t seed) {
  HalfBytes bytes;
  const uint64_t check = base::Hash64(std::span<const uint8_t>(log.bytes), seed);
  std::memcpy(bytes.data(), &epoch.value, sizeof(uint64_t));
  std::memcpy(bytes.data() + sizeof(uint64_t), &check, sizeof(uint64_t));
  return bytes;
}

// The seed tells the durability, too.
HalfBytes EncodeFirst(base::EpochId epoch, Durability durability, base::LogId log) {
  return Encode(epoch, log, durability == Durability::kFsync ? epoch.value : ~epoch.value);
}

HalfBytes EncodeSynced(base::EpochId epoch, base::LogId log) {
  return Encode(epoch, log, epoch.value ^ kSyncedSeed);
}

MarkBytes Encode(const MarkedEpoch& mark, base::LogId log) {
  MarkBytes bytes;
  std::ranges::copy(EncodeFirst(mark.epoch, mark.durability, log), bytes.begin());
  std::ranges::copy(EncodeSynced(mark.synced, log), bytes.begin() + sizeof(HalfBytes));
  return bytes;
}

bool IsSame(std::span<const uint8_t> bytes, const HalfBytes& expected) {
  return std::memcmp(bytes.data(), expected.data(), expected.size()) == 0;
}

}  // namespace

base::Result<DurableMark> DurableMark::Open(env::Files& files, const std::string& folder,
                                            base::LogId log, Durability durability) {
  const base::EpochId synced = ReadDurableMark(files, folder, log).synced;
  HR_TRY(auto file, env::OpenOrCreate(files, MarkPath(folder)));
  return DurableMark(std::move(file), log, durability, synced);
}

base::Result<void> DurableMark::Set(base::EpochId durable) {
  if (durability_ == Durability::kFsync) synced_ = durable;
  return file_->WriteAt(0, Encode({durable, durability_, synced_}, log_));
}

base::Result<void> DurableMark::End(base::EpochId durable) {
  HR_TRY_VOID(file_->WriteAt(0, Encode({durable, Durability::kFsync, durable}, log_)));
  return file_->Sync();
}

namespace {

struct ReadMark {
  MarkedEpoch mark;
  bool whole = false;
};

// Bytes of at least a half. Of a mark that is not whole the synced epoch may be told all the same.
ReadMark Parse(std::span<const uint8_t> bytes, base::LogId log) {
  ReadMark read;
  base::EpochId epoch;
  std::memcpy(&epoch.value, bytes.data(), sizeof(uint64_t));
  for (const Durability durability : {Durability::kFsync, Durability::kOs}) {
    if (!IsSame(bytes, EncodeFirst(epoch, durability, log))) continue;
    read.whole = true;
    read.mark = {epoch, durability, durability == Durability::kFsync ? epoch : base::EpochId{}};
  }
  if (bytes.size() < sizeof(MarkBytes)) return read;
  base::EpochId synced;
  const auto second = bytes.subspan(sizeof(HalfBytes));
  std::memcpy(&synced.value, second.data(), sizeof(uint64_t));
  if (!IsSame(second, EncodeSynced(synced, log))) {
    read.whole = false;
    return read;
  }
  read.mark.synced = std::max(read.mark.synced, synced);
  return read;
}

ReadMark Read(env::Files& files, const std::string& folder, base::LogId log) {
  ReadMark read;
  // A reader may meet half a rewrite; the check tells, and the next try is whole.
  for (int attempt = 0; attempt < 3 && !read.whole; ++attempt) {
    const auto bytes = files.ReadAll(MarkPath(folder));
    if (!bytes || bytes->size() < sizeof(HalfBytes)) return {};
    read = Parse(*bytes, log);
  }
  return read;
}

}  // namespace

bool DurableMarkIsWhole(env::Files& files, const std::string& folder, base::LogId log) {
  return Read(files, folder, log).whole;
}

MarkedEpoch ReadDurableMark(env::Files& files, const std::string& folder, base::LogId log) {
  return Read(files, folder, log).mark;
}

}  // namespace headrace::log
