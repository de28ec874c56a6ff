#include "json_lines.h"

#include <cerrno>
#include <cstring>

namespace headrace::app {

using base::Error;
using base::ErrorCode;
using base::Fail;

base::Result<JsonLines> JsonLines::Open(const std::string& path, uint64_t batch_rows, uint64_t skip,
                                        std::optional<uint64_t> limit) {
  std::ifstream in(path, std::ios::binary);
  if (!in)
    return Fail(
        Error(ErrorCode::kNotFound, std::string("can't open the file: ") + std::strerror(errno))
            .With("file", path));
  return JsonLines(std::move(in), path, batch_rows, skip, limit);
}

// The next line that holds anything; false at the end.
bool JsonLines::ReadLine(std::string& line) {
  while (std::getline(in_, line))
    if (line.find_first_not_of(" \t\r") != std::string::npos) return true;
  return false;
}

base::Result<JsonLinesChunk> JsonLines::Next() {
  JsonLinesChunk chunk;
  std::string line;
  while (chunk.rows < batch_rows_ && chunk.text.size() < kChunkBytesMax && left_ != 0 &&
         ReadLine(line)) {
    if (skip_ > 0) {
      --skip_;
      continue;
    }
    if (line.size() > kLineBytesMax)
      return Fail(Error(ErrorCode::kInvalidInput, "a line is longer than 16 MiB: is this NDJSON?")
                      .With("file", path_));
    chunk.text += line;
    chunk.text += '\n';
    ++chunk.rows;
    if (left_) --*left_;
  }
  if (in_.bad()) return Fail(Error(ErrorCode::kIoError, "can't read the file").With("file", path_));
  return chunk;
}

}  // namespace headrace::app
