#pragma once
// What our data files are called. A name tells which plan in the log made the file: a publish plan,
// or the rewriting of other files. So a plan that is carried out again makes the same files, and
// whose rows a file holds can be told without opening it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace headrace::tables {

// "The rows of epochs (after, last] of this stream."
struct PublishPlan {
  base::StreamId stream;
  base::EpochId after;
  base::EpochId last;
  bool operator==(const PublishPlan&) const = default;
};

// "<log id>-s<stream>-<after>-<last>-<number>.parquet": the plan's `number`-th data file.
std::string FileName(const base::LogId& log, const PublishPlan& plan, size_t number);
// Back again; nothing for a name that no plan of this log gives.
struct PlannedFile {
  PublishPlan plan;
  uint64_t number = 0;
};
std::optional<PlannedFile> ParseFileName(const base::LogId& log, std::string_view name);

// "<log id>-s<stream>-r<epoch>-<number>.parquet": the `number`-th file of the rewriting whose plan
// is in that epoch of the log.
struct RewrittenFile {
  base::StreamId stream;
  base::EpochId epoch;
  uint64_t number = 0;
};
std::string FileName(const base::LogId& log, const RewrittenFile& file);
std::optional<RewrittenFile> ParseRewrittenName(const base::LogId& log, std::string_view name);

// Whether a publisher of this stream made the file.
bool IsFileOf(const base::LogId& log, base::StreamId stream, std::string_view name);

// "headrace/<log id>/<stream>": the application that the table's marker is kept for; and the one of
// its rewritings, whose version is the epoch of the last plan that was carried out.
std::string ApplicationId(const base::LogId& log, const std::string& stream);
std::string RewritingId(const base::LogId& log, const std::string& stream);

}  // namespace headrace::tables
