#include "serving/flight/feature_batch.h"

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/byte_size.h>
#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <set>
#include <utility>

#include "columns/arrow/arrow_bridge.h"
#include "columns/batch_builder.h"

namespace headrace::serving {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::Type;
using pipeline::FeatureStatus;

constexpr std::string_view kStatusSuffix = "__status";
// By the numbers of ShownStatus.
constexpr std::array<std::string_view, 7> kStatusNames = {
    "INVALID", "PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE", "DEFAULT", "NOT_ANSWERED"};
static_assert(sizeof(FeatureStatus) == sizeof(ShownStatus));

std::shared_ptr<arrow::DataType> StatusType() {
  static const auto kType = arrow::dictionary(arrow::int8(), arrow::utf8());
  return kType;
}

// One for all batches: it is sent once a call.
const std::shared_ptr<arrow::Array>& StatusDictionary() {
  static const std::shared_ptr<arrow::Array> kNames = [] {
    std::vector<int32_t> offsets = {0};
    std::string text;
    for (const std::string_view name : kStatusNames) {
      text += name;
      offsets.push_back(static_cast<int32_t>(text.size()));
    }
    return std::make_shared<arrow::StringArray>(static_cast<int64_t>(kStatusNames.size()),
                                                arrow::Buffer::FromVector(std::move(offsets)),
                                                arrow::Buffer::FromString(std::move(text)));
  }();
  return kNames;
}

std::shared_ptr<arrow::Array> StatusColumn(std::span<const ShownStatus> statuses, size_t rows,
                                           size_t columns, size_t column) {
  std::vector<int8_t> numbers(rows);
  for (size_t row = 0; row < rows; ++row)
    numbers[row] = static_cast<int8_t>(statuses[row * columns + column]);
  auto indexes = std::make_shared<arrow::Int8Array>(static_cast<int64_t>(rows),
                                                    arrow::Buffer::FromVector(std::move(numbers)));
  return std::make_shared<arrow::DictionaryArray>(StatusType(), indexes, StatusDictionary());
}

// Of the texts in a value.
uint64_t TextBytes(const columns::Value& value) {
  if (value.is_null()) return 0;
  if (columns::IsVariable(value.type())) return value.as_text().size();
  if (!columns::IsList(value.type())) return 0;
  uint64_t bytes = 0;
  for (const columns::Value& element : value.as_list()) bytes += 8 + TextBytes(element);
  return bytes;
}

bool IsShown(ShownStatus status) {
  return status == ShownStatus::kPresent || status == ShownStatus::kDefault;
}

Result<columns::Column> ValueColumn(const FeatureAnswer& answer, size_t column,
                                    std::span<const ShownStatus> statuses, uint64_t& bytes) {
  const Type type = (*answer.columns)[column].type;
  columns::ColumnBuilder builder(type);
  const bool variable = columns::IsVariable(type) || columns::IsList(type);
  for (size_t row = 0; row < answer.rows; ++row) {
    const size_t at = answer.At(row, column);
    const columns::Value& value = answer.values[at];
    if (!IsShown(statuses[at])) {
      builder.AppendNull();
      continue;
    }
    if (variable && (bytes += TextBytes(value)) > kReplyBytesMax)
      return Fail(ErrorCode::kInvalidInput,
                  fmt::format("the answer has over {} bytes of texts and lists: ask for fewer rows",
                              kReplyBytesMax));
    builder.AppendValue(value);
  }
  return builder.Finish();
}

bool SameColumns(const std::vector<AnswerColumn>& a, const std::vector<AnswerColumn>& b) {
  return std::ranges::equal(a, b, [](const AnswerColumn& of_a, const AnswerColumn& of_b) {
    return of_a.shown == of_b.shown && of_a.type == of_b.type;
  });
}

}  // namespace

