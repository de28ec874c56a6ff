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
#include <vector>

#include "base/result.h"
#include "columns/schema.h"

namespace headrace::tables::delta {

// What a reader or writer must understand.
struct Protocol {
  int reader_version = 1;
  int writer_version = 2;
  std::vector<std::string> reader_features;  // only with reader version 3
  std::vector<std::string> writer_features;  // only with writer version 7
  bool operator==(const Protocol&) const = default;
};

struct Metadata {
  std::string id;
  std::string name;
  std::string schema_string;  // as logged; see schema_json.h
  std::vector<std::string> partition_columns;
  std::map<std::string, std::string> configuration;
  int64_t created_ms = 0;
};

struct AddFile {
  std::string path;  // decoded; relative to the table's folder
  uint64_t size = 0;
  int64_t modified_ms = 0;
  std::string stats;    // JSON; may be empty
  uint64_t rows = 0;    // from the stats; 0 when they don't say
  bool masked = false;  // has a deletion vector
  std::optional<uint64_t>
      checksum;  // XXH3-64 of the file, in a tag of ours; none: another writer's
};

// Delta's application transaction: the newest version of each application is part of the table's
// state.
struct Transaction {
  std::string application;
  uint64_t version = 0;
};

// All of one commit.
struct Commit {
  std::optional<Protocol> protocol;
  std::optional<Metadata> metadata;
  std::vector<Transaction> transactions;
  std::vector<AddFile> adds;
  std::vector<std::string> removes;  // paths
  std::string transaction_id;        // commitInfo.txnId: tells a writer its own commit
  std::string operation;             // commitInfo.operation
  int64_t timestamp_ms = 0;
};

// The commit file's bytes. commitInfo holds a checksum over all of them.
std::string RenderCommit(const Commit& commit);

// Errors: kCorruption for what is no line-delimited JSON of actions, or does not match the checksum
// in it (other writers' commits have none); kUnsupported for an absolute
// path; kCorruption for one that leaves the folder.
base::Result<Commit> ParseCommit(std::span<const uint8_t> bytes);

// Percent-encodes all but unreserved characters and '/'; and back (an error for a bad escape).
std::string EncodePath(std::string_view path);
base::Result<std::string> DecodePath(std::string_view path);

}  // namespace headrace::tables::delta
