#pragma once
// Files behind an interface, so that a whole engine can run on a simulated, faulty disk.
// Paths are plain strings, '/'-separated. All calls are thread-safe unless said; they block.
// Errors: kNotFound, kAlreadyExists, kStorageFull (ENOSPC, EDQUOT), kIoError (all else), each with
// file= and, from the system, errno=.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "env/executor.h"

namespace headrace::env {

// A file open for writing at offsets. One thread at a time.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  // Writes all of `bytes` at `offset`, or fails; nothing is promised about the disk.
  virtual base::Result<void> WriteAt(uint64_t offset, std::span<const uint8_t> bytes) = 0;
  // fdatasync: when it returns success, all earlier WriteAt of this file are on stable storage. A
  // failure is final: the caller must not believe a later success for the same bytes.
  virtual base::Result<void> Sync() = 0;
  // Writes, syncs, then posts `done` to `reply_to`. The bytes must live until then. The real file
  // does both before it returns (the reply still goes through the mailbox, behind what was posted
  // meanwhile: that is the group commit).
  virtual void WriteAndSync(uint64_t offset, std::span<const uint8_t> bytes, Executor& reply_to,
                            std::move_only_function<void(base::Result<void>)> done) = 0;
  // Reserves [0, size), which reads as zeros, and writes zeros to it, so that later syncs need no
  // metadata write; synced on return. Once `hurry` is true it leaves the rest reserved only.
  virtual base::Result<void> Preallocate(uint64_t size, const std::atomic<bool>& hurry) = 0;
  // Gives up what is behind `size`, if anything; durable with the next Sync.
  virtual base::Result<void> Truncate(uint64_t size) = 0;
};

// A file open for reading. Thread-safe.
class ReadableFile {
 public:
  virtual ~ReadableFile() = default;
  virtual uint64_t size() const = 0;
  // Reads exactly `out.size()` bytes; short is kCorruption.
  virtual base::Result<void> ReadAt(uint64_t offset, std::span<uint8_t> out) const = 0;
};

// Held while a folder is ours; released by the destructor or by the process's end.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

struct FileFacts {
  uint64_t bytes = 0;
  base::Timestamp modified_at;  // by the wall clock of whoever wrote it
};

class Files {
 public:
  virtual ~Files() = default;
  // Creates or opens; kAlreadyExists when it must be new and is not.
  enum class Open { kCreateNew, kExisting };
  virtual base::Result<std::unique_ptr<WritableFile>> OpenForWriting(const std::string& path,
                                                                     Open mode) = 0;
  virtual base::Result<std::unique_ptr<ReadableFile>> OpenForReading(const std::string& path) = 0;
  virtual base::Result<std::vector<uint8_t>> ReadAll(const std::string& path) = 0;
  virtual base::Result<bool> Exists(const std::string& path) = 0;
  virtual base::Result<FileFacts> Facts(const std::string& path) = 0;
  // What Facts tells, of a file that takes another's place. As durable as its name.
  virtual base::Result<void> SetModifiedAt(const std::string& path, base::Timestamp at) = 0;
  // The absolute path of what `path` names, every link followed.
  virtual base::Result<std::string> Resolve(const std::string& path) = 0;
  // Names (not paths) in a folder, sorted; kNotFound when there is no such folder.
  virtual base::Result<std::vector<std::string>> List(const std::string& folder) = 0;
  // With all parents; no error when it is there already. The folder entries are synced, those of
  // folders that were there too (whoever made them may have died before); a parent that may not be
  // read is passed over then.
  virtual base::Result<void> CreateFolders(const std::string& path) = 0;
  virtual base::Result<void> Remove(const std::string& path) = 0;
  // Replaces `to`. The folder is not synced.
  virtual base::Result<void> Rename(const std::string& from, const std::string& to) = 0;
  // Makes `to` another name of `from`; kAlreadyExists when `to` is there: the put-if-absent of a
  // local disk.
  virtual base::Result<void> Link(const std::string& from, const std::string& to) = 0;
  // Makes entries of a folder durable (fsync of the folder).
  virtual base::Result<void> SyncFolder(const std::string& folder) = 0;
  // kConflict when another process holds it.
  virtual base::Result<std::unique_ptr<FileLock>> Lock(const std::string& path) = 0;
  virtual base::Result<uint64_t> FreeBytes(const std::string& folder) = 0;
  // Environment::CrashPoint, for functions that see only files.
  virtual void CrashPoint(const char* /*name*/) {}
};

// Opens `path` for writing in place; makes it when it is not there.
base::Result<std::unique_ptr<WritableFile>> OpenOrCreate(Files& files, const std::string& path);

// Whether `name` (no folder) is one that PutIfAbsent and PutAtomically use before the file is
// whole: left behind only by a crash, hidden from readers that skip names with a leading dot, and
// safe to remove by whoever holds the folder's lock.
bool IsTemporaryName(std::string_view name);

// A whole new file that is written in pieces: under a temporary name, which goes with this object,
// until Publish makes it durable and gives it its own. One thread.
class NewFile {
 public:
  static base::Result<NewFile> Create(Files& files, const std::string& path);
  NewFile(NewFile&& other) noexcept = default;
  NewFile& operator=(NewFile&&) = delete;
  ~NewFile();

  base::Result<void> Append(std::span<const uint8_t> bytes);
  // Writes over what was appended.
  base::Result<void> Replace(uint64_t offset, std::span<const uint8_t> bytes);
  uint64_t bytes() const { return bytes_; }
  // Put-if-absent, durable. Errors: kAlreadyExists when the name is taken; after any other whether
  // the file has it, and for how long, is not known.
  base::Result<void> Publish();
  // Durable under its name, whoever had it: as the last call, also after a Publish that found it
  // taken.
  base::Result<void> PublishOver();
  // What Files::Facts will tell of it. After the last Append.
  base::Result<void> SetModifiedAt(base::Timestamp at) {
    return files_.SetModifiedAt(temporary_, at);
  }

 private:
  NewFile(Files& files, std::string path, std::string temporary,
          std::unique_ptr<WritableFile> file);
  base::Result<void> SyncWritten();

  Files& files_;
  std::string path_;
  std::string temporary_;  // empty: it is gone
  std::unique_ptr<WritableFile> file_;
  uint64_t bytes_ = 0;
};

// Writes a whole new file durably: temporary name, sync, link to `path` (put-if-absent), folder
// sync, temporary removed. Errors: kAlreadyExists when `path` is there (its bytes are not touched).
base::Result<void> PutIfAbsent(Files& files, const std::string& path,
                               std::span<const uint8_t> bytes);
// The same, but replaces `path` atomically.
base::Result<void> PutAtomically(Files& files, const std::string& path,
                                 std::span<const uint8_t> bytes);
// Replaces `path` by a file with the same bytes and time: durable although an earlier sync of its
// folder failed, after which no later one proves anything of the entries that were there.
base::Result<void> PutAgain(Files& files, const std::string& path);

}  // namespace headrace::env
