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
  // `derivation` outlives it, and has such a join.
  AsOfTable(const Derivation& derivation, const columns::Schema& dimension);
  ~AsOfTable();
  AsOfTable(const AsOfTable&) = delete;

  // Versions, in any order; one that is there already (a replay) is passed over, as is one with a
  // NULL in its key, which is counted.
  void Insert(const JoiningRows& versions, AsOfCounts& counts);
  // The events with the columns of their versions; those that nobody wants are NULL.
  DerivedRows Join(const JoiningRows& events, AsOfCounts& counts) const;

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
  class Versions;
  struct Key;
  struct Keys;
  void Put(Key& key, Version version);
  void DropHidden(Key& key);
  const Version* Find(std::string_view key, int64_t time, base::EpochId epoch,
                      int64_t known_at) const;
  columns::Column JoinedColumn(size_t field, std::span<const Version* const> found) const;

  const AsOfJoin& join_;
  const columns::SchemaRef& input_;
  const StoredRowLayout layout_;    // of the joined fields
  const std::vector<bool> wanted_;  // of `input_`
  std::unique_ptr<Keys> keys_;
  base::Timestamp watermark_ = base::Timestamp::Min();
  uint64_t versions_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace headrace::pipeline
