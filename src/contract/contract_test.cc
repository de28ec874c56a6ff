#include "contract/contract.h"

#include <gtest/gtest.h>

#include <random>

#include "columns/batch_builder.h"
#include "contract/contract_impl.h"
#include "contract/field_rules.h"

namespace headrace::contract {
namespace {

using columns::ColumnBatch;
using columns::RejectedRow;
using columns::Type;

constexpr std::string_view kHead =
    "apiVersion: v3.2.0\nkind: DataContract\nid: orders\nversion: 1.2.0\nstatus: active\n"
    "schema:\n  - name: orders\n    logicalType: object\n    properties:\n";

std::string With(std::string_view properties) {
  return std::string(kHead) + std::string(properties);
}

ContractRef Parsed(std::string_view text) {
  ParsedContract parsed = Contract::Parse("orders.yaml", text, "");
  std::string all;
  for (const Diagnostic& d : parsed.diagnostics) all += Render(d, text);
  EXPECT_NE(parsed.contract, nullptr) << all;
  return parsed.contract;
}

constexpr std::string_view kOrders =
    "      - {name: id, logicalType: integer, required: true, primaryKey: true, unique: true}\n"
    "      - {name: amount, logicalType: number, logicalTypeOptions: {exclusiveMinimum: 0, "
    "maximum: 1000.5}}\n"
    "      - {name: quantity, logicalType: integer, physicalType: int32, logicalTypeOptions: "
    "{minimum: 1, maximum: 99, multipleOf: 3}}\n"
    "      - {name: sku, logicalType: string, required: true, logicalTypeOptions: {minLength: 2, "
    "maxLength: 5, pattern: '[A-Z]+'}}\n"
    "      - name: status\n        logicalType: string\n        quality:\n"
    "          - {type: library, metric: invalidValues, mustBe: 0, arguments: {validValues: [open, "
    "paid, sent]}}\n"
    "      - {name: card, logicalType: string, classification: restricted, logicalTypeOptions: "
    "{minLength: 3}}\n"
    "      - {name: day, logicalType: date, logicalTypeOptions: {minimum: '2001-01-01'}}\n"
    "      - {name: grade, logicalType: integer, enum: [{value: 1}, {value: 5}]}\n";

ColumnBatch OneRow(const ContractRef& contract,
                   const std::function<void(columns::BatchBuilder&)>& change) {
  columns::BatchBuilder builder(contract->schema());
  change(builder);
  return builder.Finish();
}

// A row of kOrders from its parts; null pointers are nulls.
struct Order {
  std::optional<int64_t> id = 1;
  std::optional<double> amount = 9.5;
  std::optional<int64_t> quantity = 3;
  std::optional<std::string> sku = "AB";
  std::optional<std::string> status = "paid";
  std::optional<std::string> card = "1234";
  std::optional<int64_t> day = 12000;
  std::optional<int64_t> grade = 5;

