#include "env/simulated/files.h"

#include <algorithm>
#include <cstring>

#include <fmt/core.h>

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

bool Chance(Life& life, double share) {
  return share > 0 && std::bernoulli_distribution(share)(life.loop.random());
}

bool Coin(Life& life) { return (life.loop.random()() & 1) != 0; }

// Counts an operation. True: it is one that fails.
bool Fails(Life& life, Operation operation) {
  const uint64_t number = ++life.operations[static_cast<size_t>(operation)];
  const Failing& failing = life.faults[operation];
  const bool fails = number == failing.number || Chance(life, failing.share);
  if (fails) ++life.injected[fmt::format("failed {}", NameOf(operation))];
  return fails;
}

std::unexpected<base::Error> Refused(Operation operation, const std::string& path) {
  return Failed(ErrorCode::kIoError, fmt::format("the simulated {} failed", NameOf(operation)),
                path);
}

// Before whatever changes the disk. False: the process has just died, and nothing is changed.
bool NoteChange(Life& life) {
  if (++life.changes == life.faults.crash_operation) life.die();
  return !life.over();
}

MonotonicTime DrawSyncTime(Life& life) {
  if (!Chance(life, life.faults.slow_sync_share))
    return life.loop.Draw(life.faults.sync_min, life.faults.sync_max);
  ++life.injected["slow sync"];
  return life.loop.Draw(life.faults.sync_max, life.faults.slow_sync_max);
}

class SimulatedWritableFile final : public WritableFile {
 public:
  SimulatedWritableFile(LifeRef life, std::string path, DiskFileRef file)
      : life_(std::move(life)), path_(std::move(path)), file_(std::move(file)) {}

  Result<void> WriteAt(uint64_t offset, std::span<const uint8_t> bytes) override {
    if (life_->over()) return Dead(path_);
    if (!NoteChange(*life_)) return Dead(path_);
    file_->Touch(life_->wall());
    if (Fails(*life_, Operation::kWrite)) {
      file_->Write(offset, bytes.first(life_->loop.random()() % (bytes.size() + 1)));
      return Refused(Operation::kWrite, path_);
    }
    const uint64_t end = offset + bytes.size();
    const uint64_t growth = life_->faults.copies_on_write ? bytes.size()
                            : end > file_->size()         ? end - file_->size()
                                                          : 0;
    const uint64_t free = growth > 0 ? FreeBytes() : 0;
    const bool full = growth > free;
    // Like a real disk, it takes what fits before it says no.
    file_->Write(
        offset,
        full ? bytes.first(bytes.size() - std::min<uint64_t>(growth - free, bytes.size())) : bytes);
    life_->loop.Trace(base::Hash64(bytes));
    if (!full) return {};
    ++life_->injected["full disk"];
    return Failed(ErrorCode::kStorageFull, "the simulated disk is full", path_);
  }

  Result<void> Sync() override {
    if (life_->over()) return Dead(path_);
    if (!NoteChange(*life_)) return Dead(path_);
    life_->loop.Pass(DrawSyncTime(*life_));
    return EndSync(file_->BeginSync());
  }

  void WriteAndSync(uint64_t offset, std::span<const uint8_t> bytes, Executor& reply_to,
                    std::move_only_function<void(Result<void>)> done) override {
    if (life_->over()) return;  // nobody is there to hear
    Result<void> written;
    if (!bytes.empty()) written = WriteAt(offset, bytes);
    if (!NoteChange(*life_)) return;
    Loop& loop = life_->loop;
    const MonotonicTime at = loop.now() + DrawSyncTime(*life_);
    // What is dirty now is durable at `at`, as it is now; the file may be closed by then, the disk
    // goes on.
    loop.ReplyAt(at, reply_to,
                 [self = SimulatedWritableFile(life_, path_, file_), syncing = file_->BeginSync(),
                  written = std::move(written), done = std::move(done)]() mutable {
                   done(written ? self.EndSync(syncing) : std::move(written));
                 });
  }

  Result<void> Preallocate(uint64_t size, const std::atomic<bool>&) override {
    if (life_->over()) return Dead(path_);
    if (size > file_->size() && size - file_->size() > FreeBytes()) {
      ++life_->injected["full disk"];
      return Failed(ErrorCode::kStorageFull, "the simulated disk is full", path_);
    }
    HR_TRY_VOID(WriteAt(0, std::vector<uint8_t>(size, 0)));
    return Sync();
  }

  Result<void> Truncate(uint64_t size) override {
    if (life_->over()) return Dead(path_);
    if (size >= file_->size()) return {};
    if (!NoteChange(*life_)) return Dead(path_);
    if (Fails(*life_, Operation::kWrite)) return Refused(Operation::kWrite, path_);
    file_->Touch(life_->wall());
    file_->Truncate(size);
    return {};
  }

 private:
  uint64_t FreeBytes() const {
    const uint64_t capacity = life_->faults.capacity_bytes;
    if (capacity == std::numeric_limits<uint64_t>::max()) return capacity;
    return capacity - std::min(life_->disk->used_bytes(), capacity);
  }

