#include "disk_image.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace headrace::power {
namespace {

namespace fs = std::filesystem;

std::vector<uint8_t> ReadWhole(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// Blocks of zeros become holes: most of a new segment is.
void WriteWhole(const std::string& path, const std::vector<uint8_t>& bytes) {
  constexpr size_t kBlock = 4096;
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  bool ok = fd >= 0 && ::ftruncate(fd, static_cast<off_t>(bytes.size())) == 0;
  for (size_t at = 0; ok && at < bytes.size(); at += kBlock) {
    const size_t size = std::min(kBlock, bytes.size() - at);
    const auto block = std::span(bytes).subspan(at, size);
    if (std::all_of(block.begin(), block.end(), [](uint8_t byte) { return byte == 0; })) continue;
    ok = ::pwrite(fd, block.data(), size, static_cast<off_t>(at)) == static_cast<ssize_t>(size);
  }
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (!ok)
    throw fs::filesystem_error("write", path, std::error_code(error, std::system_category()));
}

}  // namespace

// Chooses what survives. A cut has a mood: from nothing at all to nearly everything.
class DiskImage::Survivor {
 public:
  explicit Survivor(std::optional<uint64_t> seed) : everything_(!seed), random_(seed.value_or(0)) {
    constexpr std::array<double, 5> kShares{0, 0.1, 0.5, 0.9, 1};
    sectors_ = kShares[random_() % kShares.size()];
    names_ = kShares[random_() % kShares.size()];
    journal_ = random_() % 2 == 0;
  }

  std::map<std::string, InodeId> NamesOf(const Inode& folder) {
    if (everything_) return folder.entries;
    std::map<std::string, InodeId> names = folder.durable_entries;
    const size_t prefix = random_() % (folder.changes.size() + 1);
    for (size_t i = 0; i < folder.changes.size(); ++i) {
      if (journal_ ? i >= prefix : !Chance(names_)) continue;
      const NameChange& change = folder.changes[i];
      if (!change.gone.empty()) names.erase(change.gone);
      if (!change.name.empty()) names[change.name] = change.inode;
    }
    return names;
  }

  // Takes the file's own bytes.
  std::vector<uint8_t> BytesOf(Inode& file) {
    std::vector<uint8_t> bytes = std::move(file.bytes);
    file.bytes = {};
    if (everything_) return bytes;
    bytes.resize(SizeOf(file, bytes.size()));
    for (const auto& [sector, disk] : file.unsynced)
      if (!Chance(sectors_)) PutBack(sector, disk, bytes);
    for (const auto& [sector, disk] : file.lost) PutBack(sector, disk, bytes);
    return bytes;
  }

 private:
  bool Chance(double share) {
    return std::uniform_real_distribution<double>(0, 1)(random_) < share;
  }

  uint64_t SizeOf(const Inode& file, uint64_t now) {
    const uint64_t disk = file.durable_size;
    if (now == disk || Chance(sectors_)) return now;
    if (Chance(0.5)) return disk;
    const auto [low, high] = std::minmax(now, disk);
    return low + random_() % (high - low) / kSectorBytes * kSectorBytes;
  }

  static void PutBack(uint64_t sector, const Sector& disk, std::vector<uint8_t>& bytes) {
    const uint64_t begin = sector * kSectorBytes;
    if (begin >= bytes.size()) return;
    std::memcpy(bytes.data() + begin, disk.data(), std::min(kSectorBytes, bytes.size() - begin));
  }

  bool everything_;
  std::mt19937_64 random_;
  double sectors_ = 0;
  double names_ = 0;
  bool journal_ = false;
};

DiskImage::DiskImage(std::string backing) : backing_(std::move(backing)) {
  inodes_[kRoot].mode = S_IFDIR | 0755;
  std::map<ino_t, InodeId> seen;
  Load(backing_, kRoot, seen);
}

void DiskImage::Load(const std::string& folder, InodeId id, std::map<ino_t, InodeId>& seen) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    struct stat found{};
    if (::stat(entry.path().c_str(), &found) != 0) continue;
    auto [known, is_new] = seen.try_emplace(found.st_ino, next_);
    if (is_new) {
      Inode& inode = inodes_[next_++];
      inode.mode = found.st_mode;
      inode.modified = found.st_mtim;
      if (inode.folder()) {
        Load(entry.path(), known->second, seen);
      } else {
        inode.bytes = ReadWhole(entry.path());
        inode.durable_size = inode.bytes.size();
      }
    }
    inodes_[id].entries[entry.path().filename()] = known->second;
  }
  inodes_[id].durable_entries = inodes_[id].entries;
}

