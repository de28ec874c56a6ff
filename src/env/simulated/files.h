#pragma once
// Files on a simulated disk, seen by one life of the simulated process.

#include <array>
#include <functional>
#include <memory>

#include "env/files.h"
#include "env/simulated/disk.h"
#include "env/simulated/faults.h"
#include "env/simulated/loop.h"

namespace headrace::env::simulated {

// Shared by all that is open in one life; outlives it. After the life's crash every operation fails
// with kIoError.
struct Life {
  Loop& loop;
  std::shared_ptr<Disk> disk;
  Faults faults;
  uint64_t generation;
  uint64_t syncs = 0;
  std::array<uint64_t, kOperations> operations{};  // so far, by kind
  uint64_t changes = 0;                            // operations that change the disk
  FaultCounts injected{};
  std::function<base::Timestamp()> wall;
  std::function<void(const char*)> visit;  // a crash point
  std::function<void()> die;               // returns: the operation then answers as to the dead

  bool over() const { return disk->generation() != generation || loop.dead(); }
};

std::unique_ptr<Files> MakeSimulatedFiles(std::shared_ptr<Life> life);

}  // namespace headrace::env::simulated
