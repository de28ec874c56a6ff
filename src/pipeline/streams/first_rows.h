#pragma once
// The first row of each key within a time: rows that repeat one that was kept are left out.
//
// Of two rows of one key whose event times are at most `within` apart, the one with the earlier
// position is the first, if it was kept itself. Rows with a NULL in the key are no repeats.
//
// A row that was kept is forgotten when no row that may still come can be near it: it is more than
// `within` before the stream's watermark. Keys are divided into kParts by their hash, each with
// its own epoch: a capture copies one part at a time. Captures of before had 16 parts, each of
// which is sixteen of these.

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "columns/batch.h"
#include "columns/batch_codec.h"
#include "pipeline/streams/derivation.h"
#include "pipeline/streams/key_parts.h"

namespace headrace::pipeline {

// One thread at a time.
class FirstRows {
 public:
  static constexpr size_t kParts = kKeyParts;
  // Kept rows that one part remembers; at it the earliest is forgotten, and counted: a repeat of it
  // would be kept. It is the memory budget that ends most first.
  static constexpr size_t kRememberedMax = size_t{1} << 20;

  // `dedupe` outlives it. `late` is what the stream's watermark is behind. `remembered_max` for
  // tests.
  FirstRows(const Dedupe& dedupe, size_t event_time_field, base::Duration late,
            size_t remembered_max = kRememberedMax);
  ~FirstRows();
  FirstRows(const FirstRows&) = delete;

  // The rows of an epoch that stay, ascending. Parts that are of this epoch or a later one already
  // (a capture) are left as they are, and none of their rows stay.
  std::vector<uint32_t> Apply(base::EpochId epoch, const columns::ColumnBatch& rows,
                              DedupeCounts& counts);

  uint64_t remembered() const;
  uint64_t bytes() const;

  // Appends part `part`, as of `epoch`.
  void Encode(size_t part, base::EpochId epoch, std::vector<uint8_t>& out) const;
  // Part `part` of `parts` into a new one. Errors: kCorruption.
  base::Result<void> Restore(size_t part, size_t parts, columns::ByteReader& in);

 private:
  class Times;
  struct Part;
  bool IsFirst(Part& part, std::string_view key, int64_t time) const;
  void Forget(Part& part, DedupeCounts& counts) const;

  const Dedupe& dedupe_;
  const size_t event_time_field_;
  const base::Duration late_;
  const size_t remembered_max_;
  std::array<std::unique_ptr<Part>, kParts> parts_;
};

}  // namespace headrace::pipeline
