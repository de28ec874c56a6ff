#pragma once
// How an engine tells `train` and `verify`, which run in processes of their own, to wait: the file
// `PAUSED` in its data folder. It is there only while they should wait, and says until when it may
// be believed, so that one left behind by a crash holds nobody up.
//
//   headrace pause 1
//   valid_until_boot_us 81234567890     on the machine's boot-time clock; renewed every second
//   why serve takes 83 % of its budget: p99 41 ms of 50 ms

#include <optional>
#include <string>

#include "env/clock.h"
#include "env/files.h"

namespace headrace::env {

// How long a notice is believed after it was written: several renewals.
inline constexpr MonotonicTime kPauseNoticeValid = std::chrono::seconds(5);

struct PauseNotice {
  std::string why;  // one line
  MonotonicTime valid_until{0};
};

// Replaces the notice, or takes it away; not synced, since it is worth nothing after a crash.
base::Result<void> WritePauseNotice(Files& files, const std::string& data_folder,
                                    const std::optional<PauseNotice>& notice);
// Nothing when there is none, when it is not readable, and when it is out of date or claims to be
// valid for longer than any writer would say.
std::optional<PauseNotice> ReadPauseNotice(Files& files, const std::string& data_folder,
                                           MonotonicTime now);

}  // namespace headrace::env
