#pragma once
// How many distinct values there are: exactly, or exactly up to a number and then by HyperLogLog
// registers. Either way a function of the set of values.

#include <cstdint>
#include <optional>

#include <boost/unordered/unordered_flat_set.hpp>

#include "base/result.h"
#include "columns/batch_codec.h"
#include "pipeline/aggregates/hyperloglog.h"
#include "pipeline/aggregates/value_cells.h"

namespace headrace::pipeline {

// Distinct values of one key in one window that are counted one by one; beyond it there is no
// answer (INVALID).
constexpr size_t kDistinctValuesMax = 1U << 20;
// approx_distinct counts so many exactly.
constexpr size_t kExactDistinctMax = 1024;

// Not thread-safe. Texts are seen, not copied: their memory outlives it or the next Reset.
class DistinctValues {
 public:
  // `register_bits` 0: always exact.
  DistinctValues(CellKind kind, int register_bits);

  // The values of these rows, which are not null.
  void Add(const ArgumentBlock& argument, RowMask rows);
  void Merge(const DistinctValues& other);
  // Nothing beyond kDistinctValuesMax exact ones.
  std::optional<uint64_t> Count() const;
  void Reset();

  // All of it as bytes, and added again; texts are seen in the reader's bytes. Errors: kCorruption.
  void AppendBytes(columns::ByteWriter& out) const;
  base::Result<void> MergeBytes(columns::ByteReader& in);

 private:
  void Insert(uint64_t cell);
  void Leave();  // the exact count

  CellKind kind_;
  int register_bits_;
  boost::unordered_flat_set<uint64_t, ValueHash, ValueEqual> values_;
  std::optional<HyperLogLog> registers_;  // once there were more than kExactDistinctMax
  bool beyond_ = false;                   // there were more than kDistinctValuesMax
};

}  // namespace headrace::pipeline
