// A key's rows as bytes, and back: what a snapshot keeps of the online state.
//
// piece := u8 flags (1: the key's first piece; 2: tiles follow), [i64 first time, i64 dropped
//          time], [tiles (tile_bytes.cc)], u32 chunks, chunk...
// chunk := u32 rows (0: passed over; bit 31: partials follow), times, positions, cells of each
//          argument that is not a bool (8 bytes a row each), the arguments' two words of bits, the
//          texts that are longer than 7 bytes (u32 length, bytes) in the order of their cells,
//          partials (40 bytes a slot)
// The cell of such a text has only the tag. Little-endian, like the state itself.

#include <algorithm>
#include <array>
#include <cstring>

#include "pipeline/aggregates/cells.h"
#include "pipeline/state/row_store.h"

namespace headrace::pipeline {
namespace {

constexpr uint8_t kFirstPiece = 1;
constexpr uint8_t kWithTiles = 2;
constexpr uint32_t kWithPartials = 1U << 31;
constexpr size_t kPartialBytes = 40;

void AppendBytes(const void* bytes, size_t size, std::vector<uint8_t>& out) {
  const auto* begin = static_cast<const uint8_t*>(bytes);
  out.insert(out.end(), begin, begin + size);
}

template <typename T>
void AppendValue(T value, std::vector<uint8_t>& out) {
  AppendBytes(&value, sizeof(value), out);
}

std::unexpected<base::Error> Broken(const char* what) {
  return base::Fail(base::ErrorCode::kCorruption, what);
}

// Field by field: what lies between the fields in memory is not written anywhere.
void EncodePartials(const AggregatePlan& plan, std::span<const SlotPartial> partials,
                    std::vector<uint8_t>& out) {
  for (size_t i = 0; i < partials.size(); ++i) {
    const SlotPartial partial = plan.slots()[i].is_captured() ? partials[i] : SlotPartial{};
    AppendValue(partial.sum, out);
    AppendValue(partial.least, out);
    AppendValue(partial.greatest, out);
    // Of up to 64 rows.
    AppendValue(static_cast<uint32_t>(partial.count), out);
    AppendValue(static_cast<uint32_t>(partial.truths), out);
  }
}

base::Result<std::vector<SlotPartial>> DecodePartials(size_t slots, columns::ByteReader& in) {
  HR_TRY(const auto bytes, in.Bytes(slots * kPartialBytes));
  std::vector<SlotPartial> partials(slots);
  for (size_t i = 0; i < slots; ++i) {
    const uint8_t* from = bytes.data() + i * kPartialBytes;
    SlotPartial& partial = partials[i];
    std::memcpy(&partial.sum, from, 16);
    std::memcpy(&partial.least, from + 16, 8);
    std::memcpy(&partial.greatest, from + 24, 8);
    uint32_t counts[2];
    std::memcpy(counts, from + 32, sizeof(counts));
    partial.count = counts[0];
    partial.truths = counts[1];
  }
  return partials;
}

}  // namespace

void RowChunk::Encode(const ChunkLayout& layout, uint32_t count,
                      std::span<const SlotPartial> partials, std::vector<uint8_t>& out) const {
  AppendValue(count | (partials.empty() ? 0 : kWithPartials), out);
  AppendBytes(times(layout), count * sizeof(int64_t), out);
  AppendBytes(positions(layout), count * sizeof(uint64_t), out);
  std::vector<ArgumentBlock> arguments(layout.arguments());
  Block(layout, arguments.data());
  std::vector<std::string_view> texts;
  for (size_t i = 0; i < layout.arguments(); ++i) {
    const uint64_t* from = arguments[i].cells;
    if (layout.kind(i) == CellKind::kText) {
      for (uint32_t row = 0; row < count; ++row) {
        const bool outside = TextCell::IsOutside(from[row]);
        if (outside) texts.push_back(TextCell::Read(from[row]));
        AppendValue(outside ? TextCell::kPointerTag : from[row], out);
      }
    } else if (layout.kind(i) != CellKind::kBool) {
      AppendBytes(from, count * sizeof(uint64_t), out);
    }
  }
  for (const ArgumentBlock& argument : arguments) {
    AppendValue(argument.valid & RowsBelow(count), out);
    AppendValue(argument.truth & RowsBelow(count), out);
  }
  for (const std::string_view text : texts) {
    AppendValue(static_cast<uint32_t>(text.size()), out);
    AppendBytes(text.data(), text.size(), out);
  }
  if (!partials.empty()) EncodePartials(layout.plan(), partials, out);
}

base::Result<RowChunk::Decoded> RowChunk::Decode(const ChunkLayout& layout, columns::ByteReader& in,
                                                 StateMemory& memory) {
  HR_TRY(const uint32_t head, in.U32());
  const uint32_t count = head & ~kWithPartials;
  if (count > kCapacityMax || (count == 0 && head != 0))
    return Broken("a captured chunk has too many rows, or partials of none");
  RowChunk* chunk = Make(layout, CapacityFor(count), memory);
  auto decoded = chunk->DecodeColumns(layout, count, in);
  if (!decoded) {  // its cells may be anything
    memory.Free(chunk, chunk->Bytes(layout));
    return base::Fail(std::move(decoded).error());
  }
  decoded = chunk->DecodeTexts(layout, count, in, memory);
  Decoded result{.chunk = chunk, .count = count, .partials = {}};
  if (decoded && (head & kWithPartials) != 0) {
    auto partials = DecodePartials(layout.plan().slots().size(), in);
    if (!partials) {
      decoded = base::Fail(std::move(partials).error());
    } else if (layout.plan().is_captured()) {
      result.partials = std::move(*partials);
    }
  }
  if (decoded) return result;
  chunk->FreeUnseen(layout, count, memory);
  return base::Fail(std::move(decoded).error());
}

void RowChunk::FreeUnseen(const ChunkLayout& layout, uint32_t count, StateMemory& memory) {
  for (size_t i = 0; layout.has_text() && i < layout.arguments(); ++i) {
    if (layout.kind(i) != CellKind::kText) continue;
    const uint64_t* cell = cells(layout, i);
    for (uint32_t row = 0; row < count; ++row) {
      // Without an address: its text was not read.
      if (!TextCell::IsOutside(cell[row]) || cell[row] == TextCell::kPointerTag) continue;
      memory.Free(TextCell::BlobOf(cell[row]), TextCell::BlobBytes(TextCell::Read(cell[row])));
    }
  }
  memory.Free(this, Bytes(layout));
}

base::Result<void> RowChunk::DecodeColumns(const ChunkLayout& layout, uint32_t count,
                                           columns::ByteReader& in) {
  const size_t column_bytes = count * sizeof(uint64_t);
  for (size_t column = 0; column < 2 + layout.cell_columns_; ++column) {
    HR_TRY(const auto bytes, in.Bytes(column_bytes));
    std::memcpy(At<uint64_t>(ColumnOffset(layout, column)), bytes.data(), column_bytes);
  }
  if (layout.arguments() > 0) {
    HR_TRY(const auto bytes, in.Bytes(2 * layout.arguments() * sizeof(uint64_t)));
    for (size_t i = 0; i < layout.arguments(); ++i) {
      std::array<uint64_t, 2> bits;  // null, truth
      std::memcpy(bits.data(), bytes.data() + i * sizeof(bits), sizeof(bits));
      words()[i].store(bits[0], std::memory_order_relaxed);
      if (layout.kind(i) == CellKind::kBool)
        words()[layout.truth_word_[i]].store(bits[1], std::memory_order_relaxed);
    }
  }
  for (size_t i = 0; layout.has_text() && i < layout.arguments(); ++i) {
    if (layout.kind(i) != CellKind::kText) continue;
    const uint64_t* cell = cells(layout, i);
    for (uint32_t row = 0; row < count; ++row)
      if (cell[row] >> 56 > TextCell::kInlineMax && cell[row] != TextCell::kPointerTag)
        return Broken("a captured text cell lies");
  }
  return {};
}

base::Result<void> RowChunk::DecodeTexts(const ChunkLayout& layout, uint32_t count,
                                         columns::ByteReader& in, StateMemory& memory) {
  for (size_t i = 0; layout.has_text() && i < layout.arguments(); ++i) {
    if (layout.kind(i) != CellKind::kText) continue;
    auto* cell = const_cast<uint64_t*>(cells(layout, i));
    for (uint32_t row = 0; row < count; ++row) {
      if (!TextCell::IsOutside(cell[row])) continue;
      HR_TRY(const std::string_view text, in.Text());
      cell[row] = TextCell::Outside(text, memory.AllocateText(TextCell::BlobBytes(text)));
    }
  }
  return {};
}

bool RowStore::EncodeKey(const RowImage& image, EncodeCursor& cursor, size_t bytes,
                         std::vector<uint8_t>& out) const {
  const size_t begin = out.size();
  const bool has_tiles = image.tiles != nullptr && !cursor.begun;
  AppendValue<uint8_t>((cursor.begun ? 0 : kFirstPiece) | (has_tiles ? kWithTiles : 0), out);
  if (!cursor.begun) {
    AppendValue(image.first_time, out);
    AppendValue(image.dropped_time, out);
    if (has_tiles) tiles_->writer.Encode(*image.tiles, out);
    cursor.leaf = LeafCursor::First(image.tree);
  }
  const size_t count_at = out.size();
  AppendValue<uint32_t>(0, out);
  uint32_t written = 0;
  std::vector<SlotPartial> partials(layout_.plan().slots().size());
  const auto has_room = [&] { return written == 0 || out.size() - begin < bytes; };
  for (; !cursor.leaf.at_end() && has_room(); ++written, cursor.leaf.Next()) {
    const RowChunk& chunk = *cursor.leaf.chunk();
    const bool with_partials = layout_.plan().is_captured() && !cursor.leaf.is_loose();
    if (with_partials) cursor.leaf.Partials(layout_.plan(), partials);
    chunk.Encode(
        layout_, chunk.count(),
        with_partials ? std::span<const SlotPartial>(partials) : std::span<const SlotPartial>(),
        out);
  }
  const bool complete = cursor.leaf.at_end() && (image.empty() || has_room());
  if (complete && !image.empty()) {
    // Its memory may have more rows by now.
    image.open->Encode(layout_, image.open_count, {}, out);
    ++written;
  }
  std::memcpy(out.data() + count_at, &written, sizeof(written));
  cursor.begun = true;
  return complete;
}

base::Result<std::vector<RowChunk::Decoded>> RowStore::DecodeChunks(columns::ByteReader& in) {
  HR_TRY(const uint32_t count, in.U32());
  std::vector<RowChunk::Decoded> chunks;
  for (uint32_t i = 0; i < count; ++i) {
    auto decoded = RowChunk::Decode(layout_, in, memory_);
    if (!decoded) {
      for (const RowChunk::Decoded& each : chunks)
        each.chunk->FreeUnseen(layout_, each.count, memory_);
      return base::Fail(std::move(decoded).error());
    }
    if (decoded->count > 0) {
      chunks.push_back(std::move(*decoded));
    } else {  // captured before it got a row
      decoded->chunk->FreeUnseen(layout_, 0, memory_);
    }
  }
  return chunks;
}

base::Result<void> RowStore::RestoreKey(uint32_t number, columns::ByteReader& in, Step step) {
  StateRow* row = RowFor(number, step);
  HR_TRY(const uint8_t flags, in.U8());
  const bool first = (flags & kFirstPiece) != 0;
  if (first != (row->newest_step() == 0))
    return Broken("a captured key is in pieces that do not fit");
  Edit edit{row->Newest(layout_, tiled()), 0, step};
  RowImage& image = edit.image;
  if (first) {
    HR_TRY(image.first_time, in.I64());
    HR_TRY(image.dropped_time, in.I64());
    if (image.is_nothing()) return Broken("a captured key has no event");
  }
  // The key is changed when all that the piece has was read.
  if ((flags & kWithTiles) != 0) {
    if (!first || tiles_ == nullptr) return Broken("a captured key has tiles where there are none");
    HR_TRY(image.tiles, tiles_->writer.Decode(in, step));
  }
  auto decoded_chunks = DecodeChunks(in);
  if (!decoded_chunks) {
    if (first && tiles_) tiles_->writer.Clear(image.tiles, step);
    return base::Fail(std::move(decoded_chunks).error());
  }
  std::vector<RowChunk::Decoded> chunks = std::move(*decoded_chunks);
  if (tiles_) ChargeTiles();
  if (first) keys_.fetch_add(1, std::memory_order_relaxed);
  std::vector<SlotPartial> partials;  // of the open chunk, if it is of this piece
  for (RowChunk::Decoded& decoded : chunks) {
    Charge(static_cast<int64_t>(decoded.chunk->Bytes(layout_)));
    CountRows(decoded.count);
    if (!partials.empty()) {
      image.open->Seal(image.open_count);
      tree_.Append(image.tree, {image.open, std::move(partials)}, step);
      image.open = nullptr;
    }
    PushChunk(edit, decoded.chunk, decoded.count);
    partials = std::move(decoded.partials);
  }
  Charge(tree_.TakeBytesChange());
  if (!image.empty()) {
    image.newest_time = image.open->times(layout_)[image.open_count - 1];
    image.oldest_until = OldestUntil(image);
  }
  Publish(*row, image, step);
  return {};
}

}  // namespace headrace::pipeline
