#pragma once
// Narrows a step's values, chunk by chunk, into a column of its type.

#include <cstdint>
#include <limits>
#include <vector>

#include "columns/column.h"
#include "pipeline/expressions/program.h"

namespace headrace::pipeline {

// Used once: Append for each chunk in order, then Finish. A column holds `text_max` bytes of text:
// the first one that has no room and all behind it are NULL.
class OutputColumn {
 public:
  OutputColumn(columns::Type type, size_t rows,
               size_t text_max = std::numeric_limits<int32_t>::max());
  void Append(const Frame& frame, uint32_t step);
  // Texts that had no room.
  uint64_t lost() const { return lost_; }
  columns::Column Finish();

 private:
  void AppendNulls(const uint8_t* nulls, size_t rows);
  void AppendBools(Values<uint8_t> values, size_t rows);
  // Sets what it has no room for to NULL.
  void AppendTexts(Values<std::string_view> values, std::vector<uint8_t>& nulls);
  template <typename To, typename From>
  void AppendNumbers(Values<From> values, size_t rows);

  columns::Type type_;
  const size_t text_max_;
  bool is_full_ = false;
  uint64_t lost_ = 0;
  size_t length_ = 0;
  bool any_null_ = false;
  std::vector<uint8_t> values_;
  std::vector<uint8_t> validity_;
  std::vector<int32_t> offsets_;
};

}  // namespace headrace::pipeline
