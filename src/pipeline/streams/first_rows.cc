#include "pipeline/streams/first_rows.h"

#include <algorithm>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/hash.h"
#include "columns/key.h"
#include "pipeline/streams/joining_rows.h"

namespace headrace::pipeline {
namespace {

// What a key takes beside its bytes, and a kept row.
constexpr uint64_t kKeyBytes = 112;
constexpr uint64_t kRowBytes = 24;

struct KeyHash {
  using is_transparent = void;
  size_t operator()(std::string_view key) const { return base::Hash64(key); }
};

int64_t After(int64_t time, base::Duration span) { return (base::Timestamp{time} + span).us; }
int64_t Before(int64_t time, base::Duration span) { return (base::Timestamp{time} - span).us; }

}  // namespace

// The times of a key's rows. Most come in order, and the earliest goes: the room of such ones is
// given back when it is half of all. Those that come out of order are in order of their own behind
// the others, until there are more than the square root of these: one more moves but a few,
// however many there are.
class FirstRows::Times {
 public:
  bool empty() const { return gone_ == times_.size(); }
  std::span<const int64_t> in_order() const {
    return std::span(times_).subspan(gone_, sorted_ - gone_);
  }
  std::span<const int64_t> behind() const { return std::span(times_).subspan(sorted_); }
  size_t size() const { return times_.size() - gone_; }

  void Insert(int64_t time) {
    const auto begin = times_.begin() + static_cast<ptrdiff_t>(sorted_);
    if (begin == times_.end() && (in_order().empty() || in_order().back() <= time)) {
      times_.push_back(time);
      ++sorted_;
      return;
    }
    times_.insert(std::upper_bound(begin, times_.end(), time), time);
    if (behind().size() * behind().size() <= in_order().size()) return;
    std::inplace_merge(times_.begin() + gone_, times_.begin() + sorted_, times_.end());
    sorted_ = static_cast<uint32_t>(times_.size());
  }

  void DropEarliest() {
    if (in_order().empty() || (!behind().empty() && behind().front() < in_order().front())) {
      times_.erase(times_.begin() + sorted_);
    } else if (++gone_ * 2 >= times_.size()) {
      times_.erase(times_.begin(), times_.begin() + gone_);
      sorted_ -= gone_;
      gone_ = 0;
    }
  }

 private:
  std::vector<int64_t> times_;
  uint32_t gone_ = 0;    // of the first ones
  uint32_t sorted_ = 0;  // with those that are gone
};

struct FirstRows::Part {
  // The earliest is on top; of equal ones that of the least key, whatever order they came in.
  struct Due {
    int64_t time;
    const std::string* key;
    bool operator<(const Due& other) const {
      return time != other.time ? time > other.time : *key > *other.key;
    }
  };
  base::EpochId epoch;  // of the capture that it comes from
  int64_t newest = std::numeric_limits<int64_t>::min();
  std::unordered_map<std::string, Times, KeyHash, std::equal_to<>> kept;
  std::vector<Due> due;  // a heap
  uint64_t bytes = 0;

  void Keep(std::string_view key, int64_t time) {
    auto found = kept.find(key);
    if (found == kept.end()) {
      found = kept.emplace(std::string(key), Times()).first;
      bytes += kKeyBytes + key.size();
    }
    found->second.Insert(time);
    due.push_back({time, &found->first});
    std::push_heap(due.begin(), due.end());
    bytes += kRowBytes;
  }