std::optional<InodeId> DiskImage::Find(std::string_view path) const {
  InodeId at = kRoot;
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    const std::string name(path.substr(0, slash));
    path.remove_prefix(std::min(slash + 1, path.size()));
    if (name.empty()) continue;
    const Inode& folder = inodes_.at(at);
    const auto entry = folder.entries.find(name);
    if (!folder.folder() || entry == folder.entries.end()) return std::nullopt;
    at = entry->second;
  }
  return at;
}

std::optional<DiskImage::Place> DiskImage::Locate(std::string_view path) const {
  const size_t slash = path.rfind('/');
  const auto folder = Find(path.substr(0, slash));
  if (!folder || !inodes_.at(*folder).folder()) return std::nullopt;
  return Place{*folder, std::string(path.substr(slash + 1))};
}

void DiskImage::Describe(InodeId id, struct stat* out) const {
  const Inode& inode = inodes_.at(id);
  *out = {};
  out->st_ino = id;
  out->st_mode = inode.mode;
  out->st_nlink = 1;
  out->st_mtim = out->st_ctim = inode.modified;
  out->st_size = static_cast<off_t>(inode.bytes.size());
  out->st_blocks = static_cast<blkcnt_t>((inode.bytes.size() + 511) / 512);
  out->st_blksize = 4096;
}

const std::map<std::string, InodeId>* DiskImage::Entries(InodeId folder) const {
  const Inode& inode = inodes_.at(folder);
  return inode.folder() ? &inode.entries : nullptr;
}

void DiskImage::Change(InodeId folder, NameChange change) {
  Inode& inode = inodes_.at(folder);
  if (!change.gone.empty()) inode.entries.erase(change.gone);
  if (!change.name.empty()) inode.entries[change.name] = change.inode;
  inode.changes.push_back(std::move(change));
  inode.modified = Now();
}

int DiskImage::Make(std::string_view path, mode_t mode, InodeId* made) {
  const auto place = Locate(path);
  if (!place) return -ENOENT;
  if (inodes_.at(place->folder).entries.contains(place->name)) return -EEXIST;
  *made = next_++;
  inodes_[*made].mode = mode;
  inodes_[*made].modified = Now();
  Change(place->folder, {.gone = "", .name = place->name, .inode = *made});
  return 0;
}

int DiskImage::Link(std::string_view from, std::string_view to) {
  const auto inode = Find(from);
  const auto place = Locate(to);
  if (!inode || !place) return -ENOENT;
  if (inodes_.at(place->folder).entries.contains(place->name)) return -EEXIST;
  Change(place->folder, {.gone = "", .name = place->name, .inode = *inode});
  return 0;
}

int DiskImage::Remove(std::string_view path, bool folder) {
  const auto inode = Find(path);
  const auto place = Locate(path);
  if (!inode || !place) return -ENOENT;
  const Inode& found = inodes_.at(*inode);
  if (found.folder() != folder) return folder ? -ENOTDIR : -EISDIR;
  if (folder && !found.entries.empty()) return -ENOTEMPTY;
  Change(place->folder, {.gone = place->name, .name = "", .inode = 0});
  return 0;
}

int DiskImage::Rename(std::string_view from, std::string_view to, bool replace) {
  const auto inode = Find(from);
  const auto source = Locate(from);
  const auto target = Locate(to);
  if (!inode || !source || !target) return -ENOENT;
  if (!replace && inodes_.at(target->folder).entries.contains(target->name)) return -EEXIST;
  if (source->folder == target->folder) {
    Change(source->folder, {.gone = source->name, .name = target->name, .inode = *inode});
  } else {
    Change(target->folder, {.gone = "", .name = target->name, .inode = *inode});
    Change(source->folder, {.gone = source->name, .name = "", .inode = 0});
  }
  return 0;
}

