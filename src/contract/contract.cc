#include "contract/contract.h"

#include <simdjson.h>

#include <algorithm>
#include <numeric>

#include "columns/value.h"
#include "contract/contract_impl.h"

namespace headrace::contract {

Contract::Contract() = default;

const std::string& Contract::id() const { return impl_->id; }
const std::string& Contract::version() const { return impl_->version; }
const columns::SchemaRef& Contract::schema() const { return impl_->schema; }
const EventShape& Contract::shape() const { return impl_->shape; }
bool Contract::restricted(size_t field) const { return impl_->fields[field].restricted; }
const std::string& Contract::text() const { return impl_->text; }

std::string RowToJson(const columns::ColumnBatch& rows, size_t row) {
  return columns::RowAsJson(rows, row);
}

namespace {

constexpr uint16_t kNoFailure = 0;  // otherwise the failing field's index plus one

// Which field fails first in each row; empty when every row passes.
std::vector<uint16_t> FirstFailures(const std::vector<FieldRules>& fields,
                                    const columns::ColumnBatch& rows) {
  std::vector<uint16_t> failures;
  for (size_t i = 0; i < fields.size(); ++i) {
    const columns::Column& column = rows.column(i);
    if (fields[i].AllPass(column)) continue;
    if (failures.empty()) failures.resize(rows.rows(), kNoFailure);
    for (size_t row = 0; row < rows.rows(); ++row)
      if (failures[row] == kNoFailure && !fields[i].Passes(column, row))
        failures[row] = static_cast<uint16_t>(i + 1);
  }
  return failures;
}

bool IsIota(const std::vector<uint32_t>& numbers) {
  for (size_t i = 0; i < numbers.size(); ++i)
    if (numbers[i] != i) return false;
  return true;
}

}  // namespace

void Contract::Check(const columns::ColumnBatch& rows, std::vector<uint32_t>& accepted,
                     std::vector<columns::RejectedRow>& rejected, RowsFrom from) const {
  HR_CHECK(rows.columns().size() == impl_->fields.size(),
           "batch does not have the contract's schema");
  std::map<uint32_t, ShapeFailure> misshapen;
  if (from == RowsFrom::kColumns) misshapen = impl_->shape_check.Failures(rows);
  std::vector<uint16_t> failures = FirstFailures(impl_->fields, rows);
  if (failures.empty() && misshapen.empty()) {
    const size_t begin = accepted.size();
    accepted.resize(begin + rows.rows());
    std::iota(accepted.begin() + static_cast<std::ptrdiff_t>(begin), accepted.end(), 0U);
    return;
  }
  const auto payload = [&](uint32_t row) {
    return from == RowsFrom::kColumns ? columns::RowAsJson(rows, row, impl_->json_columns)
                                      : std::string();
  };
  failures.resize(rows.rows(), kNoFailure);
  for (uint32_t row = 0; row < rows.rows(); ++row) {
    if (const auto found = misshapen.find(row); found != misshapen.end()) {
      auto& [field, failure] = found->second;
      rejected.push_back({row, impl_->fields[field].name, std::string(failure.rule),
                          std::move(failure.reason), payload(row)});
      continue;
    }
    if (failures[row] == kNoFailure) {
      accepted.push_back(row);
      continue;
    }
    const FieldRules& field = impl_->fields[failures[row] - 1];
    RuleFailure failure = field.Explain(rows.column(failures[row] - 1), row);
    rejected.push_back(
        {row, field.name, std::string(failure.rule), std::move(failure.reason), payload(row)});
  }
}

columns::EventBatch Contract::Enforce(columns::ColumnBatch rows) const {
  return Enforce(std::move(rows), {}, {});
}

columns::EventBatch Contract::Enforce(columns::ColumnBatch rows, std::vector<uint32_t> row_numbers,
                                      std::vector<columns::RejectedRow> untyped,
                                      RowsFrom from) const {
  HR_CHECK(row_numbers.empty() || row_numbers.size() == rows.rows(),
           "a number for each row, or none");
  columns::EventBatch batch;
  batch.json_columns = impl_->json_columns;
  std::vector<uint32_t> accepted;
  Check(rows, accepted, batch.rejected, from);
  const bool all = accepted.size() == rows.rows();
  if (!row_numbers.empty()) {
    for (columns::RejectedRow& row : batch.rejected) row.row = row_numbers[row.row];
  }
  batch.rows = all ? std::move(rows) : rows.Take(accepted);
  if (!row_numbers.empty())
    for (uint32_t& row : accepted) row = row_numbers[row];
  if (!IsIota(accepted)) batch.row_numbers = std::move(accepted);
  std::move(untyped.begin(), untyped.end(), std::back_inserter(batch.rejected));
  std::stable_sort(batch.rejected.begin(), batch.rejected.end(),
                   [](const auto& a, const auto& b) { return a.row < b.row; });
  return batch;
}

namespace {

// The object's text with the values of restricted columns as "***". The event itself may also name
// the columns of the objects inside it.
std::string Masked(const simdjson::dom::object& json, const Contract& contract, size_t object) {
  const ObjectShape& shape = contract.shape().objects[object];
  std::string out = "{";
  for (const auto& [key, value] : json) {
    if (out.size() > 1) out += ',';
    columns::AppendJsonString(out, key);
    out += ':';
    const Member* member = shape.Find(key);
    if (member != nullptr && member->kind == Member::Kind::kObject) {
      simdjson::dom::object inner;
      const bool shown = !contract.shape().objects[member->index].restricted &&
                         value.get(inner) == simdjson::SUCCESS;
      out += shown ? Masked(inner, contract, member->index) : "\"***\"";
      continue;
    }
    auto column = member != nullptr ? std::optional(member->index) : std::nullopt;
    if (!column && object == 0) column = contract.schema()->IndexOf(key);
    out += column && contract.restricted(*column) ? "\"***\"" : simdjson::minify(value);
  }
  return out + "}";
}

}  // namespace

std::string Contract::MaskPayload(std::string_view payload) const {
  const bool any = std::any_of(impl_->fields.begin(), impl_->fields.end(),
                               [](const auto& f) { return f.restricted; });
  if (!any) return std::string(payload);
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  if (parser.parse(payload.data(), payload.size()).get(object) != simdjson::SUCCESS) return "***";
  return Masked(object, *this, 0);
}

}  // namespace headrace::contract
