// Training sets against a naive recomputation: for each label, over all orders ever sent.

#include "training/train.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "columns/batch_builder.h"
#include "tables/others_fixture.h"
#include "tables/parquet/parquet_reader.h"
#include "tables/parquet/parquet_writer.h"
#include "training/testing/shop.h"

namespace headrace::training {
namespace {

using base::ErrorCode;
using columns::Column;
using columns::ColumnBatch;
using columns::Field;
using columns::Schema;
using columns::SchemaRef;
using columns::Type;
using columns::Value;
using testing::kStartUs;
using testing::Order;
using testing::Shop;

constexpr const char* kLabels = "labels.parquet";
constexpr const char* kOutput = "training.parquet";

// What a label asks.
struct Label {
  int64_t id;  // of the order to leave out
  std::string customer;
  int64_t at_s;
};

SchemaRef LabelSchema() {
  return std::make_shared<const Schema>(
      std::vector<Field>{{.id = 1, .name = "id", .type = Type::kInt64},
                         {.id = 2, .name = "customer", .type = Type::kString},
                         {.id = 3, .name = "when", .type = Type::kTimestamp},
                         {.id = 4, .name = "basket", .type = Type::kFloat64},
                         {.id = 5, .name = "fraud", .type = Type::kBool}});
}

void WriteParquet(Shop& shop, const ColumnBatch& rows, const std::string& path) {
  const auto writer = tables::ParquetWriter::Make(rows.schema());
  ASSERT_TRUE(writer->Write(rows));
  const auto file = writer->Finish();
  ASSERT_TRUE(file);
  ASSERT_TRUE(env::PutAtomically(shop.machine.files(), path, file->bytes.bytes()));
}

void WriteLabels(Shop& shop, const std::vector<Label>& labels) {
  columns::BatchBuilder builder(LabelSchema());
  for (const Label& label : labels) {
    builder.column(0).AppendInt(label.id);
    builder.column(1).AppendText(label.customer);
    builder.column(2).AppendInt(kStartUs + label.at_s * 1'000'000);
    builder.column(3).AppendDouble(100);
    builder.column(4).AppendBool(label.id % 2 == 0);
  }
  WriteParquet(shop, builder.Finish(), kLabels);
}

TrainOptions Options() {
  return {.data_folder = testing::kDataFolder,
          .labels = kLabels,
          .service = "checkout",
          .time_column = "when",
          .exclude_column = "id",
          .output = kOutput};
}

// The amounts of the last three orders after `edge_s`, the newest at the end.
Value NaiveRecent(std::vector<Order> known, int64_t edge_s) {
  std::ranges::stable_sort(known, std::less<>(), &Order::at_s);
  Value::Elements amounts;
  for (const Order& order : known)
    if (order.at_s > edge_s) amounts.push_back(Value::Int64(order.amount));
  if (amounts.size() > 3) amounts.erase(amounts.begin(), amounts.end() - 3);
  return Value::List(Type::kInt64, std::move(amounts));
}

// The features of a label by their names; a missing name is null.
std::map<std::string, Value> Naive(const std::vector<Order>& orders, const Label& label) {
  std::map<std::string, Value> features;
  std::vector<Order> known;
  for (const Order& order : orders) {
    const bool in_cut = order.at_s + 3 <= label.at_s && order.id != label.id;
    if (in_cut && order.customer == label.customer) known.push_back(order);
  }
  if (known.empty()) return features;
  for (const auto& [window, span] : {std::pair("10m", 600), std::pair("1h", 3600)}) {
    int64_t count = 0;
    int64_t sum = 0;
    for (const Order& order : known) {
      if (order.at_s <= label.at_s - span) continue;
      ++count;
      sum += order.amount;
    }
    features[std::string("orders_") + window] = Value::Int64(count);
    if (count == 0) continue;
    features[std::string("spend_") + window] = Value::Int64(sum);
    features[std::string("quarters_") + window] = Value::Float64(static_cast<double>(sum) / 4);
    features[std::string("recent_") + window] = NaiveRecent(known, label.at_s - span);
  }
  // The last by event time; of equals the one that was sent last.
  const auto last = std::ranges::max_element(known, std::less<>(), &Order::at_s);
  const auto same = [&](const Order& order) { return order.at_s == last->at_s; };
  features["last_amount"] = Value::Int64(std::find_if(known.rbegin(), known.rend(), same)->amount);
  features["over"] = Value::Float64(100 - static_cast<double>(features["last_amount"].as_int()));
  return features;
}

std::vector<Order> RandomOrders(std::mt19937_64& random, size_t count) {
  std::vector<Order> orders;
  for (size_t i = 0; i < count; ++i) {
    const auto back = static_cast<int64_t>(random() % 1800);  // inside the allowed lateness
    orders.push_back({.id = static_cast<int64_t>(i),
                      .at_s = static_cast<int64_t>(2000 + i * 20) - back,
                      .customer = "c" + std::to_string(random() % 7),
                      .amount = static_cast<int64_t>(random() % 1000) - 200});
  }
  return orders;
}

ColumnBatch ReadOutput(Shop& shop) {
  const auto reader = tables::ParquetReader::Open(shop.machine.files(), kOutput);
  EXPECT_TRUE(reader);
  auto rows = (*reader)->ReadAll(*(*reader)->schema());
  EXPECT_TRUE(rows) << rows.error().ToString();
  return std::move(*rows);
}

// A stream with views of its own, and one that is derived of it, are read one after the other.
TEST(ScannedRows, CountsAStreamThatIsReadTwiceOnce) {
  ScannedRows all;
  ScannedRows payments;
  payments.streams[base::StreamId{1}] = {.from_table = 420, .from_log = 180, .files_of_others = 2};
  payments.table_version = 3;
  ScannedRows joined = payments;
  joined.streams[base::StreamId{2}] = {.from_table = 7, .from_log = 1, .of_unknown_time = 1};
  all.Add(payments);
  all.Add(joined);
  EXPECT_EQ(all.total().from_table, 427U);
  EXPECT_EQ(all.total().from_log, 181U);
  EXPECT_EQ(all.total().files_of_others, 2U);
  EXPECT_EQ(all.total().of_unknown_time, 1U);
  EXPECT_EQ(all.table_version, 3);
}

TEST(Train, EqualsANaiveRecomputation) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  Shop shop(seed);
  const std::vector<Order> orders = RandomOrders(random, 600);
  for (size_t begin = 0; begin < orders.size(); begin += 20) {
    const auto first = orders.begin() + static_cast<ptrdiff_t>(begin);
    shop.Send({first, first + 20});
    if (begin == 400) shop.Publish();  // a part of the rows in the table, the rest in the log only
  }
  std::vector<Label> labels;
  for (int64_t i = 0; i < 500; ++i) {
    const Order& order = orders[random() % orders.size()];
    const int64_t at = random() % 2 == 0 ? order.at_s + 3 : static_cast<int64_t>(random() % 16'000);
    labels.push_back({order.id, random() % 20 == 0 ? "nobody" : order.customer, at});
  }
  WriteLabels(shop, labels);

  TrainOptions options = Options();
  WorkProgress progress;
  options.progress = &progress;
  const auto report = Train(shop.machine, options);
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(report->rows, labels.size());
  EXPECT_EQ(progress.figures().doing, "answering");
  EXPECT_EQ(progress.figures().done, labels.size());
  EXPECT_EQ(progress.figures().total, labels.size());
  EXPECT_EQ(progress.figures().number, 3U) << "reading, sorting, answering";
  EXPECT_TRUE(report->assumed);
  EXPECT_EQ(report->scanned.total().from_table, 420U);
  EXPECT_EQ(report->scanned.total().from_log, 180U);

  const ColumnBatch out = ReadOutput(shop);
  ASSERT_EQ(out.rows(), labels.size());
  const Schema& schema = *out.schema();
  for (size_t row = 0; row < labels.size(); ++row) {
    const auto expected = Naive(orders, labels[row]);
    EXPECT_EQ(out.column(0).Int64s()[row], labels[row].id);
    for (const char* name : {"orders_10m", "orders_1h", "spend_10m", "spend_1h", "quarters_10m",
                             "quarters_1h", "recent_10m", "recent_1h", "last_amount", "over"}) {
      const auto index = schema.IndexOf(name);
      ASSERT_TRUE(index) << name;
      const auto found = expected.find(name);
      const Value got = out.column(*index).At(row);
      if (found == expected.end()) {
        EXPECT_TRUE(got.is_null()) << name << " of label " << row << ": " << got.ToJson();
      } else {
        EXPECT_TRUE(got.SameBits(found->second))
            << name << " of label " << row << ": " << got.ToJson() << ", expected "
            << found->second.ToJson();
      }
    }
    EXPECT_EQ(out.column(*schema.IndexOf("_known")).Text(row), "assumed");
  }
}

TEST(Train, LooksNeitherPastTheTimeNorAtItsOwnRow) {
  Shop shop(2);
  shop.Send({{1, 100, "a", 10}, {2, 200, "a", 20}, {3, 300, "a", 30}});
  // Order 2 is known from 203 on; at 202 only order 1 is. Label 3 is order 3 itself, at its own
  // arrival.
  WriteLabels(shop, {{99, "a", 202}, {99, "a", 203}, {3, "a", 303}});
  ASSERT_TRUE(Train(shop.machine, Options()));
  const ColumnBatch out = ReadOutput(shop);
  const auto spend = out.column(*out.schema()->IndexOf("spend_1h")).Int64s();
  EXPECT_EQ(spend[0], 10);
  EXPECT_EQ(spend[1], 30);
  EXPECT_EQ(spend[2], 30);
}

// A label of the members' service; no `id` for one that is no order.
struct MemberLabel {
  std::optional<int64_t> id;
  int64_t at_s;
  std::optional<int64_t> epoch = {};
  bool null_customer = false;
};

void WriteMemberLabels(Shop& shop, const std::vector<MemberLabel>& labels) {
  columns::BatchBuilder builder(std::make_shared<const Schema>(
      std::vector<Field>{{.id = 1, .name = "customer", .type = Type::kString},
                         {.id = 2, .name = "when", .type = Type::kTimestamp},
                         {.id = 3, .name = "member_since", .type = Type::kTimestamp},
                         {.id = 4, .name = "id", .type = Type::kInt64},
                         {.id = 5, .name = "answered", .type = Type::kInt64}}));
  const auto append = [&](size_t column, std::optional<int64_t> value) {
    if (value) {
      builder.column(column).AppendInt(*value);
    } else {
      builder.column(column).AppendNull();
    }
  };
  for (const MemberLabel& label : labels) {
    if (label.null_customer) {
      builder.column(0).AppendNull();
    } else {
      builder.column(0).AppendText("a");
    }
    builder.column(1).AppendInt(kStartUs + label.at_s * 1'000'000);
    builder.column(2).AppendInt(kStartUs);
    append(3, label.id);
    append(4, label.epoch);
  }
  WriteParquet(shop, builder.Finish(), kLabels);
}

TEST(Train, RefusesToLeaveRowsOutWhereNoneAreRead) {
  Shop shop(9);
  shop.Send({{1, 100, "a", 10}});
  WriteMemberLabels(shop, {{1, 200}});
  TrainOptions options = Options();
  options.service = "joiners";
  const auto refused = Train(shop.machine, options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kInvalidInput) << refused.error().ToString();
  options.exclude_column.reset();
  EXPECT_TRUE(Train(shop.machine, options));
}

TEST(Train, CountsLabelsThatNameNoRow) {
  Shop shop(10);
  shop.Send({{1, 100, "a", 10}, {2, 200, "a", 20}});
  WriteMemberLabels(shop, {{2, 300}, {std::nullopt, 300}, {std::nullopt, 300}});
  TrainOptions options = Options();
  options.service = "members";
  const auto report = Train(shop.machine, options);
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(report->without_own_row, 2U);
  const ColumnBatch out = ReadOutput(shop);
  const size_t last = *out.schema()->IndexOf("last_amount");
  EXPECT_EQ(out.column(last).At(0).ToJson(), "10");
  EXPECT_EQ(out.column(last).At(1).ToJson(), "20");
}

// Before the clock was the wall's, arrival was assumed: of rows in the table and in the log alike.
// A label of later is behind all of that.
TEST(Train, WhatWasAssumedOfEarlierRowsStaysAssumed) {
  Shop shop(13);
  shop.Send({{1, 100, "a", 10}});
  shop.Publish();
  shop.Send({{2, 200, "a", 20}});
  shop.NameWallClock();
  const int64_t later_s = (shop.machine.clock().Wall().us - kStartUs) / 1'000'000 + 60;
  WriteMemberLabels(shop, {{{}, 150}, {{}, 202}, {{}, 203}, {{}, later_s}});
  TrainOptions options = Options();
  options.service = "members";
  const auto report = Train(shop.machine, options);
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_TRUE(report->assumed);
  const ColumnBatch out = ReadOutput(shop);
  const Column& last = out.column(*out.schema()->IndexOf("last_amount"));
  const Column& known = out.column(*out.schema()->IndexOf("_known"));
  const std::vector<std::string> expected = {"10 assumed", "10 assumed", "20 assumed",
                                             "20 observed"};
  for (size_t row = 0; row < expected.size(); ++row)
    EXPECT_EQ(last.At(row).ToJson() + " " + std::string(known.Text(row)), expected[row]) << row;
}

// As online, where a null is a key like any other.
TEST(Train, ANullKeyHasTheFeaturesOfItsRows) {
  Shop shop(12);
  shop.Send({{1, 100, "a", 10}, {2, 100, "", 20}});
  WriteMemberLabels(shop, {{.id = {}, .at_s = 300, .epoch = {}, .null_customer = true}});
  TrainOptions options = Options();
  options.service = "members";
  const auto report = Train(shop.machine, options);
  ASSERT_TRUE(report) << report.error().ToString();
  const ColumnBatch out = ReadOutput(shop);
  EXPECT_EQ(out.column(*out.schema()->IndexOf("last_amount")).At(0).ToJson(), "20");
  EXPECT_EQ(out.column(*out.schema()->IndexOf("joined")).At(0).ToJson(),
            "\"2001-01-01T00:00:00Z\"");
}

// Rows that came later are not known to the answer, whatever their event time.
TEST(Train, ALabelThatNamesAnAnswersEpochGetsTheAnswer) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  Shop shop(seed);
  const std::vector<Order> orders = RandomOrders(random, 400);
  std::vector<serving::FeatureAnswer> answers;
  columns::BatchBuilder labels(std::make_shared<const Schema>(
      std::vector<Field>{{.id = 1, .name = "customer", .type = Type::kString},
                         {.id = 2, .name = "when", .type = Type::kTimestamp},
                         {.id = 3, .name = "basket", .type = Type::kFloat64},
                         {.id = 4, .name = "answered", .type = Type::kInt64}}));
  for (size_t begin = 0; begin < orders.size(); begin += 10) {
    const auto first = orders.begin() + static_cast<ptrdiff_t>(begin);
    shop.Send({first, first + 10});
    if (begin == 200) shop.Publish();
    for (int i = 0; i < 3; ++i) {
      const std::string customer = "c" + std::to_string(random() % 8);
      const double basket = static_cast<double>(random() % 100);
      const auto& answer = answers.emplace_back(shop.Ask(customer, basket));
      labels.column(0).AppendText(customer);
      labels.column(1).AppendInt(answer.as_of.us);
      labels.column(2).AppendDouble(basket);
      labels.column(3).AppendInt(static_cast<int64_t>(answer.epoch.value));
    }
  }
  WriteParquet(shop, labels.Finish(), kLabels);
  TrainOptions options = Options();
  options.exclude_column.reset();
  options.epoch_column = "answered";
  const auto report = Train(shop.machine, options);
  ASSERT_TRUE(report) << report.error().ToString();
  const ColumnBatch out = ReadOutput(shop);
  ASSERT_EQ(out.rows(), answers.size());
  for (size_t row = 0; row < answers.size(); ++row) {
    for (size_t i = 0; i < answers[row].columns->size(); ++i) {
      const std::string& name = (*answers[row].columns)[i].shown;
      const Value got = out.column(*out.schema()->IndexOf(name)).At(row);
      const Value& served = answers[row].values[i];
      EXPECT_TRUE(got.SameBits(served) || (got.is_null() && served.is_null()))
          << name << " of label " << row << ": " << got.ToJson() << ", served " << served.ToJson();
    }
    EXPECT_EQ(out.column(*out.schema()->IndexOf("_known")).Text(row), "observed");
  }
}

TEST(Train, ALabelsEpochMustBeInTheLog) {
  Shop shop(11);
  shop.Send({{1, 100, "a", 10}});
  TrainOptions options = Options();
  options.service = "members";
  options.exclude_column.reset();
  options.epoch_column = "answered";
  // Without one the label's time counts: the order is known from 103 on.
  const auto epoch = shop.AskList("a", {"latest.last_amount"}).epoch.value;
  WriteMemberLabels(shop, {{1, 102, static_cast<int64_t>(epoch)}, {1, 102, std::nullopt}});
  ASSERT_TRUE(Train(shop.machine, options));
  const ColumnBatch out = ReadOutput(shop);
  EXPECT_EQ(out.column(*out.schema()->IndexOf("last_amount")).At(0).ToJson(), "10");
  EXPECT_TRUE(out.column(*out.schema()->IndexOf("last_amount")).At(1).is_null());
  for (const int64_t none : {int64_t{0}, int64_t{-1}, int64_t{1000}}) {
    WriteMemberLabels(shop, {{1, 200, none}});
    const auto refused = Train(shop.machine, options);
    ASSERT_FALSE(refused) << none;
    EXPECT_EQ(refused.error().code(), ErrorCode::kInvalidInput) << refused.error().ToString();
  }
  options.epoch_column = "when";
  EXPECT_FALSE(Train(shop.machine, options));
}

TEST(Train, WhatIsNotThereIsNamedBeforeTheWork) {
  Shop shop(13);
  shop.Send({{1, 100, "a", 10}});
  WriteLabels(shop, {{99, "a", 1800}});
  TrainOptions options = Options();
  options.labels = "nosuch.parquet";
  auto refused = Train(shop.machine, options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message(), "there is no such file of labels");
  options = Options();
  options.output = "nodir/out.parquet";
  refused = Train(shop.machine, options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message(), "the folder of the training set is not there");
  options = Options();
  options.time_column = "wen";
  refused = Train(shop.machine, options);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().ToString().find("did you mean"), std::string::npos)
      << refused.error().ToString();
}

