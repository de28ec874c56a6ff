#pragma once
// The streams that a log knows: id, name, schema, and which field is the event time. Learned from
// kStream control entries and repeated at the head of every segment, so that a segment can be read
// without those before it.

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "columns/batch_codec.h"
#include "columns/schema.h"

namespace headrace::log {

struct StreamEntry {
  base::StreamId id;
  std::string name;
  columns::SchemaRef schema;
  uint32_t event_time_field = 0;  // field id
};

// The payload of a kStream control entry (its name is the stream's).
std::vector<uint8_t> EncodeStreamEntry(const StreamEntry& entry);
// Errors: kCorruption.
base::Result<StreamEntry> DecodeStreamEntry(const std::string& name,
                                            std::span<const uint8_t> payload);

// Not thread-safe. Pointers that it returns live until the next Put.
class Catalogue {
 public:
  const StreamEntry* Find(base::StreamId id) const;
  const StreamEntry* Find(const std::string& name) const;
  // Adds a stream, or replaces the one with that id.
  void Put(StreamEntry entry);
  // In the order of ids.
  const std::vector<StreamEntry>& entries() const { return entries_; }
  // Never given before; ids begin at 1.
  base::StreamId NextId() const;

 private:
  std::vector<StreamEntry> entries_;
};

enum class SchemaChange : uint8_t { kNone, kChanges };

// Makes `wanted` (a contract's schema, field ids in its order) the successor of `known`: fields
// that are known by name keep their ids, new ones get fresh ids. `change` says whether it is
// another one. Errors: kConflict with every field that can't be changed so
// (columns/schema_evolution.h).
base::Result<columns::SchemaRef> Evolve(const StreamEntry& known, const columns::Schema& wanted,
                                        SchemaChange& change);

}  // namespace headrace::log
