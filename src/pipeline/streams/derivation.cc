#include "pipeline/streams/derivation.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <span>
#include <utility>

#include "pipeline/streams/unnest.h"

namespace headrace::pipeline {
namespace {

using columns::Column;
using columns::ColumnBatch;

bool ReadsComputed(const Derivation& derivation) {
  return std::ranges::any_of(derivation.where->inputs(),
                             [&](size_t field) { return field >= derivation.unnested->size(); });
}

// The rows for which `condition` is true; the others are counted.
std::vector<uint32_t> TrueRows(const Column& condition, DerivationCounts& counts) {
  std::vector<uint32_t> rows;
  rows.reserve(condition.length());
  for (uint32_t row = 0; row < condition.length(); ++row) {
    if (condition.IsNull(row)) {
      ++counts.where_null;
    } else if (condition.Bool(row)) {
      rows.push_back(row);
    } else {
      ++counts.where_false;
    }
  }
  return rows;
}

// Takes of `batch` the rows for which the condition is true, and the same of `from`.
void Filter(const Derivation& derivation, ColumnBatch& batch, std::vector<uint32_t>& from,
            DerivationCounts& counts) {
  const std::vector<uint32_t> rows =
      TrueRows(derivation.where->Evaluate(batch, counts.failed.back()), counts);
  if (rows.size() == batch.rows()) return;
  batch = batch.Take(rows);
  for (size_t i = 0; i < rows.size(); ++i) from[i] = from[rows[i]];
  from.resize(rows.size());
}

ColumnBatch Widened(const Derivation& derivation, const ColumnBatch& input,
                    DerivationCounts& counts) {
  std::vector<Column> columns = input.columns();
  for (size_t i = 0; i < derivation.columns.size(); ++i)
    columns.push_back(derivation.columns[i].Evaluate(input, counts.failed[i]));
  return {derivation.wide, input.rows(), std::move(columns)};
}

// The texts of `input` whose lengths decide what of `needed` an epoch has room for: elements,
// pairs, texts of versions.
std::vector<size_t> DecidingTexts(const Derivation& derivation, const std::set<size_t>& needed) {
  std::vector<size_t> texts = WantedTexts(derivation);
  if (derivation.unnest || derivation.interval) return texts;
  if (!derivation.as_of) return {};
  const size_t own = derivation.input->size() - derivation.as_of->fields.size();
  std::erase_if(texts, [&](size_t field) { return field < own; });
  const bool is_any_needed =
      std::ranges::any_of(texts, [&](size_t field) { return needed.contains(field); });
  return is_any_needed ? texts : std::vector<size_t>();
}

}  // namespace

DerivationCounts CountsOf(const Derivation& derivation) {
  DerivationCounts counts;
  counts.failed.resize(derivation.columns.size() + (derivation.where ? 1 : 0));
  return counts;
}

DerivedRows Derive(const Derivation& derivation, const ColumnBatch& input,
                   DerivationCounts& counts) {
  counts.rows_in += input.rows();
  DerivedRows made{input, {}};
  if (derivation.unnest) {
    made = Unnested(derivation, input, counts.unnest);
  } else {
    made.from.resize(input.rows());
    std::iota(made.from.begin(), made.from.end(), 0U);
  }
  ColumnBatch& batch = made.rows;
  const bool where_first = derivation.where && !ReadsComputed(derivation);
  if (where_first) Filter(derivation, batch, made.from, counts);
  batch = Widened(derivation, batch, counts);
  if (derivation.where && !where_first) Filter(derivation, batch, made.from, counts);
  std::vector<Column> kept;
  for (const size_t field : derivation.kept) kept.push_back(batch.column(field));
  counts.rows_out += batch.rows();
  batch = ColumnBatch(derivation.schema, batch.rows(), std::move(kept));
  return made;
}

std::vector<bool> WantedColumns(const Derivation& derivation) {
  std::vector<bool> wanted(derivation.wide->size());
  const auto want = [&](const std::vector<size_t>& fields) {
    for (const size_t field : fields) wanted[field] = true;
  };
  want(derivation.kept);
  if (derivation.where) want(derivation.where->inputs());
  for (const Expression& column : derivation.columns) want(column.inputs());
  if (derivation.unnest) wanted[derivation.unnest->list] = true;
  return wanted;
}

std::vector<size_t> WantedTexts(const Derivation& derivation) {
  const std::vector<bool> wanted = WantedColumns(derivation);
  std::vector<size_t> texts;
  for (size_t field = 0; field < derivation.input->size(); ++field)
    if (wanted[field] && columns::IsVariable(derivation.input->field(field).type))
      texts.push_back(field);
  return texts;
}

std::vector<size_t> InputFieldsOf(const Derivation& derivation, const std::vector<size_t>& fields) {
  std::set<size_t> wide;
  for (const size_t field : fields) wide.insert(derivation.kept[field]);
  if (derivation.where)
    wide.insert(derivation.where->inputs().begin(), derivation.where->inputs().end());
  std::set<size_t> needed;
  for (const size_t field : wide) {
    if (field < derivation.unnested->size()) {
      needed.insert(field);
      continue;
    }
    const auto& inputs = derivation.columns[field - derivation.unnested->size()].inputs();
    needed.insert(inputs.begin(), inputs.end());
  }
  if (derivation.unnest) {
    needed.insert(derivation.unnest->list);
    needed.erase(derivation.input->size());  // the ordinal
  }
  for (const size_t field : DecidingTexts(derivation, needed)) needed.insert(field);
  return {needed.begin(), needed.end()};
}

}  // namespace headrace::pipeline
