#include "env/files.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "env/paths.h"

namespace headrace::env {
namespace {

constexpr std::string_view kTemporaryMark = ".hr-tmp-";
constexpr int kTemporaryNamesMax = 10'000;
constexpr uint64_t kCopiedPieceBytes = 1ULL << 20;

struct TemporaryFile {
  std::string path;
  std::unique_ptr<WritableFile> file;
};

// A new hidden file beside `path`; another writer's is never touched, so its number is passed over.
base::Result<TemporaryFile> CreateTemporary(Files& files, const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  for (int number = 0; number < kTemporaryNamesMax; ++number) {
    std::string temporary = fmt::format("{}/.{}{}{}", FolderOf(path), name, kTemporaryMark, number);
    auto file = files.OpenForWriting(temporary, Files::Open::kCreateNew);
    if (file) return TemporaryFile{std::move(temporary), std::move(*file)};
    if (file.error().code() != base::ErrorCode::kAlreadyExists) {
      return base::Fail(std::move(file).error());
    }
  }
  return base::Fail(base::Error(base::ErrorCode::kIoError,
                                "too many temporary files lie beside this one: remove them")
                        .With("file", path));
}

}  // namespace

bool IsTemporaryName(std::string_view name) {
  return name.starts_with('.') && name.find(kTemporaryMark) != std::string_view::npos;
}

base::Result<std::unique_ptr<WritableFile>> OpenOrCreate(Files& files, const std::string& path) {
  HR_TRY(const bool exists, files.Exists(path));
  return files.OpenForWriting(path, exists ? Files::Open::kExisting : Files::Open::kCreateNew);
}

NewFile::NewFile(Files& files, std::string path, std::string temporary,
                 std::unique_ptr<WritableFile> file)
    : files_(files),
      path_(std::move(path)),
      temporary_(std::move(temporary)),
      file_(std::move(file)) {}

NewFile::~NewFile() {
  if (temporary_.empty()) return;
  file_.reset();
  (void)files_.Remove(temporary_);  // whoever gave up has an error to tell
}

base::Result<NewFile> NewFile::Create(Files& files, const std::string& path) {
  HR_TRY(TemporaryFile temporary, CreateTemporary(files, path));
  NewFile created(files, path, std::move(temporary.path), std::move(temporary.file));
  files.CrashPoint("put.after_create");
  return created;
}

base::Result<void> NewFile::Append(std::span<const uint8_t> bytes) {
  HR_TRY_VOID(file_->WriteAt(bytes_, bytes));
  bytes_ += bytes.size();
  return {};
}

base::Result<void> NewFile::Replace(uint64_t offset, std::span<const uint8_t> bytes) {
  return file_->WriteAt(offset, bytes);
}

base::Result<void> NewFile::SyncWritten() {
  if (file_ == nullptr) return {};
  files_.CrashPoint("put.after_write");
  HR_TRY_VOID(file_->Sync());
  files_.CrashPoint("put.after_sync");
  file_.reset();
  return {};
}

base::Result<void> NewFile::Publish() {
  HR_TRY_VOID(SyncWritten());
  HR_TRY_VOID(files_.Link(temporary_, path_));
  // When the folder sync fails the caller does not know whether the file will be there after a
  // power cut: an error says so.
  files_.CrashPoint("put.after_link");
  auto synced = files_.SyncFolder(FolderOf(path_));
  files_.CrashPoint("put.after_folder_sync");
  auto removed = files_.Remove(std::exchange(temporary_, {}));
  files_.CrashPoint("put.after_remove");
  return synced ? std::move(removed) : std::move(synced);
}

base::Result<void> NewFile::PublishOver() {
  HR_TRY_VOID(SyncWritten());
  HR_TRY_VOID(files_.Rename(temporary_, path_));
  temporary_.clear();
  return files_.SyncFolder(FolderOf(path_));
}

base::Result<void> PutIfAbsent(Files& files, const std::string& path,
                               std::span<const uint8_t> bytes) {
  HR_TRY(NewFile file, NewFile::Create(files, path));
  HR_TRY_VOID(file.Append(bytes));
  return file.Publish();
}

base::Result<void> PutAtomically(Files& files, const std::string& path,
                                 std::span<const uint8_t> bytes) {
  HR_TRY(NewFile file, NewFile::Create(files, path));
  HR_TRY_VOID(file.Append(bytes));
  return file.PublishOver();
}

base::Result<void> PutAgain(Files& files, const std::string& path) {
  HR_TRY(const auto there, files.OpenForReading(path));
  HR_TRY(const FileFacts facts, files.Facts(path));
  HR_TRY(NewFile file, NewFile::Create(files, path));
  std::vector<uint8_t> piece;
  for (uint64_t at = 0; at < there->size(); at += piece.size()) {
    piece.resize(std::min(kCopiedPieceBytes, there->size() - at));
    HR_TRY_VOID(there->ReadAt(at, piece));
    HR_TRY_VOID(file.Append(piece));
  }
  HR_TRY_VOID(file.SetModifiedAt(facts.modified_at));
  return file.PublishOver();
}

}  // namespace headrace::env
