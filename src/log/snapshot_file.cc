#include "log/snapshot_file.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

#include <fmt/core.h>

#include "base/hash.h"
#include "columns/batch_codec.h"

namespace headrace::log {
namespace {

using base::ErrorCode;
using base::Result;

constexpr std::string_view kPrefix = "snapshot-";
constexpr std::string_view kSuffix = ".state";
constexpr std::string_view kWritingName = "writing.state";
constexpr std::string_view kSpareName = "spare.state";
constexpr size_t kDigits = 20;
constexpr std::string_view kFormatWords = "headrace snapshot ";
constexpr std::string_view kFormatText = "headrace snapshot 2";
constexpr std::string_view kFormatWithoutNumber = "headrace snapshot 1";

constexpr uint32_t kBlockMagic = 0x31534248;  // "HBS1"
constexpr uint64_t kHeadBytes = 24;
constexpr uint64_t kEndPayloadBytes = 32;
constexpr uint64_t kAlignment = 8;
// A payload that is larger is written from where it is.
constexpr uint64_t kCopiedBytesMax = 1ULL << 20;
// Blocks are read in chunks of at least so many bytes.
constexpr uint64_t kChunkBytes = 4ULL << 20;

constexpr uint64_t Aligned(uint64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

struct Head {
  uint32_t magic = 0;
  uint32_t section = 0;
  uint64_t bytes = 0;
  uint64_t checksum = 0;
};
static_assert(sizeof(Head) == kHeadBytes);

uint64_t ChecksumOf(base::LogId log, uint64_t own_number, uint64_t number, uint32_t section,
                    std::span<const uint8_t> payload) {
  uint64_t seed = base::Hash64(std::span<const uint8_t>(log.bytes), number);
  seed = base::Mix64(seed ^ section) ^ own_number ^ payload.size();
  return base::Hash64(payload, seed);
}

std::string WritingPath(const std::string& folder) {
  return folder + "/" + std::string(kWritingName);
}

std::string SparePath(const std::string& folder) { return folder + "/" + std::string(kSpareName); }

// The name that it had as a snapshot is gone for good before it gets another and is written over.
// After a sync that failed a later one proves nothing: then it is not written over.
Result<void> TakeSpare(env::Files& files, const std::string& folder) {
  if (auto synced = files.SyncFolder(folder); !synced) {
    (void)files.Remove(SparePath(folder));
    return synced;
  }
  return files.Rename(SparePath(folder), WritingPath(folder));
}

}  // namespace

std::string SnapshotPath(const std::string& folder, base::EpochId through) {
  return fmt::format("{}/{}{:020}{}", folder, kPrefix, through.value, kSuffix);
}

Result<std::vector<SnapshotName>> ListSnapshots(env::Files& files, const std::string& folder) {
  std::vector<SnapshotName> found;
  const auto names = files.List(folder);
  if (!names) {
    if (names.error().code() == ErrorCode::kNotFound) return found;
    return base::Fail(names.error());
  }
  for (const std::string& name : *names) {
    if (name.size() != kPrefix.size() + kDigits + kSuffix.size() || !name.starts_with(kPrefix) ||
        !name.ends_with(kSuffix))
      continue;
    const char* first = name.data() + kPrefix.size();
    base::EpochId through;
    const auto [end, error] = std::from_chars(first, first + kDigits, through.value);
    if (error == std::errc() && end == first + kDigits)
      found.push_back({through, folder + "/" + name});
  }
  std::ranges::sort(found, [](const auto& a, const auto& b) { return a.through > b.through; });
  return found;
}

Result<void> RetireSnapshot(env::Files& files, const std::string& folder, const std::string& path) {
  HR_TRY(const bool has_spare, files.Exists(SparePath(folder)));
  return has_spare ? files.Remove(path) : files.Rename(path, SparePath(folder));
}

Result<SnapshotWriter> SnapshotWriter::Create(env::Environment& environment, std::string folder,
                                              base::LogId log) {
  env::Files& files = environment.files();
  HR_TRY_VOID(files.CreateFolders(folder));
  const std::string path = WritingPath(folder);
  HR_TRY(const bool left, files.Exists(path));
  HR_TRY(const bool has_spare, files.Exists(SparePath(folder)));
  environment.CrashPoint("snapshot.before_create");
  if (!left && has_spare) HR_TRY_VOID(TakeSpare(files, folder));
  HR_TRY(auto file, env::OpenOrCreate(files, path));
  environment.CrashPoint("snapshot.after_create");
  SnapshotWriter writer(environment, std::move(folder), log, std::move(file));
  auto begun = writer.Begin();
  if (begun) return writer;
  writer.Abandon();
  return base::Fail(std::move(begun).error());
}

Result<void> SnapshotWriter::Begin() {
  std::array<uint8_t, sizeof(uint64_t)> random{};
  environment_->Random(random);
  std::vector<uint8_t> format(kFormatText.begin(), kFormatText.end());
  format.insert(format.end(), random.begin(), random.end());
  HR_TRY_VOID(Append(SnapshotSection::kFormat, format));
  HR_TRY(own_number_, columns::ByteReader(random).U64());
  return {};
}

Result<void> SnapshotWriter::Append(SnapshotSection section, std::span<const uint8_t> payload) {
  const auto number = static_cast<uint32_t>(section);
  const Head head{kBlockMagic, number, payload.size(),
                  ChecksumOf(log_, own_number_, blocks_, number, payload)};
  block_.resize(kHeadBytes);
  std::memcpy(block_.data(), &head, kHeadBytes);
  uint64_t at = offset_;
  if (payload.size() > kCopiedBytesMax) {
    HR_TRY_VOID(file_->WriteAt(at, block_));
    HR_TRY_VOID(file_->WriteAt(at + kHeadBytes, payload));
    at += kHeadBytes + payload.size();
    block_.clear();
  } else {
    block_.insert(block_.end(), payload.begin(), payload.end());
  }
  offset_ += Aligned(kHeadBytes + payload.size());
  block_.resize(offset_ - at, 0);
  if (!block_.empty()) HR_TRY_VOID(file_->WriteAt(at, block_));
  ++blocks_;
  environment_->CrashPoint("snapshot.after_block");
  return {};
}

Result<void> SnapshotWriter::Sync() { return file_->Sync(); }

void SnapshotWriter::Abandon() {
  file_.reset();
  (void)environment_->files().Remove(WritingPath(folder_));
}

Result<SnapshotEnd> SnapshotWriter::Commit(base::EpochId after, base::EpochId through) {
  SnapshotEnd end{after, through, blocks_, offset_ + kHeadBytes + kEndPayloadBytes};
  std::vector<uint8_t> payload;
  columns::ByteWriter out(payload);
  out.U64(end.after.value);
  out.U64(end.through.value);
  out.U64(end.blocks);
  out.U64(end.bytes);
  HR_TRY_VOID(Append(SnapshotSection::kEnd, payload));
  HR_TRY_VOID(file_->Truncate(end.bytes));
  environment_->CrashPoint("snapshot.before_sync");
  HR_TRY_VOID(file_->Sync());
  file_.reset();
  environment_->CrashPoint("snapshot.before_rename");
  env::Files& files = environment_->files();
  HR_TRY_VOID(files.Rename(WritingPath(folder_), SnapshotPath(folder_, through)));
  environment_->CrashPoint("snapshot.after_rename");
  HR_TRY_VOID(files.SyncFolder(folder_));
  environment_->CrashPoint("snapshot.after_folder_sync");
  return end;
}

std::unexpected<base::Error> SnapshotReader::Damaged(uint64_t offset, const char* what) const {
  return base::Fail(base::Error(ErrorCode::kCorruption, what)
                        .With("file", path_)
                        .With("offset", std::to_string(offset)));
}

Result<SnapshotReader> SnapshotReader::Open(env::Files& files, std::string path, base::LogId log) {
  HR_TRY(auto file, files.OpenForReading(path));
  SnapshotReader reader(std::move(file), std::move(path), log);
  const uint64_t size = reader.file_->size();
  const uint64_t end_bytes = kHeadBytes + kEndPayloadBytes;
  if (size < 2 * kHeadBytes + Aligned(kFormatText.size()) + kEndPayloadBytes)
    return reader.Damaged(size, "a snapshot ends too early");
  HR_TRY_VOID(reader.ReadFormat());

  // The last block's number is in its own payload, which its checksum then covers.
  std::vector<uint8_t> last(end_bytes);
  HR_TRY_VOID(reader.file_->ReadAt(size - end_bytes, last));
  columns::ByteReader in(std::span<const uint8_t>(last).subspan(kHeadBytes));
  HR_TRY(reader.end_.after.value, in.U64());
  HR_TRY(reader.end_.through.value, in.U64());
  HR_TRY(reader.end_.blocks, in.U64());
  HR_TRY(reader.end_.bytes, in.U64());
  HR_TRY(const Block end, reader.ReadBlock(size - end_bytes, reader.end_.blocks, size));
  if (end.section != SnapshotSection::kEnd || end.payload.size() != kEndPayloadBytes ||
      reader.end_.bytes != size)
    return reader.Damaged(size - end_bytes, "a snapshot has no whole end");
  return reader;
}

Result<void> SnapshotReader::ReadFormat() {
  HR_TRY(const Block first, ReadBlock(0, 0, file_->size()));
  const std::string_view text(reinterpret_cast<const char*>(first.payload.data()),
                              first.payload.size());
  if (first.section != SnapshotSection::kFormat || !text.starts_with(kFormatWords))
    return Damaged(0, "this is no snapshot: the file does not begin as one");
  if (text.starts_with(kFormatText) && text.size() == kFormatText.size() + sizeof(own_number_)) {
    HR_TRY(own_number_, columns::ByteReader(first.payload.subspan(kFormatText.size())).U64());
  } else if (text != kFormatWithoutNumber) {
    return base::Fail(base::Error(ErrorCode::kUnsupported,
                                  "this snapshot was written by another version: it is not used")
                          .With("file", path_));
  }
  offset_ = kHeadBytes + Aligned(first.payload.size());
  number_ = 1;
  return {};
}

Result<std::span<const uint8_t>> SnapshotReader::Bytes(uint64_t offset, uint64_t size) {
  if (offset < chunk_offset_ || offset + size > chunk_offset_ + chunk_.size()) {
    chunk_.resize(std::min(file_->size() - offset, std::max(size, kChunkBytes)));
    chunk_offset_ = offset;
    HR_TRY_VOID(file_->ReadAt(offset, chunk_));
  }
  return std::span<const uint8_t>(chunk_).subspan(offset - chunk_offset_, size);
}

Result<SnapshotReader::Block> SnapshotReader::ReadBlock(uint64_t offset, uint64_t number,
                                                        uint64_t limit) {
  if (limit - offset < kHeadBytes) return Damaged(offset, "a snapshot's block ends too early");
  HR_TRY(const auto head_bytes, Bytes(offset, kHeadBytes));
  Head head;
  std::memcpy(&head, head_bytes.data(), kHeadBytes);
  if (head.magic != kBlockMagic || head.bytes > limit - offset - kHeadBytes ||
      Aligned(head.bytes) > limit - offset - kHeadBytes)
    return Damaged(offset, "a snapshot's block is damaged: its head");
  HR_TRY(const auto whole, Bytes(offset, kHeadBytes + Aligned(head.bytes)));
  const auto payload = whole.subspan(kHeadBytes, head.bytes);
  const auto padding = whole.subspan(kHeadBytes + head.bytes);
  if (ChecksumOf(log_, own_number_, number, head.section, payload) != head.checksum ||
      std::ranges::any_of(padding, [](uint8_t byte) { return byte != 0; }))
    return Damaged(offset, "a snapshot's block is damaged: its checksum");
  return Block{static_cast<SnapshotSection>(head.section), payload};
}

Result<std::optional<SnapshotReader::Block>> SnapshotReader::Next() {
  if (number_ == end_.blocks) {
    if (offset_ + kHeadBytes + kEndPayloadBytes != end_.bytes)
      return Damaged(offset_, "a snapshot has more bytes than blocks");
    return std::nullopt;
  }
  const uint64_t limit = end_.bytes - kHeadBytes - kEndPayloadBytes;
  if (offset_ > limit) return Damaged(offset_, "a snapshot has fewer blocks than it says");
  HR_TRY(const Block block, ReadBlock(offset_, number_, limit));
  offset_ += kHeadBytes + Aligned(block.payload.size());
  ++number_;
  return block;
}

}  // namespace headrace::log
