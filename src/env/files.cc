#include "env/files.h"

#include <fmt/core.h>

namespace headrace::env {
namespace {

constexpr std::string_view kTemporaryMark = ".hr-tmp-";
constexpr int kTemporaryNamesMax = 10'000;

struct TemporaryFile {
  std::string path;
  std::unique_ptr<WritableFile> file;
};

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

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

base::Result<std::string> WriteTemporary(Files& files, const std::string& path,
                                         std::span<const uint8_t> bytes) {
  HR_TRY(TemporaryFile temporary, CreateTemporary(files, path));
  files.CrashPoint("put.after_create");
  auto written = temporary.file->WriteAt(0, bytes);
  files.CrashPoint("put.after_write");
  if (written) written = temporary.file->Sync();
  files.CrashPoint("put.after_sync");
  temporary.file.reset();
  if (!written) {
    (void)files.Remove(temporary.path);  // the first error is the one to tell
    return base::Fail(std::move(written).error());
  }
  return std::move(temporary.path);
}

}  // namespace

bool IsTemporaryName(std::string_view name) {
  return name.starts_with('.') && name.find(kTemporaryMark) != std::string_view::npos;
}

base::Result<std::unique_ptr<WritableFile>> OpenOrCreate(Files& files, const std::string& path) {
  HR_TRY(const bool exists, files.Exists(path));
  return files.OpenForWriting(path, exists ? Files::Open::kExisting : Files::Open::kCreateNew);
}

base::Result<void> PutIfAbsent(Files& files, const std::string& path,
                               std::span<const uint8_t> bytes) {
  HR_TRY(const std::string temporary, WriteTemporary(files, path, bytes));
  auto linked = files.Link(temporary, path);
  // When the folder sync fails the caller does not know whether the file will be there after a
  // power cut: an error says so.
  files.CrashPoint("put.after_link");
  if (linked) linked = files.SyncFolder(FolderOf(path));
  files.CrashPoint("put.after_folder_sync");
  auto removed = files.Remove(temporary);
  files.CrashPoint("put.after_remove");
  return linked ? std::move(removed) : std::move(linked);
}

base::Result<void> PutAtomically(Files& files, const std::string& path,
                                 std::span<const uint8_t> bytes) {
  HR_TRY(const std::string temporary, WriteTemporary(files, path, bytes));
  HR_TRY_VOID(files.Rename(temporary, path));
  return files.SyncFolder(FolderOf(path));
}

}  // namespace headrace::env
