#include "tables/parquet/arrow_file.h"

#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <arrow/result.h>

#include <algorithm>
#include <utility>

namespace headrace::tables {
namespace {

// Arrow's view of a file of env.
class ArrowFile final : public arrow::io::RandomAccessFile {
 public:
  explicit ArrowFile(std::unique_ptr<env::ReadableFile> file) : file_(std::move(file)) {}

  arrow::Result<int64_t> GetSize() override { return static_cast<int64_t>(file_->size()); }
  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  bool closed() const override { return closed_; }
  arrow::Status Seek(int64_t position) override {
    position_ = position;
    return arrow::Status::OK();
  }
  arrow::Result<int64_t> Tell() const override { return position_; }
  arrow::Result<int64_t> ReadAt(int64_t position, int64_t bytes, void* out) override {
    const auto size = static_cast<int64_t>(file_->size());
    const int64_t there = std::max<int64_t>(0, std::min(bytes, size - position));
    const auto read =
        file_->ReadAt(static_cast<uint64_t>(position),
                      std::span(static_cast<uint8_t*>(out), static_cast<size_t>(there)));
    if (!read) return arrow::Status::IOError(read.error().ToString());
    return there;
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position, int64_t bytes) override {
    // A forged length asks for more than there is: nothing is allocated for that.
    const int64_t there = std::clamp<int64_t>(static_cast<int64_t>(file_->size()) - position, 0,
                                              std::max<int64_t>(bytes, 0));
    ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateResizableBuffer(there));
    ARROW_ASSIGN_OR_RAISE(const int64_t read, ReadAt(position, there, buffer->mutable_data()));
    ARROW_RETURN_NOT_OK(buffer->Resize(read));
    return std::shared_ptr<arrow::Buffer>(std::move(buffer));
  }
  arrow::Result<int64_t> Read(int64_t bytes, void* out) override {
    ARROW_ASSIGN_OR_RAISE(const int64_t read, ReadAt(position_, bytes, out));
    position_ += read;
    return read;
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t bytes) override {
    ARROW_ASSIGN_OR_RAISE(auto buffer, ReadAt(position_, bytes));
    position_ += buffer->size();
    return buffer;
  }

 private:
  std::unique_ptr<env::ReadableFile> file_;
  int64_t position_ = 0;
  bool closed_ = false;
};

class ArrowStream final : public arrow::io::OutputStream {
 public:
  explicit ArrowStream(std::function<base::Result<void>(std::span<const uint8_t>)> append)
      : append_(std::move(append)) {}
  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  bool closed() const override { return closed_; }
  arrow::Result<int64_t> Tell() const override { return position_; }
  arrow::Status Write(const void* data, int64_t bytes) override {
    const auto written = append_({static_cast<const uint8_t*>(data), static_cast<size_t>(bytes)});
    if (!written) return arrow::Status::IOError(written.error().ToString());
    position_ += bytes;
    return arrow::Status::OK();
  }

 private:
  std::function<base::Result<void>(std::span<const uint8_t>)> append_;
  int64_t position_ = 0;
  bool closed_ = false;
};

}  // namespace

std::shared_ptr<arrow::io::RandomAccessFile> OpenForArrow(std::unique_ptr<env::ReadableFile> file) {
  return std::make_shared<ArrowFile>(std::move(file));
}

std::shared_ptr<arrow::io::OutputStream> StreamForArrow(
    std::function<base::Result<void>(std::span<const uint8_t>)> append) {
  return std::make_shared<ArrowStream>(std::move(append));
}

}  // namespace headrace::tables
