#pragma once
// What a file system would still know after a power cut. Files and folders live in memory, each
// with what has been written and what of that is on the disk; a cut keeps a seeded part of the
// rest and writes it into the backing folder.
//
// Rules, the harshest that POSIX allows:
//   - a file's sync makes its bytes and its size durable, not its name;
//   - a folder's sync makes its names durable, not the bytes behind them;
//   - what is not synced may be on the disk all the same: any 512-byte sector, any size between the
//     old and the new, any change of a name (or, in every other cut, a prefix of a folder's
//     changes, as a journal would keep);
//   - a sync that fails leaves a part of the sectors on the disk and counts all of them as clean,
//   so
//     that the next sync succeeds and proves nothing.
//
// Not thread-safe. Functions return 0, or an errno as a negative number, as FUSE wants it.

#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::power {

using InodeId = uint64_t;
inline constexpr InodeId kRoot = 1;
inline constexpr uint64_t kSectorBytes = 512;

class DiskImage {
 public:
  // Reads the backing folder. Throws std::filesystem::filesystem_error.
  explicit DiskImage(std::string backing);

  // The inode of a path from the root, or nothing.
  std::optional<InodeId> Find(std::string_view path) const;
  void Describe(InodeId id, struct stat* out) const;
  const std::map<std::string, InodeId>* Entries(InodeId folder) const;

  // `mode` tells a file from a folder. kRoot's names are made with "/name".
  int Make(std::string_view path, mode_t mode, InodeId* made);
  int Link(std::string_view from, std::string_view to);
  int Remove(std::string_view path, bool folder);
  int Rename(std::string_view from, std::string_view to, bool replace);
  void Chmod(InodeId id, mode_t mode);
  // As utimensat takes them; what was read last is not kept.
  void SetModified(InodeId id, const timespec& at);

  size_t Read(InodeId id, uint64_t offset, std::span<uint8_t> out) const;
  void Write(InodeId id, uint64_t offset, std::span<const uint8_t> bytes);
  void Resize(InodeId id, uint64_t size);

  // What a sync covers is what was written when it began; until it ends others may write.
  struct Sync {
    InodeId id = 0;
    uint64_t size = 0;
    std::map<uint64_t, std::array<uint8_t, kSectorBytes>> written;
  };
  Sync BeginSync(InodeId id) const;
  int EndSync(const Sync& sync);
  void SyncFolder(InodeId id);
  // The Nth sync of a file from now on fails once; 0 is none.
  void FailSync(uint64_t nth, uint64_t seed);
  bool fails_ahead() const { return syncs_until_failure_ > 0; }

  // The image is what survives; ids from before are of nothing.
  void CutHere(uint64_t seed);
  bool Has(InodeId id) const { return inodes_.contains(id); }

  // Brings the backing folder to what survives. The image is of no use afterwards.
  void Cut(uint64_t seed);
  // The same for an orderly end: everything survives.
  void Flush();

  uint64_t syncs() const { return syncs_; }
  uint64_t failed_syncs() const { return failed_syncs_; }  // that FailSync asked for, and came
  // What a cut would decide now. Sectors count where the disk has other bytes.
  struct Unsynced {
    uint64_t sectors = 0;
    uint64_t log_sectors = 0;  // of them in epoch-*.log
    uint64_t names = 0;
  };
  Unsynced unsynced() const;

 private:
  using Sector = std::array<uint8_t, kSectorBytes>;

  // One change of a folder's names: `gone` disappears, `name` is set to `inode`; a rename does
  // both.
  struct NameChange {
    std::string gone;
    std::string name;
    InodeId inode = 0;
  };

  struct Inode {
    mode_t mode = 0;
    timespec modified{};  // that of the backing folder; a cut keeps it
    // Files. `unsynced` and `lost` hold what the disk has where it differs from `bytes`; `lost` is
    // where a sync failed, and stays so until the sector is written again.
    std::vector<uint8_t> bytes;
    uint64_t durable_size = 0;
    std::map<uint64_t, Sector> unsynced;
    std::map<uint64_t, Sector> lost;
    // Folders.
    std::map<std::string, InodeId> entries;
    std::map<std::string, InodeId> durable_entries;
    std::vector<NameChange> changes;
    bool folder() const { return S_ISDIR(mode); }
  };

  struct Place {
    InodeId folder;
    std::string name;
  };

  class Survivor;  // decides at a cut

  void Load(const std::string& folder, InodeId id, std::map<ino_t, InodeId>& seen);
  std::optional<Place> Locate(std::string_view path) const;
  void Change(InodeId folder, NameChange change);
  InodeId Survive(InodeId id, Survivor& survivor, std::map<InodeId, Inode>& left,
                  std::map<InodeId, InodeId>& known);
  static uint64_t DifferentSectors(const Inode& file);
  static timespec Now();
  static Sector SectorOf(const Inode& file, uint64_t sector);
  static bool Dirties(const Inode& file, uint64_t sector, uint64_t offset,
                      std::span<const uint8_t> bytes);
  void RememberDisk(Inode& file, uint64_t sector);
  void Store(InodeId folder, const std::string& path, Survivor& survivor,
             std::map<InodeId, std::string>& stored);

  const std::string backing_;
  std::map<InodeId, Inode> inodes_;
  InodeId next_ = kRoot + 1;
  uint64_t syncs_ = 0;
  uint64_t syncs_until_failure_ = 0;
  uint64_t failed_syncs_ = 0;
  std::mt19937_64 failing_;
};

}  // namespace headrace::power