void DiskImage::Chmod(InodeId id, mode_t mode) {
  Inode& inode = inodes_.at(id);
  inode.mode = (inode.mode & S_IFMT) | (mode & ~static_cast<mode_t>(S_IFMT));
}

void DiskImage::SetModified(InodeId id, const timespec& at) {
  if (at.tv_nsec != UTIME_OMIT) inodes_.at(id).modified = at.tv_nsec == UTIME_NOW ? Now() : at;
}

timespec DiskImage::Now() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now;
}

size_t DiskImage::Read(InodeId id, uint64_t offset, std::span<uint8_t> out) const {
  const std::vector<uint8_t>& bytes = inodes_.at(id).bytes;
  if (offset >= bytes.size()) return 0;
  const size_t size = std::min<uint64_t>(out.size(), bytes.size() - offset);
  std::memcpy(out.data(), bytes.data() + offset, size);
  return size;
}

DiskImage::Sector DiskImage::SectorOf(const Inode& file, uint64_t sector) {
  Sector content{};
  const uint64_t begin = sector * kSectorBytes;
  if (begin < file.bytes.size())
    std::memcpy(content.data(), file.bytes.data() + begin,
                std::min(kSectorBytes, file.bytes.size() - begin));
  return content;
}

// Before `sector` changes in memory.
void DiskImage::RememberDisk(Inode& file, uint64_t sector) {
  if (const auto lost = file.lost.find(sector); lost != file.lost.end()) {
    file.unsynced.emplace(sector, lost->second);
    file.lost.erase(lost);
  } else if (!file.unsynced.contains(sector)) {
    file.unsynced.emplace(sector, SectorOf(file, sector));
  }
}

// Whether a write leaves a sector to be synced. The same bytes once more do not, such as the zeros
// of a new segment, unless a failed sync has lost them.
bool DiskImage::Dirties(const Inode& file, uint64_t sector, uint64_t offset,
                        std::span<const uint8_t> bytes) {
  const uint64_t begin = std::max(sector * kSectorBytes, offset);
  const uint64_t end = std::min((sector + 1) * kSectorBytes, offset + bytes.size());
  if (end > file.bytes.size() || file.lost.contains(sector)) return true;
  const uint8_t* written = bytes.data() + (begin - offset);
  return std::memcmp(file.bytes.data() + begin, written, end - begin) != 0;
}

void DiskImage::Write(InodeId id, uint64_t offset, std::span<const uint8_t> bytes) {
  if (bytes.empty()) return;
  Inode& file = inodes_.at(id);
  const uint64_t end = offset + bytes.size();
  for (uint64_t sector = offset / kSectorBytes; sector * kSectorBytes < end; ++sector)
    if (Dirties(file, sector, offset, bytes)) RememberDisk(file, sector);
  if (end > file.bytes.size()) file.bytes.resize(end, 0);
  std::memcpy(file.bytes.data() + offset, bytes.data(), bytes.size());
  file.modified = Now();
}

void DiskImage::Resize(InodeId id, uint64_t size) {
  Inode& file = inodes_.at(id);
  const uint64_t before = file.bytes.size();
  for (uint64_t sector = size / kSectorBytes; sector * kSectorBytes < before; ++sector)
    RememberDisk(file, sector);
  file.bytes.resize(size, 0);
  file.modified = Now();
}

DiskImage::Sync DiskImage::BeginSync(InodeId id) const {
  const Inode& file = inodes_.at(id);
  Sync sync{id, file.bytes.size(), {}};
  for (const auto& [sector, disk] : file.unsynced) sync.written[sector] = SectorOf(file, sector);
  return sync;
}

