#include "tables/delta/time_travel.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "env/simulated/environment.h"
#include "tables/delta/log_listing.h"

namespace headrace::tables::delta {
namespace {

constexpr const char* kTable = "t";

// Five versions a second from one another, the first at second 100. From version 3 on they tell
// their own times; the files are as old as `file_second` says.
class TimesFromVersion3 : public testing::Test {
 protected:
  void WriteTable(const std::function<int64_t(int64_t)>& file_second) {
    env::Files& files = machine_.files();
    ASSERT_TRUE(files.CreateFolders(std::string(kTable) + "/_delta_log"));
    for (int64_t version = 0; version < 5; ++version) {
      const std::string text =
          fmt::format(
              R"({{"commitInfo":{{{}}}}})",
              version < 3 ? "" : fmt::format(R"("inCommitTimestamp":{})", (100 + version) * 1000)) +
          "\n";
      const std::string path =
          std::string(kTable) + "/_delta_log/" + VersionedName(version, ".json");
      ASSERT_TRUE(env::PutIfAbsent(files, path,
                                   {reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
      ASSERT_TRUE(files.SetModifiedAt(path, {file_second(version) * 1'000'000}));
    }
    newest_.version = 4;
    newest_.metadata.emplace();
    newest_.metadata->configuration = {{"delta.enableInCommitTimestamps", "true"},
                                       {"delta.inCommitTimestampEnablementVersion", "3"},
                                       {"delta.inCommitTimestampEnablementTimestamp", "103000"}};
  }
  // The version of that second; -1: none is as old.
  int64_t At(int64_t second) {
    const auto found = FindVersion(machine_.files(), kTable, newest_,
                                   {.time = base::Timestamp{second * 1'000'000}});
    return found ? *found : -1;
  }

  env::simulated::SimulatedEnvironment machine_{1};
  LogState newest_;
};

TEST_F(TimesFromVersion3, AreThoseOfFilesBefore) {
  WriteTable([](int64_t version) { return 100 + version; });
  EXPECT_EQ(At(99), -1);
  for (int64_t version = 0; version < 5; ++version) EXPECT_EQ(At(100 + version), version);
  EXPECT_EQ(At(1000), 4);
}

// The times of a copy's files are later than those that the commits tell.
TEST_F(TimesFromVersion3, AreRightInACopy) {
  WriteTable([](int64_t version) { return 5000 + version; });
  EXPECT_EQ(At(103), 3);
  EXPECT_EQ(At(104), 4);
  EXPECT_EQ(At(4000), 4);
  EXPECT_EQ(At(102), -1);
}

TEST_F(TimesFromVersion3, ATimeBetweenIsOfTheLastVersionBefore) {
  WriteTable([](int64_t version) { return 50 + version; });
  EXPECT_EQ(At(102), 2);
}

}  // namespace
}  // namespace headrace::tables::delta
