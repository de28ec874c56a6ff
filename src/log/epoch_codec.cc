#include "log/epoch_codec.h"

#include <fmt/core.h>

namespace headrace::log {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::ByteReader;
using columns::ByteWriter;
using columns::RejectedRow;

constexpr size_t kBatchAlignment = 8;
// Flags of an outcome.
constexpr uint8_t kHasKey = 1;
constexpr uint8_t kHasFirstRow = 2;
// Upper bounds of framing, for EncodedBytesMax: generous, as they only decide when a segment is
// full.
constexpr uint64_t kEpochFrameBytes = 128;
constexpr uint64_t kItemFrameBytes = 64;
constexpr uint64_t kColumnFrameBytes = 128;

std::unexpected<base::Error> Corrupt(std::string what) {
  return Fail(ErrorCode::kCorruption, std::move(what));
}

void EncodeControls(const Epoch& epoch, ByteWriter& out) {
  out.U32(static_cast<uint32_t>(epoch.controls.size()));
  for (const ControlEntry& control : epoch.controls) {
    out.U8(static_cast<uint8_t>(control.kind));
    out.Text(control.name);
    out.U32(static_cast<uint32_t>(control.payload.size()));
    out.Bytes(control.payload);
  }
}

void EncodeRejects(const Epoch& epoch, ByteWriter& out) {
  out.U32(static_cast<uint32_t>(epoch.rejects.size()));
  for (const StreamRejects& group : epoch.rejects) {
    out.U32(group.stream.value);
    out.U32(static_cast<uint32_t>(group.rows.size()));
    for (const RejectedRow& row : group.rows) {
      out.U32(row.row);
      out.Text(row.field);
      out.Text(row.rule);
      out.Text(row.reason);
      out.Text(row.payload);
    }
  }
}

void EncodeOutcomes(const Epoch& epoch, ByteWriter& out) {
  out.U32(static_cast<uint32_t>(epoch.outcomes.size()));
  for (const SourceOutcome& outcome : epoch.outcomes) {
    out.U32(outcome.stream.value);
    out.Text(outcome.source.producer);
    out.U64(outcome.source.sequence);
    const bool has_first = outcome.first_row != kRowUnknown;
    out.U8((outcome.source.idempotency_key ? kHasKey : 0) | (has_first ? kHasFirstRow : 0));
    if (outcome.source.idempotency_key) out.Text(*outcome.source.idempotency_key);
    out.U32(outcome.accepted);
    if (has_first) out.U32(outcome.first_row);
    out.U32(static_cast<uint32_t>(outcome.rejects.size()));
    for (const uint32_t index : outcome.rejects) out.U32(index);
  }
}

void EncodeStreams(const Epoch& epoch, ByteWriter& out) {
  out.U32(static_cast<uint32_t>(epoch.streams.size()));
  for (const StreamRows& rows : epoch.streams) {
    out.U32(rows.stream.value);
    out.Pad(kBatchAlignment);
    columns::EncodeBatch(rows.rows, out);
  }
}

Result<void> Learn(const std::string& name, std::span<const uint8_t> bytes, Catalogue& catalogue) {
  HR_TRY(StreamEntry entry, DecodeStreamEntry(name, bytes));
  catalogue.Put(std::move(entry));
  return {};
}

Result<ControlEntry> DecodeControl(ByteReader& in) {
  HR_TRY(const uint8_t kind, in.U8());
  if ((kind < static_cast<uint8_t>(ControlEntry::Kind::kDefinition) ||
       kind > static_cast<uint8_t>(ControlEntry::Kind::kRewritePlan)) &&
      kind != static_cast<uint8_t>(ControlEntry::Kind::kSourcePosition) &&
      kind != static_cast<uint8_t>(ControlEntry::Kind::kReplay))
    return Corrupt(fmt::format("no control entry has kind {}", kind));
  HR_TRY(const std::string_view name, in.Text());
  HR_TRY(const uint32_t size, in.U32());
  HR_TRY(const auto bytes, in.Bytes(size));
  return ControlEntry{
      static_cast<ControlEntry::Kind>(kind), std::string(name), {bytes.begin(), bytes.end()}};
}

Result<void> DecodeControls(ByteReader& in, Epoch& epoch, Catalogue& catalogue) {
  HR_TRY(const uint32_t count, in.U32());
  for (uint32_t i = 0; i < count; ++i) {
    HR_TRY(ControlEntry control, DecodeControl(in));
    if (control.kind == ControlEntry::Kind::kStream)
      HR_TRY_VOID(Learn(control.name, control.payload, catalogue));
    epoch.controls.push_back(std::move(control));
  }
  return {};
}

Result<RejectedRow> DecodeReject(ByteReader& in) {
  RejectedRow row;
  HR_TRY(row.row, in.U32());
  HR_TRY(row.field, in.Text());
  HR_TRY(row.rule, in.Text());
  HR_TRY(row.reason, in.Text());
  HR_TRY(row.payload, in.Text());
  return row;
}

Result<void> DecodeRejects(ByteReader& in, Epoch& epoch) {
  HR_TRY(const uint32_t groups, in.U32());
  for (uint32_t i = 0; i < groups; ++i) {
    StreamRejects group;
    HR_TRY(group.stream.value, in.U32());
    HR_TRY(const uint32_t count, in.U32());
    for (uint32_t row = 0; row < count; ++row) {
      HR_TRY(RejectedRow reject, DecodeReject(in));
      group.rows.push_back(std::move(reject));
    }
    epoch.rejects.push_back(std::move(group));
  }
  return {};
}

size_t RejectsOf(const Epoch& epoch, base::StreamId stream) {
  for (const StreamRejects& group : epoch.rejects)
    if (group.stream == stream) return group.rows.size();
  return 0;
}

Result<SourceOutcome> DecodeOutcome(ByteReader& in, const Epoch& epoch) {
  SourceOutcome outcome;
  HR_TRY(outcome.stream.value, in.U32());
  HR_TRY(outcome.source.producer, in.Text());
  HR_TRY(outcome.source.sequence, in.U64());
  HR_TRY(const uint8_t flags, in.U8());
  if ((flags & ~(kHasKey | kHasFirstRow)) != 0)
    return Corrupt("unknown flags of an outcome (a newer version's, if the log is whole)");
  if ((flags & kHasKey) != 0) {
    HR_TRY(outcome.source.idempotency_key, in.Text());
  }
  HR_TRY(outcome.accepted, in.U32());
  if ((flags & kHasFirstRow) != 0) {
    HR_TRY(outcome.first_row, in.U32());
  }
  HR_TRY(const uint32_t count, in.U32());
  const size_t rejects = RejectsOf(epoch, outcome.stream);
  for (uint32_t i = 0; i < count; ++i) {
    HR_TRY(const uint32_t index, in.U32());
    if (index >= rejects) return Corrupt("an outcome names a refused row that is not there");
    outcome.rejects.push_back(index);
  }
  return outcome;
}

Result<void> DecodeOutcomes(ByteReader& in, Epoch& epoch) {
  HR_TRY(const uint32_t count, in.U32());
  for (uint32_t i = 0; i < count; ++i) {
    HR_TRY(SourceOutcome outcome, DecodeOutcome(in, epoch));
    epoch.outcomes.push_back(std::move(outcome));
  }
  return {};
}

// A batch may claim many rows and bring no column for them; a bit a row is the least that an honest
// one has.
Result<void> CheckRowClaim(ByteReader in) {
  HR_TRY(const uint32_t rows, in.U32());
  if (rows / 8 > in.remaining()) return Corrupt(fmt::format("a batch claims {} rows", rows));
  return {};
}

Result<void> DecodeStreams(ByteReader& in, Epoch& epoch, const Catalogue& catalogue,
                           const std::shared_ptr<const void>& owner) {
  HR_TRY(const uint32_t count, in.U32());
  for (uint32_t i = 0; i < count; ++i) {
    StreamRows rows;
    HR_TRY(rows.stream.value, in.U32());
    if (!epoch.streams.empty() && !(epoch.streams.back().stream < rows.stream))
      return Corrupt("streams of an epoch are out of order");
    const StreamEntry* entry = catalogue.Find(rows.stream);
    if (entry == nullptr) return Corrupt(fmt::format("stream {} is unknown", rows.stream.value));
    HR_TRY_VOID(in.SkipPad(kBatchAlignment));
    HR_TRY_VOID(CheckRowClaim(in));
    HR_TRY(rows.rows, columns::DecodeBatch(in, entry->schema, owner));
    epoch.streams.push_back(std::move(rows));
  }
  return {};
}

Result<void> CheckFirstRows(const Epoch& epoch) {
  for (const SourceOutcome& outcome : epoch.outcomes) {
    if (outcome.first_row == kRowUnknown) continue;
    const columns::ColumnBatch* rows = epoch.RowsOf(outcome.stream);
    const uint64_t end = uint64_t{outcome.first_row} + outcome.accepted;
    if (outcome.accepted == 0 || rows == nullptr || end > rows->rows())
      return Corrupt("an outcome names accepted rows that are not there");
  }
  return {};
}

Result<Epoch> DecodeHead(ByteReader& in, Catalogue& catalogue) {
  Epoch epoch;
  HR_TRY(epoch.id.value, in.U64());
  HR_TRY(epoch.clock.us, in.I64());
  HR_TRY(epoch.sealed_at.us, in.I64());
  HR_TRY(epoch.previous_visible.us, in.I64());
  HR_TRY(epoch.visible_through.value, in.U64());
  HR_TRY(epoch.visible_at.us, in.I64());
  HR_TRY_VOID(DecodePreface(in, catalogue));
  HR_TRY_VOID(DecodeControls(in, epoch, catalogue));
  return epoch;
}

uint64_t RejectBytesMax(const RejectedRow& row) {
  return kItemFrameBytes + row.field.size() + row.rule.size() + row.reason.size() +
         row.payload.size();
}

uint64_t OutcomeBytesMax(const SourceOutcome& outcome) {
  return kItemFrameBytes + outcome.source.producer.size() +
         (outcome.source.idempotency_key ? outcome.source.idempotency_key->size() : 0) +
         outcome.rejects.size() * sizeof(uint32_t);
}

}  // namespace

