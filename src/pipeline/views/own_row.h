#pragma once
// The row that a question is about, when it is about one: the event that was pushed with it. Views
// with `self: excluded` leave it out.

#include <cstdint>
#include <optional>
#include <string>

#include "base/ids.h"
#include "base/time.h"
#include "columns/position.h"
#include "pipeline/definition.h"

namespace headrace::pipeline {

// Where it stands. A value. Its row number is not known of a repeat of an event whose log an older
// version wrote.
struct OwnRow {
  std::string stream;  // that it came in by
  base::EpochId epoch;
  base::Timestamp time;         // its event time
  std::optional<uint32_t> row;  // of the stream's rows in the epoch

  bool operator==(const OwnRow&) const = default;
};

// The same as a view looks for it among the rows of a key: by event time and epoch, and by its
// number where positions of the view's stream are those of the event's. Without a number it must be
// alone of its epoch and time among the key's rows, or it can't be told from another one.
// A row of a join within a time is dated by whichever of the two came later, and made with it: none
// of that time and epoch or later ones can be told from it.
struct LeftOutRow {
  base::EpochId epoch;
  int64_t time;
  std::optional<uint32_t> row;
  bool or_later = false;

  bool Is(columns::Position position, int64_t event_time) const {
    if (or_later) return event_time >= time && position.epoch() >= epoch;
    return event_time == time && position.epoch() == epoch && (!row || position.row() == *row);
  }
};

// What the view leaves out; nothing for a view that counts it, or that is made of other streams.
std::optional<LeftOutRow> LeftOutOf(const PipelineDefinition& definition,
                                    const ViewDefinition& view, const OwnRow& own);

}  // namespace headrace::pipeline
