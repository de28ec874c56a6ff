#pragma once
// Narrows a step's values, chunk by chunk, into a column of its type.

#include <cstdint>
#include <vector>

#include "columns/column.h"
#include "pipeline/expressions/program.h"

namespace headrace::pipeline {

// Used once: Append for each chunk in order, then Finish.
class OutputColumn {
 public:
  OutputColumn(columns::Type type, size_t rows);
  void Append(const Frame& frame, uint32_t step);
  columns::Column Finish();

 private:
  void AppendNulls(const uint8_t* nulls, size_t rows);
  void AppendBools(Values<uint8_t> values, size_t rows);
  void AppendTexts(Values<std::string_view> values, const uint8_t* nulls, size_t rows);
  template <typename To, typename From>
  void AppendNumbers(Values<From> values, size_t rows);

  columns::Type type_;
  size_t length_ = 0;
  bool any_null_ = false;
  std::vector<uint8_t> values_;
  std::vector<uint8_t> validity_;
  std::vector<int32_t> offsets_;
};

}  // namespace headrace::pipeline
