#include "log/residue.h"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "log/epoch_codec.h"
#include "log/record.h"
#include "log/segment_cursor.h"

namespace headrace::log {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::ByteReader;
using columns::ByteWriter;

constexpr uint64_t kRecordPayloadBytes = 1ULL << 20;  // a record is ended at this size

std::unexpected<base::Error> Corrupt(const std::string& path, uint64_t offset, std::string what) {
  return Fail(base::Error(ErrorCode::kCorruption, std::move(what))
                  .With("file", path)
                  .With("offset", std::to_string(offset)));
}

// Those of a table have a payload; without one the entry only had an epoch sealed.
bool IsPlan(const ControlEntry& entry) {
  return entry.kind == ControlEntry::Kind::kPublishPlan && !entry.payload.empty();
}

bool IsLasting(const ControlEntry& entry) {
  return entry.kind == ControlEntry::Kind::kDefinition ||
         entry.kind == ControlEntry::Kind::kStream || IsPlan(entry);
}

uint64_t RefusedRows(const Epoch& epoch) {
  uint64_t rows = 0;
  for (const StreamRejects& rejects : epoch.rejects) rows += rejects.rows.size();
  return rows;
}

void EncodeHead(const ResidueHead& head, std::span<const StreamEntry> streams, ByteWriter& out) {
  out.U64(head.first.value);
  out.U64(head.last.value);
  out.U64(head.last_checksum);
  out.I64(head.newest.us);
  out.U64(head.refused);
  out.U64(head.forgotten);
  out.U8(static_cast<uint8_t>(head.holds));
  out.U32(head.epochs);
  out.U32(head.records);
  EncodePreface(streams, out);
}

Result<ResidueHead> DecodeHead(std::span<const uint8_t> payload) {
  ByteReader in(payload);
  ResidueHead head;
  HR_TRY(head.first.value, in.U64());
  HR_TRY(head.last.value, in.U64());
  HR_TRY(head.last_checksum, in.U64());
  HR_TRY(head.newest.us, in.I64());
  HR_TRY(head.refused, in.U64());
  HR_TRY(head.forgotten, in.U64());
  HR_TRY(const uint8_t holds, in.U8());
  head.holds = static_cast<ResidueHead::Holds>(holds);
  HR_TRY(head.epochs, in.U32());
  HR_TRY(head.records, in.U32());
  Catalogue streams;
  HR_TRY_VOID(DecodePreface(in, streams));
  head.streams = streams.entries();
  if (in.remaining() != 0 || holds > 1 || head.first > head.last || head.first.value == 0)
    return Fail(ErrorCode::kCorruption, "a residue's head says what can't be");
  return head;
}

}  // namespace

void ResidueWriter::Add(const Epoch& epoch) {
  const bool all = head_.holds == ResidueHead::Holds::kAll;
  Epoch kept;
  kept.id = epoch.id;
  kept.clock = epoch.clock;
  kept.sealed_at = epoch.sealed_at;
  kept.previous_visible = epoch.previous_visible;
  kept.visible_through = epoch.visible_through;
  kept.visible_at = epoch.visible_at;
  for (const ControlEntry& entry : epoch.controls)
    if (all || IsLasting(entry)) kept.controls.push_back(entry);
  if (all) {
    kept.rejects = epoch.rejects;
    head_.refused += RefusedRows(epoch);
  } else {
    head_.forgotten += RefusedRows(epoch);
  }
  if (kept.controls.empty() && kept.rejects.empty()) return;
  if (all) return Append(kept);
  KeepLasting(std::move(kept));
}

void ResidueWriter::KeepLasting(Epoch kept) {
  for (const ControlEntry& entry : kept.controls) {
    if (!IsPlan(entry)) continue;
    const auto [newest, first] = newest_plans_.emplace(entry.name, kept.id);
    if (first || newest->second == kept.id) continue;
    const auto older = lasting_.find(std::exchange(newest->second, kept.id));
    std::erase_if(older->second.controls, [&](const ControlEntry& each) {
      return IsPlan(each) && each.name == entry.name;
    });
    if (older->second.controls.empty()) lasting_.erase(older);
  }
  const base::EpochId id = kept.id;
  lasting_.emplace(id, std::move(kept));
}

void ResidueWriter::Append(const Epoch& kept) {
  ++head_.epochs;
  ByteWriter out(record_);
  const size_t size_at = out.size();
  out.U32(0);
  EncodeEpoch(kept, {}, out);
  const auto size = static_cast<uint32_t>(out.size() - size_at - sizeof(uint32_t));
  std::ranges::copy_n(reinterpret_cast<const uint8_t*>(&size), sizeof(size),
                      record_.begin() + static_cast<std::ptrdiff_t>(size_at));
  ++in_record_;
  last_in_record_ = kept.id;
  if (record_.size() >= kRecordPayloadBytes) EndRecord();
}

void ResidueWriter::EndRecord() {
  if (in_record_ == 0) return;
  std::vector<uint8_t> payload;
  payload.reserve(sizeof(uint32_t) + record_.size());
  ByteWriter out(payload);
  out.U32(in_record_);
  out.Bytes(record_);
  payloads_.push_back({last_in_record_, std::move(payload)});
  record_.clear();
  in_record_ = 0;
}

