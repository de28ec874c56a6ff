#pragma once
// How a writer tells readers in other processes which epochs are durable: 32 bytes in the file
// `DURABLE`, rewritten after each sync and never synced itself until the log is closed. It may be
// behind after a power cut, never ahead. (Under durability `os` it tells what was handed to the
// system, and says so: after a power cut it may then be ahead. Beside that it tells which epoch is
// known to be on stable storage: it was synced at a start, at a clean end, for a capture, or under
// `fsync`.)
//
// Without it the last whole record of a log says nothing: it may be written and not synced, or its
// sync may have failed, and a reader's own sync would succeed without proving anything.

#include <algorithm>
#include <memory>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "env/files.h"
#include "log/sequencer.h"

namespace headrace::log {

// What a mark says: 0 when there is no readable mark of this log.
struct MarkedEpoch {
  base::EpochId epoch;
  Durability durability = Durability::kFsync;  // kFsync: it is on stable storage, whatever happened
  base::EpochId synced;                        // under either, this one is
};

// The writer's side; one thread at a time.
class DurableMark {
 public:
  static base::Result<DurableMark> Open(env::Files& files, const std::string& folder,
                                        base::LogId log, Durability durability);
  base::Result<void> Set(base::EpochId durable);
  // Under `os`: marks that are set from now on say that epochs up to this one were synced.
  void NoteSynced(base::EpochId epoch) { synced_ = std::max(synced_, epoch); }
  // At a clean end: all up to `durable` is synced, whatever the durability, and so is the mark.
  base::Result<void> End(base::EpochId durable);

 private:
  DurableMark(std::unique_ptr<env::WritableFile> file, base::LogId log, Durability durability,
              base::EpochId synced)
      : file_(std::move(file)), log_(log), durability_(durability), synced_(synced) {}
  std::unique_ptr<env::WritableFile> file_;
  base::LogId log_;
  Durability durability_;
  base::EpochId synced_;
};

// Whether the mark's checksum fits; a mark that is being rewritten may not at first.
bool DurableMarkIsWhole(env::Files& files, const std::string& folder, base::LogId log);

// The reader's side.
MarkedEpoch ReadDurableMark(env::Files& files, const std::string& folder, base::LogId log);

}  // namespace headrace::log
