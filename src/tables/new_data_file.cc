#include "tables/new_data_file.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace headrace::tables {

using base::ErrorCode;
using base::Fail;
using base::Result;

Result<std::unique_ptr<NewDataFile>> NewDataFile::Begin(env::Files& files,
                                                        const columns::SchemaRef& schema,
                                                        std::string path, CrashPoints points) {
  files.CrashPoint(points.before);
  HR_TRY(env::NewFile file, env::NewFile::Create(files, path));
  std::unique_ptr<NewDataFile> made(
      new NewDataFile(files, schema, std::move(path), std::move(file), points));
  made->writer_ =
      ParquetWriter::Make(schema, [data_file = made.get()](std::span<const uint8_t> bytes) {
        data_file->hash_.Add(bytes);
        return data_file->file_.Append(bytes);
      });
  return made;
}

Result<DataFile> NewDataFile::End() {
  HR_TRY(EncodedFile encoded, writer_->Finish());
  DataFile ended{.name = path_.substr(path_.rfind('/') + 1),
                 .bytes = file_.bytes(),
                 .rows = encoded.rows,
                 .stats = std::move(encoded.stats),
                 .checksum = hash_.value(),
                 .schema = schema_};
  auto published = file_.Publish();
  if (!published && published.error().code() == ErrorCode::kAlreadyExists)
    published = ReplaceThatThereIs(ended);
  if (!published) return Fail(std::move(published).error());
  files_.CrashPoint(points_.after);
  return ended;
}

Result<void> NewDataFile::ReplaceThatThereIs(const DataFile& ended) {
  HR_TRY(const bool same, HasBytesOf(ended));
  if (!same) {
    return Fail(
        base::Error(
            ErrorCode::kConflict,
            "a data file of this plan is there with other bytes; it is not overwritten: find out "
            "who wrote it (another build of this program?), then move it away")
            .With("file", path_));
  }
  files_.CrashPoint("publish.file_was_there");
  return file_.PublishOver();
}

Result<bool> NewDataFile::HasBytesOf(const DataFile& ended) {
  HR_TRY(const auto there, files_.OpenForReading(path_));
  if (there->size() != ended.bytes) return false;
  base::HashStream hash;
  std::vector<uint8_t> piece(ParquetWriter::kPieceBytes);
  for (uint64_t at = 0; at < ended.bytes; at += piece.size()) {
    piece.resize(std::min<uint64_t>(piece.size(), ended.bytes - at));
    HR_TRY_VOID(there->ReadAt(at, piece));
    hash.Add(piece);
  }
  return hash.value() == ended.checksum;
}

}  // namespace headrace::tables
