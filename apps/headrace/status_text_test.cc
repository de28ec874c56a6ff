#include "status_text.h"

#include <gtest/gtest.h>

namespace headrace::app {
namespace {

std::string Shown(const char* status) { return StatusText(nlohmann::ordered_json::parse(status)); }

TEST(StatusText, BeginsWithTheVerdictAndWhatHelps) {
  EXPECT_EQ(Shown(R"({"pipeline":"shop","verdict":{"state":"slipping","says":"late","findings":[
                       {"what":"late","next":"a faster disk"},{"what":"full","next":"room"}]},
                       "sources":[],"log":{"bytes":3,"held_by":""}})"),
            "slipping: late\n"
            "  next: a faster disk\n"
            "  also: full\n"
            "        room\n"
            "\n"
            "pipeline                 shop\n"
            "sources                  none\n"
            "log                      bytes 3  held_by -\n");
}

TEST(StatusText, TellsWhatIsRecentFromWhatIsSinceTheStart) {
  EXPECT_EQ(Shown(R"({"recent":{"span_s":97.5,"stages":{"serve":{"count":0},
                                                         "ingest":{"count":3,"p50_ms":1.5}}},
                       "fdatasync":{"count":40,"p50_ms":2},"stages":{"ingest":{"count":9,"p50_ms":7}},
                       "epoch":4})"),
            "recent\n"
            "  span_s                 97.5\n"
            "  stages\n"
            "    serve                no recent events\n"
            "    ingest               count 3  p50_ms 1.5\n"
            "epoch                    4\n"
            "since_start\n"
            "  fdatasync              count 40  p50_ms 2\n"
            "  stages\n"
            "    ingest               count 9  p50_ms 7\n");
}

}  // namespace
}  // namespace headrace::app
