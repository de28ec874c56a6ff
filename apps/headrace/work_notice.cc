#include "work_notice.h"

#include <fmt/core.h>

#include <chrono>

namespace headrace::app {
namespace {

constexpr std::chrono::milliseconds kLookEvery{100};

}  // namespace

WorkNotice::WorkNotice(std::FILE* err, const training::WorkProgress& work)
    : err_(err), work_(work), thread_([this](const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        do Look();
        while (!wake_.wait_for(lock, stop, kLookEvery, [] { return false; }) &&
               !stop.stop_requested());
      }) {}

void WorkNotice::Look() {
  const training::WorkFigures figures = work_.figures();
  if (figures.number == 0) return;
  if (figures.number != step_) shown_.emplace(err_, figures.doing, figures.total, figures.one);
  step_ = figures.number;
  shown_->Update(figures.done);
}

void WorkNotice::Say(std::string_view text) {
  const std::lock_guard lock(mutex_);
  if (shown_) {
    shown_->Say(text);
  } else {
    fmt::print(err_, "{}\n", text);
    std::fflush(err_);
  }
}

}  // namespace headrace::app
