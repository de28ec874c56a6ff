#pragma once
// Rows of one key of one view, copied from wherever they were read: the online state, or the view's
// stream in table and log. What a person is shown, and what earlier answers are computed from.

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "base/result.h"
#include "columns/batch.h"
#include "columns/key.h"
#include "columns/position.h"
#include "pipeline/definition.h"
#include "pipeline/state/row_store.h"

namespace headrace::pipeline {

// A value; rows are in the order of (event time, position).
struct KeyRows {
  static constexpr int64_t kNever = RowImage::kNever;
  static constexpr int64_t kUnknown = std::numeric_limits<int64_t>::max();

  std::vector<int64_t> times;  // event times; like all times here in microseconds
  std::vector<columns::Position> positions;
  std::vector<int64_t> known_at;   // kUnknown: the state keeps no such time
  columns::ColumnBatch arguments;  // a column for each of the view's
  // 0: the view's `where` keeps the row out. The state has no such rows.
  std::vector<uint8_t> of_view;

  // All rows of the key with a later event time are here; kNever: all that there are.
  int64_t complete_after = kNever;
  // The event time of the newest row that the state let go; kNever: none.
  int64_t dropped_time = kNever;
  // Rows before it are in tiles, which stand for them; kNever: none are.
  int64_t tiles_until = kNever;

  size_t size() const { return times.size(); }
};

// The rows of a version of a key that are not in tiles, and later than `after`: others may be let
// go. Beside the applier, under a hold of the image's step. Errors: kResourceExhausted when they
// are more than `rows_max`.
base::Result<KeyRows> CopyRows(const RowStore& store, const RowImage& image, int64_t after,
                               size_t rows_max);

// Gathers the rows of one key out of batches of the view's stream, in any order.
class KeyRowsBuilder {
 public:
  // Both outlive it. `key`: of the view's `by` fields.
  KeyRowsBuilder(const ViewDefinition& view, const StreamDefinition& stream, columns::KeyBytes key);

  // `rows` has at least the fields of FieldsOf. Rows of other keys are passed over.
  void Add(const columns::ColumnBatch& rows, std::span<const columns::Position> positions,
           std::span<const int64_t> known_at);
  size_t size() const { return rows_.times.size(); }
  // Once.
  KeyRows Finish();

 private:
  const ViewDefinition& view_;
  const StreamDefinition& stream_;
  const columns::KeyBytes key_;
  const columns::SchemaRef schema_;  // of the arguments
  KeyRows rows_;
  std::vector<columns::ColumnBatch> parts_;
};

// The fields of its stream that a view reads, ascending: the event time, the key, and what the
// condition and the arguments are made of.
std::vector<size_t> FieldsOf(const ViewDefinition& view, const StreamDefinition& stream);

}  // namespace headrace::pipeline
