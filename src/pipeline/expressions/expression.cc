#include "pipeline/expressions/expression.h"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "base/zones/time_zone.h"
#include "pipeline/expressions/binder.h"
#include "pipeline/expressions/lexer.h"
#include "pipeline/expressions/output.h"
#include "pipeline/expressions/program.h"
#include "pipeline/expressions/syntax.h"

namespace headrace::pipeline {

using columns::Column;
using columns::Value;

namespace {

// Whose results are others than they once were; also as a part of a name, as `ltrim`. State that
// was made of them before is not used again.
constexpr std::array<std::string_view, 2> kChangedFunctions = {"strptime", "trim"};

}  // namespace

Expression::Expression(std::unique_ptr<Program> program) : program_(std::move(program)) {}
Expression::Expression(Expression&&) noexcept = default;
Expression& Expression::operator=(Expression&&) noexcept = default;
Expression::~Expression() = default;

const std::string& Expression::text() const { return program_->text; }
columns::Type Expression::type() const { return program_->steps[program_->root].type.type; }
const std::vector<size_t>& Expression::inputs() const { return program_->inputs; }
uint64_t Expression::errors() const { return program_->errors.load(std::memory_order_relaxed); }

std::string Expression::semantics() const {
  std::string semantics;
  if (program_->uses_time_zones) semantics = "tz " + std::string(base::TimeZone::Version());
  const std::string text = LowerAscii(program_->text);
  for (const std::string_view function : kChangedFunctions)
    if (text.contains(function))
      semantics += fmt::format("{}{} 2", semantics.empty() ? "" : ", ", function);
  return semantics;
}

std::expected<Expression, ExpressionError> Expression::Compile(std::string_view text,
                                                               const columns::SchemaRef& inputs) {
  HR_TRY(const SyntaxPtr syntax, ParseExpression(text));
  auto program = std::make_unique<Program>();
  program->text = text;
  Binder binder(*inputs, program->steps);
  HR_TRY(program->root, binder.Bind(*syntax));
  program->uses_time_zones = binder.uses_time_zones();
  for (const Step& step : program->steps)
    if (step.kind == Step::Kind::kColumn) program->inputs.push_back(step.input);
  std::sort(program->inputs.begin(), program->inputs.end());
  return Expression(std::move(program));
}

namespace {

uint64_t CountErrors(const Frame& frame, uint32_t root) {
  const uint8_t* nulls = frame.Nulls(root);
  if (nulls == nullptr) return 0;
  return static_cast<uint64_t>(std::count(nulls, nulls + frame.rows(), kIsError));
}

}  // namespace

Column Expression::Evaluate(const columns::ColumnBatch& batch) const {
  uint64_t errors = 0;
  Column column = Evaluate(batch, errors);
  if (errors != 0) program_->errors.fetch_add(errors, std::memory_order_relaxed);
  return column;
}

Column Expression::Evaluate(const columns::ColumnBatch& batch, uint64_t& errors) const {
  const Step& root = program_->steps[program_->root];
  if (root.kind == Step::Kind::kColumn) return batch.column(root.input);
  Frame frame(program_->steps, std::clamp<size_t>(batch.rows(), 1, kChunkRows));
  OutputColumn output(root.type.type, batch.rows());
  for (size_t begin = 0; begin < batch.rows(); begin += kChunkRows) {
    frame.set_rows(std::min(kChunkRows, batch.rows() - begin));
    for (const Step& step : program_->steps)
      if (step.kind == Step::Kind::kColumn)
        LoadColumn(step, batch.column(step.input), begin, frame);
    RunKernels(program_->steps, frame);
    output.Append(frame, program_->root);
    errors += CountErrors(frame, program_->root);
    frame.ClearTexts();
  }
  errors += output.lost();
  return output.Finish();
}

Value Expression::Evaluate(std::span<const Value> row) const {
  const Step& root = program_->steps[program_->root];
  Frame frame(program_->steps, 1);
  for (const Step& step : program_->steps)
    if (step.kind == Step::Kind::kColumn) LoadValue(step, row[step.input], frame);
  RunKernels(program_->steps, frame);
  if (CountErrors(frame, program_->root) != 0)
    program_->errors.fetch_add(1, std::memory_order_relaxed);
  return ValueAt(root, frame, 0);
}

}  // namespace headrace::pipeline
