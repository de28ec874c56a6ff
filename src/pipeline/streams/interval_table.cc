#include "pipeline/streams/interval_table.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/hash.h"
#include "columns/batch_builder.h"
#include "columns/key.h"

namespace headrace::pipeline {
namespace {

constexpr int64_t kAlwaysKnown = std::numeric_limits<int64_t>::min();
// What a key takes beside its bytes, and a row beside its values.
constexpr uint64_t kKeyBytes = 120;
constexpr uint64_t kRowBytes = 96;

struct KeyHash {
  using is_transparent = void;
  size_t operator()(std::string_view key) const { return base::Hash64(key); }
};

int64_t After(int64_t time, base::Duration span) { return (base::Timestamp{time} + span).us; }
int64_t Before(int64_t time, base::Duration span) { return (base::Timestamp{time} - span).us; }

std::vector<size_t> AllOf(const columns::Schema& schema) {
  std::vector<size_t> fields(schema.size());
  std::iota(fields.begin(), fields.end(), size_t{0});
  return fields;
}

}  // namespace

struct IntervalTable::Row {
  int64_t time = 0;
  uint64_t position = 0;
  int64_t known_at = kAlwaysKnown;
  bool met = false;  // an event that has had a partner
  std::string values;
};

// By (time, position). It is mostly the first that goes: the room of such ones is given back when
// it is half of all.
class IntervalTable::Rows {
 public:
  std::span<Row> all() { return std::span(rows_).subspan(gone_); }
  std::span<const Row> all() const { return std::span(rows_).subspan(gone_); }

  void Insert(Row row) {
    const auto rows = all();
    const auto at = std::ranges::upper_bound(rows, PlaceOf(row), {}, &PlaceOf);
    rows_.insert(rows_.begin() + static_cast<ptrdiff_t>(gone_) + (at - rows.begin()),
                 std::move(row));
  }
  // One that is there.
  Row Take(int64_t time, uint64_t position) {
    const auto rows = all();
    const auto at = std::ranges::lower_bound(rows, std::pair(time, position), {}, &PlaceOf);
    Row row = std::move(*at);
    if (at != rows.begin()) {
      rows_.erase(rows_.begin() + static_cast<ptrdiff_t>(gone_) + (at - rows.begin()));
    } else if (++gone_ * 2 >= rows_.size()) {
      rows_.erase(rows_.begin(), rows_.begin() + static_cast<ptrdiff_t>(gone_));
      gone_ = 0;
    }
    return row;
  }

 private:
  static std::pair<int64_t, uint64_t> PlaceOf(const Row& row) { return {row.time, row.position}; }

  std::vector<Row> rows_;
  size_t gone_ = 0;  // of the first ones
};

// Of one key.
struct IntervalTable::Waiting {
  Rows events;
  Rows others;
};

struct IntervalTable::Part {
  // The earliest is on top.
  struct Due {
    int64_t time;
    uint64_t position;
    const std::string* key;
    bool operator<(const Due& other) const {
      return time != other.time ? time > other.time : position > other.position;
    }
  };
  base::EpochId epoch;  // of the capture that it comes from
  std::unordered_map<std::string, Waiting, KeyHash, std::equal_to<>> keys;
  std::vector<Due> events_due, others_due;  // heaps
  Newest newest;
  uint64_t bytes = 0;

  // Step 3: what the log admits from now on is at its stream's watermark, or later.
  void MoveWatermarks(const Newest& of_epoch) {
    newest.event = std::max(newest.event, of_epoch.event);
    if (of_epoch.other <= newest.other) return;
    newest.other = of_epoch.other;
    newest.other_known = of_epoch.other_known;
  }

  void Put(std::string_view key, Row row, Rows Waiting::* side, std::vector<Due>& due) {
    auto found = keys.find(key);
    if (found == keys.end()) {
      found = keys.emplace(std::string(key), Waiting()).first;
      bytes += kKeyBytes + key.size();
    }
    bytes += kRowBytes + row.values.size();
    due.push_back({row.time, row.position, &found->first});
    std::push_heap(due.begin(), due.end());
    (found->second.*side).Insert(std::move(row));
  }

