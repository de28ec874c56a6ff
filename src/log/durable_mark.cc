#include "log/durable_mark.h"

#include <array>
#include <cstring>
#include <optional>

#include "base/hash.h"

namespace headrace::log {
namespace {

using MarkBytes = std::array<uint8_t, 16>;

std::string MarkPath(const std::string& folder) { return folder + "/DURABLE"; }

// The seed also tells the durability, so that the mark stays 16 bytes.
uint64_t CheckOf(MarkedEpoch mark, base::LogId log) {
  const uint64_t seed =
      mark.durability == Durability::kFsync ? mark.epoch.value : ~mark.epoch.value;
  return base::Hash64(std::span<const uint8_t>(log.bytes), seed);
}

MarkBytes Encode(MarkedEpoch mark, base::LogId log) {
  MarkBytes bytes;
  const base::EpochId durable = mark.epoch;
  const uint64_t check = CheckOf(mark, log);
  std::memcpy(bytes.data(), &durable.value, sizeof(uint64_t));
  std::memcpy(bytes.data() + sizeof(uint64_t), &check, sizeof(uint64_t));
  return bytes;
}

}  // namespace

base::Result<DurableMark> DurableMark::Open(env::Files& files, const std::string& folder,
                                            base::LogId log, Durability durability) {
  HR_TRY(auto file, env::OpenOrCreate(files, MarkPath(folder)));
  return DurableMark(std::move(file), log, durability);
}

base::Result<void> DurableMark::Set(base::EpochId durable) {
  return file_->WriteAt(0, Encode({durable, durability_}, log_));
}

namespace {

std::optional<MarkedEpoch> Read(env::Files& files, const std::string& folder, base::LogId log) {
  // A reader may meet half a rewrite; the check tells, and the next try is whole.
  for (int attempt = 0; attempt < 3; ++attempt) {
    const auto bytes = files.ReadAll(MarkPath(folder));
    if (!bytes || bytes->size() < sizeof(MarkBytes)) return std::nullopt;
    for (const Durability durability : {Durability::kFsync, Durability::kOs}) {
      MarkedEpoch mark{{}, durability};
      std::memcpy(&mark.epoch.value, bytes->data(), sizeof(uint64_t));
      const MarkBytes expected = Encode(mark, log);
      if (std::memcmp(bytes->data(), expected.data(), expected.size()) == 0) return mark;
    }
  }
  return std::nullopt;
}

}  // namespace

bool DurableMarkIsWhole(env::Files& files, const std::string& folder, base::LogId log) {
  return Read(files, folder, log).has_value();
}

MarkedEpoch ReadDurableMark(env::Files& files, const std::string& folder, base::LogId log) {
  return Read(files, folder, log).value_or(MarkedEpoch{});
}

}  // namespace headrace::log