  Result<void> EndSync(const DiskFile::Syncing& syncing) {
    if (life_->over()) return Dead(path_);
    const bool planned = ++life_->syncs == life_->faults.fail_sync_number;
    const bool fails = Fails(*life_, Operation::kSync);
    if (planned || fails || Chance(*life_, life_->faults.sync_failure_share)) {
      if (!fails) ++life_->injected["failed sync"];
      file_->PersistSome(syncing, life_->loop.random());
      return Refused(Operation::kSync, path_);
    }
    file_->Persist(syncing);
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
    if (Fails(*life_, Operation::kRead)) return Refused(Operation::kRead, path_);
    if (offset > file_->size() || out.size() > file_->size() - offset)
      return Failed(ErrorCode::kCorruption, "the file ends too early", path_);
    // Over plain pointers, which is one memmove: GCC 12 copies a span byte by byte.
    const uint8_t* from = file_->bytes().data() + offset;
    std::copy(from, from + out.size(), out.data());
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
    if (mode == Open::kCreateNew && file != nullptr)
      return Failed(ErrorCode::kAlreadyExists, "the file is there", path);
    if (mode == Open::kCreateNew && !NoteChange(*life_)) return Dead(path);
    if (Fails(*life_, Operation::kOpen)) return Refused(Operation::kOpen, path);
    if (mode == Open::kCreateNew) {
      file = std::make_shared<DiskFile>();
      disk().Enter(path, file);
    }
    return std::make_unique<SimulatedWritableFile>(life_, path, std::move(file));
  }

  Result<std::unique_ptr<ReadableFile>> OpenForReading(const std::string& path) override {
    HR_TRY(DiskFileRef file, Find(path));
    if (Fails(*life_, Operation::kOpen)) return Refused(Operation::kOpen, path);
    return std::make_unique<SimulatedReadableFile>(life_, path, std::move(file));
  }

  Result<std::vector<uint8_t>> ReadAll(const std::string& path) override {
    HR_TRY(const auto file, OpenForReading(path));
    std::vector<uint8_t> bytes(file->size());
    HR_TRY_VOID(file->ReadAt(0, bytes));
    return bytes;
  }

  Result<bool> Exists(const std::string& path) override {
    if (life_->over()) return Dead(path);
    return disk().Find(path) != nullptr || disk().HasFolder(path);
  }

  Result<FileFacts> Facts(const std::string& path) override {
    HR_TRY(const DiskFileRef file, Find(path));
    return FileFacts{file->size(), file->modified_at()};
  }

  Result<void> SetModifiedAt(const std::string& path, base::Timestamp at) override {
    HR_TRY(const DiskFileRef file, Find(path));
    file->Touch(at);
    return {};
  }

  Result<std::string> Resolve(const std::string& path) override {
    if (!disk().HasFolder(path)) HR_TRY_VOID(Find(path));
    return path;  // no links and no current folder here: a name is whole as it is
  }

  Result<std::vector<std::string>> List(const std::string& folder) override {
    if (life_->over()) return Dead(folder);
    if (!disk().HasFolder(folder)) return NoSuchFile(folder);
    return disk().List(folder);
  }

  Result<void> CreateFolders(const std::string& path) override {
    for (size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1))
      HR_TRY_VOID(CreateFolder(path.substr(0, slash)));
    return CreateFolder(path);
  }

  Result<void> Remove(const std::string& path) override {
    HR_TRY_VOID(Find(path));
    if (!NoteChange(*life_)) return Dead(path);
    if (Fails(*life_, Operation::kRemove)) return Refused(Operation::kRemove, path);
    disk().Remove(path);
    return {};
  }

  Result<void> Rename(const std::string& from, const std::string& to) override {
    HR_TRY_VOID(Find(from));
    HR_TRY_VOID(CheckParent(to));
    if (!NoteChange(*life_)) return Dead(from);
    const bool fails = Fails(*life_, Operation::kRename);
    if (!fails || Coin(*life_)) disk().Rename(from, to);
    if (fails) return Refused(Operation::kRename, from);
    return {};
  }

  Result<void> Link(const std::string& from, const std::string& to) override {
    HR_TRY(DiskFileRef file, Find(from));
    HR_TRY_VOID(CheckParent(to));
    if (disk().Find(to) != nullptr)
      return Failed(ErrorCode::kAlreadyExists, "the file is there", to);
    if (!NoteChange(*life_)) return Dead(to);
    const bool fails = Fails(*life_, Operation::kLink);
    if (!fails || Coin(*life_)) disk().Enter(to, std::move(file));
    if (fails) return Refused(Operation::kLink, to);
    return {};
  }

  Result<void> SyncFolder(const std::string& folder) override {
    if (life_->over()) return Dead(folder);
    if (!disk().HasFolder(folder)) return NoSuchFile(folder);
    if (!NoteChange(*life_)) return Dead(folder);
    life_->loop.Pass(DrawSyncTime(*life_));
    if (Fails(*life_, Operation::kSyncFolder)) {
      disk().SyncSomeOf(folder, life_->loop.random());
      return Refused(Operation::kSyncFolder, folder);
    }
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

  void CrashPoint(const char* name) override { life_->visit(name); }

 private:
  Disk& disk() { return *life_->disk; }

  // As on the real disk: the entry is synced even when the folder is there already.
  Result<void> CreateFolder(const std::string& path) {
    if (life_->over()) return Dead(path);
    const bool made = !disk().HasFolder(path);
    if (made) {
      if (!NoteChange(*life_)) return Dead(path);
      if (Fails(*life_, Operation::kCreateFolder)) return Refused(Operation::kCreateFolder, path);
      disk().AddFolder(path);
      CrashPoint("folder.after_create");
    }
    auto synced = SyncFolder(FolderOf(path));
    if (!synced && made && !life_->over()) disk().Remove(path);
    CrashPoint("folder.after_sync");
    return synced;
  }

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

std::string_view NameOf(Operation operation) {
  static constexpr std::array<std::string_view, kOperations> kNames = {
      "open", "create folder", "read", "write", "sync", "sync folder", "rename", "link", "remove"};
  return kNames[static_cast<size_t>(operation)];
}

std::unique_ptr<Files> MakeSimulatedFiles(std::shared_ptr<Life> life) {
  return std::make_unique<SimulatedFiles>(std::move(life));
}

}  // namespace headrace::env::simulated
