#include "wiring/starting.h"

#include <gtest/gtest.h>

namespace headrace::wiring {
namespace {

TEST(ProgressText, TellsASnapshotsRateInBytesAndTheLogsInRows) {
  log::RecoveryFigures figures;
  figures.phase = log::RecoveryPhase::kSnapshot;
  figures.bytes_done = uint64_t{168} << 20;
  figures.bytes_total = uint64_t{431} << 20;
  EXPECT_EQ(ProgressText(figures), "reading the snapshot: 168 of 431 MB");
  figures.bytes_per_second = 210.0 * (1 << 20);
  figures.left = std::chrono::milliseconds(1300);
  EXPECT_EQ(ProgressText(figures),
            "reading the snapshot: 168 of 431 MB at 210 MB/s, about 2 s left");
  figures.phase = log::RecoveryPhase::kLog;
  figures.rows = 5'000;
  figures.rows_per_second = 2'500;
  EXPECT_EQ(ProgressText(figures),
            "reading the log: 168 of 431 MB, 5000 rows at 2500/s, about 2 s left");
}

}  // namespace
}  // namespace headrace::wiring
