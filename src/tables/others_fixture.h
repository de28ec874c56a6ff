#pragma once
// For tests: another writer at a table of ours.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <fmt/format.h>

#include "env/environment.h"
#include "tables/delta/delta_table.h"
#include "tables/delta/log_listing.h"

namespace headrace::tables::fixture {

enum class TheyAlso : uint8_t { kNothing, kRemoveIt };

// Commits a copy of the table's first file under a name of theirs: its rows are appended once more,
// or, with the file removed, have only moved.
inline void CopyAFile(env::Environment& environment, const std::string& folder,
                      const std::string& name, TheyAlso also = TheyAlso::kNothing) {
  const auto table = delta::DeltaTable::Open(environment, folder, delta::Keep::kFiles);
  ASSERT_TRUE(table) << table.error().ToString();
  const std::string& path = (*table)->snapshot().files.front().path;
  const auto bytes = environment.files().ReadAll(folder + "/" + path);
  ASSERT_TRUE(bytes) << bytes.error().ToString();
  ASSERT_TRUE(env::PutIfAbsent(environment.files(), folder + "/" + name, *bytes));
  std::string commit = fmt::format(
      R"({{"add":{{"path":"{}","partitionValues":{{}},"size":{},"modificationTime":0,"dataChange":true}}}})"
      "\n",
      name, bytes->size());
  if (also == TheyAlso::kRemoveIt)
    commit += fmt::format(R"({{"remove":{{"path":"{}","dataChange":false,"deletionTimestamp":1}}}})"
                          "\n",
                          path);
  ASSERT_TRUE(env::PutIfAbsent(
      environment.files(),
      folder + "/_delta_log/" + delta::VersionedName((*table)->snapshot().version + 1, ".json"),
      {reinterpret_cast<const uint8_t*>(commit.data()), commit.size()}));
}

}  // namespace headrace::tables::fixture
