#include "log/catalogue.h"

#include <algorithm>

#include <fmt/core.h>

namespace headrace::log {

using base::ErrorCode;
using base::Fail;
using columns::Field;
using columns::Nullable;

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

namespace {

std::unexpected<base::Error> Conflict(const StreamEntry& known, const std::string& field,
                                      std::string_view what) {
  return Fail(ErrorCode::kConflict,
              fmt::format("field `{}` of stream `{}` {}: only nullable fields may be added; give "
                          "the changed stream a new name",
                          field, known.name, what));
}

base::Result<Field> Successor(const StreamEntry& known, const Field& wanted, uint32_t& next_id,
                              SchemaChange& change) {
  Field field = wanted;
  const auto index = known.schema->IndexOf(wanted.name);
  if (!index) {
    if (wanted.nullable == Nullable::kNo)
      return Conflict(known, wanted.name, "is new and required");
    field.id = next_id++;
    change = SchemaChange::kAdds;
    return field;
  }
  const Field& before = known.schema->field(*index);
  if (before.type != wanted.type)
    return Conflict(known, wanted.name, "has another type in the log");
  if (before.nullable == Nullable::kYes && wanted.nullable == Nullable::kNo)
    return Conflict(known, wanted.name, "may be null in the log and is required now");
  if (before.nullable != wanted.nullable) change = SchemaChange::kAdds;
  field.id = before.id;
  return field;
}

}  // namespace

base::Result<columns::SchemaRef> Evolve(const StreamEntry& known, const columns::Schema& wanted,
                                        SchemaChange& change) {
  change = SchemaChange::kNone;
  uint32_t next_id = 1;
  for (const Field& field : known.schema->fields()) {
    if (!wanted.IndexOf(field.name))
      return Conflict(known, field.name, "is in the log and gone now");
    next_id = std::max(next_id, field.id + 1);
  }
  std::vector<Field> fields;
  for (const Field& field : wanted.fields()) {
    HR_TRY(Field successor, Successor(known, field, next_id, change));
    fields.push_back(std::move(successor));
  }
  return std::make_shared<const columns::Schema>(std::move(fields));
}

}  // namespace headrace::log
