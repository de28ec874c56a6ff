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
  texts_.clear();
  if (times_.size() >= batch_rows) return;
  cells_.resize(batch_rows * outputs_);
  statuses_.resize(batch_rows * outputs_);
  times_.resize(batch_rows);
}

void RowAnswers::Finish() {
  if (!std::is_sorted(rows_.begin(), rows_.end())) std::sort(rows_.begin(), rows_.end());
}

void RowAnswers::Set(uint32_t row, size_t output, FeatureStatus status, Value value) {
  statuses_[row * outputs_ + output] = status;
  uint64_t& cell = cells_[row * outputs_ + output];
  cell = 0;
  if (value.is_null()) return;
  switch (CellKindOf(value.type())) {
    case CellKind::kInteger: cell = static_cast<uint64_t>(value.as_int()); break;
    case CellKind::kDouble: cell = std::bit_cast<uint64_t>(value.as_double()); break;
    case CellKind::kBool: cell = value.as_bool() ? 1 : 0; break;
    case CellKind::kText:
      cell = texts_.size();
      texts_.push_back(value.as_text());
      break;
  }
}

Value RowAnswers::ValueOf(uint32_t row, size_t output) const {
  const columns::Type type = view_.outputs[output].type;
  if (status(row, output) != FeatureStatus::kPresent) return Value::Null(type);
  const uint64_t of = cell(row, output);
  switch (CellKindOf(type)) {
    case CellKind::kInteger: return Value(type, static_cast<int64_t>(of));
    case CellKind::kDouble: return Value(type, std::bit_cast<double>(of));
    case CellKind::kBool: return Value::Bool(of != 0);
    case CellKind::kText: return Value(type, texts_[of]);
  }
  return Value::Null(type);
}

ViewAnswer RowAnswers::AnswerOf(uint32_t row) const {
  ViewAnswer answer;
  for (size_t output = 0; output < outputs_; ++output) {
    answer.values.push_back(ValueOf(row, output));
    answer.statuses.push_back(status(row, output));
  }
  answer.event_time = base::Timestamp{times_[row]};
  return answer;
}

}  // namespace headrace::pipeline
