// Reads a Delta table of anybody's, for tests that hold it against another engine:
//
//   headrace_read_table FOLDER COLUMN,COLUMN... [version=N | time=T | epoch=N] [COLUMN OP VALUE]
//
// OP is one of = < <= > >=. A line of JSON a row (of every file that may have a fitting one), then
// one with what was read. An error is one line, and exit code 1.

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "columns/value.h"
#include "env/environment.h"
#include "tables/delta/delta_reader.h"

namespace {

using headrace::base::Result;
using namespace headrace;  // NOLINT: a program of one file
using tables::delta::Condition;
using tables::delta::DeltaReader;
using tables::delta::ReadAt;

std::vector<std::string> Split(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

Result<ReadAt> ParseAt(const std::string& text) {
  ReadAt at;
  const std::string value = text.substr(text.find('=') + 1);
  if (text.starts_with("version=")) at.version = std::stoll(value);
  if (text.starts_with("epoch=")) at.epoch = std::stoull(value);
  if (text.starts_with("time=")) {
    HR_TRY(at.time, base::ParseTimestamp(value));
  }
  return at;
}

Result<Condition> ParseCondition(const DeltaReader& reader, const std::vector<std::string>& words) {
  Condition condition{.column = words[0]};
  const auto* column = reader.columns().Named(words[0]);
  if (column == nullptr || !column->held)
    return base::Fail(base::ErrorCode::kInvalidInput, "no such column");
  using Is = Condition::Is;
  condition.is = words[1] == "="    ? Is::kEqual
                 : words[1] == "<"  ? Is::kLess
                 : words[1] == "<=" ? Is::kAtMost
                 : words[1] == ">"  ? Is::kGreater
                                    : Is::kAtLeast;
  HR_TRY(condition.value, columns::Value::FromText(*column->held, words[2]));
  return condition;
}

Result<void> Read(const std::string& folder, const std::vector<std::string>& names,
                  std::vector<std::string> words) {
  const auto environment = env::MakeRealEnvironment();
  ReadAt at;
  if (!words.empty() && words[0].find('=') != std::string::npos && words[0] != "=") {
    HR_TRY(at, ParseAt(words[0]));
    words.erase(words.begin());
  }
  HR_TRY(const auto reader, DeltaReader::Open(*environment, folder, at));
  std::vector<Condition> conditions;
  if (words.size() == 3) {
    HR_TRY(Condition condition, ParseCondition(*reader, words));
    conditions.push_back(std::move(condition));
  }
  HR_TRY(const auto scanned,
         reader->Scan(names, conditions, [](const columns::ColumnBatch& rows) -> Result<void> {
           for (size_t row = 0; row < rows.rows(); ++row) {
             std::string line = "[";
             for (size_t i = 0; i < rows.columns().size(); ++i) {
               if (i > 0) line += ",";
               rows.column(i).At(row).AppendJson(line);
             }
             std::puts((line + "]").c_str());
           }
           return {};
         }));
  std::printf(R"({"version":%lld,"files":%llu,"pruned":%llu,"rows":%llu,"deleted":%llu})"
              "\n",
              static_cast<long long>(reader->state().version),
              static_cast<unsigned long long>(scanned.files),
              static_cast<unsigned long long>(scanned.pruned),
              static_cast<unsigned long long>(scanned.rows),
              static_cast<unsigned long long>(scanned.deleted));
  return {};
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3) {
    std::fprintf(stderr, "usage: headrace_read_table FOLDER COLUMNS [AT] [COLUMN OP VALUE]\n");
    return 2;
  }
  const auto read = Read(arguments[1], Split(arguments[2]),
                         std::vector<std::string>(arguments + 3, arguments + count));
  if (read) return 0;
  std::fprintf(stderr, "%s\n", read.error().ToString().c_str());
  return 1;
}
