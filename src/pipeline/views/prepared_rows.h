#pragma once
// A view's rows for the batch driver: gathered in any order, then sorted by (key, event time,
// position) in columns.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "columns/batch.h"
#include "columns/position.h"
#include "pipeline/aggregates/cells.h"
#include "pipeline/views/own_row.h"

namespace headrace::pipeline {

// Filled by one thread; after Sort any thread may read it.
class PreparedRows {
 public:
  // Types of the argument columns, and of the column that a cut may compare.
  PreparedRows(const std::vector<columns::Type>& argument_types,
               std::optional<columns::Type> without_type);
  ~PreparedRows();
  PreparedRows(const PreparedRows&) = delete;

  struct Source {
    const columns::ColumnBatch& batch;  // of the view's stream
    std::span<const size_t> by;         // its key fields
    std::span<const int64_t> times;     // by row number, like all below
    std::span<const columns::Position> positions;
    std::span<const int64_t> known_at;
    std::span<const columns::Column> arguments;
    const columns::Column* without;  // null when there is none
    std::span<const uint32_t> rows;  // the rows to take
  };
  void Add(const Source& source);
  void Sort();

  size_t rows() const { return times_.size(); }
  size_t blocks() const { return (rows() + kBlockRows - 1) / kBlockRows; }

  // Rows [begin, end) of a key, sorted by (event time, position); empty for an unknown key.
  struct Range {
    size_t begin = 0;
    size_t end = 0;
  };
  Range RangeOf(std::string_view key) const;
  const int64_t* times() const { return times_.data(); }

  // Rows 64 i .. 64 i + 63 of all rows: a block may hold rows of several keys.
  RowBlock Block(size_t i, ArgumentBlock* arguments) const;
  // Of the rows of a block's mask, those that a cut lets pass.
  RowMask UpToPosition(size_t block, uint64_t position_max, RowMask rows) const;
  RowMask KnownBy(size_t block, int64_t known_at_max, RowMask rows) const;
  RowMask Without(size_t block, const columns::Value& value, RowMask rows) const;
  RowMask WithoutRow(size_t block, const LeftOutRow& row, RowMask rows) const;
  // How many rows of a key it may be, of those up to an epoch.
  size_t CountOf(Range range, const LeftOutRow& row, std::optional<base::EpochId> epoch_max) const;

 private:
  struct ArgumentColumn {
    explicit ArgumentColumn(columns::Type of) : type(of), kind(CellKindOf(of)) {}
    columns::Type type;
    CellKind kind;
    std::vector<uint64_t> cells;  // none for bool
    std::vector<RowMask> valid;   // a word per block
    std::vector<RowMask> truth;   // bool only
  };
  struct Keys;  // key bytes -> number
  class TextArena;

  void AppendColumn(ArgumentColumn& column, const columns::Column& from,
                    std::span<const uint32_t> rows);
  static void Permute(ArgumentColumn& column, std::span<const uint32_t> order);
  std::vector<uint32_t> SortedOrder();
  void SummarizeBlocks();

  std::unique_ptr<Keys> keys_;
  std::unique_ptr<TextArena> texts_;
  std::vector<uint32_t> key_of_;  // by row, until sorted
  std::vector<size_t> begin_of_;  // by key number, and one past the last
  std::vector<int64_t> times_;
  std::vector<uint64_t> positions_;
  std::vector<int64_t> known_at_;
  std::vector<ArgumentColumn> arguments_;
  std::optional<ArgumentColumn> without_;
  std::vector<uint64_t> block_position_max_;
  std::vector<int64_t> block_known_max_;
  std::vector<std::pair<int64_t, int64_t>>
      block_without_;  // least and greatest; only of an integer column
};

}  // namespace headrace::pipeline
