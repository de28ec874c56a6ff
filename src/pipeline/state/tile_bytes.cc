// A run of tiles as bytes, and back.
//
// tiles := i64 until, u32 tiles, per tile i64 start, u8 whole, [record, as TileRecords has it of
// one
//          alone], u32 length, bytes beside it

#include "columns/batch_codec.h"
#include "pipeline/state/tile_run.h"

namespace headrace::pipeline {

void TileWriter::Encode(const TileRun& run, std::vector<uint8_t>& out) const {
  columns::ByteWriter writer(out);
  writer.I64(run.until);
  writer.U32(run.end - run.begin);
  const TileRecords& records = layout_.records();
  std::vector<SlotPartial> partials(layout_.plan().slots().size());
  std::vector<uint8_t> record(records.bytes());
  for (uint32_t at = run.begin; at < run.end; ++at) {
    const TileBytes* more = run.array->more(at);
    const bool whole = more != nullptr && more->whole;
    writer.I64(run.array->starts()[at]);
    writer.U8(whole ? 1 : 0);
    if (!whole) {
      records.Read(run.array->records(), at, partials);
      records.Append(record.data(), 0, partials);
      writer.Bytes(record);
    }
    writer.U32(more == nullptr ? 0 : more->size);
    if (more != nullptr) writer.Bytes(more->bytes());
  }
}

base::Result<const TileRun*> TileWriter::Decode(columns::ByteReader& in, Step step) {
  const auto broken = [](const char* what) {
    return base::Fail(base::ErrorCode::kCorruption, what);
  };
  const TileRecords& records = layout_.records();
  HR_TRY(const int64_t until, in.I64());
  HR_TRY(const uint32_t tiles, in.U32());
  std::vector<TileDraft> drafts;
  Accumulators proof(layout_.plan());
  for (uint32_t i = 0; i < tiles; ++i) {
    TileDraft draft;
    HR_TRY(draft.start, in.I64());
    const bool ascends = drafts.empty() || drafts.back().start < draft.start;
    if (!ascends || layout_.StartOf(draft.start) != draft.start || draft.start >= until)
      return broken("captured tiles are not where tiles are");
    HR_TRY(const uint8_t whole, in.U8());
    if (whole == 0) {
      HR_TRY(const auto record, in.Bytes(records.bytes()));
      draft.partials.resize(layout_.plan().slots().size());
      records.Read(record.data(), 0, draft.partials);
      if (!records.Fits(draft.partials))
        return broken("a captured tile's sums are beyond a tile's");
    }
    HR_TRY(const uint32_t size, in.U32());
    HR_TRY(const auto more, in.Bytes(size));
    draft.more.assign(more.begin(), more.end());
    if (draft.more.empty() == (whole != 0 || records.need_more()))
      return broken("a captured tile has bytes that it can't have, or lacks them");
    if (!draft.more.empty()) {
      proof.Reset();
      HR_TRY_VOID(proof.MergeBytes(
          whole != 0 ? Accumulators::Slots::kAll : Accumulators::Slots::kWithoutRecord,
          draft.more));
    }
    drafts.push_back(std::move(draft));
  }
  if (drafts.empty()) return broken("captured tiles are none");
  return Put(nullptr, drafts, until, step);
}

}  // namespace headrace::pipeline
