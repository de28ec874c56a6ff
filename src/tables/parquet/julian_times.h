#pragma once
// Dates and times that a file has by the Julian calendar, as Spark wrote them before version 3 and
// writes them in its legacy mode. Used by parquet_reader.cc.
//
// From 1582-10-15 on, and with the time zones of local mean times from 1900 on, they are those of
// everybody else. Earlier ones would be days off.

#include "base/result.h"
#include "columns/batch.h"

namespace parquet {
class FileMetaData;
}

namespace headrace::tables {

// Whose early values a file's footer calls Julian. Timestamps without a zone never are.
struct JulianTimes {
  bool dates = false;
  bool timestamps = false;
  bool any() const { return dates || timestamps; }
};
JulianTimes JulianTimesOf(const parquet::FileMetaData& file);

// Of rows of such a file. Errors: kUnsupported for one that is early.
base::Result<void> CheckNotJulian(JulianTimes julian, const columns::ColumnBatch& rows);

}  // namespace headrace::tables