TEST(Train, SaysThatMaxLagIsNotLookedAt) {
  Shop shop(12);
  shop.Send({{1, 100, "a", 10}});
  WriteMemberLabels(shop, {{1, 200}});
  TrainOptions options = Options();
  options.exclude_column.reset();
  for (const auto& [service, looked_at] : {std::pair("members", true), std::pair("fresh", false)}) {
    options.service = service;
    const auto report = Train(shop.machine, options);
    ASSERT_TRUE(report) << report.error().ToString();
    EXPECT_EQ(!report->max_lag.has_value(), looked_at) << service;
  }
}

constexpr const char* kTable = "data/tables/orders";

// The spend of "a" half an hour after kStartUs.
Value Spend(Shop& shop) {
  const ColumnBatch out = ReadOutput(shop);
  return out.column(*out.schema()->IndexOf("spend_1h")).At(0);
}

TEST(Train, LeavesRowsOutThatAnotherWriterAppended) {
  Shop shop(7);
  shop.Send({{1, 100, "a", 10}, {2, 200, "a", 20}});
  shop.Publish();
  tables::fixture::CopyAFile(shop.machine, kTable, "theirs.parquet");
  WriteLabels(shop, {{99, "a", 1800}});
  const auto report = Train(shop.machine, Options());
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(Spend(shop).ToJson(), "30");
  EXPECT_EQ(report->scanned.total().from_table, 2U);
  EXPECT_EQ(report->scanned.total().files_of_others, 1U);
}

