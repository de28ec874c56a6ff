#pragma once
// The rows of an epoch, grouped by key: a key's state is then touched once, with a run of rows.

#include <cstdint>
#include <span>
#include <vector>

namespace headrace::pipeline {

// Scratch memory that is used again for each epoch. Not thread-safe.
class RowGroups {
 public:
  struct Group {
    uint32_t number;
    std::span<const uint32_t> rows;  // by (event time, row)
  };

  // Groups `rows` (row numbers, ascending) by `numbers[row]`, each below `numbers_end`. The groups,
  // in the order of first appearance, live until the next call.
  std::span<const Group> Build(std::span<const uint32_t> rows, std::span<const uint32_t> numbers,
                               uint32_t numbers_end, std::span<const int64_t> times);

 private:
  std::vector<uint32_t>
      group_of_;  // by number: its group + 1, 0 when it has none; all 0 between calls
  std::vector<uint32_t> sizes_;
  std::vector<uint32_t> grouped_;
  std::vector<Group> groups_;
};

}  // namespace headrace::pipeline
