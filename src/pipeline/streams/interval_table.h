#pragma once
// Rows of two streams that wait for their partners: equal keys, the other's event time within
// [t + from, t + to] of the event's time t.
//
// A pair is made as soon as both rows are there, in the epoch of the later one. Its event time is
// the later of the two: only then it is a fact. An event that has no partner when none can come any
// more (the other stream's watermark is past t + to, so that the log refuses what would match) is
// made without one, for a left join, at event time t + to, or t if that is later. So every row is
// dated when it could be known, and none is taken back.
//
// An epoch, in steps:
// 1. the other stream's rows meet the events that wait, in their order, by (time, position) of the
//    event;
// 2. the events meet all that waits, this epoch's included, in their order;
// 3. both watermarks move; events and others that can find nothing any more go, events by (time,
//    position).
//
// Keys are divided into kParts by their hash, each a table of its own with its own epoch: a capture
// copies one part at a time. Captures of before had 16 parts, each of which is sixteen of these.

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "columns/batch.h"
#include "columns/batch_codec.h"
#include "columns/position.h"
#include "pipeline/streams/derivation.h"
#include "pipeline/streams/joining_rows.h"
#include "pipeline/streams/key_parts.h"
#include "pipeline/streams/stored_row.h"

namespace headrace::pipeline {

// One thread at a time.
class IntervalTable {
 public:
  static constexpr size_t kParts = kKeyParts;
  // Events, and others, that wait in one part; at it the earliest is given up: an event is made
  // without its partner, and counted. It is the memory budget that ends most first.
  static constexpr size_t kWaitingMax = size_t{1} << 20;
  // Partners that one row meets, the earliest first, and pairs of one epoch; others are given up.
  // Which pairs of an epoch those are depends on all parts: in a replay on top of a capture only
  // epochs behind that of every part are made as they were the first time. Nobody takes the rows of
  // others (DerivedStreams), and what waits does not depend on them.
  static constexpr size_t kPartnersMax = 1000;
  static constexpr size_t kPairsMax = size_t{1} << 20;
  // Bytes of text in an epoch's pairs: those that it has no room for are given up. As much, an
  // equal share for each part, it has for events alone: those behind wait for the next epoch, or
  // are given up where too many wait.
  static constexpr uint64_t kTextMax = uint64_t{1} << 29;

  // Events alone of an epoch, an equal share for each part, likewise; but for those that are given
  // up.
  static constexpr size_t kAloneMax = size_t{1} << 20;

  struct Limits {  // other ones for tests
    size_t waiting = kWaitingMax;
    size_t pairs = kPairsMax;
    size_t alone = kAloneMax;
    uint64_t text = kTextMax;
  };
  // `derivation` has such a join. `late` of the streams is what their watermarks are behind.
  IntervalTable(const Derivation& derivation, const columns::Schema& event,
                const columns::Schema& other, base::Duration event_late, base::Duration other_late,
                const Limits& limits);
  ~IntervalTable();
  IntervalTable(const IntervalTable&) = delete;

  struct Made {
    columns::ColumnBatch rows;      // of the derivation's input; what nobody wants is NULL
    std::vector<int64_t> known_at;  // empty when it is observed
  };
  // Parts that are of this epoch or a later one already (a capture) are left as they are.
  Made Apply(base::EpochId epoch, const JoiningRows& events, const JoiningRows& others,
             IntervalCounts& counts);

  uint64_t waiting() const;
  uint64_t bytes() const;

  // Appends part `part`, as of `epoch`.
  void Encode(size_t part, base::EpochId epoch, std::vector<uint8_t>& out) const;
  // Part `part` of `parts` into a new table. Errors: kCorruption.
  base::Result<void> Restore(size_t part, size_t parts, columns::ByteReader& in);

 private:
  struct Part;
  struct Row;
  class Rows;
  struct Waiting;
  struct Gone;
  class Making;
  void MeetEvents(base::EpochId epoch, const JoiningRows& others, size_t row, Making& making,
                  IntervalCounts& counts);
  void MeetOthers(base::EpochId epoch, const JoiningRows& events, size_t row, Making& making,
                  IntervalCounts& counts);
  // Event times.
  struct Newest {
    int64_t event = std::numeric_limits<int64_t>::min();
    int64_t other = std::numeric_limits<int64_t>::min();
    int64_t other_known = std::numeric_limits<int64_t>::min();  // when that one became known
  };
  static Newest NewestOf(const JoiningRows& events, const JoiningRows& others);
  void LetGo(Part& part, std::vector<Gone>& gone, IntervalCounts& counts) const;
  static std::span<Row> Partners(Rows& of_key, int64_t from, int64_t to, IntervalCounts& counts);
  static Row RowOf(const JoiningRows& rows, size_t row, const StoredRowLayout& layout);

  const IntervalJoin& join_;
  const columns::SchemaRef input_;  // the events' columns, the others', the time of the pair
  const StoredRowLayout event_layout_;
  const StoredRowLayout other_layout_;
  const std::vector<bool> wanted_;                 // of `input_`
  std::vector<size_t> event_texts_, other_texts_;  // those of them, by number in the layouts
  const base::Duration event_late_;
  const base::Duration other_late_;
  const Limits limits_;
  std::array<std::unique_ptr<Part>, kParts> parts_;
};

}  // namespace headrace::pipeline
