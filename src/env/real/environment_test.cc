#include "env/environment.h"
#include "env/end_executor.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <latch>
#include <thread>

namespace headrace::env {
namespace {

using base::ErrorCode;
using std::chrono::milliseconds;

class RealEnvironment : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "headrace-env-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  Files& files() { return environment_->files(); }

  std::unique_ptr<Environment> environment_ = MakeRealEnvironment();
  std::string folder_;
};

std::vector<uint8_t> Bytes(std::string_view text) { return {text.begin(), text.end()}; }

TEST_F(RealEnvironment, WritesAtOffsetsAndReadsBack) {
  auto file = *files().OpenForWriting(Path("a"), Files::Open::kCreateNew);
  ASSERT_TRUE(file->Preallocate(10'000, false));
  ASSERT_TRUE(file->WriteAt(5'000, Bytes("hello")));
  ASSERT_TRUE(file->Sync());
  const auto reader = *files().OpenForReading(Path("a"));
  EXPECT_EQ(reader->size(), 10'000U);
  std::vector<uint8_t> read(7);
  ASSERT_TRUE(reader->ReadAt(4'999, read));
  EXPECT_EQ(read, Bytes(std::string("\0hello\0", 7)));
  EXPECT_EQ(reader->ReadAt(9'999, read).error().code(), ErrorCode::kCorruption);
}

// Large writes to a preallocated file go past the page cache, small ones through it: a reader sees
// both, wherever they begin.
TEST_F(RealEnvironment, SmallAndLargeWritesToAPreallocatedFileMix) {
  constexpr size_t kBytes = 8U << 20;
  auto file = *files().OpenForWriting(Path("log"), Files::Open::kCreateNew);
  ASSERT_TRUE(file->Preallocate(kBytes, true));
  std::vector<uint8_t> expected(kBytes);
  size_t offset = 0;
  const auto write = [&](size_t size, uint8_t salt) {
    std::vector<uint8_t> bytes(size);
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(i * 31 + i / 256 + salt);
    ASSERT_TRUE(file->WriteAt(offset, bytes));
    std::copy(bytes.begin(), bytes.end(), expected.begin() + static_cast<ptrdiff_t>(offset));
    offset += size;
    std::vector<uint8_t> seen(kBytes);
    ASSERT_TRUE((*files().OpenForReading(Path("log")))->ReadAt(0, seen));
    ASSERT_EQ(seen, expected) << "after " << size << " bytes up to " << offset;
  };
  write(512, 1);
  write((3U << 20) + 512, 2);  // more than a chunk, and no whole page at either end
  write(1024, 3);
  write(600'000, 4);  // no whole 512 bytes at its end
  write(300'000, 5);  // begins where a disk can't write directly
  ASSERT_TRUE(file->Sync());
}

TEST_F(RealEnvironment, SaysWhatIsThereAndWhatIsNot) {
  EXPECT_EQ(files().OpenForReading(Path("none")).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(files().OpenForWriting(Path("none"), Files::Open::kExisting).error().code(),
            ErrorCode::kNotFound);
  ASSERT_TRUE(files().OpenForWriting(Path("b"), Files::Open::kCreateNew));
  EXPECT_EQ(files().OpenForWriting(Path("b"), Files::Open::kCreateNew).error().code(),
            ErrorCode::kAlreadyExists);
  EXPECT_FALSE(files().OpenForReading(folder_)) << "a folder is no file";
  ASSERT_TRUE(files().CreateFolders(Path("x/y/z")));
  ASSERT_TRUE(files().CreateFolders(Path("x/y/z")));
  EXPECT_EQ(*files().List(folder_), (std::vector<std::string>{"b", "x"}));
  EXPECT_TRUE(*files().Exists(Path("x/y")));
  EXPECT_EQ(files().List(Path("w")).error().code(), ErrorCode::kNotFound);
  EXPECT_GT(*files().FreeBytes(folder_), 0U);
}

TEST_F(RealEnvironment, AFileWhereAFolderBelongsIsATroubleThatMayBeMended) {
  ASSERT_TRUE(PutIfAbsent(files(), Path("table"), {}));
  for (const char* wanted : {"table", "table/inner"}) {
    const auto made = files().CreateFolders(Path(wanted));
    ASSERT_FALSE(made) << wanted;
    EXPECT_EQ(made.error().code(), base::ErrorCode::kIoError) << made.error().ToString();
  }
}

TEST_F(RealEnvironment, PutIfAbsentLeavesWhatIsThere) {
  ASSERT_TRUE(PutIfAbsent(files(), Path("v1"), Bytes("first")));
  const auto second = PutIfAbsent(files(), Path("v1"), Bytes("second"));
  EXPECT_EQ(second.error().code(), ErrorCode::kAlreadyExists);
  EXPECT_EQ(*files().ReadAll(Path("v1")), Bytes("first"));
  ASSERT_TRUE(PutAtomically(files(), Path("v1"), Bytes("third")));
  EXPECT_EQ(*files().ReadAll(Path("v1")), Bytes("third"));
  EXPECT_EQ(*files().List(folder_), std::vector<std::string>{"v1"}) << "no temporary is left";
}

TEST_F(RealEnvironment, OfManyThatPutOneWins) {
  std::atomic<int> won = 0;
  {
    std::latch start(8);
    std::vector<std::jthread> writers;
    for (int i = 0; i < 8; ++i)
      writers.emplace_back([&, i] {
        start.arrive_and_wait();
        if (PutIfAbsent(files(), Path("v"), Bytes(std::string(100, static_cast<char>('a' + i)))))
          ++won;
      });
  }
  EXPECT_EQ(won, 1);
  EXPECT_EQ(files().ReadAll(Path("v"))->size(), 100U);
}

TEST_F(RealEnvironment, AFolderHasOneHolder) {
  auto lock = files().Lock(Path("LOCK"));
  ASSERT_TRUE(lock);
  EXPECT_EQ(files().Lock(Path("LOCK")).error().code(), ErrorCode::kConflict);
  lock->reset();
  EXPECT_TRUE(files().Lock(Path("LOCK")));
}

// With unique_ptr::reset a task that runs while it waits finds null.
TEST_F(RealEnvironment, ATaskMayPostItsSuccessorWhileItsExecutorEnds) {
  for (int round = 0; round < 200; ++round) {
    struct Actor {
      std::unique_ptr<Executor> executor;
      Clock* clock = nullptr;
      std::atomic<int> runs{0};
      void Run() {
        ++runs;
        executor->PostAt(clock->Now() + std::chrono::milliseconds(1), [this] { Run(); });
        for (int i = 0; i < 50; ++i) executor->Post([] {});
      }
    } actor;
    actor.clock = &environment_->clock();
    actor.executor = environment_->NewExecutor("actor", Priority::kRealTime);
    for (int i = 0; i < 20; ++i) actor.executor->Post([&actor] { actor.Run(); });
    EndExecutor(actor.executor);
    EXPECT_EQ(actor.executor, nullptr);
    EXPECT_GE(actor.runs.load(), 20);
  }
}

TEST_F(RealEnvironment, AnExecutorKeepsTheOrderAndFinishesWhatWasPosted) {
  std::vector<int> order;
  {
    const auto executor = environment_->NewExecutor("test", Priority::kRealTime);
    for (int i = 0; i < 1'000; ++i)
      executor->Post([&, i] {
        order.push_back(i);
        if (i == 999) executor->Post([&] { order.push_back(1'000); });
      });
  }
  ASSERT_EQ(order.size(), 1'001U);
  for (int i = 0; i < 1'001; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
}

TEST_F(RealEnvironment, TimersRunWhenDueAndInOrder) {
  std::vector<int> order;
  std::latch done(2);
  const MonotonicTime begin = environment_->clock().Now();
  const auto executor = environment_->NewExecutor("timers", Priority::kBackground);
  const auto run = [&](int name) {
    order.push_back(name);
    done.count_down();
  };
  executor->PostAt(begin + milliseconds(40), [&] { run(2); });
  executor->PostAt(begin + milliseconds(10), [&] { run(1); });
  executor->PostAt(begin + std::chrono::hours(1), [&] { run(3); });  // dropped at the end
  done.wait();
  EXPECT_GE(environment_->clock().Now() - begin, milliseconds(40));
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST_F(RealEnvironment, ATimerWakesAThreadThatSleeps) {
  const auto executor = environment_->NewExecutor("timers", Priority::kRealTime);
  std::latch began(1);
  executor->Post([&] { began.count_down(); });
  began.wait();
  std::this_thread::sleep_for(milliseconds(20));  // by now it sleeps, and has no timer
  std::atomic<bool> ran{false};
  executor->PostAt(environment_->clock().Now() + milliseconds(1), [&] { ran = true; });
  for (int i = 0; i < 10'000 && !ran; ++i) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_TRUE(ran);
}

TEST_F(RealEnvironment, TheReplyToASyncComesBehindWhatWasPostedMeanwhile) {
  auto file = *files().OpenForWriting(Path("log"), Files::Open::kCreateNew);
  const auto bytes = Bytes("record");
  std::vector<std::string> order;
  std::latch written(1);
  {
    const auto executor = environment_->NewExecutor("actor", Priority::kRealTime);
    executor->Post([&] {
      executor->Post([&] { order.push_back("meanwhile"); });
      file->WriteAndSync(0, bytes, *executor, [&](base::Result<void> synced) {
        EXPECT_TRUE(synced);
        order.push_back("synced");
        written.count_down();
      });
    });
    written.wait();
  }
  EXPECT_EQ(order, (std::vector<std::string>{"meanwhile", "synced"}));
  EXPECT_EQ(*files().ReadAll(Path("log")), bytes);
}

TEST_F(RealEnvironment, RandomIsNotTheSameTwice) {
  std::array<uint8_t, 16> a{};
  std::array<uint8_t, 16> b{};
  environment_->Random(a);
  environment_->Random(b);
  EXPECT_NE(a, b);
}

}  // namespace
}  // namespace headrace::env
