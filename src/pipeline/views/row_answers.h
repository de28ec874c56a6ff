#pragma once
// A view's outputs as of each of its rows in an epoch: what a reader would have been told who asked
// at the row's event time, when the row had just come in: it counts itself, and the rows before it
// by position. A view with `self: excluded` answers as of just before the row.

#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "pipeline/aggregates/accumulator.h"
#include "pipeline/definition.h"
#include "pipeline/views/answer.h"

namespace headrace::pipeline {

// One row of fixed size a batch row, used again for each epoch: nothing is allocated for an output
// but a text. Not thread-safe.
class RowAnswers {
 public:
  // `view` outlives it.
  explicit RowAnswers(const ViewDefinition& view);

  // The view's rows in the batch that were answered, ascending. Left out are rows older than the
  // view's history before the clock of the epoch before: online state does not know any more what
  // they would have been told.
  std::span<const uint32_t> rows() const { return rows_; }
  FeatureStatus status(uint32_t row, size_t output) const {
    return statuses_[row * outputs_ + output].status;
  }
  // An integer, a double's bits, a bool as 0 or 1; 0 for a null. Not of texts and lists.
  uint64_t cell(uint32_t row, size_t output) const { return cells_[row * outputs_ + output]; }
  columns::Value ValueOf(uint32_t row, size_t output) const;
  ViewAnswer AnswerOf(uint32_t row) const;
  // The row's own: what it was answered as of.
  base::Timestamp event_time(uint32_t row) const { return {times_[row]}; }

  // For whoever fills it.
  void Begin(size_t batch_rows);
  // Where WindowOutputs writes what it knows about a row.
  class Row {
   public:
    Row(RowAnswers& answers, uint32_t row) : answers_(answers), row_(row) {}
    void Set(size_t output, FeatureStatus status, columns::Value value) {
      answers_.Set(row_, output, status, std::move(value));
    }
    // Not of texts and lists.
    void SetCell(size_t output, FeatureStatus status, uint64_t cell) {
      const size_t at = row_ * answers_.outputs_ + output;
      answers_.statuses_[at] = {status, status == FeatureStatus::kPresent};
      answers_.cells_[at] = cell;
    }
    void SetEventTime(base::Timestamp time) { answers_.times_[row_] = time.us; }
    // The key's newest row is older than the view's ttl; values stay.
    void SetOutsideMaxAge() { answers_.SetOutsideMaxAge(row_); }
    // The key has no row, or is forgotten.
    void SetNotFound() { answers_.SetNotFound(row_); }

   private:
    RowAnswers& answers_;
    uint32_t row_;
  };
  // A row is answered when its event time is set, or that there is none. Rows in any order.
  Row At(uint32_t row) { return Row(*this, row); }
  void Finish();

 private:
  void Set(uint32_t row, size_t output, FeatureStatus status, columns::Value value);
  void SetOutsideMaxAge(uint32_t row);
  void SetNotFound(uint32_t row);

  static constexpr int64_t kNotAnswered = std::numeric_limits<int64_t>::min();
  static constexpr int64_t kNoEvent = kNotAnswered + 1;

  struct Status {
    FeatureStatus status;
    bool has_value;
  };

  const ViewDefinition& view_;
  const size_t outputs_;
  std::vector<uint32_t> rows_;
  std::vector<uint64_t> cells_;
  std::vector<Status> statuses_;
  std::vector<int64_t> times_;
  std::vector<columns::Value> values_;  // that do not fit a cell, which then has their number here
};

// Told about each epoch's row answers, on the applier's thread, before the epoch is visible.
class RowAnswerReader {
 public:
  virtual ~RowAnswerReader() = default;
  // `answers` lives until it returns.
  virtual void Take(base::EpochId epoch, size_t view, const RowAnswers& answers) = 0;
};

}  // namespace headrace::pipeline