void EncodePreface(std::span<const StreamEntry> preface, ByteWriter& out) {
  out.U32(static_cast<uint32_t>(preface.size()));
  for (const StreamEntry& entry : preface) {
    const std::vector<uint8_t> bytes = EncodeStreamEntry(entry);
    out.Text(entry.name);
    out.U32(static_cast<uint32_t>(bytes.size()));
    out.Bytes(bytes);
  }
}

Result<void> DecodePreface(ByteReader& in, Catalogue& catalogue) {
  HR_TRY(const uint32_t count, in.U32());
  for (uint32_t i = 0; i < count; ++i) {
    HR_TRY(const std::string_view name, in.Text());
    HR_TRY(const uint32_t size, in.U32());
    HR_TRY(const auto bytes, in.Bytes(size));
    HR_TRY_VOID(Learn(std::string(name), bytes, catalogue));
  }
  return {};
}

uint64_t EncodedBytesMax(const Epoch& epoch, std::span<const StreamEntry> preface) {
  uint64_t total = kEpochFrameBytes;
  for (const StreamEntry& entry : preface)
    total += kItemFrameBytes + entry.name.size() + EncodeStreamEntry(entry).size();
  for (const ControlEntry& control : epoch.controls)
    total += kItemFrameBytes + control.name.size() + control.payload.size();
  for (const StreamRejects& group : epoch.rejects) {
    total += kItemFrameBytes;
    for (const RejectedRow& row : group.rows) total += RejectBytesMax(row);
  }
  for (const SourceOutcome& outcome : epoch.outcomes) total += OutcomeBytesMax(outcome);
  for (const StreamRows& rows : epoch.streams)
    total +=
        kItemFrameBytes + rows.rows.ByteSize() + rows.rows.columns().size() * kColumnFrameBytes;
  return total;
}

