#include "log/catalogue.h"

#include <algorithm>

#include <fmt/format.h>

#include "columns/schema_evolution.h"

namespace headrace::log {

using base::ErrorCode;
using base::Fail;
using columns::Field;

std::vector<uint8_t> EncodeStreamEntry(const StreamEntry& entry) {
  std::vector<uint8_t> bytes;
  columns::ByteWriter out(bytes);
  out.U32(entry.id.value);
  columns::EncodeSchema(*entry.schema, out);
  out.U32(entry.event_time_field);
  return bytes;
}

base::Result<StreamEntry> DecodeStreamEntry(const std::string& name,
                                            std::span<const uint8_t> payload) {
  columns::ByteReader in(payload);
  StreamEntry entry;
  entry.name = name;
  HR_TRY(entry.id.value, in.U32());
  HR_TRY(entry.schema, columns::DecodeSchema(in));
  HR_TRY(entry.event_time_field, in.U32());
  if (in.remaining() != 0) return Fail(ErrorCode::kCorruption, "bytes behind a stream's schema");
  return entry;
}

const StreamEntry* Catalogue::Find(base::StreamId id) const {
  for (const StreamEntry& entry : entries_)
    if (entry.id == id) return &entry;
  return nullptr;
}

const StreamEntry* Catalogue::Find(const std::string& name) const {
  for (const StreamEntry& entry : entries_)
    if (entry.name == name) return &entry;
  return nullptr;
}

void Catalogue::Put(StreamEntry entry) {
  const auto place =
      std::lower_bound(entries_.begin(), entries_.end(), entry.id,
                       [](const StreamEntry& known, base::StreamId id) { return known.id < id; });
  if (place != entries_.end() && place->id == entry.id) {
    *place = std::move(entry);
  } else {
    entries_.insert(place, std::move(entry));
  }
}

base::StreamId Catalogue::NextId() const {
  return {entries_.empty() ? 1 : entries_.back().id.value + 1};
}

base::Result<columns::SchemaRef> Evolve(const StreamEntry& known, const columns::Schema& wanted,
                                        SchemaChange& change) {
  const columns::SchemaEvolution evolution = columns::EvolutionOf(*known.schema, wanted);
  if (!evolution.possible())
    return Fail(ErrorCode::kConflict,
                fmt::format("stream `{}`: {}; or give the changed stream a new name", known.name,
                            fmt::join(evolution.refused, "; ")));
  change = evolution.changes() ? SchemaChange::kChanges : SchemaChange::kNone;
  uint32_t next_id = 1;
  for (const Field& field : known.schema->fields()) next_id = std::max(next_id, field.id + 1);
  std::vector<Field> fields = wanted.fields();
  for (Field& field : fields) {
    const auto index = known.schema->IndexOf(field.name);
    field.id = index ? known.schema->field(*index).id : next_id++;
  }
  return std::make_shared<const columns::Schema>(std::move(fields));
}

}  // namespace headrace::log