// Where they wrote our rows anew, nothing but their positions tells whose rows are whose.
TEST(Train, ReadsRowsThatAnotherWriterMovedButNoneTwice) {
  Shop shop(8);
  shop.Send({{1, 100, "a", 10}, {2, 200, "a", 20}});
  shop.Publish();
  tables::fixture::CopyAFile(shop.machine, kTable, "theirs.parquet",
                             tables::fixture::TheyAlso::kRemoveIt);
  WriteLabels(shop, {{99, "a", 1800}});
  const auto report = Train(shop.machine, Options());
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(Spend(shop).ToJson(), "30");
  tables::fixture::CopyAFile(shop.machine, kTable, "more.parquet");
  const auto refused = Train(shop.machine, Options());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kConflict) << refused.error().ToString();
}

// A log that was restored from an older copy goes on with other epochs than the table's, and is
// past the table's marker one day.
TEST(Train, RefusesATableWithEpochsThatTheLogNeverPlanned) {
  Shop shop(9);
  shop.Send({{1, 100, "a", 10}, {2, 200, "a", 20}});
  shop.Publish();
  const auto table = *tables::delta::DeltaTable::OpenForAppend(
      shop.machine, kTable, "orders", *tables::TableSchema(*shop.definition->streams[0].schema()));
  tables::Marker marker = table->markers().front();
  ++marker.version;
  ASSERT_TRUE(table->Append({}, marker));
  for (int64_t id = 3; id < 9; ++id) shop.Send({{id, 100 * id, "a", 1}});
  WriteLabels(shop, {{99, "a", 1800}});
  const auto refused = Train(shop.machine, Options());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kConflict) << refused.error().ToString();
  EXPECT_NE(refused.error().message().find("the log has planned only up to"), std::string::npos);
}

