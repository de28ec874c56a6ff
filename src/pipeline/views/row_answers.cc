#include "pipeline/views/row_answers.h"

#include <algorithm>
#include <bit>
#include <string>
#include <utility>

namespace headrace::pipeline {

using columns::Value;

RowAnswers::RowAnswers(const ViewDefinition& view) : view_(view), outputs_(view.outputs.size()) {}

void RowAnswers::Begin(size_t batch_rows) {
  rows_.clear();
  values_.clear();
  cells_.resize(batch_rows * outputs_);
  statuses_.resize(batch_rows * outputs_);
  times_.assign(batch_rows, kNotAnswered);
}

void RowAnswers::Finish() {
  rows_.resize(times_.size());
  size_t answered = 0;
  for (uint32_t row = 0; row < times_.size(); ++row) {
    rows_[answered] = row;
    answered += times_[row] != kNotAnswered ? 1 : 0;
  }
  rows_.resize(answered);
}

void RowAnswers::Set(uint32_t row, size_t output, FeatureStatus status, Value value) {
  statuses_[row * outputs_ + output] = {status, !value.is_null()};
  uint64_t& cell = cells_[row * outputs_ + output];
  cell = 0;
  if (value.is_null()) return;
  if (columns::IsList(value.type())) {
    cell = values_.size();
    values_.push_back(std::move(value));
    return;
  }
  switch (CellKindOf(value.type())) {
    case CellKind::kInteger: cell = static_cast<uint64_t>(value.as_int()); break;
    case CellKind::kDouble: cell = std::bit_cast<uint64_t>(value.as_double()); break;
    case CellKind::kBool: cell = value.as_bool() ? 1 : 0; break;
    case CellKind::kText:
      cell = values_.size();
      values_.push_back(std::move(value));
      break;
  }
}

void RowAnswers::SetOutsideMaxAge(uint32_t row) {
  for (size_t output = 0; output < outputs_; ++output)
    statuses_[row * outputs_ + output].status = FeatureStatus::kOutsideMaxAge;
}

void RowAnswers::SetNotFound(uint32_t row) {
  for (size_t output = 0; output < outputs_; ++output)
    Set(row, output, FeatureStatus::kNotFound, Value());
  times_[row] = kNoEvent;
}

Value RowAnswers::ValueOf(uint32_t row, size_t output) const {
  const columns::Type type = view_.outputs[output].type;
  if (!statuses_[row * outputs_ + output].has_value) return Value::Null(type);
  const uint64_t of = cell(row, output);
  if (columns::IsList(type)) return values_[of];
  switch (CellKindOf(type)) {
    case CellKind::kInteger: return Value(type, static_cast<int64_t>(of));
    case CellKind::kDouble: return Value(type, std::bit_cast<double>(of));
    case CellKind::kBool: return Value::Bool(of != 0);
    case CellKind::kText: return values_[of];
  }
  return Value::Null(type);
}

ViewAnswer RowAnswers::AnswerOf(uint32_t row) const {
  ViewAnswer answer;
  for (size_t output = 0; output < outputs_; ++output) {
    answer.values.push_back(ValueOf(row, output));
    answer.statuses.push_back(status(row, output));
  }
  if (times_[row] != kNoEvent) answer.event_time = base::Timestamp{times_[row]};
  return answer;
}

}  // namespace headrace::pipeline
