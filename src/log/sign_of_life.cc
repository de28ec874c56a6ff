#include "log/sign_of_life.h"

#include <algorithm>

#include "columns/batch_codec.h"

namespace headrace::log {
namespace {

bool HasRowsOfSource(const Epoch& epoch, base::StreamId stream, std::string_view name) {
  const columns::ColumnBatch* rows = epoch.RowsOf(stream);
  if (rows == nullptr) return false;
  uint64_t replayed = 0;
  for (const ControlEntry& entry : epoch.controls) {
    if (entry.kind != ControlEntry::Kind::kReplay || entry.name != name) continue;
    if (const auto letters = columns::ByteReader(entry.payload).U32()) replayed += *letters;
  }
  return replayed == 0 || rows->rows() > replayed;
}

}  // namespace

bool IsHeardOf(const Epoch& epoch, std::optional<base::StreamId> stream, std::string_view name) {
  if (stream && HasRowsOfSource(epoch, *stream, name)) return true;
  if (stream &&
      std::ranges::any_of(epoch.rejects, [&](const auto& of) { return of.stream == *stream; }))
    return true;
  return std::ranges::any_of(epoch.controls, [&](const ControlEntry& entry) {
    return entry.kind == ControlEntry::Kind::kHeartbeat && entry.name == name;
  });
}

}  // namespace headrace::log