Result<void> ResidueWriter::AddAll(env::Files& files, const ResidueFile& residue) {
  head_.forgotten += residue.head.forgotten;
  Learn(residue.head.streams);
  HR_TRY_VOID(ScanResidue(files, log_, residue, {}, [&](const EpochRef& epoch) {
    Add(*epoch);
    return Result<void>();
  }));
  Cover(residue.head.first, residue.head.last, residue.head.last_checksum, residue.head.newest);
  return {};
}

void ResidueWriter::Cover(base::EpochId first, base::EpochId last, uint64_t last_checksum,
                          base::Timestamp newest) {
  if (head_.first.value == 0) head_.first = first;
  head_.last = last;
  head_.last_checksum = last_checksum;
  head_.newest = std::max(head_.newest, newest);
}

void ResidueWriter::Learn(std::span<const StreamEntry> streams) {
  for (const StreamEntry& entry : streams) streams_.Put(entry);
}

std::vector<uint8_t> ResidueWriter::Bytes() {
  for (const auto& [id, kept] : lasting_) Append(kept);
  EndRecord();
  head_.records = static_cast<uint32_t>(payloads_.size());
  std::vector<uint8_t> record(kRecordHeaderBytes, 0);
  ByteWriter out(record);
  EncodeHead(head_, streams_.entries(), out);
  uint64_t previous =
      SealRecord({.flags = kResidue | kChangesCatalogue, .epoch = head_.last, .log = log_}, record);
  std::vector<uint8_t> bytes = std::move(record);
  for (Payload& payload : payloads_) {
    record.assign(kRecordHeaderBytes, 0);
    record.insert(record.end(), payload.bytes.begin(), payload.bytes.end());
    payload.bytes = {};
    previous = SealRecord(
        {.flags = kResidue, .epoch = payload.last, .log = log_, .previous_checksum = previous},
        record);
    bytes.insert(bytes.end(), record.begin(), record.end());
  }
  return bytes;
}

Result<ResidueFile> OpenResidue(env::Files& files, base::LogId log, const ResidueName& name) {
  HR_TRY(SegmentCursor cursor, SegmentCursor::Open(files, name.path, log));
  HR_TRY(const auto record, cursor.Next());
  if (!record || (record->header.flags & kResidue) == 0)
    return Corrupt(name.path, 0, "a residue's head is damaged");
  auto head = DecodeHead(record->payload);
  if (!head) return Corrupt(name.path, 0, head.error().message());
  if (head->first != name.first || head->last != name.last)
    return Corrupt(name.path, 0, "a residue has another's name");
  return ResidueFile{std::move(*head), name.path, cursor.size()};
}

namespace {

Result<std::vector<EpochRef>> DecodeRecord(const Record& record) {
  ByteReader in(record.payload);
  HR_TRY(const uint32_t count, in.U32());
  std::vector<EpochRef> epochs;
  Catalogue catalogue;
  for (uint32_t i = 0; i < count; ++i) {
    HR_TRY(const uint32_t size, in.U32());
    HR_TRY(const auto bytes, in.Bytes(size));
    HR_TRY(Epoch epoch, DecodeEpoch(bytes, catalogue, record.owner));
    epochs.push_back(std::make_shared<const Epoch>(std::move(epoch)));
  }
  if (in.remaining() != 0) return Fail(ErrorCode::kCorruption, "bytes behind a residue's epochs");
  return epochs;
}

}  // namespace

Result<void> ScanResidue(env::Files& files, base::LogId log, const ResidueFile& residue,
                         base::EpochId from,
                         const std::function<Result<void>(const EpochRef&)>& visit) {
  HR_TRY(SegmentCursor cursor, SegmentCursor::Open(files, residue.path, log));
  HR_TRY(const auto head, cursor.Next());
  if (!head) return Corrupt(residue.path, 0, "a residue's head is damaged");
  uint64_t previous = head->header.checksum;
  for (uint32_t i = 0; i < residue.head.records; ++i) {
    const uint64_t offset = cursor.offset();
    HR_TRY(const auto header, cursor.Peek());
    if (!header || header->previous_checksum != previous)
      return Corrupt(residue.path, offset, "a record of a residue is damaged");
    previous = header->checksum;
    if (header->epoch < from) {
      cursor.Skip(*header);
      continue;
    }
    HR_TRY(const auto record, cursor.Next());
    if (!record) return Corrupt(residue.path, offset, "a record of a residue is damaged");
    const auto epochs = DecodeRecord(*record);
    if (!epochs) return Corrupt(residue.path, offset, epochs.error().message());
    for (const EpochRef& epoch : *epochs)
      if (epoch->id >= from) HR_TRY_VOID(visit(epoch));
  }
  if (cursor.offset() != cursor.size())
    return Corrupt(residue.path, cursor.offset(), "a residue has more than its head says");
  return {};
}

Result<ResidueNames> SortResidues(const std::vector<ResidueName>& names) {
  ResidueNames sorted;
  for (const ResidueName& name : names) {
    // Names come by first epoch, then by last: of two that begin together the later covers more.
    while (!sorted.files.empty() && sorted.files.back().first >= name.first &&
           sorted.files.back().last <= name.last) {
      sorted.superfluous.push_back(sorted.files.back());
      sorted.files.pop_back();
    }
    if (name.last <= sorted.through()) {
      sorted.superfluous.push_back(name);
      continue;
    }
    if (name.first != sorted.through().Next())
      return Corrupt(name.path, 0,
                     fmt::format("the residue of epochs {} to {} is missing before this one",
                                 sorted.through().Next().value, name.first.value - 1));
    sorted.files.push_back(name);
  }
  return sorted;
}

}  // namespace headrace::log
