// For each column:
//  1. the least and the greatest value of each file; files without bounds are always opened, files
//     of nulls alone never;
//  2. a file is opened for a value when it begins at or before it and does not end before it: so
//     the least values up to it, less the greatest ones before it, are counted in two sorted lists;
//  3. the average of that over the least values.
#include "tables/delta/layout.h"

#include <algorithm>
#include <optional>

#include "tables/delta/pruning.h"

namespace headrace::tables::delta {
namespace {

using columns::Value;

bool Less(const Value& a, const Value& b) { return CompareValues(a, b) < 0; }

struct Bounds {
  std::vector<Value> least;
  std::vector<Value> greatest;
  uint64_t unknown = 0;
};

double FilesOpened(Bounds& bounds) {
  std::ranges::sort(bounds.least, Less);
  std::ranges::sort(bounds.greatest, Less);
  double opened = 0;
  for (const Value& value : bounds.least) {
    const auto begun = std::ranges::upper_bound(bounds.least, value, Less) - bounds.least.begin();
    const auto ended =
        std::ranges::lower_bound(bounds.greatest, value, Less) - bounds.greatest.begin();
    opened += static_cast<double>(begun - ended);
  }
  return opened / static_cast<double>(bounds.least.size()) + static_cast<double>(bounds.unknown);
}

}  // namespace

Layout LayoutOf(const TableColumns& table, std::span<const AddFile> files) {
  Layout layout{.files = std::min(files.size(), Layout::kFilesMax), .columns = {}};
  std::vector<Bounds> columns(table.columns.size());
  for (const AddFile& file : files.first(layout.files)) {
    const std::vector<FileBounds> of_file = BoundsOf(table, file);
    for (size_t i = 0; i < columns.size(); ++i) {
      if (of_file[i].all_null) continue;
      if (of_file[i].least && of_file[i].greatest) {
        columns[i].least.push_back(*of_file[i].least);
        columns[i].greatest.push_back(*of_file[i].greatest);
      } else {
        ++columns[i].unknown;
      }
    }
  }
  for (size_t i = 0; i < columns.size(); ++i)
    if (!columns[i].least.empty())
      layout.columns.push_back({table.columns[i].name, FilesOpened(columns[i])});
  std::ranges::stable_sort(layout.columns, {}, &ColumnLayout::files_opened);
  return layout;
}

}  // namespace headrace::tables::delta
