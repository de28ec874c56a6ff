#pragma once
// The versions of a dimension's rows by key, and the version that was valid at an event's time.
//
// An event of time t gets the version with the greatest time up to t (equal times: the later
// position) among those that were known when the event became known:
// - those in the epochs up to the event's own; and
// - where the event's arrival is assumed (`clock: events`), those that had arrived when the event
//   had, or by t.
// The choice is made once, for the event's epoch: a version that comes later changes nothing before
// it. So it is a function of the log, and looks at nothing that was not known.
//
// Online a version goes when a later one hides it from every event that may still come in: both at
// or before the event stream's watermark. Offline all stay.

#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "columns/batch.h"
#include "columns/batch_codec.h"
#include "columns/position.h"
#include "pipeline/streams/derivation.h"
#include "pipeline/streams/joining_rows.h"
#include "pipeline/streams/stored_row.h"

namespace headrace::pipeline {

// One thread at a time.
class AsOfTable {
 public:
  // Bytes of text that an epoch's events get from their versions, in the columns that anybody
  // wants. An event whose version's texts have no room gets NULL for them, and its other columns;
  // so do those behind it in the epoch.
  static constexpr uint64_t kTextMax = uint64_t{1} << 29;

  // `derivation` outlives it, and has such a join. `text_max` is kTextMax but in tests.
  AsOfTable(const Derivation& derivation, const columns::Schema& dimension,
            uint64_t text_max = kTextMax);
  ~AsOfTable();
  AsOfTable(const AsOfTable&) = delete;

  // Versions, in any order; one that is there already (a replay) is passed over, as is one with a
  // NULL in its key, which is counted.
  void Insert(const JoiningRows& versions, AsOfCounts& counts);
  // The events with the columns of their versions; those that nobody wants are NULL. An epoch's
  // events come in one go, in their order, where MayFill.
  DerivedRows Join(const JoiningRows& events, AsOfCounts& counts) const;

  // Whether an epoch of so many events may have no room for a text, with the versions so far.
  bool MayFill(uint64_t events) const { return longest_text_ > text_max_ / events; }

  // No event before `watermark` comes any more.
  void SetWatermark(base::Timestamp watermark) { watermark_ = std::max(watermark_, watermark); }
  base::Timestamp watermark() const { return watermark_; }

  size_t keys() const;
  uint64_t versions() const { return versions_; }
  uint64_t bytes() const { return bytes_; }

  // Appends keys from number `first` on until `out` has `until` bytes: u32 keys, per key {text key,
  // u32 versions, per version {i64 time, u64 position, i64 known_at, text values}}. The number of
  // the key to go on with; keys() at the end.
  size_t Encode(size_t first, size_t until, std::vector<uint8_t>& out) const;
  // Into a new table. Errors: kCorruption.
  base::Result<void> Restore(columns::ByteReader& in);

 private:
  static constexpr int64_t kAlwaysKnown = std::numeric_limits<int64_t>::min();
  static constexpr int64_t kKnowsAll = std::numeric_limits<int64_t>::max();
  struct Version {
    int64_t time;
    uint64_t position;
    int64_t known_at;
    std::string values;  // as the layout stores them
  };
  // What an event gets.
  struct Match {
    const Version* version = nullptr;
    bool with_texts = true;
  };
  class Versions;
  struct Key;
  struct Keys;
  void Put(Key& key, Version version);
  void DropHidden(Key& key);
  const Version* Find(std::string_view key, int64_t time, base::EpochId epoch,
                      int64_t known_at) const;
  std::vector<Match> Matches(const JoiningRows& events, AsOfCounts& counts) const;
  void MakeRoom(const JoiningRows& events, std::span<Match> matches, AsOfCounts& counts) const;
  columns::Column JoinedColumn(size_t field, std::span<const Match> matches) const;

  const AsOfJoin& join_;
  const columns::SchemaRef& input_;
  const StoredRowLayout layout_;    // of the joined fields
  const std::vector<bool> wanted_;  // of `input_`
  std::vector<size_t> texts_;       // those of them that are joined, by number in the layout
  const uint64_t text_max_;
  uint64_t longest_text_ = 0;  // of a version, in `texts_`
  std::unique_ptr<Keys> keys_;
  base::Timestamp watermark_ = base::Timestamp::Min();
  uint64_t versions_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace headrace::pipeline
