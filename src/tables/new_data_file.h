#pragma once
// A data file of a plan on its way to the disk.

#include <memory>
#include <string>

#include "base/hash_stream.h"
#include "base/result.h"
#include "columns/schema.h"
#include "env/files.h"
#include "tables/parquet/parquet_writer.h"
#include "tables/table_format.h"

namespace headrace::tables {

// Bytes go to the disk as they are made. Until End it has another name, which goes with this
// object. One thread.
class NewDataFile {
 public:
  // Where the simulation may kill the process: before it comes into being, and once it has its
  // name.
  struct CrashPoints {
    const char* before;
    const char* after;
  };
  static base::Result<std::unique_ptr<NewDataFile>> Begin(env::Files& files,
                                                          const columns::SchemaRef& schema,
                                                          std::string path, CrashPoints points);

  ParquetWriter& writer() { return *writer_; }

  // Whole and durable under its own name. A file that is there with the same bytes is replaced: the
  // plan is carried out again, and the sync of its name may have failed. Errors: kConflict for one
  // with other bytes, which is never touched; those of the disk.
  base::Result<DataFile> End();

 private:
  NewDataFile(env::Files& files, columns::SchemaRef schema, std::string path, env::NewFile file,
              CrashPoints points)
      : files_(files),
        schema_(std::move(schema)),
        path_(std::move(path)),
        file_(std::move(file)),
        points_(points) {}
  base::Result<void> ReplaceThatThereIs(const DataFile& ended);
  base::Result<bool> HasBytesOf(const DataFile& ended);

  env::Files& files_;
  const columns::SchemaRef schema_;
  const std::string path_;
  env::NewFile file_;
  const CrashPoints points_;
  base::HashStream hash_;
  std::unique_ptr<ParquetWriter> writer_;
};

}  // namespace headrace::tables