  void ForgetEarliest() {
    std::pop_heap(due.begin(), due.end());
    const Due earliest = due.back();
    due.pop_back();
    bytes -= kRowBytes;
    const auto found = kept.find(*earliest.key);
    found->second.DropEarliest();  // the earliest of all is the earliest of its key
    if (!found->second.empty()) return;
    bytes -= kKeyBytes + found->first.size();
    kept.erase(found);
  }
};

FirstRows::FirstRows(const Dedupe& dedupe, size_t event_time_field, base::Duration late,
                     size_t remembered_max)
    : dedupe_(dedupe),
      event_time_field_(event_time_field),
      late_(late),
      remembered_max_(remembered_max) {
  for (auto& part : parts_) part = std::make_unique<Part>();
}

FirstRows::~FirstRows() = default;

uint64_t FirstRows::remembered() const {
  uint64_t rows = 0;
  for (const auto& part : parts_) rows += part->due.size();
  return rows;
}

uint64_t FirstRows::bytes() const {
  uint64_t bytes = 0;
  for (const auto& part : parts_) bytes += part->bytes;
  return bytes;
}

std::vector<uint32_t> FirstRows::Apply(base::EpochId epoch, const columns::ColumnBatch& rows,
                                       DedupeCounts& counts) {
  std::vector<uint32_t> kept;
  if (rows.rows() == 0) return kept;
  const auto times = rows.column(event_time_field_).Int64s();
  columns::KeyBytes key;
  for (uint32_t row = 0; row < rows.rows(); ++row) {
    if (AnyNull(rows, dedupe_.by, row)) {
      ++counts.null_keys;
      kept.push_back(row);
      continue;
    }
    columns::KeyOfRow(rows, dedupe_.by, row, key);
    Part& part = *parts_[KeyPartOf(key)];
    if (epoch <= part.epoch) continue;
    if (IsFirst(part, key, times[row])) {
      part.Keep(key, times[row]);
      kept.push_back(row);
    } else {
      ++counts.repeats;
    }
  }
  const int64_t newest = std::ranges::max(times);
  for (const auto& part : parts_) {
    if (epoch <= part->epoch) continue;
    part->newest = std::max(part->newest, newest);
    Forget(*part, counts);
  }
  return kept;
}

bool FirstRows::IsFirst(Part& part, std::string_view key, int64_t time) const {
  const auto found = part.kept.find(key);
  if (found == part.kept.end()) return true;
  const auto none_near = [&](std::span<const int64_t> times) {
    const auto near = std::ranges::lower_bound(times, Before(time, dedupe_.within));
    return near == times.end() || *near > After(time, dedupe_.within);
  };
  return none_near(found->second.in_order()) && none_near(found->second.behind());
}

void FirstRows::Forget(Part& part, DedupeCounts& counts) const {
  const int64_t watermark = Before(part.newest, late_);
  while (!part.due.empty()) {
    const bool useless = After(part.due.front().time, dedupe_.within) < watermark;
    if (!useless && part.due.size() <= remembered_max_) return;
    if (!useless) ++counts.forgotten;
    part.ForgetEarliest();
  }
}

// u64 epoch, i64 newest, u32 keys, per key {text, u32 rows, i64 time each, in any order}.
void FirstRows::Encode(size_t part_number, base::EpochId epoch, std::vector<uint8_t>& out) const {
  const Part& part = *parts_[part_number];
  columns::ByteWriter writer(out);
  writer.U64(epoch.value);
  writer.I64(part.newest);
  writer.U32(static_cast<uint32_t>(part.kept.size()));
  for (const auto& [key, times] : part.kept) {
    writer.Text(key);
    writer.U32(static_cast<uint32_t>(times.size()));
    for (const int64_t time : times.in_order()) writer.I64(time);
    for (const int64_t time : times.behind()) writer.I64(time);
  }
}

base::Result<void> FirstRows::Restore(size_t part_number, size_t parts, columns::ByteReader& in) {
  if (!IsKeyPart(part_number, parts))
    return base::Fail(base::ErrorCode::kCorruption, "captured first rows have no such part");
  base::EpochId epoch;
  HR_TRY(epoch.value, in.U64());
  HR_TRY(const int64_t newest, in.I64());
  for (size_t number = part_number; number < kParts; number += parts) {
    parts_[number]->epoch = epoch;
    parts_[number]->newest = newest;
  }
  HR_TRY(const uint32_t keys, in.U32());
  for (uint32_t i = 0; i < keys; ++i) {
    HR_TRY(const std::string_view key, in.Text());
    if (KeyPartOf(key) % parts != part_number)
      return base::Fail(base::ErrorCode::kCorruption, "a captured key is of another part");
    Part& part = *parts_[KeyPartOf(key)];
    HR_TRY(const uint32_t rows, in.U32());
    for (uint32_t row = 0; row < rows; ++row) {
      HR_TRY(const int64_t time, in.I64());
      part.Keep(key, time);
    }
  }
  return {};
}

}  // namespace headrace::pipeline
