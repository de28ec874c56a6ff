// The texts of features: every example of the registry gives the answer that stands beside it, and
// every name and alias is read.
#include "pipeline/feature_text.h"

#include <gtest/gtest.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "columns/batch_builder.h"
#include "pipeline/pipeline_file.h"
#include "pipeline/views/batch_driver.h"

namespace headrace::pipeline {
namespace {

constexpr std::string_view kContract = R"(apiVersion: v3.1.0
kind: DataContract
id: payments
version: 1.0.0
status: active
schema:
  - name: payments
    logicalType: object
    properties:
      - {name: card, logicalType: string, required: true}
      - {name: at, logicalType: timestamp, required: true}
      - {name: shop, logicalType: string}
      - {name: amount, logicalType: number}
      - {name: items, logicalType: integer}
)";

// A pipeline with one view over an hour, `card`, with these features f0, f1 ...
CheckedPipeline PipelineWith(const std::vector<std::string>& features) {
  std::string text = R"(headrace: 1
pipeline: payments
promise: {budget: {p99: 200ms}}
clock: events
streams:
  payments: {contract: payments.yaml, source: {http: push}, time: {event: at}}
views:
  card:
    from: payments
    by: card
    over: 1h
    features:
)";
  for (size_t i = 0; i < features.size(); ++i)
    text += fmt::format("      f{}: \"{}\"\n", i, features[i]);
  return CheckPipeline("pipeline.yaml", text, [](const std::string&) {
    return base::Result<std::string>(std::string(kContract));
  });
}

columns::ColumnBatch ExampleBatch(const columns::SchemaRef& schema) {
  columns::BatchBuilder builder(schema);
  for (const std::string_view row : ExampleRows()) {
    const auto json = nlohmann::json::parse(row);
    for (size_t i = 0; i < schema->size(); ++i) {
      const columns::Field& field = schema->field(i);
      columns::ColumnBuilder& column = builder.column(i);
      if (!json.contains(field.name)) {
        column.AppendNull();
      } else if (field.type == columns::Type::kFloat64) {
        column.AppendDouble(json[field.name].get<double>());
      } else if (field.type == columns::Type::kInt64) {
        column.AppendInt(json[field.name].get<int64_t>());
      } else {
        const auto text = json[field.name].get<std::string>();
        const auto value = columns::Value::FromText(field.type, text);
        HR_CHECK(value.has_value(), value.error().ToString());
        column.AppendValue(*value);
      }
    }
  }
  return builder.Finish();
}

TEST(FeatureText, EveryExampleGivesTheAnswerBesideIt) {
  std::vector<std::string> examples;
  for (const AggregateRow& row : AggregateTable()) examples.emplace_back(row.example);
  const CheckedPipeline checked = PipelineWith(examples);
  ASSERT_NE(checked.definition, nullptr) << checked.diagnostics.at(0).message;
  const ViewDefinition& view = checked.definition->views[0];
  BatchDriver driver(view, checked.definition->streams[0], std::nullopt);
  const columns::ColumnBatch batch = ExampleBatch(checked.definition->streams[0].schema());
  std::vector<columns::Position> positions;
  for (size_t i = 0; i < batch.rows(); ++i) positions.push_back(columns::Position::Of({1}, i));
  driver.Add(batch, positions, std::vector<int64_t>(batch.rows(), 0));
  driver.Prepare();
  columns::KeyBytes key;
  columns::AppendKeyValue(key, columns::Value::String("a"));
  const ViewAnswer answer =
      driver.Answer({.key = key, .as_of = *base::ParseTimestamp(kExampleAsOf), .cut = {}});
  for (size_t i = 0; i < AggregateTable().size(); ++i) {
    const AggregateRow& row = AggregateTable()[i];
    EXPECT_EQ(view.features[i].kind, row.kind) << row.example;
    EXPECT_EQ(answer.values[i].ToJson(), row.answer) << row.example;
  }
}

TEST(FeatureText, EveryAliasIsReadAsItsAggregate) {
  for (const AggregateRow& row : AggregateTable()) {
    std::string text(row.example);
    const std::string rest = text.substr(text.find('('));
    for (const std::string& alias : AliasesOf(row)) {
      const CheckedPipeline checked = PipelineWith({alias + rest});
      ASSERT_NE(checked.definition, nullptr) << alias;
      EXPECT_EQ(checked.definition->views[0].features[0].kind, row.kind) << alias;
    }
  }
}

TEST(FeatureText, NoNameIsThereTwice) {
  std::vector<std::string> names;
  for (const AggregateRow& row : AggregateTable()) {
    names.emplace_back(row.name);
    for (const std::string& alias : AliasesOf(row)) names.push_back(alias);
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
  for (const std::string& name : names) EXPECT_FALSE(WrittenInstead(name)) << name;
}

// Under `last` an expression alone stands for its values, whatever it begins with.
TEST(FeatureText, AnExpressionOfTheLastRows) {
  for (const std::string_view text :
       {"shop", "(items)", "((items + 1) * 2)", "lower(shop)", "lower(shop) || 'x' where items > 0",
        "CAST(items AS float64)", "extract(hour FROM at)", "NOT (items > 1)",
        "CASE (items) WHEN 1 THEN 2 END", "position('a' IN shop)", "coalesce(shop, '?')"}) {
    const std::string file = fmt::format(R"(headrace: 1
pipeline: payments
promise: {{budget: {{p99: 200ms}}}}
streams:
  payments: {{contract: payments.yaml, source: {{http: push}}, time: {{event: at}}}}
views:
  card:
    from: payments
    by: card
    last: {{3: {{f: "{}"}}}}
)",
                                         text);
    const auto checked = CheckPipeline("pipeline.yaml", file, [](const std::string&) {
      return base::Result<std::string>(std::string(kContract));
    });
    ASSERT_NE(checked.definition, nullptr) << text << ": " << checked.diagnostics.front().message;
    EXPECT_EQ(checked.definition->views[0].features[0].kind, AggregateKind::kLastN) << text;
  }
}

}  // namespace
}  // namespace headrace::pipeline
