#pragma once
// One Delta table in a folder: its newest version, kept in memory, and appends to it.
//
// A version is the file _delta_log/<20 digits>.json, made by put-if-absent: whoever links the name
// first has made that version. Opening reads the newest checkpoint that is sound and the commits
// after it; after that a commit reads only what others have added. Checkpoints are written beside
// the commits, by the work that TakeUpkeep hands out.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "columns/schema.h"
#include "env/environment.h"
#include "tables/delta/actions.h"
#include "tables/delta/log_state.h"
#include "tables/delta/log_upkeep.h"
#include "tables/table_format.h"

namespace headrace::tables::delta {

// What a table holds at one version.
struct Snapshot : LogState {
  columns::SchemaRef schema;
  columns::SchemaRef first_schema;  // with the types that columns had before they were widened
  // In the order of their commits; empty unless asked for; their statistics are dropped, and the
  // tags of others.
  std::vector<AddFile> files;
  std::vector<std::string> removed;  // paths of files that it had, as far as tombstones tell
};

// A reader needs the files, a writer does not (they would grow with the table).
enum class Keep : uint8_t { kFiles, kNoFiles };

// Not thread-safe.
class DeltaTable final : public TableFormat {
 public:
  static constexpr int kAttemptsMax =
      1000;  // versions of others that one append goes after; then kConflict
  static constexpr size_t kUnsettledMax = 16;  // puts that are remembered; then the oldest goes

  // Reads the table. Errors: kNotFound when there is none; kUnsupported for a protocol feature,
  // partitions or column mapping; kCorruption for gaps, broken commits, and a log without a
  // beginning; each with file=.
  static base::Result<std::unique_ptr<DeltaTable>> Open(env::Environment& environment,
                                                        const std::string& folder, Keep keep);
  // What to do where there is no table.
  enum class Missing : uint8_t { kCreate, kRefuse };
  // For appending rows of `schema`. The table's columns may be those of one of the `earlier`
  // schemas instead: the first files that have more change them. Errors: as Open; kConflict when
  // the table has other columns than all of these.
  static base::Result<std::unique_ptr<DeltaTable>> OpenForAppend(
      env::Environment& environment, const std::string& folder, const std::string& name,
      const columns::SchemaRef& schema, UpkeepOptions upkeep = {},
      std::span<const columns::SchemaRef> earlier = {}, Missing missing = Missing::kCreate);

  const Snapshot& snapshot() const { return snapshot_; }
  const std::string& folder() const { return folder_; }

  std::vector<Marker> markers() const override;
  const columns::Schema& columns() const override { return *snapshot_.schema; }
  const columns::Schema& first_columns() const override { return *snapshot_.first_schema; }
  base::Result<void> Refresh() override;
  base::Result<void> Append(std::span<const DataFile> files, const Marker& marker) override;
  base::Result<Replaced> Replace(const Replacement& replacement) override;
  uint64_t TakeLogBytes() override;
  UpkeepTask TakeUpkeep() override;

 private:
  DeltaTable(env::Environment& environment, std::string folder, Keep keep);
  base::Result<Snapshot> Read() const;
  void Adopt(Snapshot fresh);
  base::Result<void> Load();
  base::Result<void> Understand(Snapshot& snapshot) const;
  base::Result<void> ReloadIfStale();
  void TakeSums();
  base::Result<void> Create(const std::string& name, const columns::Schema& schema);
  base::Result<void> CheckAppendable(const Snapshot& snapshot, const columns::Schema& schema) const;
  // Of all commits that were read; nothing is decided from them, nor put after them, before.
  base::Result<void> MakeDurable();
  // Reads the commit after the newest that was seen, if there is one.
  base::Result<std::optional<Commit>> ReadNext();
  enum class Whose : uint8_t { kOurs, kOthers };
  base::Result<void> Apply(const Commit& commit, Whose whose);
  base::Result<void> ApplyForeign(const Commit& commit);
  enum class Put : uint8_t { kDone, kTaken };
  base::Result<Put> PutCommit(const Commit& commit);
  // Whether commits of (after, last] took away one of the files. Errors: kUnavailable when they
  // were cleaned away meanwhile.
  base::Result<bool> TookAway(std::span<const OldFile> files, int64_t after, int64_t last) const;
  Commit NewCommit(const char* operation);
  Commit CommitOf(const Replacement& replacement);
  // Adds what it takes for the table to have the columns `wanted`, unless it has more already.
  base::Result<void> EvolveTo(const columns::SchemaRef& wanted, Commit& commit);
  std::string PathOf(int64_t version) const;

  env::Environment& environment_;
  std::string folder_;
  Keep keep_;
  columns::SchemaRef
      appended_;  // the table's columns, as this writer knows them; null for a reader
  columns::SchemaRef evolving_;  // that a commit of this writer gives it, or has tried to
  // Transaction ids of the last puts whose outcome was not known.
  std::vector<std::string> unsettled_;
  Snapshot snapshot_;
  int64_t durable_ = -1;      // the newest version that is known to outlive a power cut
  bool sync_failed_ = false;  // of the folder, for a version after that
  // The last of ours as it was read: its sync may have failed, in this life or one before.
  std::optional<int64_t> doubted_;

  UpkeepOptions upkeep_;
  int64_t next_checkpoint_ = 0;    // the version that is due next
  env::MonotonicTime seen_at_{0};  // when the newest version was last looked for
  // What the upkeep's checkpoint counted, for the checksum files after it.
  struct Counted;
  std::shared_ptr<Counted> counted_;
  FileSums added_;          // by commits since the table was read whole
  uint64_t uncounted_ = 0;  // commits of others with files since then
  struct Mark {
    int64_t version = -1;
    FileSums added;
    uint64_t uncounted = 0;
  } mark_;                    // how it was at the last version that a checkpoint is made of
  int64_t checksum_at_ = -1;  // the last version that a checksum file was asked for
};

}  // namespace headrace::tables::delta
