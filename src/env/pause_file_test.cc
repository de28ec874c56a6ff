#include "env/pause_file.h"

#include <gtest/gtest.h>

#include "env/simulated/environment.h"

namespace headrace::env {
namespace {

using std::chrono::seconds;

class PauseFileTest : public testing::Test {
 protected:
  PauseFileTest() { EXPECT_TRUE(machine_.files().CreateFolders("data")); }
  std::optional<PauseNotice> Read(MonotonicTime now) {
    return ReadPauseNotice(machine_.files(), "data", now);
  }
  void Write(const std::optional<PauseNotice>& notice) {
    EXPECT_TRUE(WritePauseNotice(machine_.files(), "data", notice));
  }
  simulated::SimulatedEnvironment machine_{1};
};

TEST_F(PauseFileTest, IsReadAsWritten) {
  EXPECT_FALSE(Read(seconds(100)));
  Write(PauseNotice{"serve takes 83 % of its budget", seconds(105)});
  ASSERT_TRUE(Read(seconds(101)));
  EXPECT_EQ(Read(seconds(101))->why, "serve takes 83 % of its budget");
  EXPECT_EQ(Read(seconds(101))->valid_until, seconds(105));
  Write(PauseNotice{"ingest", seconds(106)});
  EXPECT_EQ(Read(seconds(101))->why, "ingest");
  Write(std::nullopt);
  EXPECT_FALSE(Read(seconds(101)));
  Write(std::nullopt);  // none is no error
}

TEST_F(PauseFileTest, OneLeftBehindHoldsNobodyUp) {
  Write(PauseNotice{"serve", seconds(105)});
  EXPECT_FALSE(Read(seconds(105))) << "its writer is gone";
  EXPECT_FALSE(Read(seconds(3))) << "of an earlier boot of the machine";
}

TEST_F(PauseFileTest, DamageIsNoPause) {
  for (const std::string text :
       {"", "headrace pause 1\n", "headrace pause 2\nvalid_until_boot_us 105000000\nwhy x\n",
        "headrace pause 1\nvalid_until_boot_us 105000000\nwhy x", "headrace pause 1\nwhy x\n",
        "headrace pause 1\nvalid_until_boot_us 10500000x\nwhy x\n"}) {
    (void)machine_.files().Remove("data/PAUSED");
    auto file = machine_.files().OpenForWriting("data/PAUSED", Files::Open::kCreateNew);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->WriteAt(0, {reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
    EXPECT_FALSE(Read(seconds(101))) << text;
  }
}

}  // namespace
}  // namespace headrace::env
