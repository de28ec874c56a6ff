#pragma once
// A disk that survives simulated crashes, and what a crash may do to it.
//
// A file has what readers see (the page cache) and what is on stable storage. A write changes the
// first and marks 512-byte sectors dirty; a sync makes them durable. Folder entries (create, link,
// rename, remove) are pending until their folder is synced. At a crash each dirty sector is kept or
// lost on its own (torn writes), each pending entry as well, and everybody sees what is left. A
// failed sync leaves the sectors clean though not all of them are durable, as Linux does: a later
// sync that succeeds proves nothing.

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace headrace::env::simulated {

inline constexpr uint64_t kSectorBytes = 512;

// The contents of one file; names point to it.
class DiskFile {
 public:
  uint64_t size() const { return seen_.size(); }
  std::span<const uint8_t> bytes() const { return seen_; }
  void Write(uint64_t offset, std::span<const uint8_t> bytes);
  // Sectors written since the last sync.
  const std::set<uint64_t>& dirty() const { return dirty_; }
  // Makes these sectors, and the size, durable.
  void Persist(const std::set<uint64_t>& sectors);
  // A sync that failed: some of these sectors are durable, none counts as dirty any more.
  void PersistSome(const std::set<uint64_t>& sectors, std::mt19937_64& random);
  void Crash(std::mt19937_64& random);
  void FlipBit(uint64_t offset, int bit);

 private:
  void PersistSector(uint64_t sector);

  std::vector<uint8_t> seen_;
  std::vector<uint8_t> durable_;
  std::set<uint64_t> dirty_;
};

using DiskFileRef = std::shared_ptr<DiskFile>;

// Not thread-safe: the simulation has one thread.
class Disk {
 public:
  // Nothing when there is no such name.
  DiskFileRef Find(const std::string& path) const;
  bool HasFolder(const std::string& path) const { return folders_.contains(path); }
  void AddFolder(const std::string& path) { folders_.insert(path); }
  // Names in a folder, files and folders, sorted.
  std::vector<std::string> List(const std::string& folder) const;

  // Each is seen at once, and durable after SyncFolder.
  void Enter(const std::string& path, DiskFileRef file);
  void Remove(const std::string& path);
  void Rename(const std::string& from, const std::string& to);
  void SyncFolder(const std::string& folder);

  uint64_t used_bytes() const;

  void Crash(std::mt19937_64& random);
  // The process was killed; its locks are free and its open files dead.
  void EndLife();
  // Goes up at each end of a life; what was open before is dead.
  uint64_t generation() const { return generation_; }
  std::set<std::string>& locks() { return locks_; }

  // Damage on demand, durable and seen at once.
  void FlipBit(const std::string& path, uint64_t offset, int bit) {
    Find(path)->FlipBit(offset, bit);
  }

 private:
  using Names = std::map<std::string, DiskFileRef>;
  // Removes `from` if given, enters `to` if given.
  struct Change {
    std::string from;
    std::string to;
    DiskFileRef file;
  };
  static void Apply(const Change& change, Names& names);
  void Do(Change change);

  Names seen_;
  Names durable_;
  std::vector<Change> pending_;
  std::set<std::string> folders_;
  std::set<std::string> locks_;
  uint64_t generation_ = 0;
};

std::string FolderOf(const std::string& path);

}  // namespace headrace::env::simulated
