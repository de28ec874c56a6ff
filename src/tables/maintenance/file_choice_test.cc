#include "tables/maintenance/file_choice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tables/data_file_names.h"

namespace headrace::tables {
namespace {

using Effort = RewriteRequest::Effort;

constexpr uint64_t kMiB = 1ULL << 20;
constexpr base::StreamId kStream{1};

delta::AddFile File(uint64_t number, uint64_t bytes, const std::string& order = "") {
  const PublishPlan plan{kStream, base::EpochId{number}, base::EpochId{number + 1}};
  delta::AddFile file{.path = FileName(base::LogId{}, plan, 0), .size = bytes, .rows = bytes / 10};
  if (!order.empty()) file.tags.emplace_back(kOrderTag, order);
  return file;
}

FileChoice Choose(const std::vector<delta::AddFile>& files, const RewriteRequest& request,
                  const PlanLimits& limits = {}) {
  TableFiles table;
  table.ours = files;
  return ChooseFiles(table, kStream, request, limits);
}

TEST(FileChoice, SmallFilesFillBinsUpToTheTarget) {
  std::vector<delta::AddFile> files;
  for (uint64_t i = 0; i < 30; ++i) files.push_back(File(i, 10 * kMiB));
  files.push_back(File(30, 100 * kMiB));
  const FileChoice choice = Choose(files, {});
  ASSERT_EQ(choice.plans.size(), 3U);
  EXPECT_EQ(choice.plans[0].files.size(), 12U);
  EXPECT_EQ(choice.plans[2].files.size(), 6U);
  EXPECT_EQ(choice.files, 30U);
  EXPECT_EQ(choice.good, 1U) << "a large one stays";
  EXPECT_EQ(choice.files_made, 3U);
}

TEST(FileChoice, OneFileAloneIsNotRewritten) {
  const FileChoice choice = Choose({File(0, kMiB)}, {});
  EXPECT_TRUE(choice.plans.empty());
  EXPECT_EQ(choice.waiting, 1U);
}

// A schedule does not write a large file again for a few small ones.
TEST(FileChoice, WorthwhileLeavesWhatIsLargerThanAllBehindIt) {
  std::vector<delta::AddFile> files = {File(0, 40 * kMiB)};
  for (uint64_t i = 1; i < 11; ++i) files.push_back(File(i, kMiB));
  const FileChoice all = Choose(files, {.where = {}, .z_order = {}});
  EXPECT_EQ(all.files, 11U);
  const RewriteRequest worthwhile{.where = {}, .z_order = {}, .effort = Effort::kWorthwhile};
  const FileChoice some = Choose(files, worthwhile);
  EXPECT_EQ(some.files, 10U);
  EXPECT_EQ(some.waiting, 1U);
  files.resize(5);
  EXPECT_TRUE(Choose(files, worthwhile).plans.empty()) << "four small ones wait for more";
}

// An hour's rows, again and again: how often is a row written?
TEST(FileChoice, WorthwhileWritesARowAboutAsOftenAsItsFileDoubles) {
  for (const auto& z_order : {std::vector<std::string>{}, {"a"}}) {
    std::vector<delta::AddFile> files;
    uint64_t written = 0;
    uint64_t came = 0;
    uint64_t number = 0;
    for (int hour = 0; hour < 500; ++hour) {
      for (int i = 0; i < 10; ++i) {
        files.push_back(File(number++, kMiB / 10));
        came += kMiB / 10;
      }
      const FileChoice choice = Choose(files, {.where = {},
                                               .z_order = z_order,
                                               .target_bytes = 128 * kMiB,
                                               .effort = Effort::kWorthwhile});
      for (const RewritePlan& plan : choice.plans) {
        uint64_t bytes = 0;
        const auto in_plan = [&](const delta::AddFile& file) {
          return std::ranges::any_of(plan.files,
                                     [&](const OldFile& old) { return old.name == file.path; });
        };
        const auto first = std::ranges::find_if(files, in_plan);
        const auto at = first - files.begin();
        for (const OldFile& file : plan.files) bytes += file.bytes;
        std::erase_if(files, in_plan);
        files.insert(files.begin() + at, File(number++, bytes, z_order.empty() ? "" : "z:a"));
        written += bytes;
      }
    }
    EXPECT_LT(files.size(), 40U);
    EXPECT_LT(written, 10 * came);
  }
}

TEST(FileChoice, ZOrderTakesAllAndThenNothing) {
  const RewriteRequest request{.where = {}, .z_order = {"a", "b"}};
  const std::vector<delta::AddFile> files = {File(0, 200 * kMiB), File(1, kMiB), File(2, kMiB)};
  const FileChoice choice = Choose(files, request);
  EXPECT_EQ(choice.files, 3U);
  EXPECT_EQ(choice.plans.size(), 2U) << "pieces that can be sorted in memory: 8 M rows";
  const FileChoice again =
      Choose({File(0, 5 * kMiB, "z:a,b"), File(1, 3 * kMiB, "z:a,b")}, request);
  EXPECT_EQ(again.files, 2U) << "two that make one";
  EXPECT_EQ(Choose({File(0, 9 * kMiB, "z:a,b")}, request).files, 0U);
  EXPECT_EQ(Choose({File(0, 9 * kMiB, "z:b,a")}, request).files, 1U) << "another order";
}

TEST(FileChoice, LimitsOfAPlanBeginTheNext) {
  std::vector<delta::AddFile> files;
  for (uint64_t i = 0; i < 25; ++i) files.push_back(File(i, kMiB));
  const FileChoice choice = Choose(files, {}, {.files_max = 10});
  ASSERT_EQ(choice.plans.size(), 3U);
  EXPECT_EQ(choice.plans[0].files.size(), 10U);
}

// Rows of a file with deletions would come back, or be gone from a count that somebody has made.
TEST(FileChoice, FilesWithDeletedRowsStay) {
  std::vector<delta::AddFile> files = {File(0, kMiB), File(1, kMiB), File(2, kMiB)};
  files[1].deletion_vector = delta::DeletionVector{.storage = "i", .path_or_inline = "x"};
  const FileChoice choice = Choose(files, {});
  EXPECT_EQ(choice.files, 2U);
  EXPECT_EQ(choice.deletions, 1U);
}

}  // namespace
}  // namespace headrace::tables
