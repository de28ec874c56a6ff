#pragma once
// How well a table's files keep values apart: how many of them a reader of one value has to open,
// column by column, as statistics and partition values tell.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tables/delta/actions.h"
#include "tables/delta/table_schema.h"

namespace headrace::tables::delta {

struct ColumnLayout {
  std::string column;
  double files_opened = 0;  // on average over the files' least values
};

struct Layout {
  // Files beyond it are not looked at.
  static constexpr size_t kFilesMax = 20'000;

  uint64_t files = 0;
  std::vector<ColumnLayout> columns;  // that have bounds, the one kept apart best first
};

Layout LayoutOf(const TableColumns& table, std::span<const AddFile> files);

}  // namespace headrace::tables::delta
