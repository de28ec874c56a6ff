#pragma once
// The column statistics that Parquet keeps per row group, as one per column of the file. Used by
// parquet_writer.cc.

#include <vector>

#include "columns/schema.h"
#include "tables/parquet/parquet_writer.h"

namespace parquet {
class FileMetaData;
}

namespace headrace::tables {

// One entry a field of `schema`, whose order is the file's. May throw parquet::ParquetException.
std::vector<ColumnStats> StatsOfFile(const parquet::FileMetaData& file,
                                     const columns::Schema& schema);

}  // namespace headrace::tables
