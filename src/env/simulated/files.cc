#include "env/simulated/files.h"

#include <algorithm>
#include <cstring>

#include "base/hash.h"

namespace headrace::env::simulated {
namespace {

using base::ErrorCode;
using base::Result;
using LifeRef = std::shared_ptr<Life>;

std::unexpected<base::Error> Failed(ErrorCode code, std::string what, const std::string& path) {
  return base::Fail(base::Error(code, std::move(what)).With("file", path));
}

std::unexpected<base::Error> Dead(const std::string& path) {
  return Failed(ErrorCode::kIoError, "the simulated process is dead", path);
}

class SimulatedWritableFile final : public WritableFile {
 public:
  SimulatedWritableFile(LifeRef life, std::string path, DiskFileRef file)
      : life_(std::move(life)), path_(std::move(path)), file_(std::move(file)) {}

  Result<void> WriteAt(uint64_t offset, std::span<const uint8_t> bytes) override {
    if (life_->over()) return Dead(path_);
    const uint64_t growth =
        offset + bytes.size() > file_->size() ? offset + bytes.size() - file_->size() : 0;
    const uint64_t free = FreeBytes();
    const bool full = growth > free;
    // Like a real disk, it takes what fits before it says no.
    file_->Write(
        offset,
        full ? bytes.first(bytes.size() - std::min<uint64_t>(growth - free, bytes.size())) : bytes);
    life_->loop.Trace(base::Hash64(bytes));
    if (full) return Failed(ErrorCode::kStorageFull, "the simulated disk is full", path_);
    return {};
  }

  Result<void> Sync() override {
    if (life_->over()) return Dead(path_);
    life_->loop.Pass(life_->loop.Draw(life_->faults.sync_min, life_->faults.sync_max));
    return EndSync(file_->dirty());
  }

  void WriteAndSync(uint64_t offset, std::span<const uint8_t> bytes, Executor& reply_to,
                    std::move_only_function<void(Result<void>)> done) override {
    if (life_->over()) return;  // nobody is there to hear
    auto written = WriteAt(offset, bytes);
    Loop& loop = life_->loop;
    const MonotonicTime at = loop.now() + loop.Draw(life_->faults.sync_min, life_->faults.sync_max);
    // What is dirty now is durable at `at`; the file may be closed by then, the disk goes on.
    loop.ReplyAt(at, reply_to,
                 [self = SimulatedWritableFile(life_, path_, file_), sectors = file_->dirty(),
                  written = std::move(written), done = std::move(done)]() mutable {
                   done(written ? self.EndSync(sectors) : std::move(written));
                 });
  }

  Result<void> Preallocate(uint64_t size, const std::atomic<bool>&) override {
    if (life_->over()) return Dead(path_);
    if (size > file_->size() && size - file_->size() > FreeBytes())
      return Failed(ErrorCode::kStorageFull, "the simulated disk is full", path_);
    HR_TRY_VOID(WriteAt(0, std::vector<uint8_t>(size, 0)));
    return Sync();
  }

 private:
  uint64_t FreeBytes() const {
    const uint64_t used = life_->disk->used_bytes();
    return life_->faults.capacity_bytes - std::min(used, life_->faults.capacity_bytes);
  }

  Result<void> EndSync(const std::set<uint64_t>& sectors) {
    if (life_->over()) return Dead(path_);
    const bool planned = ++life_->syncs == life_->faults.fail_sync_number;
    std::bernoulli_distribution by_chance(life_->faults.sync_failure_share);
    if (planned || by_chance(life_->loop.random())) {
      file_->PersistSome(sectors, life_->loop.random());
      return Failed(ErrorCode::kIoError, "the simulated sync failed", path_);
    }
    file_->Persist(sectors);
    return {};
  }

  LifeRef life_;
  std::string path_;
  DiskFileRef file_;
};

class SimulatedReadableFile final : public ReadableFile {
 public:
  SimulatedReadableFile(LifeRef life, std::string path, DiskFileRef file)
      : life_(std::move(life)), path_(std::move(path)), file_(std::move(file)) {}

  uint64_t size() const override { return file_->size(); }

  Result<void> ReadAt(uint64_t offset, std::span<uint8_t> out) const override {
    if (life_->over()) return Dead(path_);
    if (offset > file_->size() || out.size() > file_->size() - offset)
      return Failed(ErrorCode::kCorruption, "the file ends too early", path_);
    std::ranges::copy(file_->bytes().subspan(offset, out.size()), out.begin());
    return {};
  }

