#pragma once
// The answers of a pipeline's views computed from history alone: no online state, no engine.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "env/environment.h"
#include "pipeline/definition.h"
#include "pipeline/logged_definition.h"
#include "pipeline/views/batch_driver.h"
#include "serving/answer_plan.h"
#include "serving/on_request.h"
#include "training/history.h"

namespace headrace::training {

// Built once, then read by any number of threads.
class OfflineAnswers {
 public:
  // Reads all rows that `views` (indexes into the definition's) are made of. `without_field`: a
  // column of their streams by which a question may leave rows out; kInvalidInput for a stream that
  // lacks it.
  static base::Result<std::unique_ptr<OfflineAnswers>> Build(
      env::Environment& environment, size_t workers, const History& history,
      pipeline::LoggedDefinition definition, const std::vector<size_t>& views,
      const std::optional<std::string>& without_field);

  // One entity row: a value for each of the plan's columns, in their order. `inputs` are the plan's
  // inputs, of its types. `without`, if any, has the type of its column. `own`: the event of a
  // push, which views with `self: excluded` leave out.
  std::vector<serving::FeatureValue> Answer(
      const serving::AnswerPlan& plan, std::span<const columns::Value> inputs,
      base::Timestamp as_of, const pipeline::Cut& cut,
      const std::optional<pipeline::OwnRow>& own = std::nullopt) const;

  const pipeline::PipelineDefinition& definition() const { return *definition_; }
  const ScannedRows& scanned() const { return scanned_; }

 private:
  explicit OfflineAnswers(pipeline::LoggedDefinition logged)
      : definition_(std::move(logged.definition)), since_(std::move(logged.since)) {}
  base::Result<void> AddStream(env::Environment& environment, size_t workers,
                               const History& history, size_t stream,
                               const std::vector<size_t>& views,
                               const std::optional<std::string>& without_field);

  pipeline::PipelineRef definition_;
  pipeline::ViewsSince since_;
  std::vector<std::unique_ptr<pipeline::BatchDriver>> drivers_;  // by view; null: not wanted
  ScannedRows scanned_;
};

}  // namespace headrace::training
