#pragma once
// How far the sources have come in the tables that they read, as the log says it.

#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "log/epoch.h"
#include "tables/source/source_position.h"

namespace headrace::wiring {

// Thread-safe.
class SourcePositions {
 public:
  // Every durable epoch, recovered ones too, in order. Errors: kCorruption for a broken position.
  base::Result<void> Note(const log::Epoch& epoch);
  // Of a stream, one a table; none when no table was read into it.
  std::vector<tables::SourcePosition> Of(const std::string& stream) const;
  // For a snapshot: a control entry after the other, each {text stream, u32 size, payload}.
  void Encode(std::vector<uint8_t>& out) const;
  // Into a new one. Errors: kCorruption.
  base::Result<void> Decode(std::span<const uint8_t> bytes);

 private:
  base::Result<void> Put(const log::ControlEntry& entry);

  mutable std::mutex mutex_;
  std::map<std::string, std::map<std::string, tables::SourcePosition>> positions_;  // by table
};

}  // namespace headrace::wiring
