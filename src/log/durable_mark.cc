#include "log/durable_mark.h"

#include <array>
#include <cstring>
#include <optional>

#include "base/hash.h"

namespace headrace::log {
namespace {

using MarkBytes = std::array<uint8_t, 16>;

std::string MarkPath(const std::string& folder) { return folder + "/DURABLE"; }

uint64_t CheckOf(base::EpochId durable, base::LogId log) {
  return base::Hash64(std::span<const uint8_t>(log.bytes), durable.value);
}

MarkBytes Encode(base::EpochId durable, base::LogId log) {
  MarkBytes bytes;
  const uint64_t check = CheckOf(durable, log);
  std::memcpy(bytes.data(), &durable.value, sizeof(uint64_t));
  std::memcpy(bytes.data() + sizeof(uint64_t), &check, sizeof(uint64_t));
  return bytes;
}

}  // namespace

base::Result<DurableMark> DurableMark::Open(env::Files& files, const std::string& folder,
                                            base::LogId log) {
  const std::string path = MarkPath(folder);
  HR_TRY(const bool exists, files.Exists(path));
  HR_TRY(auto file, files.OpenForWriting(
                        path, exists ? env::Files::Open::kExisting : env::Files::Open::kCreateNew));
  return DurableMark(std::move(file), log);
}

base::Result<void> DurableMark::Set(base::EpochId durable) {
  return file_->WriteAt(0, Encode(durable, log_));
}

namespace {

std::optional<base::EpochId> Read(env::Files& files, const std::string& folder, base::LogId log) {
  // A reader may meet half a rewrite; the check tells, and the next try is whole.
  for (int attempt = 0; attempt < 3; ++attempt) {
    const auto bytes = files.ReadAll(MarkPath(folder));
    if (!bytes || bytes->size() < sizeof(MarkBytes)) return std::nullopt;
    base::EpochId durable;
    std::memcpy(&durable.value, bytes->data(), sizeof(uint64_t));
    const MarkBytes expected = Encode(durable, log);
    if (std::memcmp(bytes->data(), expected.data(), expected.size()) == 0) return durable;
  }
  return std::nullopt;
}

}  // namespace

bool DurableMarkIsWhole(env::Files& files, const std::string& folder, base::LogId log) {
  return Read(files, folder, log).has_value();
}

base::EpochId ReadDurableMark(env::Files& files, const std::string& folder, base::LogId log) {
  return Read(files, folder, log).value_or(base::EpochId{});
}

}  // namespace headrace::log
