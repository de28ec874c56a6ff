#pragma once
// Which rows of a data file are deleted (PROTOCOL, "Deletion Vectors"): a set of row numbers as a
// 64-bit Roaring bitmap in its portable form, inline in the log or in a file of its own.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "columns/batch_codec.h"
#include "env/files.h"
#include "tables/delta/actions.h"

namespace headrace::tables::delta {

// The rows of a vector, in ascending ranges, one after the other. Held as they are stored, and
// unfolded a container (65,536 rows) at a time. Not thread-safe.
class DeletedRows {
 public:
  struct Range {
    uint64_t first = 0;
    uint64_t last = 0;
    bool operator==(const Range&) const = default;
  };
  DeletedRows() = default;  // none
  // Magic number and bitmap, checked to their end. Errors: kCorruption, also when there are not
  // `cardinality` rows.
  static base::Result<DeletedRows> Decode(std::vector<uint8_t> bytes, uint64_t cardinality);

  uint64_t count() const { return count_; }
  uint64_t end() const { return end_; }  // behind the last row
  std::optional<Range> Next();           // nothing after the last

 private:
  struct Container {
    uint64_t base = 0;
    uint32_t count = 0;
    bool runs = false;
    size_t offset = 0;
  };
  static base::Result<std::vector<Container>> ReadHeader(columns::ByteReader& in, uint64_t high);
  static base::Result<void> ReadRanges(columns::ByteReader& in, const Container& container,
                                       std::vector<Range>& ranges);

  std::vector<uint8_t> bytes_;
  std::vector<Container> containers_;
  size_t next_container_ = 0;
  std::vector<Range> ranges_;  // of the container before
  size_t next_range_ = 0;
  uint64_t count_ = 0;
  uint64_t end_ = 0;
};

// `folder` is the table's. Errors: kCorruption when it is damaged, has another number of rows than
// it says, or one that is not below `rows`; kUnsupported when it lies outside the table's folder.
base::Result<DeletedRows> ReadDeletionVector(env::Files& files, const std::string& folder,
                                             const DeletionVector& vector, uint64_t rows);

// Five characters for four bytes (ZeroMQ's Z85). Errors: kCorruption.
base::Result<std::vector<uint8_t>> DecodeZ85(std::string_view text);

}  // namespace headrace::tables::delta
