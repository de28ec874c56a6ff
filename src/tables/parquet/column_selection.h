#pragma once
// Which columns of a Parquet file stand for which wanted ones, and how one becomes the other. Used
// by parquet_reader.cc.

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "columns/batch.h"
#include "tables/parquet/parquet_reader.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow
namespace parquet {
class FileMetaData;
}

namespace headrace::tables {

class ColumnSelection {
 public:
  // Errors: kInvalidInput for a required column that the file lacks; kCorruption for two columns of
  // one id.
  static base::Result<ColumnSelection> Make(const arrow::Schema& schema,
                                            const parquet::FileMetaData& file,
                                            const columns::SchemaRef& wanted,
                                            std::span<const ColumnPlace> places);

  // Of the file's leaf columns, those to read; empty when it has none of the wanted ones.
  const std::vector<int>& leaves() const { return leaves_; }
  // A batch of those leaves as rows of the wanted schema.
  base::Result<columns::ColumnBatch> Arrange(const std::shared_ptr<arrow::RecordBatch>& part) const;
  // Rows that have none of the wanted columns: all null.
  columns::ColumnBatch AllNull(size_t rows) const;

 private:
  struct Chosen {
    columns::Field read_as;
    size_t wanted = 0;               // index into wanted_
    int root = 0;                    // among the columns that are read; in the file at first
    std::vector<std::string> below;  // the names of the structs' fields that lead to it
    std::optional<int> decimal_scale;
  };
  base::Result<columns::Column> ColumnOf(const arrow::RecordBatch& part,
                                         const Chosen& chosen) const;
  columns::SchemaRef wanted_;
  std::vector<int> leaves_;
  std::vector<Chosen> chosen_;
};

}  // namespace headrace::tables
