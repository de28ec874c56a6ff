#pragma once
// Answers as Arrow: columns of keys, a nullable column for each feature, and beside it one that
// says why a value is there or is not.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/memory_budget.h"
#include "base/result.h"
#include "columns/batch.h"
#include "serving/answer.h"
#include "serving/answer_plan.h"

namespace arrow {
class Array;
class RecordBatch;
class Schema;
}  // namespace arrow

namespace headrace::serving {

// Of texts in one batch that goes out; more is kInvalidInput: ask for fewer rows.
inline constexpr uint64_t kReplyBytesMax = 64ULL << 20;

// What a value's status column says: FeatureStatus, by its numbers, and two that only an answer
// without state can have.
enum class ShownStatus : int8_t {
  kInvalid = 0,
  kPresent = 1,
  kNullValue = 2,
  kNotFound = 3,
  kOutsideMaxAge = 4,
  kDefault = 5,      // the service's, at a deadline
  kNotAnswered = 6,  // a push whose row says why
};

// The columns of one plan's answers, in this order:
//   the join keys and inputs that it needs, as they came;
//   its features by the names that they are shown under, of their types; null unless PRESENT;
//   for each feature NAME__status, a dictionary of the statuses' names.
// A value, immutable; of the plan that it was made for.
class FeatureLayout {
 public:
  // Errors: kInvalidInput when a feature has the name of another one's status.
  static base::Result<FeatureLayout> Make(std::shared_ptr<const AnswerPlan> plan);

  const AnswerPlan& plan() const { return *plan_; }
  // Of the inputs, as their batches are imported.
  const columns::SchemaRef& inputs() const { return inputs_; }
  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }
  // Whether answers of `other` have the same columns and want the same inputs.
  bool Fits(const AnswerPlan& other) const;
  // Whether the answer has the same columns, and its inputs have the types of ours.
  bool Fits(const FeatureAnswer& answer) const;

  // `inputs` are the rows that were asked for. Errors: kInvalidInput (kReplyBytesMax).
  base::Result<std::shared_ptr<arrow::RecordBatch>> ToArrow(const columns::ColumnBatch& inputs,
                                                            const FeatureAnswer& answer) const;
  // The same with other statuses than the answer's, one for each of its values.
  base::Result<std::shared_ptr<arrow::RecordBatch>> ToArrow(
      const columns::ColumnBatch& inputs, const FeatureAnswer& answer,
      std::span<const ShownStatus> statuses) const;

 private:
  std::shared_ptr<const AnswerPlan> plan_;
  columns::SchemaRef inputs_;
  columns::SchemaRef values_;  // inputs, then features
  std::shared_ptr<arrow::Schema> schema_;
};

// For as long as the batch is on its way. Errors: kResourceExhausted.
base::Result<base::MemoryCharge> ChargeReply(base::MemoryBudget& budget,
                                             const arrow::RecordBatch& batch);

// (log, epoch, as_of, definition), with which the answer can be computed again, and its lags:
// {"log":"..","epoch":812,"as_of":"..","lag_ms":1,"lags_ms":{"card":1},"definition":"..",
// "clock":"wall"}, without the closing brace.
std::string AnswerMembers(const AnswerPlan& plan, const FeatureAnswer& answer);

}  // namespace headrace::serving
