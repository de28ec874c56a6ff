#pragma once
// The same views evaluated offline, over rows of tables and log in any order: for training sets and
// verification. Shares the aggregate definitions with the online driver, and nothing of its state.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "columns/batch.h"
#include "columns/key.h"
#include "columns/position.h"
#include "pipeline/definition.h"
#include "pipeline/views/answer.h"
#include "pipeline/views/own_row.h"

namespace headrace::pipeline {

// Which rows a question may see, beside event time <= as_of.
struct Cut {
  std::optional<base::EpochId> epoch_max;       // an answer's epoch
  std::optional<base::Timestamp> known_at_max;  // as_known at a label's time
  // Leave out rows whose `without_field` equals it (the label's own row), unless the view says
  // `self: included`.
  std::optional<columns::Value> without;
  // Leave this row out; the view's own rule was looked at (LeftOutOf). One that can't be told from
  // others makes every output INVALID, as online.
  std::optional<LeftOutRow> without_row = {};
};

// One question about one key.
struct Question {
  columns::KeyBytes key;
  base::Timestamp as_of;
  Cut cut;
};

// Add all rows, then Prepare once, then ask from any number of threads.
class BatchDriver {
 public:
  // `stream` is the view's; both outlive the driver. `without_field`: index into the stream's
  // schema of the field that Cut::without compares (its values must have that field's type).
  BatchDriver(const ViewDefinition& view, const StreamDefinition& stream,
              std::optional<size_t> without_field);
  ~BatchDriver();
  BatchDriver(BatchDriver&&) noexcept;
  BatchDriver& operator=(BatchDriver&&) noexcept;

  // Rows of the view's stream with their positions and known_at (microseconds). Any order.
  void Add(const columns::ColumnBatch& rows, std::span<const columns::Position> positions,
           std::span<const int64_t> known_at);
  // Rows whose arguments are known already, of one key, which questions name as the empty one. The
  // view's condition was looked at.
  struct OfOneKey {
    std::span<const int64_t> times;  // by row number, like all below
    std::span<const columns::Position> positions;
    std::span<const columns::Column> arguments;
    std::span<const uint32_t> rows;  // the rows to take
  };
  void AddOfOneKey(const OfOneKey& rows);
  // Sorts by key, event time, position.
  void Prepare();
  // Any thread.
  ViewAnswer Answer(const Question& question) const;
  // Rows of the view so far.
  uint64_t rows() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace::pipeline
