#pragma once
// What the simulated machine is made to suffer. Everything random comes from the run's seed.

#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "env/clock.h"

namespace headrace::env::simulated {

enum class CrashKind : uint8_t {
  kPowerCut,  // what was not synced may be lost or torn
  kKill,      // SIGKILL: the machine goes on, all writes are seen by the next life
};

// What a process asks of its disk.
enum class Operation : uint8_t {
  kOpen,          // for reading or writing, creation included
  kCreateFolder,  // each level that is missing
  kRead,
  kWrite,       // WriteAt, Truncate; the zeros of Preallocate
  kSync,        // of a file: Sync, WriteAndSync, Preallocate
  kSyncFolder,  // of its entries
  kRename,
  kLink,
  kRemove,
};
inline constexpr size_t kOperations = 9;
std::string_view NameOf(Operation operation);  // "open", "create folder" ...

// Which operations of one kind fail with kIoError.
struct Failing {
  uint64_t number = 0;  // the Nth in this life (from 1); 0: none
  double share = 0;     // any other one with this probability
};

// How an operation fails: a write takes a part of its bytes first; a sync keeps some sectors, a
// folder sync some entries; a rename or link was done all the same, every second time.
struct Faults {
  // The process dies at the `crash_hit`-th visit (from 1) of this point (env/crash_points.h);
  // empty: it does not.
  std::string crash_point;
  uint64_t crash_hit = 1;
  CrashKind crash_kind = CrashKind::kPowerCut;
  // It dies just before the Nth operation that changes the disk (all but kRead and the opening of
  // files that are there); 0: it does not. Nothing is thrown, as destructors use files too: what
  // still runs of the dead process gets kIoError from every file.
  uint64_t crash_operation = 0;

  std::array<Failing, kOperations> failing;
  Failing& operator[](Operation operation) { return failing[static_cast<size_t>(operation)]; }

  // The same for syncs of files only, beside failing[kSync].
  uint64_t fail_sync_number = 0;
  double sync_failure_share = 0;

  uint64_t capacity_bytes = std::numeric_limits<uint64_t>::max();
  // As on btrfs, ZFS and shared extents of XFS: what is written over takes new space, too.
  bool copies_on_write = false;

  // How long a sync takes: anything between; a share of them up to slow_sync_max.
  MonotonicTime sync_min = std::chrono::microseconds(50);
  MonotonicTime sync_max = std::chrono::milliseconds(5);
  double slow_sync_share = 0;
  MonotonicTime slow_sync_max = std::chrono::seconds(3);
};

// What was done to a life, by kind: "power cut", "killed", "failed sync", "slow sync", "full disk"
// ...
using FaultCounts = std::map<std::string, uint64_t, std::less<>>;

}  // namespace headrace::env::simulated