  void AppendTo(columns::BatchBuilder& builder) const {
    const auto number = [&](size_t i, const std::optional<int64_t>& v) {
      v ? builder.column(i).AppendInt(*v) : builder.column(i).AppendNull();
    };
    const auto text = [&](size_t i, const std::optional<std::string>& v) {
      v ? builder.column(i).AppendText(*v) : builder.column(i).AppendNull();
    };
    number(0, id);
    amount ? builder.column(1).AppendDouble(*amount) : builder.column(1).AppendNull();
    number(2, quantity);
    text(3, sku);
    text(4, status);
    text(5, card);
    number(6, day);
    number(7, grade);
  }
};

std::vector<RejectedRow> Refused(const Order& order) {
  const ContractRef contract = Parsed(With(kOrders));
  std::vector<uint32_t> accepted;
  std::vector<RejectedRow> rejected;
  contract->Check(OneRow(contract, [&](auto& builder) { order.AppendTo(builder); }), accepted,
                  rejected);
  EXPECT_EQ(accepted.size() + rejected.size(), 1U);
  return rejected;
}

std::string Reason(const Order& order) {
  const auto rejected = Refused(order);
  return rejected.empty() ? ""
                          : rejected[0].field + " " + rejected[0].rule + ": " + rejected[0].reason;
}

TEST(Contract, ReadsTypesAndNullability) {
  const ContractRef contract = Parsed(With(kOrders));
  EXPECT_EQ(contract->id(), "orders");
  EXPECT_EQ(contract->version(), "1.2.0");
  const columns::Schema& schema = *contract->schema();
  ASSERT_EQ(schema.size(), 8U);
  EXPECT_EQ(schema.field(0), (columns::Field{1, "id", Type::kInt64, columns::Nullable::kNo}));
  EXPECT_EQ(schema.field(1).type, Type::kFloat64);
  EXPECT_EQ(schema.field(2),
            (columns::Field{3, "quantity", Type::kInt32, columns::Nullable::kYes}));
  EXPECT_EQ(schema.field(6).type, Type::kDate);
  EXPECT_TRUE(contract->restricted(5));
  EXPECT_FALSE(contract->restricted(0));
}

TEST(Contract, EveryPhysicalTypeThatRefines) {
  const std::pair<std::string_view, Type> types[] = {
      {"string, physicalType: bytes", Type::kBytes},
      {"number, physicalType: float32", Type::kFloat32},
      {"timestamp, physicalType: timestamp_ntz", Type::kTimestampNtz},
      {"timestamp, logicalTypeOptions: {timezone: false}", Type::kTimestampNtz},
      {"integer, logicalTypeOptions: {format: i32}", Type::kInt32},
      {"string, physicalType: VARCHAR(12)", Type::kString},
      {"boolean", Type::kBool}};
  for (const auto& [text, type] : types)
    EXPECT_EQ(Parsed(With("      - {name: x, logicalType: " + std::string(text) + "}\n"))
                  ->schema()
                  ->field(0)
                  .type,
              type)
        << text;
}

TEST(Contract, AFormatOfIntegersIsABound) {
  const ContractRef contract =
      Parsed(With("      - {name: x, logicalType: integer, logicalTypeOptions: {format: u8}}\n"));
  columns::BatchBuilder builder(contract->schema());
  for (const int64_t value : {-1, 0, 255, 256}) builder.column(0).AppendInt(value);
  const columns::EventBatch batch = contract->Enforce(builder.Finish());
  EXPECT_EQ(batch.rows.rows(), 2U);
  ASSERT_EQ(batch.rejected.size(), 2U);
  EXPECT_EQ(batch.rejected[0].rule, "range");
}

TEST(Contract, SaysWhatIsWrongAndHowToMendIt) {
  EXPECT_EQ(Reason({}), "");
  EXPECT_EQ(Reason({.id = std::nullopt}), "id required: id is missing; the contract requires it");
  EXPECT_EQ(Reason({.amount = 0.0}), "amount range: amount is 0.0; the contract wants more than 0");
  EXPECT_EQ(Reason({.amount = 1000.75}),
            "amount range: amount is 1000.75; the contract wants at most 1000.5");
  EXPECT_EQ(Reason({.amount = std::nan("")}),
            "amount range: amount is not a number; the contract wants one within its bounds");
  EXPECT_EQ(Reason({.quantity = -5}),
            "quantity range: quantity is -5; the contract wants at least 1");
  EXPECT_EQ(Reason({.quantity = 102}),
            "quantity range: quantity is 102; the contract wants at most 99");
  EXPECT_EQ(Reason({.quantity = 4}),
            "quantity multiple: quantity is 4; the contract wants a multiple of 3");
  EXPECT_EQ(Reason({.sku = "A"}),
            "sku length: sku is \"A\", 1 characters; the contract wants at least 2");
  EXPECT_EQ(Reason({.sku = "ABCDEF"}),
            "sku length: sku is \"ABCDEF\", 6 characters; the contract wants at most 5");
  EXPECT_EQ(Reason({.sku = "ab"}),
            "sku pattern: sku is \"ab\"; the contract wants text like [A-Z]+");
  EXPECT_EQ(Reason({.sku = "AB1"}),
            "sku pattern: sku is \"AB1\"; the contract wants text like [A-Z]+")
      << "the whole text must match";
  EXPECT_EQ(Reason({.status = "payd"}),
            "status enum: status is \"payd\"; the contract wants one of: open, paid, sent");
  EXPECT_EQ(Reason({.card = "12"}),
            "card length: card is ***, 2 characters; the contract wants at least 3");
  EXPECT_EQ(Reason({.day = 11322}),
            "day range: day is \"2000-12-31\"; the contract wants at least \"2001-01-01\"");
  EXPECT_EQ(Reason({.grade = 2}), "grade enum: grade is 2; the contract wants one of: 1, 5");
  EXPECT_EQ(Reason({.status = "\xff"}), "status type: status is not UTF-8; send it as UTF-8 text");
  EXPECT_EQ(Reason({.amount = std::nullopt, .quantity = std::nullopt, .status = std::nullopt}), "")
      << "what is not required may be missing";
}

// Why a text in column x is refused under the given rules; empty when it is not.
std::string ReasonOfText(std::string_view rules, std::string_view value) {
  const ContractRef contract = Parsed(With("      - {name: x, " + std::string(rules) + "}\n"));
  if (contract == nullptr) return "no contract";
  const auto batch =
      contract->Enforce(OneRow(contract, [&](auto& b) { b.column(0).AppendText(value); }));
  return batch.rejected.empty() ? "" : batch.rejected[0].reason;
}

TEST(Contract, AllRulesOfAFieldHold) {
  constexpr std::string_view kPatterns =
      "logicalType: string, logicalTypeOptions: {pattern: '[A-Z]+'}, quality: [{metric: "
      "invalidValues, mustBe: 0, arguments: {pattern: '.{3}'}}, {metric: invalidValues, mustBe: 0, "
      "arguments: {pattern: '[A-M]+'}}]";
  EXPECT_EQ(ReasonOfText(kPatterns, "ABC"), "");
  EXPECT_EQ(ReasonOfText(kPatterns, "abc"), "x is \"abc\"; the contract wants text like [A-Z]+");
  EXPECT_EQ(ReasonOfText(kPatterns, "AB"), "x is \"AB\"; the contract wants text like .{3}");
  EXPECT_EQ(ReasonOfText(kPatterns, "XYZ"), "x is \"XYZ\"; the contract wants text like [A-M]+");
  constexpr std::string_view kLists =
      "logicalType: string, enum: [open, paid, sent], quality: [{metric: invalidValues, mustBe: 0, "
      "arguments: {validValues: [paid, sent, lost]}}, {metric: invalidValues, mustBe: 0, "
      "arguments: {validValues: [paid, lost]}}]";
  EXPECT_EQ(ReasonOfText(kLists, "paid"), "");
  for (const std::string_view other : {"open", "sent", "lost"})
    EXPECT_EQ(ReasonOfText(kLists, other),
              "x is \"" + std::string(other) + "\"; the contract wants one of: paid");
}

TEST(Contract, ListsOfNumbersAreHeldTogetherToo) {
  const ContractRef contract =
      Parsed(With("      - {name: x, logicalType: integer, enum: [1, 2, 3, 3], quality: [{metric: "
                  "invalidValues, mustBe: 0, arguments: {validValues: [5, 3, 2]}}]}\n"));
  const auto reason = [&](int64_t value) {
    const auto batch =
        contract->Enforce(OneRow(contract, [&](auto& b) { b.column(0).AppendInt(value); }));
    return batch.rejected.empty() ? "" : batch.rejected[0].reason;
  };
  EXPECT_EQ(reason(2), "");
  EXPECT_EQ(reason(3), "");
  EXPECT_EQ(reason(1), "x is 1; the contract wants one of: 2, 3");
  EXPECT_EQ(reason(5), "x is 5; the contract wants one of: 2, 3");
}

TEST(Contract, ListedBytesAreBase64) {
  constexpr std::string_view kRules =
      "logicalType: string, physicalType: bytes, enum: [aGk=, AP8=], logicalTypeOptions: "
      "{maxLength: 2}";
  EXPECT_EQ(ReasonOfText(kRules, "hi"), "");
  EXPECT_EQ(ReasonOfText(kRules, std::string_view("\0\xff", 2)), "");
  EXPECT_EQ(ReasonOfText(kRules, "ho"), "x is \"aG8=\"; the contract wants one of: AP8=, aGk=");
}

std::string ReasonOfFloat32(std::string_view rules, double value) {
  const ContractRef contract =
      Parsed(With("      - {name: x, logicalType: number, physicalType: float32, "
                  "logicalTypeOptions: {" +
                  std::string(rules) + "}}\n"));
  const auto batch =
      contract->Enforce(OneRow(contract, [&](auto& b) { b.column(0).AppendDouble(value); }));
  return batch.rejected.empty() ? "" : batch.rejected[0].reason;
}

TEST(Contract, BoundsOfFloat32AreRoundedAsValuesAre) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(ReasonOfFloat32("minimum: 0.7, maximum: 0.8", 0.7), "");
  EXPECT_EQ(ReasonOfFloat32("maximum: 0.3", 0.3), "");
  EXPECT_EQ(ReasonOfFloat32("maximum: 0.3", 0.4),
            "x is 0.4000000059604645; the contract wants at most 0.3");
  EXPECT_EQ(ReasonOfFloat32("exclusiveMinimum: 0.3", 0.3),
            "x is 0.30000001192092896; the contract wants more than 0.3");
  EXPECT_EQ(ReasonOfFloat32("exclusiveMaximum: 0.7", 0.7),
            "x is 0.699999988079071; the contract wants less than 0.7");
  EXPECT_EQ(ReasonOfFloat32("maximum: 1e300", 3e38), "");
  EXPECT_NE(ReasonOfFloat32("maximum: 1e300", kInfinity), "");
  EXPECT_NE(ReasonOfFloat32("minimum: -1e300", -kInfinity), "");
}

TEST(Contract, LengthsAreCodePoints) {
  EXPECT_EQ(Reason({.card = "üüü"}), "");
  EXPECT_NE(Reason({.card = "üü"}), "");
}

TEST(Contract, PayloadsStayWholeAndAreMaskedForReaders) {
  const auto rejected = Refused({.card = "12"});
  ASSERT_EQ(rejected.size(), 1U);
  EXPECT_NE(rejected[0].payload.find("\"card\":\"12\""), std::string::npos)
      << "a dead letter must be replayable";
  const ContractRef contract = Parsed(With(kOrders));
  EXPECT_EQ(contract->MaskPayload(R"({"id":1,"card":"12","more":[1, {"a":2}]})"),
            R"({"id":1,"card":"***","more":[1,{"a":2}]})");
  EXPECT_EQ(contract->MaskPayload("not json 12"), "***");
}

TEST(Contract, EnforceKeepsRequestNumbers) {
  const ContractRef contract = Parsed(With(kOrders));
  columns::BatchBuilder builder(contract->schema());
  Order{}.AppendTo(builder);
  Order{.quantity = -1}.AppendTo(builder);
  Order{.id = 3}.AppendTo(builder);
  std::vector<RejectedRow> untyped = {{2, "amount", "type", "amount is text", "{}"}};
  const columns::EventBatch batch = contract->Enforce(builder.Finish(), {0, 5, 7}, untyped);
  EXPECT_EQ(batch.rows.rows(), 2U);
  EXPECT_EQ(batch.row_numbers, (std::vector<uint32_t>{0, 7}));
  ASSERT_EQ(batch.rejected.size(), 2U);
  EXPECT_EQ(batch.rejected[0].row, 2U);
  EXPECT_EQ(batch.rejected[1].row, 5U);
  EXPECT_EQ(batch.request_rows(), 4U);
}

TEST(Contract, AGoodBatchIsPassedOnUncopied) {
  const ContractRef contract = Parsed(With(kOrders));
  columns::BatchBuilder builder(contract->schema());
  for (int i = 0; i < 20; ++i) Order{.id = i}.AppendTo(builder);
  ColumnBatch rows = builder.Finish();
  const uint8_t* ids = rows.column(0).values().data();
  const columns::EventBatch batch = contract->Enforce(std::move(rows));
  EXPECT_EQ(batch.rows.column(0).values().data(), ids);
  EXPECT_TRUE(batch.row_numbers.empty());
}

// The columnar check against rules applied one value at a time, over random rows.
TEST(ContractProperty, ColumnsAndRowsAgree) {
  const uint64_t seed = static_cast<uint64_t>(testing::UnitTest::GetInstance()->random_seed()) + 99;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  const auto pick = [&](const auto&... choices) {
    const std::common_type_t<decltype(choices)...> all[] = {choices...};
    return all[random() % sizeof...(choices)];
  };
  const ContractRef contract = Parsed(With(kOrders));
  for (int round = 0; round < 200; ++round) {
    const bool mostly_good = round % 2 == 0;
    columns::BatchBuilder builder(contract->schema());
    const size_t rows = 1 + random() % 40;
    std::vector<bool> good;
    for (size_t row = 0; row < rows; ++row) {
      Order order{.id = static_cast<int64_t>(row)};
      if (!mostly_good || random() % 10 == 0) {
        order.amount = pick(9.5, 0.0, -1.0, 1000.5, 1001.0, std::nan(""));
        order.quantity = pick(3, 0, 99, 100, 4);
        order.sku = pick(std::string("AB"), std::string("A"), std::string("ab"),
                         std::string("ABCDEF"), std::string("\xc3"));
        order.status =
            pick(std::string("open"), std::string("paid"), std::string(""), std::string("opened"));
        if (random() % 4 == 0) order.id.reset();
        if (random() % 4 == 0) order.status.reset();
      }
      order.AppendTo(builder);
      const bool amount = *order.amount > 0 && *order.amount <= 1000.5;
      const bool quantity =
          *order.quantity >= 1 && *order.quantity <= 99 && *order.quantity % 3 == 0;
      const bool sku = order.sku == "AB";
      const bool status = !order.status || *order.status == "open" || *order.status == "paid" ||
                          *order.status == "sent";
      good.push_back(order.id && amount && quantity && sku && status);
    }
    std::vector<uint32_t> accepted;
    std::vector<RejectedRow> rejected;
    contract->Check(builder.Finish(), accepted, rejected);
    std::vector<uint32_t> expected;
    for (uint32_t row = 0; row < rows; ++row)
      if (good[row]) expected.push_back(row);
    ASSERT_EQ(accepted, expected);
    ASSERT_EQ(accepted.size() + rejected.size(), rows);
  }
}

TEST(FieldRules, Utf8IsCheckedPerRowNotOverTheJoin) {
  FieldRules rules{.name = "x", .type = Type::kString};
  columns::ColumnBuilder builder(Type::kString);
  builder.AppendText("\xc3");  // together a whole letter, each alone half of one
  builder.AppendText("\xbc");
  const columns::Column column = builder.Finish();
  EXPECT_FALSE(rules.AllPass(column));
  EXPECT_FALSE(rules.Passes(column, 0));
  EXPECT_FALSE(rules.Passes(column, 1));
}

TEST(ValueSet, FindsShortAndLongTextsAndNothingElse) {
  const ValueSet set(
      {"", "a", "ab", "abc", "abcd", "abcdefgh", "abcdefghi", std::string("a\0", 2)});
  for (const std::string& value : set.values()) EXPECT_TRUE(set.Contains(value)) << value;
  for (const std::string_view other : {"b", "aa", "abd", "abcdefgi", "abcdefghj", "abcdefg"})
    EXPECT_FALSE(set.Contains(other)) << other;
  EXPECT_FALSE(set.Contains(std::string_view("ab\0", 3)));
  EXPECT_FALSE(ValueSet().Contains(""));
}

}  // namespace
}  // namespace headrace::contract
