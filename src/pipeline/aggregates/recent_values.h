#pragma once
// The different values that occurred last, up to a number: what values() answers. A function of the
// set of rows: a value stands where its newest row does, and among fewer rows it can only stand
// lower, so that whatever part gives a value up, at least the number of others is newer.

#include <cstdint>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "pipeline/aggregates/kept_rows.h"
#include "pipeline/aggregates/value_cells.h"

namespace headrace::pipeline {

// Not thread-safe. Texts are seen, not copied: their memory outlives it or the next Reset.
class RecentValues {
 public:
  RecentValues(CellKind kind, uint32_t limit);

  // These rows, whose argument is not null.
  void Add(const RowBlock& block, const ArgumentBlock& argument, RowMask rows);
  void Merge(const RecentValues& other);
  // Rows older than all that were added change nothing.
  bool is_full() const { return newest_.size() >= limit_; }
  // The values, ascending.
  std::vector<uint64_t> Cells() const;
  void Reset() { newest_.clear(); }

 private:
  void See(uint64_t cell, const RowPlace& place);
  // The cells of the `limit_` newest values, in no order.
  std::vector<uint64_t> Newest() const;
  void GiveUp();  // all but those

  CellKind kind_;
  uint32_t limit_;
  boost::unordered_flat_map<uint64_t, RowPlace, ValueHash, ValueEqual> newest_;
};

}  // namespace headrace::pipeline
