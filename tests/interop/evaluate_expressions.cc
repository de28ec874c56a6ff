// Evaluates expressions over given rows, for the tests in Python beside it. Standard input is JSON
// lines: first {"columns": [[name, type] ...], "rows": [[value ...] ...]}, then a text each.
// Standard output has a line for each text: {"type": ..., "values": [...], "failed": n} or
// {"error": ...}. Dates and timestamps are their integers; NaN and infinities are strings, bytes
// hexadecimal digits.

#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "columns/batch_builder.h"
#include "interop/plain_json.h"
#include "pipeline/expressions/expression.h"

namespace headrace::pipeline {
namespace {

using columns::Type;
using columns::Value;
using nlohmann::json;

double NumberOf(const json& value) {
  if (!value.is_string()) return value.get<double>();
  const double infinity = std::numeric_limits<double>::infinity();
  const std::string text = value.get<std::string>();
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  return text == "-Infinity" ? -infinity : infinity;
}

void Append(columns::ColumnBuilder& column, const json& value) {
  if (value.is_null()) return column.AppendNull();
  switch (column.type()) {
    case Type::kBool: return column.AppendBool(value.get<bool>());
    case Type::kFloat32:
    case Type::kFloat64: return column.AppendDouble(NumberOf(value));
    case Type::kString:
    case Type::kBytes: return column.AppendText(value.get<std::string>());
    default: return column.AppendInt(value.get<int64_t>());
  }
}

columns::ColumnBatch ReadRows(const json& table) {
  std::vector<columns::Field> fields;
  for (const json& column : table["columns"])
    fields.push_back({static_cast<uint32_t>(fields.size() + 1), column[0].get<std::string>(),
                      *columns::TypeNamed(column[1].get<std::string>())});
  auto schema = std::make_shared<const columns::Schema>(std::move(fields));
  columns::BatchBuilder builder(schema);
  for (const json& row : table["rows"])
    for (size_t i = 0; i < schema->size(); ++i) Append(builder.column(i), row[i]);
  return builder.Finish();
}

std::string Answer(const std::string& text, const columns::ColumnBatch& rows) {
  auto expression = Expression::Compile(text, rows.schema());
  if (!expression) return json{{"error", expression.error().message}}.dump();
  const columns::Column column = expression->Evaluate(rows);
  std::string values;
  for (size_t row = 0; row < column.length(); ++row)
    values += (row == 0 ? "" : ",") + tests::PlainJson(column.At(row));
  return fmt::format(R"({{"type":"{}","failed":{},"values":[{}]}})",
                     columns::NameOf(expression->type()), expression->errors(), values);
}

void Run() {
  std::string line;
  std::getline(std::cin, line);
  const columns::ColumnBatch rows = ReadRows(json::parse(line));
  while (std::getline(std::cin, line))
    std::cout << Answer(json::parse(line).get<std::string>(), rows) << '\n';
}

}  // namespace
}  // namespace headrace::pipeline

int main() {
  std::ios::sync_with_stdio(false);
  headrace::pipeline::Run();
  return 0;
}
