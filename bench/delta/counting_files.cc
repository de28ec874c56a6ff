#include "counting_files.h"

#include <utility>

namespace headrace::bench {
namespace {

using base::Result;

class CountingFile final : public env::WritableFile {
 public:
  CountingFile(std::unique_ptr<env::WritableFile> file, FileCalls& calls)
      : file_(std::move(file)), calls_(calls) {}

  Result<void> WriteAt(uint64_t offset, std::span<const uint8_t> bytes) override {
    ++calls_.written;
    calls_.written_bytes += bytes.size();
    return file_->WriteAt(offset, bytes);
  }
  Result<void> Sync() override {
    ++calls_.synced;
    return file_->Sync();
  }
  void WriteAndSync(uint64_t offset, std::span<const uint8_t> bytes, env::Executor& reply_to,
                    std::move_only_function<void(Result<void>)> done) override {
    ++calls_.written;
    ++calls_.synced;
    calls_.written_bytes += bytes.size();
    file_->WriteAndSync(offset, bytes, reply_to, std::move(done));
  }
  Result<void> Preallocate(uint64_t size, const std::atomic<bool>& hurry) override {
    return file_->Preallocate(size, hurry);
  }
  Result<void> Truncate(uint64_t size) override { return file_->Truncate(size); }

 private:
  std::unique_ptr<env::WritableFile> file_;
  FileCalls& calls_;
};

class CountingFiles final : public env::Files {
 public:
  CountingFiles(env::Files& files, FileCalls& calls) : files_(files), calls_(calls) {}

  Result<std::unique_ptr<env::WritableFile>> OpenForWriting(const std::string& path,
                                                            Open mode) override {
    ++calls_.created;
    HR_TRY(auto file, files_.OpenForWriting(path, mode));
    return std::make_unique<CountingFile>(std::move(file), calls_);
  }
  Result<std::unique_ptr<env::ReadableFile>> OpenForReading(const std::string& path) override {
    ++calls_.read;
    return files_.OpenForReading(path);
  }
  Result<std::vector<uint8_t>> ReadAll(const std::string& path) override {
    ++calls_.read;
    return files_.ReadAll(path);
  }
  Result<bool> Exists(const std::string& path) override {
    ++calls_.read;
    return files_.Exists(path);
  }
  Result<env::FileFacts> Facts(const std::string& path) override {
    ++calls_.read;
    return files_.Facts(path);
  }
  Result<void> SetModifiedAt(const std::string& path, base::Timestamp at) override {
    return files_.SetModifiedAt(path, at);
  }
  Result<std::string> Resolve(const std::string& path) override { return files_.Resolve(path); }
  Result<std::vector<std::string>> List(const std::string& folder) override {
    ++calls_.listed;
    return files_.List(folder);
  }
  Result<void> CreateFolders(const std::string& path) override {
    return files_.CreateFolders(path);
  }
  Result<void> Remove(const std::string& path) override {
    ++calls_.removed;
    return files_.Remove(path);
  }
  Result<void> Rename(const std::string& from, const std::string& to) override {
    ++calls_.linked;
    return files_.Rename(from, to);
  }
  Result<void> Link(const std::string& from, const std::string& to) override {
    ++calls_.linked;
    return files_.Link(from, to);
  }
  Result<void> SyncFolder(const std::string& folder) override {
    ++calls_.synced;
    return files_.SyncFolder(folder);
  }
  Result<std::unique_ptr<env::FileLock>> Lock(const std::string& path) override {
    return files_.Lock(path);
  }
  Result<uint64_t> FreeBytes(const std::string& folder) override {
    return files_.FreeBytes(folder);
  }

 private:
  env::Files& files_;
  FileCalls& calls_;
};

class CountingEnvironment final : public env::Environment {
 public:
  explicit CountingEnvironment(FileCalls& calls)
      : machine_(env::MakeRealEnvironment()), files_(machine_->files(), calls) {}

  env::Clock& clock() override { return machine_->clock(); }
  env::Files& files() override { return files_; }
  std::string BootId() override { return machine_->BootId(); }
  void Random(std::span<uint8_t> out) override { machine_->Random(out); }
  std::unique_ptr<env::Executor> NewExecutor(const std::string& name,
                                             env::Priority priority) override {
    return machine_->NewExecutor(name, priority);
  }
  void CrashPoint(const char* name) override { machine_->CrashPoint(name); }
  void Await(const std::function<void(std::function<void()>)>& begin) override {
    machine_->Await(begin);
  }

 private:
  std::unique_ptr<env::Environment> machine_;
  CountingFiles files_;
};

}  // namespace

std::unique_ptr<env::Environment> MakeCountingEnvironment(FileCalls& calls) {
  return std::make_unique<CountingEnvironment>(calls);
}

}  // namespace headrace::bench
