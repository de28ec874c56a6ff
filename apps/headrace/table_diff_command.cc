// headrace tables diff BEFORE AFTER: what one version of a table has and another has not.

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "base/counts.h"
#include "base/json_text.h"
#include "commands.h"
#include "env/environment.h"
#include "tables/delta/delta_reader.h"
#include "tables/delta/table_diff.h"
#include "tables/delta/table_findings.h"

namespace headrace::app {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using nlohmann::ordered_json;
using tables::delta::DeltaReader;
using tables::delta::FileTotals;
using tables::delta::TableDiff;

struct Side {
  std::string folder;
  tables::delta::ReadAt at;
};

Result<uint64_t> Number(std::string_view text, const std::string& whole) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && !text.empty()) return number;
  return Fail(ErrorCode::kInvalidInput,
              fmt::format("`{}`: write FOLDER, FOLDER@VERSION or FOLDER@epoch:N", whole));
}

Result<Side> ParseSide(env::Files& files, const std::string& text) {
  Side side{.folder = text, .at = {}};
  const size_t at = text.rfind('@');
  const auto whole = files.Exists(text + "/_delta_log");
  if (at != std::string::npos && !(whole && *whole)) {
    side.folder = text.substr(0, at);
    std::string_view which = std::string_view(text).substr(at + 1);
    constexpr std::string_view kEpoch = "epoch:";
    if (which.starts_with(kEpoch)) {
      HR_TRY(side.at.epoch, Number(which.substr(kEpoch.size()), text));
    } else {
      HR_TRY(const uint64_t version, Number(which, text));
      side.at.version = static_cast<int64_t>(version);
    }
  }
  while (side.folder.size() > 1 && side.folder.ends_with('/')) side.folder.pop_back();
  return side;
}

// Whether both are the same, by whatever names.
bool IsSameFolder(env::Files& files, const Side& one, const Side& other) {
  const auto first = files.Resolve(one.folder);
  const auto second = files.Resolve(other.folder);
  return first && second && *first == *second;
}

struct Compared {
  int64_t before = 0;
  int64_t after = 0;
  TableDiff diff;
};

Result<Compared> CompareSides(const TableDiffOptions& options) {
  const auto environment = env::MakeRealEnvironment();
  HR_TRY(const Side before, ParseSide(environment->files(), options.before));
  HR_TRY(const Side after, ParseSide(environment->files(), options.after));
  HR_TRY(const auto one, DeltaReader::Open(*environment, before.folder, before.at));
  HR_TRY(const auto other, DeltaReader::Open(*environment, after.folder, after.at));
  HR_TRY(TableDiff diff,
         tables::delta::DiffTables(
             *one, *other,
             IsSameFolder(environment->files(), before, after) ? tables::delta::Tables::kOne
                                                               : tables::delta::Tables::kTwo,
             options.rows ? tables::delta::Compare::kRows : tables::delta::Compare::kFiles));
  return Compared{one->state().version, other->state().version, diff};
}

ordered_json ToJson(const FileTotals& totals) {
  return {{"files", totals.files}, {"rows", totals.rows}, {"bytes", totals.bytes}};
}

void Print(std::FILE* out, const std::string& name, const FileTotals& totals) {
  fmt::print(out, "  {:<14} {:>8} files {:>14} rows  {}\n", name, base::WithCommas(totals.files),
             base::WithCommas(totals.rows), tables::delta::BytesText(totals.bytes));
}

}  // namespace

int RunTableDiff(const TableDiffOptions& options, CommandContext& context) {
  const auto compared = CompareSides(options);
  if (!compared) return ReportError(context, compared.error());
  const TableDiff& diff = compared->diff;
  if (context.json()) {
    ordered_json json = {{"before", compared->before},
                         {"after", compared->after},
                         {"only_before", ToJson(diff.only_before)},
                         {"only_after", ToJson(diff.only_after)},
                         {"both", ToJson(diff.both)}};
    if (diff.rows)
      json["rows"] = {{"only_before", diff.rows->only_before},
                      {"only_after", diff.rows->only_after},
                      {"not_compared", diff.rows->not_compared}};
    fmt::print(context.out, "{}\n", base::JsonText(json));
    return 0;
  }
  fmt::print(context.out, "version {} and version {}\n", compared->before, compared->after);
  Print(context.out, "only before", diff.only_before);
  Print(context.out, "only after", diff.only_after);
  Print(context.out, "both", diff.both);
  if (diff.rows)
    fmt::print(context.out, "  rows           {} only before, {} only after\n",
               base::WithCommas(diff.rows->only_before), base::WithCommas(diff.rows->only_after));
  if (diff.rows && !diff.rows->not_compared.empty())
    fmt::print(context.out, "  not compared   {}\n", fmt::join(diff.rows->not_compared, ", "));
  return 0;
}

}  // namespace headrace::app