  // The earliest row of a side.
  const Row& First(Rows Waiting::* side, const std::vector<Due>& due) const {
    return (keys.find(*due.front().key)->second.*side).all().front();
  }
  Row Take(Rows Waiting::* side, std::vector<Due>& due) {
    std::pop_heap(due.begin(), due.end());
    const Due earliest = due.back();
    due.pop_back();
    const auto found = keys.find(*earliest.key);
    Row row = (found->second.*side).Take(earliest.time, earliest.position);
    bytes -= kRowBytes + row.values.size();
    if (found->second.events.all().empty() && found->second.others.all().empty()) {
      bytes -= kKeyBytes + found->first.size();
      keys.erase(found);
    }
    return row;
  }
};

// An event that found nothing, and when that was known.
struct IntervalTable::Gone {
  Row event;
  int64_t known_at;
};

// Rows of the result.
class IntervalTable::Making {
 public:
  explicit Making(const IntervalTable& table) : table_(table), builder_(table.input_) {}

  void Pair(const Row& event, const Row& other, IntervalCounts& counts) {
    const uint64_t text = table_.event_layout_.TextBytes(event.values, table_.event_texts_) +
                          table_.other_layout_.TextBytes(other.values, table_.other_texts_);
    if (known_at_.size() == table_.limits_.pairs || text > table_.limits_.text - text_) {
      ++counts.given_up;
      return;
    }
    text_ += text;
    ++counts.pairs;
    Add(event, &other, std::max(event.time, other.time), std::max(event.known_at, other.known_at));
  }
  void Alone(const Row& event, int64_t decided_at) {
    // Bounds may lie before the event.
    Add(event, nullptr, std::max(event.time, After(event.time, table_.join_.to)),
        std::max(event.known_at, decided_at));
  }
  Made Finish(bool observed) {
    if (observed) known_at_.clear();
    return {builder_.Finish(), std::move(known_at_)};
  }

 private:
  void Add(const Row& event, const Row* other, int64_t time, int64_t known_at) {
    const size_t events = table_.event_layout_.size();
    const size_t others = table_.other_layout_.size();
    Append(table_.event_layout_, &event, 0);
    Append(table_.other_layout_, other, events);
    builder_.column(events + others).AppendInt(time);
    known_at_.push_back(known_at);
  }
  void Append(const StoredRowLayout& layout, const Row* row, size_t first) {
    for (size_t i = 0; i < layout.size(); ++i) {
      if (row != nullptr && table_.wanted_[first + i]) {
        layout.AppendTo(builder_.column(first + i), row->values, i);
      } else {
        builder_.column(first + i).AppendNull();
      }
    }
  }

