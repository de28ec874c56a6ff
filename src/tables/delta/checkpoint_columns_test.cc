#include "tables/delta/checkpoint_columns.h"

#include <arrow/array.h>
#include <arrow/array/util.h>
#include <arrow/json/from_string.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <tuple>
#include <vector>

namespace headrace::tables::delta {
namespace {

using Type = std::shared_ptr<arrow::DataType>;

// A checkpoint with one column, of no values.
base::Result<void> Take(const std::string& action, const Type& type) {
  auto nulls = arrow::MakeArrayOfNull(type, 3);
  HR_CHECK(nulls.ok(), "the test makes no array");
  const auto batch =
      arrow::RecordBatch::Make(arrow::schema({arrow::field(action, type)}), 3, {*nulls});
  Commit head;
  return TakeActions(*batch, head, nullptr);
}

Type With(const std::string& field, const Type& type) {
  return arrow::struct_({arrow::field(field, type)});
}

TEST(CheckpointColumns, OfAnotherTypeAreRefused) {
  const Type vector = With("storageType", arrow::int32());
  const std::vector<std::tuple<std::string, Type, std::string>> broken = {
      {"add", arrow::utf8(), "add"},
      {"add", With("path", arrow::int64()), "add.path"},
      {"add", With("path", arrow::dictionary(arrow::int32(), arrow::int64())), "add.path"},
      {"add", With("size", arrow::float64()), "add.size"},
      {"add", With("deletionVector", arrow::utf8()), "add.deletionVector"},
      {"add", With("deletionVector", vector), "add.deletionVector.storageType"},
      {"add", With("partitionValues", With("day", arrow::utf8())), "add.partitionValues"},
      {"remove", With("partitionValues", arrow::map(arrow::utf8(), arrow::int32())),
       "remove.partitionValues"},
      {"remove", With("dataChange", arrow::utf8()), "remove.dataChange"},
      {"protocol", With("readerFeatures", arrow::utf8()), "protocol.readerFeatures"},
      {"protocol", With("readerFeatures", arrow::list(arrow::int32())), "protocol.readerFeatures"},
      {"add",
       arrow::struct_({arrow::field("path", arrow::utf8()), arrow::field("path", arrow::utf8())}),
       "add.path"},
  };
  for (const auto& [action, type, column] : broken) {
    const auto taken = Take(action, type);
    ASSERT_FALSE(taken) << type->ToString();
    EXPECT_EQ(taken.error().code(), base::ErrorCode::kCorruption);
    EXPECT_NE(taken.error().ToString().find("column=" + column + ")"), std::string::npos)
        << taken.error().ToString();
  }
}

TEST(CheckpointColumns, AProtocolThatDoesNotListItsFeatures) {
  const auto protocol = [](const std::string& lists) {
    const auto type = arrow::struct_({arrow::field("minReaderVersion", arrow::int32()),
                                      arrow::field("minWriterVersion", arrow::int32()),
                                      arrow::field("readerFeatures", arrow::list(arrow::utf8())),
                                      arrow::field("writerFeatures", arrow::list(arrow::utf8()))});
    const auto rows = arrow::json::ArrayFromJSONString(type, "[[3, 7, " + lists + "]]");
    HR_CHECK(rows.ok(), "the test makes no array");
    const auto batch =
        arrow::RecordBatch::Make(arrow::schema({arrow::field("protocol", type)}), 1, {*rows});
    Commit head;
    HR_CHECK(TakeActions(*batch, head, nullptr), "no actions");
    return *head.protocol;
  };
  EXPECT_TRUE(protocol("null, null").reader_features_missing);
  EXPECT_TRUE(protocol("null, null").writer_features_missing);
  EXPECT_FALSE(protocol("[], []").reader_features_missing);
  EXPECT_FALSE(protocol("[], []").writer_features_missing);
}

// Or it would be passed over, and nobody would see that it is no struct.
TEST(CheckpointColumns, AnActionThatIsNoStructIsRead) {
  EXPECT_TRUE(IsActionColumn({"add"}, true));
  EXPECT_TRUE(IsActionColumn({"remove", "list", "element", "path"}, true));
  EXPECT_TRUE(IsActionColumn({"protocol"}, false));
  EXPECT_FALSE(IsActionColumn({"add"}, false));
  EXPECT_FALSE(IsActionColumn({"add", "stats_parsed", "numRecords"}, true));
}

TEST(CheckpointColumns, EveryTypeOfTextIsTaken) {
  for (const Type& text : {arrow::utf8(), arrow::large_utf8(), arrow::utf8_view(), arrow::binary(),
                           arrow::dictionary(arrow::int32(), arrow::utf8()), arrow::null()}) {
    EXPECT_TRUE(Take("add", With("path", text))) << text->ToString();
    EXPECT_TRUE(Take("protocol", With("readerFeatures", arrow::list(text)))) << text->ToString();
    EXPECT_TRUE(Take("add", With("tags", arrow::map(arrow::utf8(), text)))) << text->ToString();
  }
  EXPECT_TRUE(Take("add", With("size", arrow::int32())));
  EXPECT_TRUE(Take("add", With("stats_parsed", arrow::int32()))) << "nobody looks at it";
}

}  // namespace
}  // namespace headrace::tables::delta
