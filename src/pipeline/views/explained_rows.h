#pragma once
// Which of a key's rows an output of a view was computed from, as of a time and an epoch, and why
// the others were not; and the output computed again from those rows alone.
//
// 1. Every row is judged: is it a row of the view, was it there at the epoch, is it in the window,
//    does it count for the feature?
// 2. The batch driver is given the rows that count, and nothing else of the key but its newest row,
//    which says that the key is known and how old it is. What it answers is what these rows give.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "pipeline/definition.h"
#include "pipeline/views/answer.h"
#include "pipeline/views/key_rows.h"

namespace headrace::pipeline {

enum class RowVerdict : uint8_t {
  kCounts,
  kNull,            // in the window, but its argument is NULL, which the aggregate passes over
  kConditionFalse,  // in the window, but the feature's own condition is not true
  kBeforeWindow,    // older than the window
  kAfterWindow,     // at or before as_of, but after the window's end
  kNotAmongLast,    // there are as many newer rows as the window has
  kOtherSession,    // a gap lies between it and the session
  kAfterAsOf,       // its event time is later than the question's
  kNotThereYet,     // it came in a later epoch
  kBeforeView,      // the view began after it
  kNotOfView,       // the view's `where` keeps it out
};
constexpr size_t kRowVerdicts = 11;
std::string_view NameOf(RowVerdict verdict);    // "counts", "before_window"
std::string_view ReasonOf(RowVerdict verdict);  // for people, a few words

// Which question a row is judged for.
struct RowQuestion {
  base::Timestamp as_of;
  base::EpochId epoch;       // rows of later ones were not there
  base::EpochId since = {};  // those up to it are not the view's
};

struct ExplainedRows {
  std::vector<RowVerdict> verdicts;  // by row
  // How much older a row is than the newest one of the key that came before it; 0: it came in
  // order. Answers given in between are without it.
  std::vector<base::Duration> late;
  std::array<uint64_t, kRowVerdicts> counts{};  // rows of each verdict
  // The window's rows have event times in (after, until]; of the last rows and of sessions `after`
  // is found from the rows. kNever: it reaches back for ever.
  int64_t after = KeyRows::kNever;
  int64_t until = 0;
};
ExplainedRows ExplainRows(const ViewDefinition& view, size_t output, const KeyRows& rows,
                          const RowQuestion& question);

// One output.
struct OutputValue {
  columns::Value value;
  FeatureStatus status = FeatureStatus::kNotFound;
  std::optional<base::Timestamp> event_time;  // of the key's newest row

  bool SameBits(const OutputValue& other) const {
    return status == other.status && value.SameBits(other.value);
  }
};
// Step 2. `explained` is of the same view, output, rows and question.
OutputValue RecomputeFrom(const ViewDefinition& view, const StreamDefinition& stream, size_t output,
                          const KeyRows& rows, const ExplainedRows& explained,
                          const RowQuestion& question);

// All outputs, by the batch driver from all rows that the question may see.
ViewAnswer AnswerFrom(const ViewDefinition& view, const StreamDefinition& stream,
                      const KeyRows& rows, const RowQuestion& question);

// Whether a copy of the state's rows has all that windows of the view (indexes; none: all of them)
// need for a question, and all that the key's status depends on.
enum class CopyIsOf : uint8_t {
  kThatEpoch,   // the state answers the question itself
  kLaterEpoch,  // what was let go may have been of the question's epoch, or not
};
bool IsEnough(const ViewDefinition& view, std::span<const size_t> windows, const KeyRows& rows,
              const RowQuestion& question, CopyIsOf copy);

}  // namespace headrace::pipeline
