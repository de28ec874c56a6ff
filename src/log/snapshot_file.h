#pragma once
// A snapshot on disk: what is derived from the log, at some of its epochs, so that a start need not
// read the log from its beginning. This is the container; what is in its sections is the business
// of those who write them (docs/internals/snapshots.md).
//
//   snapshots/snapshot-<20 digits through>.state     whole, or it is not there under this name
//   snapshots/writing.state                          the one under way; worthless after a crash
//   snapshots/spare.state                            one that was retired: room for the next
//
// block := u32 magic, u32 section, u64 bytes, u64 checksum, payload, zeros up to a multiple of 8
// The checksum is XXH3-64 of the payload under a seed made of log id, the snapshot's own number,
// block number, section and size, so that a block that was swapped, repeated, taken from another
// file or left over of an earlier one is found. The first block names the format and the number,
// the last one, of fixed size, says what the file is a snapshot of.
//
// A snapshot is written over one that is not needed any more: its blocks on the disk need no new
// room, and its pages in the system's cache are there. On a virtual machine whose host takes free
// memory back, fresh pages come at a tenth of the pace (docs/internals/snapshots.md).

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "env/environment.h"

namespace headrace::log {

// What its last block says.
struct SnapshotEnd {
  base::EpochId after;    // a start reads the log's epochs after this one
  base::EpochId through;  // and the log must reach to this one at least
  uint64_t blocks = 0;    // the last one left out
  uint64_t bytes = 0;     // of the file
};

// What wiring puts into a snapshot. Numbers are never given again.
enum class SnapshotSection : uint32_t {
  kFormat = 1,  // text: "headrace snapshot 2", u64 random number
  kEnd = 2,
  kDefinition = 3,          // the definition that the log names last: its entry's name and payload
  kViewLayout = 4,          // pipeline::ViewCapture::Layout
  kViews = 5,               // a piece of pipeline::ViewCapture, in order
  kViewClock = 6,           // i64: the log clock of `after`
  kDeadLettersByEpoch = 7,  // of older versions; wiring::DeadLetters::Decode
  kPublisher = 8,           // a table's tables::Publisher::Capture
  kLogState = 9,            // log::StateCapture
  kSources = 11,            // wiring::SourcePositions::Encode
  kDeadLetters = 12,        // wiring::DeadLetters::Encode
};

std::string SnapshotPath(const std::string& folder, base::EpochId through);
// Whole snapshots in a folder, newest first. None when there is no such folder.
struct SnapshotName {
  base::EpochId through;
  std::string path;
};
base::Result<std::vector<SnapshotName>> ListSnapshots(env::Files& files, const std::string& folder);

// Keeps one that is not needed any more as room for the next; where there is a spare already, it
// removes it. The folder is not synced. Errors: as Files.
base::Result<void> RetireSnapshot(env::Files& files, const std::string& folder,
                                  const std::string& path);

// Writes one. One thread. A writer that is dropped leaves nothing under a snapshot's name.
class SnapshotWriter {
 public:
  // Writes over what an earlier life left under way, or else over the spare. Errors: as Files.
  static base::Result<SnapshotWriter> Create(env::Environment& environment, std::string folder,
                                             base::LogId log);

  // Holds a copy of the payload, unless that is over 1 MiB.
  base::Result<void> Append(SnapshotSection section, std::span<const uint8_t> payload);
  // Bytes appended since are on stable storage afterwards. Called between blocks, so that the disk
  // never has much to do at once beside the log's syncs.
  base::Result<void> Sync();
  // Ends the file, syncs it, gives it its name and syncs the folder.
  base::Result<SnapshotEnd> Commit(base::EpochId after, base::EpochId through);
  // Gives the space back; nothing else may follow. A writer that is dropped keeps it for the next.
  void Abandon();
  uint64_t bytes() const { return offset_; }

 private:
  SnapshotWriter(env::Environment& environment, std::string folder, base::LogId log,
                 std::unique_ptr<env::WritableFile> file)
      : environment_(&environment), folder_(std::move(folder)), log_(log), file_(std::move(file)) {}
  base::Result<void> Begin();

  env::Environment* environment_;
  std::string folder_;
  base::LogId log_;
  std::unique_ptr<env::WritableFile> file_;
  uint64_t own_number_ = 0;
  uint64_t offset_ = 0;
  uint64_t blocks_ = 0;
  std::vector<uint8_t> block_;
};

// Reads one. One thread. Every byte is checked before it is handed out.
class SnapshotReader {
 public:
  // Looks at the first and the last block. Errors: kCorruption with file= and offset=,
  // kUnsupported, as Files.
  static base::Result<SnapshotReader> Open(env::Files& files, std::string path, base::LogId log);

  const SnapshotEnd& end() const { return end_; }
  struct Block {
    SnapshotSection section;
    std::span<const uint8_t> payload;  // until the next call
  };
  // The next block; nothing behind the last one. Errors: kCorruption with file= and offset=.
  base::Result<std::optional<Block>> Next();
  // Bytes read so far.
  uint64_t offset() const { return offset_; }

 private:
  SnapshotReader(std::unique_ptr<env::ReadableFile> file, std::string path, base::LogId log)
      : file_(std::move(file)), path_(std::move(path)), log_(log) {}
  base::Result<void> ReadFormat();
  base::Result<Block> ReadBlock(uint64_t offset, uint64_t number, uint64_t limit);
  base::Result<std::span<const uint8_t>> Bytes(uint64_t offset, uint64_t size);
  std::unexpected<base::Error> Damaged(uint64_t offset, const char* what) const;

  std::unique_ptr<env::ReadableFile> file_;
  std::string path_;
  base::LogId log_;
  uint64_t own_number_ = 0;
  SnapshotEnd end_;
  uint64_t offset_ = 0;
  uint64_t number_ = 0;
  uint64_t chunk_offset_ = 0;
  std::vector<uint8_t> chunk_;
};

}  // namespace headrace::log