void EncodeEpoch(const Epoch& epoch, std::span<const StreamEntry> preface, ByteWriter& out) {
  out.U64(epoch.id.value);
  out.I64(epoch.clock.us);
  out.I64(epoch.sealed_at.us);
  out.I64(epoch.previous_visible.us);
  out.U64(epoch.visible_through.value);
  out.I64(epoch.visible_at.us);
  EncodePreface(preface, out);
  EncodeControls(epoch, out);
  EncodeRejects(epoch, out);
  EncodeOutcomes(epoch, out);
  EncodeStreams(epoch, out);
}

Result<Epoch> DecodeEpoch(std::span<const uint8_t> payload, Catalogue& catalogue,
                          const std::shared_ptr<const void>& owner) {
  ByteReader in(payload);
  HR_TRY(Epoch epoch, DecodeHead(in, catalogue));
  HR_TRY_VOID(DecodeRejects(in, epoch));
  HR_TRY_VOID(DecodeOutcomes(in, epoch));
  HR_TRY_VOID(DecodeStreams(in, epoch, catalogue, owner));
  HR_TRY_VOID(CheckFirstRows(epoch));
  if (in.remaining() != 0) return Corrupt(fmt::format("{} bytes behind an epoch", in.remaining()));
  return epoch;
}

Result<Epoch> DecodeEpochWithoutRows(std::span<const uint8_t> payload, Catalogue& catalogue) {
  ByteReader in(payload);
  HR_TRY(Epoch epoch, DecodeHead(in, catalogue));
  HR_TRY_VOID(DecodeRejects(in, epoch));
  return epoch;
}

Result<void> LearnStreams(std::span<const uint8_t> payload, Catalogue& catalogue) {
  ByteReader in(payload);
  HR_TRY(const Epoch epoch, DecodeHead(in, catalogue));
  (void)epoch;
  return {};
}

}  // namespace headrace::log