// A power cut took the mark of what is durable, and the log ends with the plan: that it was carried
// out proves it.
TEST(Train, TakesATableWhosePlanIsTheLastOfALogThatLostPower) {
  Shop shop(10);
  shop.Send({{1, 100, "a", 10}, {2, 200, "a", 20}});
  shop.Publish();
  ASSERT_TRUE(shop.machine.files().Remove(std::string(testing::kDataFolder) + "/log/DURABLE"));
  WriteLabels(shop, {{99, "a", 1800}});
  const auto report = Train(shop.machine, Options());
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(Spend(shop).ToJson(), "30");
  EXPECT_EQ(report->scanned.total().from_table, 2U);
}

TEST(Train, TakesALabelsDateForItsMidnight) {
  Shop shop(5);
  shop.Send({{1, 100, "a", 10}});
  columns::BatchBuilder builder(std::make_shared<const Schema>(
      std::vector<Field>{{.id = 1, .name = "customer", .type = Type::kString},
                         {.id = 2, .name = "when", .type = Type::kTimestamp},
                         {.id = 3, .name = "member_since", .type = Type::kDate}}));
  builder.column(0).AppendText("a");
  builder.column(1).AppendInt(kStartUs + 200 * 1'000'000);
  builder.column(2).AppendInt(kStartUs / 86'400'000'000);
  WriteParquet(shop, builder.Finish(), kLabels);
  TrainOptions options = Options();
  options.service = "members";
  options.exclude_column.reset();
  const auto report = Train(shop.machine, options);
  ASSERT_TRUE(report) << report.error().ToString();
  const ColumnBatch out = ReadOutput(shop);
  EXPECT_EQ(out.column(*out.schema()->IndexOf("joined")).At(0).ToJson(),
            R"("2001-01-01T00:00:00Z")");
}

TEST(History, GoesOnWhenTheTableIsNewerThanItsLookAtTheLog) {
  Shop shop(4);
  shop.Send({{1, 100, "a", 10}});
  const auto history = History::Open(shop.machine, testing::kDataFolder);
  ASSERT_TRUE(history);
  shop.Send({{2, 200, "a", 20}, {3, 300, "a", 30}});
  shop.Publish();
  uint64_t rows = 0;
  const auto count = [&](const tables::PositionedRows& part) -> base::Result<void> {
    rows += part.rows.rows();
    return {};
  };
  const auto scanned = (*history)->ScanRows(shop.definition->streams[0], {0, 1}, count);
  ASSERT_TRUE(scanned) << scanned.error().ToString();
  EXPECT_EQ(rows, 3U);
  EXPECT_GT(scanned->through, (*history)->newest());
}

TEST(Train, SaysWhatIsWrongWithTheLabels) {
  Shop shop(3);
  shop.Send({{1, 100, "a", 10}});
  WriteLabels(shop, {{99, "a", 202}});
  const auto error = [&](const TrainOptions& options) {
    const auto report = Train(shop.machine, options);
    return report ? base::Error(ErrorCode::kInternal, "it worked") : report.error();
  };
  TrainOptions options = Options();
  options.service = "nothing";
  EXPECT_EQ(error(options).code(), ErrorCode::kNotFound);
  options = Options();
  options.time_column = "who";
  EXPECT_NE(error(options).message().find("`who`"), std::string::npos);
  options.time_column = "customer";
  EXPECT_EQ(error(options).code(), ErrorCode::kInvalidInput);
  options = Options();
  options.exclude_column = "fraud";
  EXPECT_NE(error(options).message().find("stream orders has no column `fraud`"), std::string::npos)
      << error(options).ToString();
  options = Options();
  options.labels_max = 0;
  EXPECT_EQ(error(options).code(), ErrorCode::kResourceExhausted);
  options = Options();
  options.labels = "missing.parquet";
  EXPECT_EQ(error(options).code(), ErrorCode::kNotFound);
  options.labels = kOutput;  // a training set again: the features are there already
  ASSERT_TRUE(Train(shop.machine, Options()));
  EXPECT_NE(error(options).message().find("rename"), std::string::npos) << error(options).message();
}

}  // namespace
}  // namespace headrace::training
