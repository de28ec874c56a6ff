#include "base/error.h"

#include <set>

#include <gtest/gtest.h>

#include "base/ids.h"
#include "base/log.h"
#include "base/memory_budget.h"
#include "base/result.h"

namespace headrace::base {
namespace {

TEST(ErrorTable, EachCodeHasItsOwnNameExitCodeAndAdvice) {
  std::set<std::string_view> names;
  std::set<int> exits;
  for (const ErrorCodeRow& row : ErrorCodes()) {
    EXPECT_EQ(RowOf(row.code).name, row.name);
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_TRUE(exits.insert(row.exit_code).second) << row.name;
    EXPECT_GE(row.http_status, 400);
    EXPECT_FALSE(row.caller_should.empty());
  }
}

Result<int> Half(int v) {
  if (v % 2 != 0)
    return Fail(Error(ErrorCode::kInvalidInput, "odd").With("value", std::to_string(v)));
  return v / 2;
}
Result<int> Quarter(int v) {
  HR_TRY(const int half, Half(v));
  return Half(half);
}

TEST(Result, TryReturnsTheFirstError) {
  EXPECT_EQ(Quarter(12), 3);
  EXPECT_EQ(Quarter(6).error().ToString(), "InvalidInput: odd (value=3)");
}

TEST(LogId, ReadsBackAndRefusesOtherText) {
  LogId id;
  for (size_t i = 0; i < id.bytes.size(); ++i) id.bytes[i] = static_cast<uint8_t>(17 * i);
  EXPECT_EQ(LogId::Parse(id.ToString()), id);
  for (const char* text :
       {"", "00", "zz112233445566778899aabbccddeeff", "+0112233445566778899aabbccddeef1"})
    EXPECT_FALSE(LogId::Parse(text).has_value()) << text;
}

TEST(MemoryBudget, RefusesPastItsLimitAndGivesBack) {
  MemoryBudget budget(100);
  {
    const auto first = budget.TryCharge(MemoryAccount::kIngest, 60);
    ASSERT_TRUE(first.has_value());
    EXPECT_EQ(budget.TryCharge(MemoryAccount::kState, 41).error().code(),
              ErrorCode::kResourceExhausted);
    EXPECT_EQ(budget.used_bytes(MemoryAccount::kIngest), 60U);
  }
  EXPECT_EQ(budget.used_bytes(), 0U);
}

TEST(Log, QuotesValuesWithBlanks) {
  std::string seen;
  SetLogSink([&](const LogLine& line) { seen = line.event + " " + line.fields; });
  LogInfo("room.event", {{"plain", "1"}, {"text", "two words"}});
  SetLogSink({});
  EXPECT_EQ(seen, "room.event plain=1 text=\"two words\"");
}

// Of text from outside: neither a line nor a field of its own making.
TEST(Log, AValueEndsNeitherItsQuotesNorItsLine) {
  std::string seen;
  SetLogSink([&](const LogLine& line) { seen = line.fields; });
  LogInfo("room.event", {{"path", "a\" level=\"x\nb\\c\r\t\x1b[0m\x7f"}, {"back", "a\\b"}});
  EXPECT_EQ(seen, R"(path="a\" level=\"x\nb\\c\r\t\x1b[0m\x7f" back=a\b)");
  LogInfo("room.event", {{"utf8", "café d\xe9"}});
  EXPECT_EQ(seen, "utf8=\"café d\xe9\"") << "bytes are not judged here";
  SetLogSink({});
}

}  // namespace
}  // namespace headrace::base
