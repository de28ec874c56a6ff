#include "log/clock_mark.h"

#include <array>
#include <cstring>
#include <span>

#include "base/hash.h"
#include "base/log.h"

namespace headrace::log {
namespace {

constexpr std::array<char, 8> kMagic = {'H', 'R', 'C', 'L', 'O', 'C', 'K', '1'};

struct MarkBytes {
  std::array<char, 8> magic = kMagic;
  uint64_t boot = 0;
  int64_t at_ns = 0;
  int64_t clock_us = 0;
  uint64_t check = 0;

  uint64_t Check() const {
    return base::Hash64(
        std::span(reinterpret_cast<const uint8_t*>(this), offsetof(MarkBytes, check)), 0);
  }
};
static_assert(sizeof(MarkBytes) == 40);

uint64_t BootOf(env::Environment& environment) {
  const std::string id = environment.BootId();
  return base::Hash64(std::span(reinterpret_cast<const uint8_t*>(id.data()), id.size()), 0);
}

}  // namespace

base::Timestamp ClockFloor::At(env::MonotonicTime now) const {
  if (!since) return clock;
  // One more: both readings were cut to whole microseconds.
  return clock + std::chrono::duration_cast<base::Duration>(now - *since) + base::Duration(1);
}

ClockFloor ClockMark::ReadFloor(env::Environment& environment, const std::string& path) {
  const auto bytes = environment.files().ReadAll(path);
  MarkBytes mark;
  if (!bytes && bytes.error().code() == base::ErrorCode::kNotFound) return {};
  const bool whole = bytes && bytes->size() >= sizeof(mark);
  if (whole) std::memcpy(&mark, bytes->data(), sizeof(mark));
  if (!whole || mark.magic != kMagic || mark.check != mark.Check()) {
    base::LogWarning("log.clock_mark_damaged",
                     {{"file", path},
                      {"meaning", "the log clock goes on from the last epoch and the wall clock"}});
    return {};
  }
  const base::Timestamp clock{mark.clock_us};
  const env::MonotonicTime at(mark.at_ns);
  if (mark.boot != BootOf(environment) || environment.clock().Now() < at)
    return {clock + kLease, {}};
  return {clock, at};
}

base::Result<ClockMark> ClockMark::Open(env::Environment& environment, const std::string& path) {
  HR_TRY(auto file, env::OpenOrCreate(environment.files(), path));
  return ClockMark(std::move(file), BootOf(environment));
}

base::Result<void> ClockMark::Write(base::Timestamp clock, env::MonotonicTime at) {
  MarkBytes mark;
  mark.boot = boot_;
  mark.at_ns = at.count();
  mark.clock_us = clock.us;
  mark.check = mark.Check();
  HR_TRY_VOID(file_->WriteAt(0, std::span(reinterpret_cast<const uint8_t*>(&mark), sizeof(mark))));
  return file_->Sync();
}

}  // namespace headrace::log
