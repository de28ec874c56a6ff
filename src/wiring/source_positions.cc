#include "wiring/source_positions.h"

#include <utility>

#include "columns/batch_codec.h"

namespace headrace::wiring {

base::Result<void> SourcePositions::Put(const log::ControlEntry& entry) {
  HR_TRY(auto position, tables::DecodePosition(entry));
  if (!position) return {};
  const std::lock_guard lock(mutex_);
  auto& of_stream = positions_[entry.name];
  const std::string table = position->table;
  of_stream.insert_or_assign(table, std::move(*position));
  return {};
}

base::Result<void> SourcePositions::Note(const log::Epoch& epoch) {
  for (const log::ControlEntry& entry : epoch.controls) HR_TRY_VOID(Put(entry));
  return {};
}

std::vector<tables::SourcePosition> SourcePositions::Of(const std::string& stream) const {
  const std::lock_guard lock(mutex_);
  std::vector<tables::SourcePosition> all;
  if (const auto found = positions_.find(stream); found != positions_.end())
    for (const auto& [table, position] : found->second) all.push_back(position);
  return all;
}

void SourcePositions::Encode(std::vector<uint8_t>& out) const {
  columns::ByteWriter writer(out);
  const std::lock_guard lock(mutex_);
  for (const auto& [stream, of_stream] : positions_)
    for (const auto& [table, position] : of_stream) {
      const log::ControlEntry entry = tables::EncodePosition(stream, position);
      writer.Text(stream);
      writer.U32(static_cast<uint32_t>(entry.payload.size()));
      writer.Bytes(entry.payload);
    }
}

base::Result<void> SourcePositions::Decode(std::span<const uint8_t> bytes) {
  columns::ByteReader in(bytes);
  while (in.remaining() > 0) {
    log::ControlEntry entry{
        .kind = log::ControlEntry::Kind::kSourcePosition, .name = {}, .payload = {}};
    HR_TRY(entry.name, in.Text());
    HR_TRY(const uint32_t size, in.U32());
    HR_TRY(const auto payload, in.Bytes(size));
    entry.payload.assign(payload.begin(), payload.end());
    HR_TRY_VOID(Put(entry));
  }
  return {};
}

}  // namespace headrace::wiring
