#pragma once
// Which columns a scan hands out, which it reads for that, and the condition on its rows.

#include <string>
#include <vector>

#include "base/result.h"
#include "columns/batch.h"
#include "tables/scan/row_filter.h"
#include "tables/scan/scan_request.h"
#include "tables/table_rows.h"

namespace headrace::tables {

struct ScanColumns {
  // Errors: kInvalidInput for a column that is not there or is named twice, and for a condition.
  // `now` is what the condition takes for it.
  static base::Result<ScanColumns> Make(const PublishedStream& stream, const ScanRequest& request,
                                        base::Timestamp now);

  columns::SchemaRef table;        // all columns of the stream's table
  columns::SchemaRef wanted;       // those asked for
  columns::SchemaRef read;         // those, then what the filter reads, then `_epoch`
  std::vector<size_t> fields;      // of the table's schema, as `read` has them
  std::vector<std::string> names;  // likewise
  size_t epoch_column = 0;         // in `read`
  RowFilter filter;
};

}  // namespace headrace::tables
