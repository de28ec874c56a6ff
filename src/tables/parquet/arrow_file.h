#pragma once
// Files of env as Arrow sees them: to read Parquet from, and to write it to in pieces.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "base/result.h"
#include "env/files.h"

namespace arrow::io {
class OutputStream;
class RandomAccessFile;
}  // namespace arrow::io

namespace headrace::tables {

// Errors of the file come back as arrow::Status::IOError with their text. Reads past the end are
// short.
std::shared_ptr<arrow::io::RandomAccessFile> OpenForArrow(std::unique_ptr<env::ReadableFile> file);

// Hands what is written to `append`, in pieces.
std::shared_ptr<arrow::io::OutputStream> StreamForArrow(
    std::function<base::Result<void>(std::span<const uint8_t>)> append);

}  // namespace headrace::tables
