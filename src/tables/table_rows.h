#pragma once
// What a row of a stream looks like in a table: its own columns, then `_epoch` and `_row` (its
// position in the log, so that the order survives rewriting) and `_known_at`.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "columns/batch.h"
#include "columns/position.h"
#include "pipeline/definition.h"

namespace headrace::tables {

class MadeRows;

inline constexpr const char* kEpochColumn = "_epoch";
inline constexpr const char* kRowColumn = "_row";
inline constexpr const char* kKnownAtColumn = "_known_at";

// What the tables room must know of a stream.
struct PublishedStream {
  base::StreamId id;
  std::string name;
  columns::SchemaRef schema;
  size_t event_time_field = 0;
  pipeline::KnownAtRule known_at;
  // Of a derived stream: the stream whose rows are in the log, and how its own are made of them.
  // `known_at` is then about those rows.
  struct Root {
    base::StreamId id;
    columns::SchemaRef schema;
    size_t event_time_field = 0;
    std::function<pipeline::DerivedRows(const columns::ColumnBatch&)> derive;
  };
  std::optional<Root> root = {};
  // Of a stream whose rows depend on others: where its rows wait (made_rows.h; outlives whoever
  // publishes them), and the streams that come in and make them. `known_at` is assumed only if that
  // of all of them is.
  MadeRows* made = nullptr;
  std::vector<base::StreamId> inputs = {};
  base::StreamId logged_id() const { return root ? root->id : id; }
};

// The fields of `stream`, then int64 _epoch, int32 _row, timestamp _known_at, all three required.
// Errors: kInvalidInput when a field of the stream has one of these names.
base::Result<columns::SchemaRef> TableSchema(const columns::Schema& stream);

// The rows of one epoch, as rows of a table with schema `table` (from TableSchema).
columns::ColumnBatch ToTableRows(const columns::SchemaRef& table, base::EpochId epoch,
                                 const columns::ColumnBatch& rows, std::vector<int64_t> known_at);

// Rows with their places in the log.
struct PositionedRows {
  columns::ColumnBatch rows;
  std::vector<columns::Position> positions;
  std::vector<int64_t> known_at;  // microseconds
};

// What a scan of a table or of the log's tail hands out.
using VisitRows = std::function<base::Result<void>(const PositionedRows&)>;

}  // namespace headrace::tables
