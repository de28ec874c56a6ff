#include "tables/delta/table_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/hash.h"

namespace headrace::tables::delta {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using RowHash = std::array<uint64_t, 2>;

constexpr uint64_t kOtherSeed = 0x9E3779B97F4A7C15;

std::set<std::string> KeysOf(const DeltaReader& table) {
  std::set<std::string> keys;
  for (const AddFile& file : table.files()) keys.insert(KeyOf(file.path, file.deletion_vector));
  return keys;
}

// What says of a column, in two versions of one table, that it is the same one.
using ColumnIdentity = std::tuple<std::string, std::vector<std::string>, std::string>;

std::set<ColumnIdentity> IdentitiesOf(const DeltaReader& table) {
  std::set<ColumnIdentity> identities;
  for (const TableColumn& column : table.columns().columns) {
    if (!column.held) continue;
    std::vector<std::string> physical = {column.physical_name};
    for (const TableColumn::Step& step : column.below) physical.push_back(step.physical_name);
    identities.emplace(column.name, std::move(physical), column.type);
  }
  return identities;
}

void Add(const AddFile& file, FileTotals& totals) {
  ++totals.files;
  totals.bytes += file.size;
  const uint64_t deleted =
      file.deletion_vector ? static_cast<uint64_t>(file.deletion_vector->cardinality) : 0;
  totals.rows += file.rows - std::min(deleted, file.rows);
}

// Every value as text that no other value has, so that two rows are alike when their bytes are.
void HashRows(const columns::ColumnBatch& rows, std::vector<RowHash>& hashes) {
  std::string text;
  for (size_t row = 0; row < rows.rows(); ++row) {
    text.clear();
    for (const columns::Column& column : rows.columns()) {
      column.At(row).AppendJson(text);
      text += '\n';
    }
    const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(text.data()),
                                         text.size());
    const uint64_t first = base::Hash64(bytes);
    text += std::to_string(kOtherSeed);
    const std::span<const uint8_t> longer(reinterpret_cast<const uint8_t*>(text.data()),
                                          text.size());
    hashes.push_back({first, base::Hash64(longer)});
  }
}

Result<std::vector<RowHash>> RowsOf(const DeltaReader& table, const std::set<std::string>& others,
                                    const std::vector<std::string>& names) {
  std::vector<RowHash> hashes;
  for (size_t i = 0; i < table.files().size(); ++i) {
    const AddFile& file = table.files()[i];
    if (others.contains(KeyOf(file.path, file.deletion_vector))) continue;
    HR_TRY(const auto rows, table.OpenFile(i, names));
    while (true) {
      HR_TRY(const auto part, rows->Next());
      if (!part) break;
      HashRows(*part, hashes);
      if (hashes.size() > kDiffRowsMax)
        return Fail(ErrorCode::kResourceExhausted,
                    fmt::format("more than {} rows are in files of one side alone: compare "
                                "versions that are closer to one another",
                                kDiffRowsMax));
    }
  }
  std::ranges::sort(hashes);
  return hashes;
}

std::vector<std::string> UnreadableOf(const DeltaReader& before, const DeltaReader& after) {
  std::set<std::string> names;
  for (const DeltaReader* table : {&before, &after})
    names.insert(table->columns().unreadable.begin(), table->columns().unreadable.end());
  return {names.begin(), names.end()};
}

}  // namespace

Result<TableDiff> DiffTables(const DeltaReader& before, const DeltaReader& after, Tables tables,
                             Compare compare) {
  const bool one = tables == Tables::kOne;
  const std::set<std::string> of_before = one ? KeysOf(before) : std::set<std::string>();
  const std::set<std::string> of_after = one ? KeysOf(after) : std::set<std::string>();
  TableDiff diff;
  for (const AddFile& file : before.files())
    Add(file,
        of_after.contains(KeyOf(file.path, file.deletion_vector)) ? diff.both : diff.only_before);
  for (const AddFile& file : after.files())
    if (!of_before.contains(KeyOf(file.path, file.deletion_vector))) Add(file, diff.only_after);
  if (compare == Compare::kFiles) return diff;
  std::vector<std::string> names = before.readable();
  std::vector<std::string> others = after.readable();
  std::ranges::sort(names);
  std::ranges::sort(others);
  if (names != others)
    return Fail(ErrorCode::kInvalidInput,
                fmt::format("the two have other columns, so their rows can't be compared: {}; {}",
                            fmt::join(names, ", "), fmt::join(others, ", ")));
  const bool same = IdentitiesOf(before) == IdentitiesOf(after);
  const std::set<std::string> none;
  HR_TRY(const auto a, RowsOf(before, same ? of_after : none, names));
  HR_TRY(const auto b, RowsOf(after, same ? of_before : none, names));
  std::vector<RowHash> only;
  std::ranges::set_difference(a, b, std::back_inserter(only));
  diff.rows.emplace(
      RowTotals{.only_before = only.size(), .not_compared = UnreadableOf(before, after)});
  only.clear();
  std::ranges::set_difference(b, a, std::back_inserter(only));
  diff.rows->only_after = only.size();
  return diff;
}

}  // namespace headrace::tables::delta