int DiskImage::EndSync(const Sync& sync) {
  Inode& file = inodes_.at(sync.id);
  ++syncs_;
  const bool fails = syncs_until_failure_ > 0 && --syncs_until_failure_ == 0;
  failed_syncs_ += fails ? 1 : 0;
  for (const auto& [sector, content] : sync.written) {
    const auto unsynced = file.unsynced.find(sector);
    if (unsynced == file.unsynced.end()) continue;
    const bool same = SectorOf(file, sector) == content;
    const bool is_lost = fails && failing_() % 2 == 0;
    if (same && is_lost) file.lost.emplace(sector, unsynced->second);
    if (same) {
      file.unsynced.erase(unsynced);
    } else if (!is_lost) {
      unsynced->second = content;
    }
  }
  if (fails) return -EIO;
  file.durable_size = sync.size;
  return 0;
}

void DiskImage::SyncFolder(InodeId id) {
  Inode& folder = inodes_.at(id);
  folder.durable_entries = folder.entries;
  folder.changes.clear();
}

void DiskImage::FailSync(uint64_t nth, uint64_t seed) {
  syncs_until_failure_ = nth;
  failing_.seed(seed);
}

void DiskImage::CutHere(uint64_t seed) {
  Survivor survivor(seed);
  std::map<InodeId, Inode> left;
  std::map<InodeId, InodeId> known;
  const InodeId root = Survive(kRoot, survivor, left, known);
  auto node = left.extract(root);
  node.key() = kRoot;
  left.insert(std::move(node));
  inodes_ = std::move(left);
  syncs_until_failure_ = 0;
}

// Two names of one file stay two names of one file.
InodeId DiskImage::Survive(InodeId id, Survivor& survivor, std::map<InodeId, Inode>& left,
                           std::map<InodeId, InodeId>& known) {
  const auto [survived, first] = known.emplace(id, next_);
  if (!first) return survived->second;
  const InodeId to = next_++;
  Inode& before = inodes_.at(id);
  Inode& after = left[to];
  after.mode = before.mode;
  after.modified = before.modified;
  if (before.folder()) {
    for (const auto& [name, inode] : survivor.NamesOf(before))
      after.entries[name] = Survive(inode, survivor, left, known);
    after.durable_entries = after.entries;
  } else {
    after.bytes = survivor.BytesOf(before);
    after.durable_size = after.bytes.size();
  }
  return to;
}

void DiskImage::Cut(uint64_t seed) {
  Survivor survivor(seed);
  std::map<InodeId, std::string> stored;
  Store(kRoot, backing_, survivor, stored);
}

void DiskImage::Flush() {
  Survivor survivor(std::nullopt);
  std::map<InodeId, std::string> stored;
  Store(kRoot, backing_, survivor, stored);
}

// Two names of one file stay two names of one file.
void DiskImage::Store(InodeId folder, const std::string& path, Survivor& survivor,
                      std::map<InodeId, std::string>& stored) {
  fs::create_directories(path);
  for (const fs::directory_entry& entry : fs::directory_iterator(path)) fs::remove_all(entry);
  for (const auto& [name, id] : survivor.NamesOf(inodes_.at(folder))) {
    const std::string target = path + "/" + name;
    Inode& inode = inodes_.at(id);
    if (inode.folder()) {
      Store(id, target, survivor, stored);
    } else if (const auto first = stored.find(id); first != stored.end()) {
      fs::create_hard_link(first->second, target);
    } else {
      WriteWhole(target, survivor.BytesOf(inode));
      const std::array times{inode.modified, inode.modified};
      ::utimensat(AT_FDCWD, target.c_str(), times.data(), 0);
      stored.emplace(id, target);
    }
  }
}

uint64_t DiskImage::DifferentSectors(const Inode& file) {
  const auto differs = [&](const auto& held) { return SectorOf(file, held.first) != held.second; };
  return static_cast<uint64_t>(std::ranges::count_if(file.unsynced, differs) +
                               std::ranges::count_if(file.lost, differs));
}

DiskImage::Unsynced DiskImage::unsynced() const {
  Unsynced found;
  for (const auto& [id, inode] : inodes_) {
    found.names += inode.changes.size();
    found.sectors += DifferentSectors(inode);
    for (const auto& [name, file] : inode.entries)
      if (name.starts_with("epoch-") && name.ends_with(".log"))
        found.log_sectors += DifferentSectors(inodes_.at(file));
  }
  return found;
}

}  // namespace headrace::power
