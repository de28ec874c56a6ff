#pragma once
// What stays of segments that were let go: refused rows, so that they can be replayed, and control
// entries, so that definitions stay known. One file for each run of epochs, in records like a
// segment's with the flag kResidue. docs/internals/log-format.md has the layout.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "env/files.h"
#include "log/catalogue.h"
#include "log/epoch.h"
#include "log/log_folder.h"

namespace headrace::log {

// What a residue file says of itself in its first record.
struct ResidueHead {
  base::EpochId first;  // the epochs that were let go
  base::EpochId last;
  uint64_t last_checksum = 0;  // of the last one's record: the next segment follows it
  base::Timestamp newest = base::Timestamp::Min();  // when the last one was, for its age
  uint64_t refused = 0;                             // rows held
  uint64_t forgotten = 0;  // refused rows of these epochs not held any more
  // kDefinitions: definitions, streams, and the newest publish plan of each table.
  enum class Holds : uint8_t { kAll = 0, kDefinitions = 1 } holds = Holds::kAll;
  uint32_t epochs = 0;   // that have anything
  uint32_t records = 0;  // that follow the head
  std::vector<StreamEntry> streams;
};

// A file of the folder.
struct ResidueFile {
  ResidueHead head;
  std::string path;
  uint64_t bytes = 0;
};

// Gathers the residue of consecutive epochs; not thread-safe. Everything is in memory until Bytes:
// at most about what one segment and one small residue hold.
class ResidueWriter {
 public:
  explicit ResidueWriter(base::LogId log) : log_(log) {}

  // Keeps what is to stay of an epoch. In order.
  void Add(const Epoch& epoch);
  // The same, of a residue file: its epochs are covered by this one then.
  base::Result<void> AddAll(env::Files& files, const ResidueFile& residue);
  // Covers the epochs up to `last`.
  void Cover(base::EpochId first, base::EpochId last, uint64_t last_checksum,
             base::Timestamp newest);
  void Learn(std::span<const StreamEntry> streams);
  // Before the first epoch; refused rows are counted as forgotten.
  void KeepDefinitionsOnly() { head_.holds = ResidueHead::Holds::kDefinitions; }

  // The whole file. Once.
  std::vector<uint8_t> Bytes();
  const ResidueHead& head() const { return head_; }

 private:
  void KeepLasting(Epoch kept);
  void Append(const Epoch& kept);
  void EndRecord();

  base::LogId log_;
  ResidueHead head_;
  Catalogue streams_;
  // Where definitions only are kept: what is not in a record yet, as a newer plan takes the place
  // of an older one, and the epoch of each table's newest.
  std::map<base::EpochId, Epoch> lasting_;
  std::map<std::string, base::EpochId> newest_plans_;
  std::vector<uint8_t> record_;  // payload of the record that is gathered, without its count
  uint32_t in_record_ = 0;
  base::EpochId last_in_record_;
  struct Payload {
    base::EpochId last;
    std::vector<uint8_t> bytes;
  };
  std::vector<Payload> payloads_;
};

// Reads and checks the first record. Errors: kCorruption with file and offset; as Files.
base::Result<ResidueFile> OpenResidue(env::Files& files, base::LogId log, const ResidueName& name);

// Calls `visit` with every epoch from `from` on that left something, in order: without rows and
// outcomes. Every byte of records that reach so far is checked. Errors: kCorruption with file and
// offset; as Files; visit's.
base::Result<void> ScanResidue(env::Files& files, base::LogId log, const ResidueFile& residue,
                               base::EpochId from,
                               const std::function<base::Result<void>(const EpochRef&)>& visit);

// The files that count, ascending, without gaps from epoch 1 on. A file whose epochs another covers
// too is superfluous: a crash came between writing the one and removing the other.
struct ResidueNames {
  std::vector<ResidueName> files;
  std::vector<ResidueName> superfluous;
  // The last epoch whose rows were let go; 0: none.
  base::EpochId through() const { return files.empty() ? base::EpochId{} : files.back().last; }
};
// `names`: as ListLog has them. Errors: kCorruption when one is missing.
base::Result<ResidueNames> SortResidues(const std::vector<ResidueName>& names);

}  // namespace headrace::log
