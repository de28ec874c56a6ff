#include "aligned_lines.h"

#include <gtest/gtest.h>

namespace headrace::app {
namespace {

TEST(AlignedLines, ColumnsAreAsWideAsTheirWidestText) {
  AlignedLines lines({"feature", "value", "status"});
  lines.Add({"mean_delay_24h", "12.333333333333334", "PRESENT"});
  lines.Add({"city", "Zürich", ""});
  EXPECT_EQ(lines.Text(),
            "  feature         value               status\n"
            "  mean_delay_24h  12.333333333333334  PRESENT\n"
            "  city            Zürich\n");
}

TEST(AlignedLines, AnEdgeStandsUnderItsColumn) {
  AlignedLines lines({"", "event time"});
  lines.Add({"*", "2001-01-31T09:15:00Z"});
  lines.AddEdge(1, "2001-01-31T09:00:00Z  the window begins");
  EXPECT_EQ(lines.Text(),
            "     event time\n"
            "  *  2001-01-31T09:15:00Z\n"
            "  -- 2001-01-31T09:00:00Z  the window begins\n");
}

}  // namespace
}  // namespace headrace::app
