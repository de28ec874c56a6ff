#include "wiring/answer_file.h"

#include <utility>

#include "base/log.h"
#include "env/end_executor.h"
#include "serving/answer_log.h"

namespace headrace::wiring {

base::Result<std::unique_ptr<AnswerFile>> AnswerFile::Open(env::Environment& environment,
                                                           const std::string& path) {
  HR_TRY(auto file, env::OpenOrCreate(environment.files(), path));
  HR_TRY(const auto old, environment.files().OpenForReading(path));
  return std::unique_ptr<AnswerFile>(new AnswerFile(environment, std::move(file), old->size()));
}

AnswerFile::AnswerFile(env::Environment& environment, std::unique_ptr<env::WritableFile> file,
                       uint64_t size)
    : environment_(environment),
      file_(std::move(file)),
      size_(size),
      executor_(environment.NewExecutor("answer-file", env::Priority::kBackground)) {}

AnswerFile::~AnswerFile() { env::EndExecutor(executor_); }

void AnswerFile::Write(const serving::FeatureAnswer& answer) {
  std::string lines;
  serving::AppendAnswerLines(answer, lines);
  const std::lock_guard lock(mutex_);
  if (buffer_.size() + lines.size() > kBufferedBytesMax) {
    ++dropped_;
    return;
  }
  buffer_ += lines;
  if (buffer_.size() >= kFlushBytes || !scheduled_) Schedule();
}

void AnswerFile::Schedule() {
  const bool now = buffer_.size() >= kFlushBytes;
  scheduled_ = true;
  executor_->PostAt(environment_.clock().Now() + (now ? env::MonotonicTime(0) : kFlushEvery),
                    [this] { Save(); });
}

void AnswerFile::Flush() { Save(); }

uint64_t AnswerFile::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

void AnswerFile::Save() {
  const std::lock_guard file_lock(file_mutex_);
  std::string lines;
  {
    const std::lock_guard lock(mutex_);
    lines = std::exchange(buffer_, {});
    scheduled_ = false;
  }
  if (lines.empty() || failed_) return;
  environment_.CrashPoint("answers.before_write");
  const auto* bytes = reinterpret_cast<const uint8_t*>(lines.data());
  if (const auto written = file_->WriteAt(size_, {bytes, lines.size()}); !written) {
    failed_ = true;
    base::LogWarning("wiring.answers_not_recorded", {{"error", written.error().ToString()}});
    return;
  }
  size_ += lines.size();
  environment_.CrashPoint("answers.after_write");
}

}  // namespace headrace::wiring