  const IntervalTable& table_;
  columns::BatchBuilder builder_;
  std::vector<int64_t> known_at_;
  uint64_t text_ = 0;  // bytes, of pairs
};

IntervalTable::IntervalTable(const Derivation& derivation, const columns::Schema& event,
                             const columns::Schema& other, base::Duration event_late,
                             base::Duration other_late, const Limits& limits)
    : join_(*derivation.interval),
      input_(derivation.input),
      event_layout_(event, AllOf(event)),
      other_layout_(other, AllOf(other)),
      wanted_(WantedColumns(derivation)),
      event_late_(event_late),
      other_late_(other_late),
      limits_(limits) {
  for (auto& part : parts_) part = std::make_unique<Part>();
  for (const size_t field : WantedTexts(derivation)) {
    if (field < event.size()) {
      event_texts_.push_back(field);
    } else {
      other_texts_.push_back(field - event.size());
    }
  }
}

IntervalTable::~IntervalTable() = default;

uint64_t IntervalTable::waiting() const {
  uint64_t rows = 0;
  for (const auto& part : parts_) rows += part->events_due.size() + part->others_due.size();
  return rows;
}

uint64_t IntervalTable::bytes() const {
  uint64_t bytes = 0;
  for (const auto& part : parts_) bytes += part->bytes;
  return bytes;
}

IntervalTable::Made IntervalTable::Apply(base::EpochId epoch, const JoiningRows& events,
                                         const JoiningRows& others, IntervalCounts& counts) {
  if (events.rows.rows() == 0 && others.rows.rows() == 0) return {};
  Making making(*this);
  // By the order of the rows, whatever the parts.
  for (size_t row = 0; row < others.rows.rows(); ++row)
    MeetEvents(epoch, others, row, making, counts);
  for (size_t row = 0; row < events.rows.rows(); ++row)
    MeetOthers(epoch, events, row, making, counts);
  std::vector<Gone> gone;
  const Newest newest = NewestOf(events, others);
  for (const auto& part : parts_) {
    if (epoch <= part->epoch) continue;
    part->MoveWatermarks(newest);
    LetGo(*part, gone, counts);
  }
  std::ranges::sort(
      gone, {}, [](const Gone& each) { return std::pair(each.event.time, each.event.position); });
  for (const Gone& each : gone) making.Alone(each.event, each.known_at);
  return making.Finish(events.known_at.empty() && others.known_at.empty());
}

// Rows with a time in [from, to], the earliest of them.
std::span<IntervalTable::Row> IntervalTable::Partners(Rows& of_key, int64_t from, int64_t to,
                                                      IntervalCounts& counts) {
  const std::span<Row> rows = of_key.all();
  const auto first = std::ranges::lower_bound(rows, from, {}, &Row::time);
  const auto last = std::ranges::upper_bound(first, rows.end(), to, {}, &Row::time);
  const std::span<Row> partners(first, last);
  if (partners.size() <= kPartnersMax) return partners;
  counts.given_up += partners.size() - kPartnersMax;
  return partners.first(kPartnersMax);
}

// Step 1.
void IntervalTable::MeetEvents(base::EpochId epoch, const JoiningRows& others, size_t row,
                               Making& making, IntervalCounts& counts) {
  if (AnyNull(others.rows, join_.other_key, row)) {
    ++counts.other_null_keys;
    return;
  }
  columns::KeyBytes key;
  columns::KeyOfRow(others.rows, join_.other_key, row, key);
  Part& part = *parts_[KeyPartOf(key)];
  if (epoch <= part.epoch) return;
  Row other = RowOf(others, row, other_layout_);
  if (const auto found = part.keys.find(key); found != part.keys.end()) {
    for (Row& event : Partners(found->second.events, Before(other.time, join_.to),
                               Before(other.time, join_.from), counts)) {
      making.Pair(event, other, counts);
      event.met = true;
    }
  }
  part.Put(key, std::move(other), &Waiting::others, part.others_due);
}

// Step 2. A NULL in the key meets nothing: no other is kept under such a one.
void IntervalTable::MeetOthers(base::EpochId epoch, const JoiningRows& events, size_t row,
                               Making& making, IntervalCounts& counts) {
  if (AnyNull(events.rows, join_.key, row)) ++counts.null_keys;
  columns::KeyBytes key;
  columns::KeyOfRow(events.rows, join_.key, row, key);
  Part& part = *parts_[KeyPartOf(key)];
  if (epoch <= part.epoch) return;
  Row event = RowOf(events, row, event_layout_);
  if (const auto found = part.keys.find(key); found != part.keys.end()) {
    for (const Row& other : Partners(found->second.others, After(event.time, join_.from),
                                     After(event.time, join_.to), counts)) {
      making.Pair(event, other, counts);
      event.met = true;
    }
  }
  part.Put(key, std::move(event), &Waiting::events, part.events_due);
}

IntervalTable::Newest IntervalTable::NewestOf(const JoiningRows& events,
                                              const JoiningRows& others) {
  Newest newest;
  for (const int64_t time : events.times) newest.event = std::max(newest.event, time);
  for (size_t row = 0; row < others.times.size(); ++row) {
    if (others.times[row] <= newest.other) continue;
    newest.other = others.times[row];
    newest.other_known = others.known_at.empty() ? kAlwaysKnown : others.known_at[row];
  }
  return newest;
}

void IntervalTable::LetGo(Part& part, std::vector<Gone>& gone, IntervalCounts& counts) const {
  const int64_t others_from = Before(part.newest.other, other_late_);
  const uint64_t text_max = limits_.text / kParts;
  uint64_t text = 0;
  size_t alone = 0;
  while (!part.events_due.empty()) {
    const bool too_many = part.events_due.size() > limits_.waiting;
    const bool decided = After(part.events_due.front().time, join_.to) < others_from;
    if (!decided && !too_many) break;
    const Row& first = part.First(&Waiting::events, part.events_due);
    const bool made = !first.met && join_.kind == JoinKind::kLeft;
    const uint64_t of_first = made ? event_layout_.TextBytes(first.values, event_texts_) : 0;
    const bool has_room = of_first <= text_max - text || alone == 0;
    const bool may_wait = !has_room || (made && alone >= limits_.alone / kParts);
    if (may_wait && !too_many) break;
    if (!decided || !has_room) ++counts.given_up;
    Row event = part.Take(&Waiting::events, part.events_due);
    if (event.met || !has_room) continue;
    ++counts.alone;
    if (!made) continue;
    ++alone;
    text = std::min(text + of_first, text_max);
    gone.push_back({std::move(event), part.newest.other_known});
  }
  const int64_t events_from = Before(part.newest.event, event_late_);
  while (!part.others_due.empty()) {
    const bool too_many = part.others_due.size() > limits_.waiting;
    const bool useless = Before(part.others_due.front().time, join_.from) < events_from;
    if (!useless && !too_many) break;
    if (!useless) ++counts.given_up;
    part.Take(&Waiting::others, part.others_due);
  }
}

IntervalTable::Row IntervalTable::RowOf(const JoiningRows& rows, size_t row,
                                        const StoredRowLayout& layout) {
  return {.time = rows.times[row],
          .position = rows.positions[row].packed,
          .known_at = rows.known_at.empty() ? kAlwaysKnown : rows.known_at[row],
          .met = false,
          .values = layout.Store(rows.rows, row)};
}

// u64 epoch, i64 newest event, i64 newest other, i64 its known_at, u32 keys, per key {text, events,
// others}; rows: u32, each {i64 time, u64 position, i64 known_at, u8 met, text values}.
void IntervalTable::Encode(size_t part_number, base::EpochId epoch,
                           std::vector<uint8_t>& out) const {
  const Part& part = *parts_[part_number];
  columns::ByteWriter writer(out);
  writer.U64(epoch.value);
  writer.I64(part.newest.event);
  writer.I64(part.newest.other);
  writer.I64(part.newest.other_known);
  writer.U32(static_cast<uint32_t>(part.keys.size()));
  const auto put = [&writer](const Rows& rows) {
    writer.U32(static_cast<uint32_t>(rows.all().size()));
    for (const Row& row : rows.all()) {
      writer.I64(row.time);
      writer.U64(row.position);
      writer.I64(row.known_at);
      writer.U8(row.met ? 1 : 0);
      writer.Text(row.values);
    }
  };
  for (const auto& [key, waiting] : part.keys) {
    writer.Text(key);
    put(waiting.events);
    put(waiting.others);
  }
}

base::Result<void> IntervalTable::Restore(size_t part_number, size_t parts,
                                          columns::ByteReader& in) {
  if (!IsKeyPart(part_number, parts))
    return base::Fail(base::ErrorCode::kCorruption, "a captured join has no such part");
  Part head;
  HR_TRY(head.epoch.value, in.U64());
  HR_TRY(head.newest.event, in.I64());
  HR_TRY(head.newest.other, in.I64());
  HR_TRY(head.newest.other_known, in.I64());
  for (size_t number = part_number; number < kParts; number += parts) {
    Part& part = *parts_[number];
    part.epoch = head.epoch;
    part.newest = head.newest;
  }
  const auto take = [&](Part& part, std::string_view key, Rows Waiting::* side,
                        std::vector<Part::Due>& due,
                        const StoredRowLayout& layout) -> base::Result<void> {
    HR_TRY(const uint32_t rows, in.U32());
    for (uint32_t i = 0; i < rows; ++i) {
      Row row;
      HR_TRY(row.time, in.I64());
      HR_TRY(row.position, in.U64());
      HR_TRY(row.known_at, in.I64());
      HR_TRY(const uint8_t met, in.U8());
      row.met = met != 0;
      HR_TRY(const std::string_view values, in.Text());
      if (values.size() < layout.bytes_min())
        return base::Fail(base::ErrorCode::kCorruption, "a captured row lacks values");
      row.values = values;
      part.Put(key, std::move(row), side, due);
    }
    return {};
  };
  HR_TRY(const uint32_t keys, in.U32());
  for (uint32_t i = 0; i < keys; ++i) {
    HR_TRY(const std::string_view key, in.Text());
    if (KeyPartOf(key) % parts != part_number)
      return base::Fail(base::ErrorCode::kCorruption, "a captured key is of another part");
    Part& part = *parts_[KeyPartOf(key)];
    HR_TRY_VOID(take(part, key, &Waiting::events, part.events_due, event_layout_));
    HR_TRY_VOID(take(part, key, &Waiting::others, part.others_due, other_layout_));
  }
  return {};
}

}  // namespace headrace::pipeline
