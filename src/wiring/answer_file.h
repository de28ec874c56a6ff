#pragma once
// Appends every answer to the answers file (serving/answer_log.h), so that `headrace verify` can
// compute it again.

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"
#include "env/environment.h"
#include "serving/answer.h"

namespace headrace::wiring {

// Write from any thread. Lines are buffered and handed to the system on an executor of its own;
// they are evidence, not state: a crash loses at most the last kFlushEvery, and a torn last line is
// skipped by its reader. A write that fails is tried again, and said once.
class AnswerFile {
 public:
  static constexpr size_t kFlushBytes = 256U << 10;
  static constexpr env::MonotonicTime kFlushEvery = std::chrono::milliseconds(200);
  static constexpr env::MonotonicTime kRetryAfter = std::chrono::seconds(1);
  static constexpr size_t kBufferedBytesMax =
      64U << 20;  // beyond it answers are not recorded, and counted

  // Appends to the file when it exists.
  static base::Result<std::unique_ptr<AnswerFile>> Open(env::Environment& environment,
                                                        const std::string& path);
  ~AnswerFile();

  void Write(const serving::FeatureAnswer& answer);
  // Everything written so far is in the file when it returns, unless that can't be written.
  void Flush();
  uint64_t dropped() const;

 private:
  AnswerFile(env::Environment& environment, std::unique_ptr<env::WritableFile> file, uint64_t size);
  void Schedule();
  void Save();

  env::Environment& environment_;
  std::mutex file_mutex_;  // held while writing; taken before mutex_
  std::unique_ptr<env::WritableFile> file_;
  uint64_t size_;
  mutable std::mutex mutex_;  // guards the rest
  std::string buffer_;
  bool failing_ = false;
  bool scheduled_ = false;
  uint64_t dropped_ = 0;
  std::unique_ptr<env::Executor> executor_;
};

}  // namespace headrace::wiring
