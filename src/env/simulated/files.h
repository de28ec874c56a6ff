#pragma once
// Files on a simulated disk, seen by one life of the simulated process.

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

  bool over() const { return disk->generation() != generation || loop.dead(); }
};

std::unique_ptr<Files> MakeSimulatedFiles(std::shared_ptr<Life> life);

}  // namespace headrace::env::simulated
