#include "env/simulated/disk.h"

#include <algorithm>
#include <cstring>

namespace headrace::env::simulated {
namespace {

bool Coin(std::mt19937_64& random) { return (random() & 1) != 0; }

}  // namespace

void DiskFile::Write(uint64_t offset, std::span<const uint8_t> bytes) {
  if (bytes.empty()) return;
  if (offset + bytes.size() > seen_.size()) seen_.resize(offset + bytes.size(), 0);
  std::memcpy(seen_.data() + offset, bytes.data(), bytes.size());
  const uint64_t last = (offset + bytes.size() - 1) / kSectorBytes;
  if (seen_writes_.size() <= last) seen_writes_.resize(last + 1, 0);
  ++writes_;
  for (uint64_t sector = offset / kSectorBytes; sector <= last; ++sector) {
    dirty_.Add(sector);
    seen_writes_[sector] = writes_;
  }
  diverged_ = true;
}

void DiskFile::Truncate(uint64_t size) {
  seen_.resize(size);
  Sectors gone;
  dirty_.ForEach([&](uint64_t sector) {
    if (sector * kSectorBytes >= size) gone.Add(sector);
  });
  dirty_.Remove(gone);
  cut_ = {cut_.write == 0 ? size : std::min(cut_.size, size), ++writes_};
  diverged_ = true;
}

DiskFile::Syncing DiskFile::BeginSync() const {
  Syncing syncing;
  syncing.cut_ = cut_;
  dirty_.ForEach([&](uint64_t sector) {
    const uint64_t begin = sector * kSectorBytes;
    const uint64_t size = std::min<uint64_t>(kSectorBytes, seen_.size() - begin);
    syncing.sectors_.push_back({.number = sector, .write = seen_writes_[sector], .size = size});
    syncing.bytes_.insert(syncing.bytes_.end(), seen_.data() + begin, seen_.data() + begin + size);
  });
  return syncing;
}

// What was written behind the end before it was cut must not come back.
void DiskFile::PersistCut(const Syncing::Cut& cut) {
  if (cut.write <= durable_cut_) return;
  durable_cut_ = cut.write;
  const uint64_t first = (cut.size + kSectorBytes - 1) / kSectorBytes;
  for (uint64_t sector = first; sector < durable_writes_.size(); ++sector)
    if (durable_writes_[sector] < cut.write) durable_writes_[sector] = cut.write;
  if (durable_.size() > cut.size) durable_.resize(cut.size);
}

void DiskFile::PersistSector(const Syncing::Sector& sector, const uint8_t* bytes) {
  if (durable_writes_.size() <= sector.number) durable_writes_.resize(sector.number + 1, 0);
  if (durable_writes_[sector.number] >= sector.write) return;
  durable_writes_[sector.number] = sector.write;
  const uint64_t begin = sector.number * kSectorBytes;
  if (durable_.size() < begin + sector.size) durable_.resize(begin + sector.size, 0);
  std::memcpy(durable_.data() + begin, bytes, sector.size);
}

void DiskFile::MarkClean(const Syncing& syncing) {
  Sectors clean;
  for (const Syncing::Sector& sector : syncing.sectors_)
    if (seen_writes_[sector.number] == sector.write) clean.Add(sector.number);
  dirty_.Remove(clean);
  if (cut_.write == syncing.cut_.write) cut_ = {};
}

void DiskFile::Persist(const Syncing& syncing) {
  PersistCut(syncing.cut_);
  const uint8_t* bytes = syncing.bytes_.data();
  for (const Syncing::Sector& sector : syncing.sectors_) {
    PersistSector(sector, bytes);
    bytes += sector.size;
  }
  MarkClean(syncing);
}

void DiskFile::PersistSome(const Syncing& syncing, std::mt19937_64& random) {
  if (syncing.cut_.write > 0 && Coin(random)) PersistCut(syncing.cut_);
  const uint8_t* bytes = syncing.bytes_.data();
  for (const Syncing::Sector& sector : syncing.sectors_) {
    if (Coin(random)) PersistSector(sector, bytes);
    bytes += sector.size;
  }
  MarkClean(syncing);
}

void DiskFile::Crash(std::mt19937_64& random) {
  // Most crashes lose or keep nearly all: the shares themselves are drawn.
  const uint64_t kept_of_eight = random() % 9;
  if (!diverged_) return;
  const Syncing unsynced = BeginSync();
  if (cut_.write > 0 && random() % 8 < kept_of_eight) PersistCut(cut_);
  const uint8_t* bytes = unsynced.bytes_.data();
  for (const Syncing::Sector& sector : unsynced.sectors_) {
    if (random() % 8 < kept_of_eight) PersistSector(sector, bytes);
    bytes += sector.size;
  }
  dirty_.Clear();
  cut_ = {};
  seen_writes_ = durable_writes_;
  seen_ = durable_;
  diverged_ = false;
}

void DiskFile::FlipBit(uint64_t offset, int bit) {
  HR_CHECK(offset < seen_.size() && offset < durable_.size(), "a flip outside the durable file");
  seen_[offset] ^= static_cast<uint8_t>(1 << bit);
  durable_[offset] ^= static_cast<uint8_t>(1 << bit);
}

void DiskFile::Settle() {
  durable_ = seen_;
  durable_writes_ = seen_writes_;
  dirty_.Clear();
  cut_ = {};
  diverged_ = false;
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, std::max<size_t>(slash, 1));
}

