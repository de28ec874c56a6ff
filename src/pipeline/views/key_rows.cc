#include "pipeline/views/key_rows.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <utility>

#include "columns/batch_builder.h"
#include "columns/conform.h"
#include "pipeline/aggregates/accumulator.h"

namespace headrace::pipeline {
namespace {

columns::SchemaRef ArgumentSchema(std::span<const columns::Type> types) {
  std::vector<columns::Field> fields;
  for (size_t i = 0; i < types.size(); ++i)
    fields.push_back({.name = std::to_string(i), .type = types[i]});
  return std::make_shared<const columns::Schema>(std::move(fields));
}

std::vector<columns::Type> ArgumentTypes(const ViewDefinition& view) {
  std::vector<columns::Type> types;
  for (const Expression& argument : view.arguments) types.push_back(argument.type());
  return types;
}

// Copies chunks of a key, oldest first.
class ChunkCopy {
 public:
  ChunkCopy(const ChunkLayout& layout, int64_t tiles_until, int64_t after)
      : layout_(layout),
        tiles_until_(tiles_until),
        after_(after),
        arguments_(layout.arguments()),
        builder_(ArgumentSchema(layout.plan().argument_types())) {}

  void Add(const RowChunk& chunk, uint32_t count) {
    const RowBlock block = chunk.Block(layout_, arguments_.data());
    for (uint32_t row = 0; row < count; ++row) {
      if (block.times[row] < tiles_until_) continue;
      if (block.times[row] <= after_) {
        rows_.dropped_time = std::max(rows_.dropped_time, block.times[row]);
        continue;
      }
      rows_.times.push_back(block.times[row]);
      rows_.positions.push_back({block.positions[row]});
      for (size_t i = 0; i < layout_.arguments(); ++i) AddArgument(i, row);
    }
  }
  KeyRows Finish() {
    rows_.known_at.assign(rows_.size(), KeyRows::kUnknown);
    rows_.of_view.assign(rows_.size(), 1);
    rows_.arguments = layout_.arguments() == 0
                          ? columns::ColumnBatch(builder_.schema(), rows_.size(), {})
                          : builder_.Finish();
    return std::move(rows_);
  }

 private:
  void AddArgument(size_t argument, uint32_t row) {
    const ArgumentBlock& values = arguments_[argument];
    columns::ColumnBuilder& out = builder_.column(argument);
    if ((values.valid >> row & 1) == 0) return out.AppendNull();
    if (layout_.kind(argument) == CellKind::kBool)
      return out.AppendBool((values.truth >> row & 1) != 0);
    out.AppendValue(ValueOfCell(layout_.plan().argument_types()[argument], values.cells[row]));
  }

  const ChunkLayout& layout_;
  const int64_t tiles_until_;
  const int64_t after_;
  std::vector<ArgumentBlock> arguments_;
  columns::BatchBuilder builder_;
  KeyRows rows_;
};

}  // namespace

base::Result<KeyRows> CopyRows(const RowStore& store, const RowImage& image, int64_t after,
                               size_t rows_max) {
  size_t count = image.open_count;
  for (LeafCursor at = LeafCursor::First(image.tree); !at.at_end(); at.Next()) {
    count += at.chunk()->count();
    if (count > rows_max) break;
  }
  if (count > rows_max)
    return base::Fail(base::ErrorCode::kResourceExhausted,
                      "the key has more rows than are copied out of the state at once");
  const TilesBack tiles = store.TilesOf(image);
  const int64_t from = tiles.empty() ? KeyRows::kNever : tiles.until();
  ChunkCopy copy(store.layout(), from, after);
  for (LeafCursor at = LeafCursor::First(image.tree); !at.at_end(); at.Next())
    copy.Add(*at.chunk(), at.chunk()->count());
  if (!image.empty()) copy.Add(*image.open, image.open_count);
  KeyRows rows = copy.Finish();
  rows.dropped_time = std::max(rows.dropped_time, image.dropped_time);
  rows.tiles_until = from;
  rows.complete_after =
      std::max({image.dropped_time, after, from == KeyRows::kNever ? from : from - 1});
  return rows;
}

KeyRowsBuilder::KeyRowsBuilder(const ViewDefinition& view, const StreamDefinition& stream,
                               columns::KeyBytes key)
    : view_(view),
      stream_(stream),
      key_(std::move(key)),
      schema_(ArgumentSchema(ArgumentTypes(view))) {}

void KeyRowsBuilder::Add(const columns::ColumnBatch& rows,
                         std::span<const columns::Position> positions,
                         std::span<const int64_t> known_at) {
  std::vector<uint32_t> of_key;
  const columns::ColumnBatch all = columns::ConformTo(stream_.schema(), rows);
  columns::KeyBytes key;
  for (uint32_t row = 0; row < all.rows(); ++row) {
    columns::KeyOfRow(all, view_.by, row, key);
    if (key == key_) of_key.push_back(row);
  }
  if (of_key.empty()) return;
  const columns::ColumnBatch batch = all.Take(of_key);
  const auto times = batch.column(stream_.timing.event_time_field).Int64s();
  uint64_t failures = 0;  // were counted when the rows were applied
  const columns::Column where =
      view_.where ? view_.where->Evaluate(batch, failures) : columns::Column();
  for (uint32_t row = 0; row < batch.rows(); ++row) {
    rows_.times.push_back(times[row]);
    rows_.positions.push_back(positions[of_key[row]]);
    rows_.known_at.push_back(known_at[of_key[row]]);
    rows_.of_view.push_back(!view_.where || (!where.IsNull(row) && where.Bool(row)) ? 1 : 0);
  }
  std::vector<columns::Column> arguments;
  for (const Expression& argument : view_.arguments)
    arguments.push_back(argument.Evaluate(batch, failures));
  parts_.emplace_back(schema_, batch.rows(), std::move(arguments));
}

KeyRows KeyRowsBuilder::Finish() {
  if (parts_.empty()) {
    rows_.arguments = columns::BatchBuilder(schema_).Finish();
    return std::move(rows_);
  }
  std::vector<uint32_t> order(rows_.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::sort(
      order, {}, [&](uint32_t row) { return std::pair(rows_.times[row], rows_.positions[row]); });
  KeyRows sorted;
  for (const uint32_t row : order) {
    sorted.times.push_back(rows_.times[row]);
    sorted.positions.push_back(rows_.positions[row]);
    sorted.known_at.push_back(rows_.known_at[row]);
    sorted.of_view.push_back(rows_.of_view[row]);
  }
  sorted.arguments = columns::ColumnBatch::Concat(parts_).Take(order);
  return sorted;
}

std::vector<size_t> FieldsOf(const ViewDefinition& view, const StreamDefinition& stream) {
  std::set<size_t> fields = {stream.timing.event_time_field};
  fields.insert(view.by.begin(), view.by.end());
  const auto add = [&](const std::vector<size_t>& more) {
    fields.insert(more.begin(), more.end());
  };
  if (view.where) add(view.where->inputs());
  for (const Expression& argument : view.arguments) add(argument.inputs());
  return {fields.begin(), fields.end()};
}

}  // namespace headrace::pipeline
