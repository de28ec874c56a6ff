#include "wiring/answer_file.h"

#include <array>
#include <utility>

#include "base/log.h"
#include "env/end_executor.h"
#include "serving/answer_log.h"

namespace headrace::wiring {

base::Result<std::unique_ptr<AnswerFile>> AnswerFile::Open(env::Environment& environment,
                                                           const std::string& path) {
  HR_TRY(auto file, env::OpenOrCreate(environment.files(), path));
  HR_TRY(const auto old, environment.files().OpenForReading(path));
  std::unique_ptr<AnswerFile> answers(new AnswerFile(environment, std::move(file), old->size()));
  if (old->size() == 0) return answers;
  std::array<uint8_t, 1> last{};
  HR_TRY_VOID(old->ReadAt(old->size() - 1, last));
  if (last[0] != '\n') answers->buffer_ = "\n";  // a crash tore the line before it
  return answers;
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
  if (!scheduled_ || (buffer_.size() >= kFlushBytes && !failing_)) Schedule();
}

void AnswerFile::Schedule() {
  const env::MonotonicTime pause = failing_                        ? kRetryAfter
                                   : buffer_.size() >= kFlushBytes ? env::MonotonicTime(0)
                                                                   : kFlushEvery;
  scheduled_ = true;
  executor_->PostAt(environment_.clock().Now() + pause, [this] { Save(); });
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
  if (lines.empty()) return;
  environment_.CrashPoint("answers.before_write");
  const auto* bytes = reinterpret_cast<const uint8_t*>(lines.data());
  const auto written = file_->WriteAt(size_, {bytes, lines.size()});
  if (written) size_ += lines.size();
  environment_.CrashPoint("answers.after_write");
  const std::lock_guard lock(mutex_);
  const bool failed_before = std::exchange(failing_, !written);
  if (!written) {
    buffer_.insert(0, lines);
    if (!scheduled_) Schedule();
  }
  if (failing_ && !failed_before)
    base::LogWarning("wiring.answers_not_recorded", {{"error", written.error().ToString()},
                                                     {"how", "it is tried again every second"}});
  if (!failing_ && failed_before)
    base::LogWarning("wiring.answers_recorded_again", {{"left_out", std::to_string(dropped_)}});
}

}  // namespace headrace::wiring
