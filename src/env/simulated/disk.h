#pragma once
// A disk that survives simulated crashes, and what a crash may do to it.
//
// A file has what readers see (the page cache) and what is on stable storage. A write changes the
// first and marks 512-byte sectors dirty; a sync makes them durable. Folder entries (create, link,
// rename, remove, and folders themselves) are pending until their folder is synced. At a crash each
// dirty sector is kept or lost on its own (torn writes), a file's new end and each pending entry as
// well, and everybody sees what is left; a folder that is lost takes along what was in it. A sync
// is about what was written before it began; what is written meanwhile stays dirty. A failed one
// leaves the sectors clean though not all of them are durable, as Linux does, and of a folder the
// entries: a later sync that succeeds proves nothing.

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "env/simulated/sectors.h"

namespace headrace::env::simulated {

// The contents of one file; names point to it.
class DiskFile {
 public:
  uint64_t size() const { return seen_.size(); }
  std::span<const uint8_t> bytes() const { return seen_; }
  void Write(uint64_t offset, std::span<const uint8_t> bytes);
  // `size` is less than the present one.
  void Truncate(uint64_t size);
  // The wall clock at the last write, or as it was set; metadata that no crash loses.
  void Touch(base::Timestamp at) { modified_at_ = at; }
  base::Timestamp modified_at() const { return modified_at_; }
  // What a sync makes durable: sectors written since the last one, as they are when it begins.
  class Syncing {
    friend class DiskFile;
    struct Sector {
      uint64_t number;
      uint64_t write;  // the last one to it
      uint64_t size;   // in bytes; less than kSectorBytes where the file ends
    };
    struct Cut {
      uint64_t size = 0;
      uint64_t write = 0;  // which it was; 0: there was none
    };
    Cut cut_;
    std::vector<Sector> sectors_;
    std::vector<uint8_t> bytes_;
  };
  Syncing BeginSync() const;
  // It ended well: those sectors, and the size, are durable.
  void Persist(const Syncing& syncing);
  // It failed: some of those sectors are durable, none counts as dirty any more.
  void PersistSome(const Syncing& syncing, std::mt19937_64& random);
  void Crash(std::mt19937_64& random);
  void FlipBit(uint64_t offset, int bit);
  // All that is seen becomes durable.
  void Settle();

 private:
  void PersistCut(const Syncing::Cut& cut);
  // Unless a later sync was faster.
  void PersistSector(const Syncing::Sector& sector, const uint8_t* bytes);
  void MarkClean(const Syncing& syncing);

  std::vector<uint8_t> seen_;
  std::vector<uint8_t> durable_;
  Sectors dirty_;
  Syncing::Cut cut_;  // the last one that is not durable
  uint64_t writes_ = 0;
  std::vector<uint64_t> seen_writes_;     // the last of each sector
  std::vector<uint64_t> durable_writes_;  // of what is durable
  uint64_t durable_cut_ = 0;              // likewise
  base::Timestamp modified_at_;
  bool diverged_ = false;  // seen_ and durable_ may differ
};

using DiskFileRef = std::shared_ptr<DiskFile>;

// Not thread-safe: the simulation has one thread.
class Disk {
 public:
  using Names = std::map<std::string, DiskFileRef>;

  // Nothing when there is no such name.
  DiskFileRef Find(const std::string& path) const;
  bool HasFolder(const std::string& path) const { return folders_.contains(path); }
  // Names in a folder, files and folders, sorted.
  std::vector<std::string> List(const std::string& folder) const;
  // Every file by its path.
  const Names& files() const { return seen_; }

  // Each is seen at once, and durable after SyncFolder of the folder it is in.
  void AddFolder(const std::string& path);
  void Enter(const std::string& path, DiskFileRef file);
  void Remove(const std::string& path);  // a file, or an empty folder
  void Rename(const std::string& from, const std::string& to);
  void SyncFolder(const std::string& folder);
  // A sync that failed: some of the folder's changes are durable, and none is pending any more.
  void SyncSomeOf(const std::string& folder, std::mt19937_64& random);
  // One that is there from the beginning ("/", ".").
  void AddRoot(const std::string& path);

  uint64_t used_bytes() const;

  void Crash(std::mt19937_64& random);
  // The process was killed; its locks are free and its open files dead.
  void EndLife();
  // Goes up at each end of a life; what was open before is dead.
  uint64_t generation() const { return generation_; }
  std::set<std::string>& locks() { return locks_; }

  // The same files and folders on another disk, all of it durable.
  std::shared_ptr<Disk> Copy() const;

  // Damage on demand, durable and seen at once.
  void FlipBit(const std::string& path, uint64_t offset, int bit) {
    Find(path)->FlipBit(offset, bit);
  }

 private:
  using Folders = std::set<std::string>;
  // Removes `from` if given, a file or a folder; enters `to` if given, a folder when there is no
  // file.
  struct Change {
    std::string from;
    std::string to;
    DiskFileRef file;
  };
  static void Apply(const Change& change, Names& names, Folders& folders);
  void Do(Change change);
  void DropWhatHasNoFolder();

  Names seen_;
  Names durable_;
  Folders folders_;
  Folders durable_folders_;
  std::vector<Change> pending_;
  std::set<std::string> locks_;
  uint64_t generation_ = 0;
};

std::string FolderOf(const std::string& path);

}  // namespace headrace::env::simulated