 private:
  LifeRef life_;
  std::string path_;
  DiskFileRef file_;
};

class SimulatedLock final : public FileLock {
 public:
  SimulatedLock(LifeRef life, std::string path) : life_(std::move(life)), path_(std::move(path)) {}
  ~SimulatedLock() override {
    if (!life_->over()) life_->disk->locks().erase(path_);
  }

 private:
  LifeRef life_;
  std::string path_;
};

class SimulatedFiles final : public Files {
 public:
  explicit SimulatedFiles(LifeRef life) : life_(std::move(life)) {}

  Result<std::unique_ptr<WritableFile>> OpenForWriting(const std::string& path,
                                                       Open mode) override {
    HR_TRY_VOID(CheckParent(path));
    DiskFileRef file = disk().Find(path);
    if (mode == Open::kExisting && file == nullptr) return NoSuchFile(path);
    if (mode == Open::kCreateNew) {
      if (file != nullptr) return Failed(ErrorCode::kAlreadyExists, "the file is there", path);
      file = std::make_shared<DiskFile>();
      disk().Enter(path, file);
    }
    return std::make_unique<SimulatedWritableFile>(life_, path, std::move(file));
  }

  Result<std::unique_ptr<ReadableFile>> OpenForReading(const std::string& path) override {
    HR_TRY(DiskFileRef file, Find(path));
    return std::make_unique<SimulatedReadableFile>(life_, path, std::move(file));
  }

  Result<std::vector<uint8_t>> ReadAll(const std::string& path) override {
    HR_TRY(const DiskFileRef file, Find(path));
    return std::vector<uint8_t>(file->bytes().begin(), file->bytes().end());
  }

  Result<bool> Exists(const std::string& path) override {
    if (life_->over()) return Dead(path);
    return disk().Find(path) != nullptr || disk().HasFolder(path);
  }

  Result<std::vector<std::string>> List(const std::string& folder) override {
    if (life_->over()) return Dead(folder);
    if (!disk().HasFolder(folder)) return NoSuchFile(folder);
    return disk().List(folder);
  }

  Result<void> CreateFolders(const std::string& path) override {
    if (life_->over()) return Dead(path);
    for (size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1))
      disk().AddFolder(path.substr(0, slash));
    disk().AddFolder(path);
    return {};
  }

  Result<void> Remove(const std::string& path) override {
    HR_TRY_VOID(Find(path));
    disk().Remove(path);
    return {};
  }

  Result<void> Rename(const std::string& from, const std::string& to) override {
    HR_TRY_VOID(Find(from));
    HR_TRY_VOID(CheckParent(to));
    disk().Rename(from, to);
    return {};
  }

  Result<void> Link(const std::string& from, const std::string& to) override {
    HR_TRY(DiskFileRef file, Find(from));
    HR_TRY_VOID(CheckParent(to));
    if (disk().Find(to) != nullptr)
      return Failed(ErrorCode::kAlreadyExists, "the file is there", to);
    disk().Enter(to, std::move(file));
    return {};
  }

  Result<void> SyncFolder(const std::string& folder) override {
    if (life_->over()) return Dead(folder);
    if (!disk().HasFolder(folder)) return NoSuchFile(folder);
    life_->loop.Pass(life_->loop.Draw(life_->faults.sync_min, life_->faults.sync_max));
    disk().SyncFolder(folder);
    return {};
  }

  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    HR_TRY_VOID(CheckParent(path));
    if (!disk().locks().insert(path).second)
      return Failed(ErrorCode::kConflict, "another process holds this folder", path);
    return std::make_unique<SimulatedLock>(life_, path);
  }

  Result<uint64_t> FreeBytes(const std::string& folder) override {
    if (life_->over()) return Dead(folder);
    const uint64_t capacity = life_->faults.capacity_bytes;
    return capacity - std::min(disk().used_bytes(), capacity);
  }

 private:
  Disk& disk() { return *life_->disk; }

  static std::unexpected<base::Error> NoSuchFile(const std::string& path) {
    return Failed(ErrorCode::kNotFound, "no such file", path);
  }

  Result<DiskFileRef> Find(const std::string& path) {
    if (life_->over()) return Dead(path);
    DiskFileRef file = disk().Find(path);
    if (file == nullptr) return NoSuchFile(path);
    return file;
  }

  Result<void> CheckParent(const std::string& path) {
    if (life_->over()) return Dead(path);
    if (!disk().HasFolder(FolderOf(path))) return NoSuchFile(path);
    return {};
  }

  LifeRef life_;
};

}  // namespace

std::unique_ptr<Files> MakeSimulatedFiles(std::shared_ptr<Life> life) {
  return std::make_unique<SimulatedFiles>(std::move(life));
}

}  // namespace headrace::env::simulated