DiskFileRef Disk::Find(const std::string& path) const {
  const auto found = seen_.find(path);
  return found == seen_.end() ? nullptr : found->second;
}

std::vector<std::string> Disk::List(const std::string& folder) const {
  std::vector<std::string> names;
  const auto add = [&](const std::string& path) {
    if (path != folder && FolderOf(path) == folder) names.push_back(path.substr(folder.size() + 1));
  };
  for (const auto& [path, file] : seen_) add(path);
  for (const std::string& path : folders_) add(path);
  std::sort(names.begin(), names.end());
  return names;
}

void Disk::Apply(const Change& change, Names& names, Folders& folders) {
  names.erase(change.from);
  folders.erase(change.from);
  if (change.to.empty()) return;
  if (change.file == nullptr) {
    folders.insert(change.to);
  } else {
    names[change.to] = change.file;
  }
}

void Disk::Do(Change change) {
  Apply(change, seen_, folders_);
  pending_.push_back(std::move(change));
}

void Disk::AddRoot(const std::string& path) {
  folders_.insert(path);
  durable_folders_.insert(path);
}

void Disk::AddFolder(const std::string& path) { Do({"", path, nullptr}); }
void Disk::Enter(const std::string& path, DiskFileRef file) { Do({"", path, std::move(file)}); }
void Disk::Remove(const std::string& path) { Do({path, "", nullptr}); }
void Disk::Rename(const std::string& from, const std::string& to) { Do({from, to, Find(from)}); }

void Disk::SyncFolder(const std::string& folder) {
  std::erase_if(pending_, [&](const Change& change) {
    const bool here = FolderOf(change.to.empty() ? change.from : change.to) == folder;
    if (here) Apply(change, durable_, durable_folders_);
    return here;
  });
}

void Disk::SyncSomeOf(const std::string& folder, std::mt19937_64& random) {
  std::erase_if(pending_, [&](const Change& change) {
    const bool here = FolderOf(change.to.empty() ? change.from : change.to) == folder;
    if (here && Coin(random)) Apply(change, durable_, durable_folders_);
    return here;
  });
}

uint64_t Disk::used_bytes() const {
  std::set<const DiskFile*> files;  // a file with two names counts once
  uint64_t total = 0;
  for (const auto& [path, file] : seen_)
    if (files.insert(file.get()).second) total += file->size();
  return total;
}

void Disk::DropWhatHasNoFolder() {
  std::erase_if(durable_folders_, [&](const std::string& path) {  // parents sort before children
    const std::string parent = FolderOf(path);
    return parent != path && !durable_folders_.contains(parent);
  });
  std::erase_if(durable_,
                [&](const auto& name) { return !durable_folders_.contains(FolderOf(name.first)); });
}

void Disk::Crash(std::mt19937_64& random) {
  for (const Change& change : pending_)
    if (Coin(random)) Apply(change, durable_, durable_folders_);
  pending_.clear();
  DropWhatHasNoFolder();
  seen_ = durable_;
  folders_ = durable_folders_;
  std::set<DiskFile*> crashed;
  for (const auto& [path, file] : seen_)
    if (crashed.insert(file.get()).second) file->Crash(random);
  EndLife();
}

std::shared_ptr<Disk> Disk::Copy() const {
  auto copy = std::make_shared<Disk>();
  std::map<const DiskFile*, DiskFileRef> files;  // two names of a file stay two names of one
  for (const auto& [path, file] : seen_) {
    DiskFileRef& copied = files[file.get()];
    if (copied == nullptr) {
      copied = std::make_shared<DiskFile>(*file);
      copied->Settle();
    }
    copy->seen_[path] = copied;
  }
  copy->durable_ = copy->seen_;
  copy->folders_ = folders_;
  copy->durable_folders_ = folders_;
  return copy;
}

void Disk::EndLife() {
  locks_.clear();
  ++generation_;
}

}  // namespace headrace::env::simulated
