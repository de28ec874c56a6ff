#include "tables/delta/actions.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>

#include "tables/delta/schema_json.h"
#include "tables/delta/support.h"

namespace headrace::tables::delta {
namespace {

using base::ErrorCode;
using columns::Type;
using columns::Value;

std::span<const uint8_t> Bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

TEST(Actions, ReadBackWhatWasWritten) {
  Commit commit;
  commit.protocol = Protocol{.reader_version = 3,
                             .writer_version = 7,
                             .reader_features = {"timestampNtz"},
                             .writer_features = {"timestampNtz", "appendOnly"}};
  commit.metadata = Metadata{.id = "id",
                             .name = "flights",
                             .schema_string = "{}",
                             .partition_columns = {},
                             .configuration = {{"delta.appendOnly", "true"}},
                             .created_ms = 5};
  commit.transactions = {{"headrace/ab/flights", 77}};
  commit.adds = {
      {.path = "a b/%41.parquet", .size = 10, .modified_ms = 6, .stats = R"({"numRecords":3})"}};
  commit.transaction_id = "mine";
  const std::string text = RenderCommit(commit);
  const auto back = ParseCommit(Bytes(text));
  ASSERT_TRUE(back) << back.error().ToString();
  EXPECT_EQ(back->protocol, commit.protocol);
  EXPECT_EQ(back->metadata->configuration, commit.metadata->configuration);
  EXPECT_EQ(back->transactions[0].application, "headrace/ab/flights");
  EXPECT_EQ(back->transactions[0].version, 77U);
  EXPECT_EQ(back->adds[0].path, "a b/%41.parquet");
  EXPECT_EQ(back->adds[0].rows, 3U);
  EXPECT_EQ(back->transaction_id, "mine");
  EXPECT_NE(text.find("a%20b/%2541.parquet"), std::string::npos);
}

TEST(Actions, PassOverWhatTheyDoNotKnow) {
  const auto commit = ParseCommit(Bytes(R"({"future":{"x":1}}
{"add":{"path":"x.parquet","size":1,"modificationTime":1,"dataChange":true,"partitionValues":{},"new":[]}}

)"));
  ASSERT_TRUE(commit) << commit.error().ToString();
  EXPECT_EQ(commit->adds.size(), 1U);
}

TEST(Actions, AProtocolThatDoesNotListItsFeatures) {
  const auto protocol = [](const std::string& fields) {
    const auto commit = ParseCommit(Bytes(R"({"protocol":{)" + fields + "}}"));
    EXPECT_TRUE(commit) << commit.error().ToString();
    return *commit->protocol;
  };
  const auto refused = [](const base::Result<void>& checked) {
    return !checked && checked.error().code() == ErrorCode::kCorruption;
  };
  const std::string versions = R"("minReaderVersion":3,"minWriterVersion":7)";
  for (const std::string none : {"", R"(,"readerFeatures":null,"writerFeatures":null)"}) {
    const Protocol missing = protocol(versions + none);
    EXPECT_TRUE(refused(CheckReadable(missing)));
    EXPECT_TRUE(refused(CheckReadableByAll(missing)));
    EXPECT_TRUE(refused(CheckWritable(missing, {})));
  }
  const Protocol empty = protocol(versions + R"(,"readerFeatures":[],"writerFeatures":[])");
  EXPECT_TRUE(CheckReadable(empty));
  EXPECT_TRUE(CheckReadableByAll(empty));
  EXPECT_TRUE(CheckWritable(empty, {}));
  const Protocol early = protocol(R"("minReaderVersion":1,"minWriterVersion":2)");
  EXPECT_TRUE(CheckReadable(early));
  EXPECT_TRUE(CheckWritable(early, {}));
}

// 200,000 keys: with a search through those before for each this takes minutes.
TEST(Actions, ManyKeysTakeNoLongTime) {
  std::string values;
  for (int i = 0; i < 200'000; ++i) values += fmt::format(R"("column {}":"",)", i);
  values.pop_back();
  const std::string text = R"({"add":{"path":"x","size":1,"dataChange":true,"partitionValues":{)" +
                           values + R"(},"tags":{)" + values + "}}}";
  const auto begun = std::chrono::steady_clock::now();
  const auto commit = ParseCommit(Bytes(text));
  ASSERT_TRUE(commit) << commit.error().ToString();
  EXPECT_EQ(commit->adds[0].partition_values.size(), 200'000U);
  EXPECT_EQ(commit->adds[0].tags.size(), 200'000U);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(10));
}

TEST(Actions, RefusePathsThatLeaveTheTable) {
  const auto code = [](const std::string& path) {
    const auto of = [&path](const std::string& action) {
      const std::string text =
          "{\"" + action + R"(":{"path":")" + path + R"(","size":1,"dataChange":true}})";
      const auto commit = ParseCommit(Bytes(text));
      return commit ? ErrorCode::kInternal : commit.error().code();
    };
    EXPECT_EQ(of("add"), of("remove"));
    return of("add");
  };
  for (const char* path : {"./x.parquet", "a//x.parquet", "a/./x.parquet", "a/%2e/x.parquet",
                           "a%2f/x.parquet", "x.parquet/", "."})
    EXPECT_EQ(code(path), ErrorCode::kUnsupported) << path;
  for (const char* path : {"x.parquet", "a/x.parquet", "a/.x.parquet", "a/x..parquet", "day=./x"})
    EXPECT_EQ(code(path), ErrorCode::kInternal) << path;
  EXPECT_EQ(code("../x.parquet"), ErrorCode::kCorruption);
  EXPECT_EQ(code("a/%2e%2e/%2E%2E/x.parquet"), ErrorCode::kCorruption);
  EXPECT_EQ(code("%2Fetc/passwd"), ErrorCode::kUnsupported);
  EXPECT_EQ(code("s3://bucket/x"), ErrorCode::kUnsupported);
  EXPECT_EQ(code("bad%2"), ErrorCode::kCorruption);
  EXPECT_EQ(code(""), ErrorCode::kCorruption);
}

TEST(Actions, SayThatACommitIsBroken) {
  for (const char* text :
       {"{\"add\":", "[]", "{\"add\":{\"size\":1}}", "{\"txn\":{\"appId\":5}}"}) {
    const auto commit = ParseCommit(Bytes(text));
    ASSERT_FALSE(commit) << text;
    EXPECT_EQ(commit.error().code(), ErrorCode::kCorruption) << text;
  }
}

// What a writer that has made the file, and is not done with it, has written of it so far.
TEST(Actions, TellACutCommitFromABrokenOne) {
  const std::string whole = R"({"commitInfo":{"operation":"WRITE"}}
{"add":{"path":"x.parquet","size":1,"modificationTime":1,"dataChange":true}})";
  EXPECT_TRUE(ParseCommit(Bytes(whole))) << "the last line end may be missing";
  EXPECT_FALSE(MayBeCut(Bytes(whole)));
  EXPECT_FALSE(MayBeCut(Bytes(whole + "\n")));
  for (const std::string& cut :
       {std::string(), std::string("\n"), whole.substr(0, 10), whole.substr(0, whole.size() - 1)}) {
    EXPECT_TRUE(MayBeCut(Bytes(cut))) << cut;
    const auto commit = ParseCommit(Bytes(cut));
    ASSERT_FALSE(commit) << cut;
    EXPECT_EQ(commit.error().code(), ErrorCode::kCorruption) << cut;
  }
  for (const char* broken : {"{\"add\":\n", "[]", "{\"add\":{\"size\":1}}", "{\"add\":\n{}\n"})
    EXPECT_FALSE(MayBeCut(Bytes(broken))) << broken;
}

// The log's JSON has no checksum of its own: a digit of a marker that turned into another one would
// move it.
TEST(Actions, AFlippedBitOfACommitIsFoundOrChangesNothing) {
  Commit commit;
  commit.transaction_id = "0123456789abcdef";
  commit.operation = "WRITE";
  commit.timestamp_ms = 1'750'000'000'000;
  commit.transactions.push_back({"headrace/7/payments", 37});
  commit.adds.push_back({.path = "a b.parquet",
                         .size = 1234,
                         .stats = R"({"numRecords":5})",
                         .rows = 5,
                         .checksum = 0x0123456789abcdef});
  const std::string text = RenderCommit(commit);
  ASSERT_TRUE(ParseCommit(Bytes(text)));
  EXPECT_EQ(RenderCommit(*ParseCommit(Bytes(text))), text);
  size_t found = 0;
  for (size_t at = 0; at < text.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = text;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      const auto parsed = ParseCommit(Bytes(damaged));
      if (!parsed) {
        EXPECT_EQ(parsed.error().code(), ErrorCode::kCorruption);
        ++found;
      } else {  // in the name of the checksum itself
        EXPECT_EQ(RenderCommit(*parsed), text) << damaged;
      }
    }
  EXPECT_GT(found, text.size() * 8 - 200);
}

TEST(SchemaJson, TravelsBothWays) {
  std::vector<columns::Field> fields;
  for (const columns::TypeRow& row : columns::TypeTable()) {
    fields.push_back({.id = static_cast<uint32_t>(fields.size() + 1),
                      .name = "the " + std::string(row.name),
                      .type = row.type,
                      .nullable = columns::Nullable::kNo});
  }
  const columns::Schema schema(std::move(fields));
  const auto back = ParseSchema(RenderSchema(schema));
  ASSERT_TRUE(back) << back.error().ToString();
  EXPECT_EQ(**back, schema);
  const auto nested = ParseSchema(
      R"({"type":"struct","fields":[{"name":"a","type":{"type":"array"},"nullable":true}]})");
  ASSERT_FALSE(nested);
  EXPECT_EQ(nested.error().code(), ErrorCode::kUnsupported);
}

std::string Stats(Type type, Value min, Value max) {
  const columns::Schema schema({{.id = 1, .name = "c", .type = type}});
  const ColumnStats stats{true, std::move(min), std::move(max), 0};
  return RenderStats(schema, 1, std::span(&stats, 1));
}

TEST(SchemaJson, RoundsBoundsOutwards) {
  EXPECT_EQ(Stats(Type::kTimestamp, Value::Timestamp(-1), Value::Timestamp(1'001)),
            R"({"numRecords":1,"minValues":{"c":"1969-12-31T23:59:59.999Z"},)"
            R"("maxValues":{"c":"1970-01-01T00:00:00.002Z"},"nullCount":{"c":0}})");
  const std::string umlauts =
      std::string(31, 'x') + "\xC3\xA4\xC3\xA4";  // a cut at byte 32 would split one
  EXPECT_EQ(Stats(Type::kString, Value::String(umlauts), Value::String(umlauts)),
            R"({"numRecords":1,"minValues":{"c":")" + std::string(31, 'x') +
                R"("},"maxValues":{"c":")" + std::string(31, 'x') +
                "\xF4\x8F\xBF\xBF"
                R"("},"nullCount":{"c":0}})");
}

}  // namespace
}  // namespace headrace::tables::delta
