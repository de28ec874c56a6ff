#include "pipeline/state/row_chunk.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "columns/position.h"
#include "pipeline/aggregates/cells.h"

namespace headrace::pipeline {
namespace {

void SetBits(std::atomic<uint64_t>& word, uint64_t bits) {
  word.store(word.load(std::memory_order_relaxed) | bits, std::memory_order_relaxed);
}

}  // namespace

ChunkLayout::ChunkLayout(const AggregatePlan& plan) : plan_(&plan) {
  for (const columns::Type type : plan.argument_types()) {
    cells_.push_back(CellKindOf(type));
    cell_column_.push_back(cell_columns_);
    if (cells_.back() != CellKind::kBool) ++cell_columns_;
    has_text_ |= cells_.back() == CellKind::kText;
  }
  words_ = static_cast<uint32_t>(cells_.size());
  for (const CellKind kind : cells_) truth_word_.push_back(kind == CellKind::kBool ? words_++ : 0);
  fixed_bytes_ = sizeof(RowChunk) + words_ * sizeof(uint64_t);
}

uint32_t RowChunk::CapacityFor(size_t rows) {
  const auto capped = static_cast<uint32_t>(std::min<size_t>(rows, kCapacityMax));
  const uint32_t power = std::bit_ceil(std::max(1U, capped));
  const uint32_t less = power / 4 * 3;
  return capped <= less ? less : power;
}

size_t RowChunk::BytesFor(const ChunkLayout& layout, uint32_t capacity) {
  return layout.fixed_bytes_ + (2 + layout.cell_columns_) * capacity * sizeof(uint64_t);
}

RowChunk* RowChunk::Make(const ChunkLayout& layout, uint32_t capacity, StateMemory& memory) {
  auto* chunk = new (memory.Allocate(BytesFor(layout, capacity))) RowChunk(capacity);
  for (size_t i = 0; i < layout.words_; ++i) new (chunk->words() + i) std::atomic<uint64_t>(0);
  return chunk;
}

const int64_t* RowChunk::times(const ChunkLayout& layout) const {
  return At<const int64_t>(ColumnOffset(layout, 0));
}

const uint64_t* RowChunk::positions(const ChunkLayout& layout) const {
  return At<const uint64_t>(ColumnOffset(layout, 1));
}

size_t RowChunk::TextBytes(const ChunkLayout& layout, uint32_t begin, uint32_t end) const {
  size_t bytes = 0;
  for (size_t i = 0; i < layout.arguments(); ++i) {
    if (layout.kind(i) != CellKind::kText) continue;
    const uint64_t* cell = cells(layout, i);
    for (uint32_t row = begin; row < end; ++row)
      if (TextCell::IsOutside(cell[row])) bytes += TextCell::BlobBytes(TextCell::Read(cell[row]));
  }
  return bytes;
}

const uint64_t* RowChunk::cells(const ChunkLayout& layout, size_t argument) const {
  if (layout.kind(argument) == CellKind::kBool) return nullptr;
  return At<const uint64_t>(ColumnOffset(layout, 2 + layout.cell_column_[argument]));
}

void RowChunk::Prefetch(const ChunkLayout& layout, uint32_t capacity, uint32_t rows) const {
  constexpr size_t kRowsPerLine = 64 / sizeof(uint64_t);
  constexpr size_t kCellColumns = 3;  // more would be in each other's way
  const size_t columns = 2 + std::min<size_t>(layout.cell_columns_, kCellColumns);
  for (size_t column = 0; column < columns; ++column) {
    if (column == 1) continue;  // positions
    const auto* cells =
        At<const uint64_t>(layout.fixed_bytes_ + column * capacity * sizeof(uint64_t));
    for (size_t i = 0; i < rows; i += kRowsPerLine) __builtin_prefetch(cells + i);
  }
}

RowBlock RowChunk::Block(const ChunkLayout& layout, ArgumentBlock* arguments) const {
  for (size_t i = 0; i < layout.arguments(); ++i) {
    const bool is_bool = layout.kind(i) == CellKind::kBool;
    arguments[i] = {
        .cells = cells(layout, i),
        .valid = words()[i].load(std::memory_order_relaxed),
        .truth = is_bool ? words()[layout.truth_word_[i]].load(std::memory_order_relaxed) : 0};
  }
  return {.times = times(layout), .positions = positions(layout), .arguments = arguments};
}

void RowChunk::Append(const ChunkLayout& layout, uint32_t at, const BatchRows& batch,
                      std::span<const uint32_t> rows, StateMemory& memory) {
  auto* time = At<int64_t>(ColumnOffset(layout, 0)) + at;
  auto* position = At<uint64_t>(ColumnOffset(layout, 1)) + at;
  const uint64_t epoch = columns::Position::Of(batch.epoch, 0).packed;
  for (const uint32_t row : rows) {
    *time++ = batch.times[row];
    *position++ = batch.positions.empty() ? epoch | row : batch.positions[row].packed;
  }
  for (size_t i = 0; i < layout.arguments(); ++i)
    AppendArgument(layout, i, at, batch.arguments[i], rows, memory);
}

void RowChunk::AppendArgument(const ChunkLayout& layout, size_t argument, uint32_t at,
                              const columns::Column& column, std::span<const uint32_t> rows,
                              StateMemory& memory) {
  SetBits(words()[argument], GatherValid(column, rows) << at);
  if (layout.kind(argument) == CellKind::kBool) {
    SetBits(words()[layout.truth_word_[argument]], GatherTruth(column, rows) << at);
  } else {
    GatherCells(column, rows, const_cast<uint64_t*>(cells(layout, argument)) + at, memory);
  }
}

void RowChunk::AppendFrom(const ChunkLayout& layout, uint32_t at, const RowChunk& from,
                          uint32_t begin, uint32_t end) {
  const uint32_t count = end - begin;
  for (size_t column = 0; column < 2 + layout.cell_columns_; ++column) {
    std::memcpy(At<uint64_t>(ColumnOffset(layout, column)) + at,
                from.At<const uint64_t>(from.ColumnOffset(layout, column)) + begin,
                count * sizeof(uint64_t));
  }
  for (size_t i = 0; i < layout.words_; ++i) {
    const uint64_t moved =
        from.words()[i].load(std::memory_order_relaxed) >> begin & RowsBelow(count);
    SetBits(words()[i], at == 0 ? moved : moved << at);
  }
}

}  // namespace headrace::pipeline
