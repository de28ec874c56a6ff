#pragma once
// The actions of Delta's log (PROTOCOL, "Actions"): one commit file is a line of JSON for each.
// Read here are those that decide what the table holds; unknown actions and fields are passed over,
// as the protocol asks.

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "columns/schema.h"

namespace headrace::tables::delta {

// The versions from which on a protocol lists its features.
inline constexpr int kFeaturesReader = 3;
inline constexpr int kFeaturesWriter = 7;

// What a reader or writer must understand.
struct Protocol {
  int reader_version = 1;
  int writer_version = 2;
  std::vector<std::string> reader_features;  // only with reader version 3
  std::vector<std::string> writer_features;  // only with writer version 7
  // A version that must list its features and does not; an empty list is one.
  bool reader_features_missing = false;
  bool writer_features_missing = false;
  bool operator==(const Protocol&) const = default;
};

struct Metadata {
  std::string id;
  std::string name;
  std::string description;
  std::string provider = "parquet";
  std::map<std::string, std::string> options;  // of the provider
  std::string schema_string;                   // as logged; see schema_json.h
  std::vector<std::string> partition_columns;
  std::map<std::string, std::string> configuration;
  std::optional<int64_t> created_ms;
  bool operator==(const Metadata&) const = default;
};

// Rows of a data file that no longer count: where the set of them is.
struct DeletionVector {
  std::string storage;  // "u": a file of the table, named by a UUID; "i": inline; "p": a whole path
  std::string path_or_inline;
  std::optional<int32_t> offset;
  int32_t bytes = 0;
  int64_t cardinality = 0;
  bool operator==(const DeletionVector&) const = default;
};

// By column (its physical name); null and "" are the same to the protocol.
using PartitionValues = std::vector<std::pair<std::string, std::optional<std::string>>>;

struct AddFile {
  std::string path;  // decoded; relative to the table's folder
  uint64_t size = 0;
  int64_t modified_ms = 0;
  std::string stats = {};  // JSON; may be empty
  uint64_t rows = 0;       // from the stats; 0 when they don't say
  PartitionValues partition_values = {};
  std::optional<DeletionVector> deletion_vector = {};
  std::vector<std::pair<std::string, std::string>> tags = {};  // but for that of the checksum
  // XXH3-64 of the file, in a tag of ours; none: another writer's
  std::optional<uint64_t> checksum = {};
  bool data_change = true;  // false: its rows were in the table before, in other files

  // The value of a tag; nothing when it has none of that name.
  std::optional<std::string_view> Tag(std::string_view name) const {
    for (const auto& [key, value] : tags)
      if (key == name) return value;
    return std::nullopt;
  }
};

// A file that the table no longer has (a "tombstone").
struct RemoveFile {
  std::string path;  // as of AddFile
  std::optional<int64_t> deleted_ms = {};
  bool data_change = true;
  bool extended = false;  // the two after it are told
  PartitionValues partition_values = {};
  std::optional<uint64_t> size = {};
  std::optional<DeletionVector> deletion_vector = {};
};

// What makes a logical file: its path and which of its rows are deleted. An add and a remove meet
// by it.
std::string KeyOf(const std::string& path, const std::optional<DeletionVector>& deletion_vector);

// Delta's application transaction: the newest version of each application is part of the table's
// state.
struct Transaction {
  std::string application;
  uint64_t version = 0;
  std::optional<int64_t> updated_ms = {};
};

// All of one commit; or of the top file of a V2 checkpoint that is JSON.
struct Commit {
  std::optional<Protocol> protocol;
  std::optional<Metadata> metadata;
  std::vector<Transaction> transactions;
  std::vector<AddFile> adds;
  std::vector<RemoveFile> removes;
  std::vector<std::string> domains;   // of domainMetadata that is not removed
  std::vector<std::string> sidecars;  // of a checkpoint: names in _sidecars
  std::string transaction_id;         // commitInfo.txnId: tells a writer its own commit
  std::string operation;              // commitInfo.operation
  // commitInfo.operationParameters that we write; as a reader sees them they are empty.
  std::vector<std::pair<std::string, std::string>> parameters;
  // commitInfo.operationMetrics.
  std::vector<std::pair<std::string, std::string>> metrics;
  int64_t timestamp_ms = 0;             // commitInfo.timestamp
  std::optional<int64_t> in_commit_ms;  // commitInfo.inCommitTimestamp
  bool ours = false;                    // has our checksum
};

// The commit file's bytes. commitInfo holds a checksum over all of them.
std::string RenderCommit(const Commit& commit);

// Errors: kCorruption for what is no line-delimited JSON of actions, holds none, or does not match
// the checksum in it (other writers' commits have none); kUnsupported for an absolute path;
// kCorruption for one that leaves the folder.
base::Result<Commit> ParseCommit(std::span<const uint8_t> bytes);

// Whether a commit that can't be parsed may be whole later, because its writer is not done with it:
// it holds no action yet, or its last line is cut. That a last line which is whole has no line end
// means nothing.
bool MayBeCut(std::span<const uint8_t> bytes);

// The objects inside the actions `metaData` and `protocol`.
std::string RenderMetadata(const Metadata& metadata);
std::string RenderProtocol(const Protocol& protocol);

// numRecords of a file's statistics; 0 when they don't say.
uint64_t RowsInStats(std::string_view stats);

// The path of a data file as an action has it: decoded, relative, inside the table's folder, and
// the only one that leads to the file. Errors: as ParseCommit.
base::Result<std::string> TablePath(std::string_view logged);

// Metrics of ours, beside the numFiles, numOutputRows and numOutputBytes that others know: how long
// the rows of a version had been durable when it was made, on average and the oldest.
inline constexpr const char* kRowAgeMeanMetric = "headrace.rowAgeMeanMs";
inline constexpr const char* kRowAgeMaxMetric = "headrace.rowAgeMaxMs";

// The tag of ours that carries a data file's checksum, and its value.
inline constexpr const char* kChecksumTag = "headrace.xxh3";
std::string RenderChecksum(uint64_t checksum);
std::optional<uint64_t> ParseChecksum(std::string_view text);

// Percent-encodes all but unreserved characters and '/'; and back (an error for a bad escape).
std::string EncodePath(std::string_view path);
base::Result<std::string> DecodePath(std::string_view path);

}  // namespace headrace::tables::delta
