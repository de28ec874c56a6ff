#pragma once
// An NDJSON file in chunks of whole lines.

#include <cstdint>
#include <fstream>
#include <optional>
#include <string>

#include "base/result.h"

namespace headrace::app {

struct JsonLinesChunk {
  std::string text;  // lines with their line ends
  uint64_t rows = 0;
};

// Blank lines are no rows and are left out. Chunks are cut at the same rows each time. One thread.
class JsonLines {
 public:
  // `skip` rows are left out, then at most `limit` read, `batch_rows` to a chunk; a chunk also ends
  // at kChunkBytesMax. Errors: kNotFound.
  static base::Result<JsonLines> Open(const std::string& path, uint64_t batch_rows, uint64_t skip,
                                      std::optional<uint64_t> limit);
  // No rows at the end. Errors: kIoError, kInvalidInput (a line over kLineBytesMax).
  base::Result<JsonLinesChunk> Next();

  static constexpr size_t kChunkBytesMax = 8U << 20;
  static constexpr size_t kLineBytesMax = 16U << 20;

 private:
  JsonLines(std::ifstream in, std::string path, uint64_t batch_rows, uint64_t skip,
            std::optional<uint64_t> limit)
      : in_(std::move(in)),
        path_(std::move(path)),
        batch_rows_(batch_rows),
        skip_(skip),
        left_(limit) {}
  bool ReadLine(std::string& line);

  std::ifstream in_;
  std::string path_;
  uint64_t batch_rows_;
  uint64_t skip_;
  std::optional<uint64_t> left_;
};

}  // namespace headrace::app
