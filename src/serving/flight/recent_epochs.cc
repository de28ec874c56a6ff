#include "serving/flight/recent_epochs.h"

namespace headrace::serving {
namespace {

// Followers need no more, and what was refused may be many times as large.
log::EpochRef WithRowsAlone(const log::EpochRef& epoch) {
  if (epoch->rejects.empty() && epoch->outcomes.empty() && epoch->controls.empty()) return epoch;
  auto alone = std::make_shared<log::Epoch>();
  alone->id = epoch->id;
  alone->clock = epoch->clock;
  alone->streams = epoch->streams;
  return alone;
}

}  // namespace

void RecentEpochs::Note(const log::EpochRef& epoch) {
  if (followers_.load(std::memory_order_relaxed) == 0) return;
  const std::lock_guard lock(mutex_);
  // One that came while nobody followed is missing: those before it are of no use.
  if (!epochs_.empty() && epochs_.back()->id.Next() != epoch->id) {
    epochs_.clear();
    bytes_ = 0;
  }
  epochs_.push_back(WithRowsAlone(epoch));
  bytes_ += epoch->row_bytes();
  while (!epochs_.empty() && (bytes_ > kBytesMax || epochs_.size() > kEpochsMax)) {
    bytes_ -= epochs_.front()->row_bytes();
    epochs_.pop_front();
  }
}

std::vector<log::EpochRef> RecentEpochs::Find(base::EpochId first, base::EpochId last) const {
  const std::lock_guard lock(mutex_);
  if (epochs_.empty() || epochs_.front()->id > first || epochs_.back()->id < last) return {};
  const auto begin =
      epochs_.begin() + static_cast<ptrdiff_t>(first.value - epochs_.front()->id.value);
  return {begin, begin + static_cast<ptrdiff_t>(last.value - first.value + 1)};
}

RecentEpochs::Follower::~Follower() {
  if (epochs_.followers_.fetch_sub(1) != 1) return;
  const std::lock_guard lock(epochs_.mutex_);
  if (epochs_.followers_.load() > 0) return;
  epochs_.epochs_.clear();
  epochs_.bytes_ = 0;
}

}  // namespace headrace::serving