Result<FeatureLayout> FeatureLayout::Make(std::shared_ptr<const AnswerPlan> plan) {
  FeatureLayout layout;
  std::vector<columns::Field> fields;
  std::set<std::string> names;
  const auto add = [&](const std::string& name, Type type) {
    fields.push_back({static_cast<uint32_t>(fields.size() + 1), name, type});
    names.insert(name);
  };
  for (const PlanInput& input : plan->inputs) add(input.name, input.type);
  layout.inputs_ = std::make_shared<const columns::Schema>(fields);
  for (const AnswerColumn& column : *plan->columns) add(column.shown, column.type);
  layout.values_ = std::make_shared<const columns::Schema>(std::move(fields));
  arrow::FieldVector arrow_fields = columns::ToArrowSchema(*layout.values_)->fields();
  for (const AnswerColumn& column : *plan->columns) {
    std::string name = column.shown + std::string(kStatusSuffix);
    if (!names.insert(name).second)
      return Fail(
          ErrorCode::kInvalidInput,
          fmt::format("`{}` would be a feature and the status of one: ask for them apart", name));
    arrow_fields.push_back(arrow::field(std::move(name), StatusType(), /*nullable=*/false));
  }
  layout.schema_ = arrow::schema(std::move(arrow_fields));
  if (!plan->service.empty())
    layout.schema_ = layout.schema_->WithMetadata(
        arrow::key_value_metadata({"headrace.service"}, {plan->service}));
  layout.plan_ = std::move(plan);
  return layout;
}

bool FeatureLayout::Fits(const AnswerPlan& other) const {
  const auto same_input = [](const PlanInput& a, const PlanInput& b) {
    return a.name == b.name && a.type == b.type;
  };
  return std::ranges::equal(plan_->inputs, other.inputs, same_input) &&
         SameColumns(*plan_->columns, *other.columns);
}

bool FeatureLayout::Fits(const FeatureAnswer& answer) const {
  const auto same_type = [this](const InputColumn& input) {
    const auto field = inputs_->IndexOf(input.name);
    return !field || std::ranges::all_of(input.values, [&](const columns::Value& value) {
      return value.is_null() || value.type() == inputs_->field(*field).type;
    });
  };
  return SameColumns(*plan_->columns, *answer.columns) &&
         std::ranges::all_of(answer.inputs, same_type);
}

Result<std::shared_ptr<arrow::RecordBatch>> FeatureLayout::ToArrow(
    const columns::ColumnBatch& inputs, const FeatureAnswer& answer) const {
  // The numbers are the same, a byte each.
  const auto* shown = reinterpret_cast<const ShownStatus*>(answer.statuses.data());
  return ToArrow(inputs, answer, std::span(shown, answer.statuses.size()));
}

Result<std::shared_ptr<arrow::RecordBatch>> FeatureLayout::ToArrow(
    const columns::ColumnBatch& inputs, const FeatureAnswer& answer,
    std::span<const ShownStatus> statuses) const {
  const size_t width = answer.columns->size();
  std::vector<columns::Column> values = inputs.columns();
  uint64_t bytes = 0;
  for (size_t i = 0; i < width; ++i) {
    HR_TRY(columns::Column column, ValueColumn(answer, i, statuses, bytes));
    values.push_back(std::move(column));
  }
  HR_TRY(const auto record,
         columns::ToArrow(columns::ColumnBatch(values_, answer.rows, std::move(values))));
  arrow::ArrayVector arrays = record->columns();
  for (size_t i = 0; i < width; ++i)
    arrays.push_back(StatusColumn(statuses, answer.rows, width, i));
  return arrow::RecordBatch::Make(schema_, static_cast<int64_t>(answer.rows), std::move(arrays));
}

Result<base::MemoryCharge> ChargeReply(base::MemoryBudget& budget,
                                       const arrow::RecordBatch& batch) {
  return budget.TryCharge(base::MemoryAccount::kReplies,
                          static_cast<uint64_t>(arrow::util::TotalBufferSize(batch)));
}

namespace {

std::string LagJson(std::optional<base::Duration> lag, base::Timestamp as_of) {
  const auto heard = LagSinceHeard(lag, as_of);
  return heard ? fmt::to_string(heard->count() / 1000) : "null";
}

}  // namespace

std::string AnswerMembers(const AnswerPlan& plan, const FeatureAnswer& answer) {
  std::string out = fmt::format(
      R"({{"log":"{}","epoch":{},"as_of":"{}","lag_ms":{},"lags_ms":{{)", answer.log.ToString(),
      answer.epoch.value, base::FormatTimestamp(answer.as_of), LagJson(answer.lag, answer.as_of));
  for (size_t i = 0; i < answer.view_lags.size(); ++i) {
    if (i > 0) out += ',';
    columns::AppendJsonString(out, plan.views[i].name);
    fmt::format_to(std::back_inserter(out), ":{}", LagJson(answer.view_lags[i], answer.as_of));
  }
  fmt::format_to(std::back_inserter(out), R"(}},"definition":"{}","clock":"{}")",
                 answer.definition.ToString(),
                 answer.clock == log::ClockMode::kEvents ? "events" : "wall");
  return out;
}

}  // namespace headrace::serving
