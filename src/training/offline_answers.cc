#include "training/offline_answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "serving/plan_values.h"
#include "training/stream_scan.h"
#include "training/workers.h"

namespace headrace::training {
namespace {

using base::Result;
using serving::FeatureValue;

// The columns of a stream that views read.
std::vector<size_t> FieldsOf(const pipeline::PipelineDefinition& definition,
                             const pipeline::StreamDefinition& stream,
                             const std::vector<size_t>& views, std::optional<size_t> without) {
  std::set<size_t> fields = {stream.timing.event_time_field};
  const auto add = [&](const std::vector<size_t>& more) {
    fields.insert(more.begin(), more.end());
  };
  for (const size_t index : views) {
    const pipeline::ViewDefinition& view = definition.views[index];
    add(view.by);
    if (view.where) add(view.where->inputs());
    for (const pipeline::Expression& argument : view.arguments) add(argument.inputs());
  }
  if (without) fields.insert(*without);
  return {fields.begin(), fields.end()};
}

// The rows of epochs after `since`: a view that began with it has no others.
tables::PositionedRows After(const tables::PositionedRows& part, base::EpochId since) {
  std::vector<uint32_t> later;
  tables::PositionedRows rows;
  for (uint32_t row = 0; row < part.positions.size(); ++row) {
    if (part.positions[row].epoch() <= since) continue;
    later.push_back(row);
    rows.positions.push_back(part.positions[row]);
    rows.known_at.push_back(part.known_at[row]);
  }
  rows.rows = part.rows.Take(later);
  return rows;
}

}  // namespace

Result<std::unique_ptr<OfflineAnswers>> OfflineAnswers::Build(
    env::Environment& environment, size_t workers, const History& history,
    pipeline::LoggedDefinition definition, const std::vector<size_t>& views,
    const std::optional<std::string>& without_field) {
  std::unique_ptr<OfflineAnswers> answers(new OfflineAnswers(std::move(definition)));
  answers->drivers_.resize(answers->definition_->views.size());
  for (size_t stream = 0; stream < answers->definition_->streams.size(); ++stream) {
    std::vector<size_t> of_stream;
    for (const size_t view : views)
      if (answers->definition_->views[view].stream == stream) of_stream.push_back(view);
    if (of_stream.empty()) continue;
    HR_TRY_VOID(
        answers->AddStream(environment, workers, history, stream, of_stream, without_field));
  }
  return answers;
}

Result<void> OfflineAnswers::AddStream(env::Environment& environment, size_t workers,
                                       const History& history, size_t stream,
                                       const std::vector<size_t>& views,
                                       const std::optional<std::string>& without_field) {
  const pipeline::StreamDefinition& definition = definition_->streams[stream];
  std::optional<size_t> without;
  if (without_field) {
    without = definition.schema()->IndexOf(*without_field);
    if (!without) {
      return base::Fail(base::Error(base::ErrorCode::kInvalidInput,
                                    fmt::format("stream {} has no column `{}` to leave rows out by",
                                                definition.name, *without_field))
                            .With("column", *without_field));
    }
  }
  std::vector<tables::PositionedRows> parts;
  const auto keep = [&](const tables::PositionedRows& rows) -> Result<void> {
    parts.push_back(rows);
    return {};
  };
  const auto fields = FieldsOf(*definition_, definition, views, without);
  WorkProgress* const progress = history.progress();
  if (progress != nullptr) progress->Begin("reading " + definition.name, "row", std::nullopt);
  HR_TRY(const ScannedRows scanned, ScanStream(history, *definition_, stream, fields, keep));
  scanned_.Add(scanned);
  scanned_.through = scanned.through;
  if (progress != nullptr) progress->Begin("sorting " + definition.name, "view", views.size());
  return InPieces(environment, workers, views.size(), [&](size_t i) -> Result<void> {
    const size_t view = views[i];
    auto driver =
        std::make_unique<pipeline::BatchDriver>(definition_->views[view], definition, without);
    const base::EpochId since = pipeline::SinceOf(since_, definition_->views[view].name);
    for (const tables::PositionedRows& part : parts) {
      if (part.positions.empty()) continue;
      if (std::ranges::min(part.positions).epoch() > since) {
        driver->Add(part.rows, part.positions, part.known_at);
      } else {
        const tables::PositionedRows later = After(part, since);
        driver->Add(later.rows, later.positions, later.known_at);
      }
    }
    driver->Prepare();
    drivers_[view] = std::move(driver);
    if (progress != nullptr) progress->Note(1);
    return {};
  });
}

std::vector<FeatureValue> OfflineAnswers::Answer(const serving::AnswerPlan& plan,
                                                 std::span<const columns::Value> inputs,
                                                 base::Timestamp as_of, const pipeline::Cut& cut,
                                                 const std::optional<pipeline::OwnRow>& own) const {
  std::vector<pipeline::ViewAnswer> views;
  views.reserve(plan.views.size());
  pipeline::Question question{{}, as_of, cut};
  for (const serving::PlanView& view : plan.views) {
    question.key.clear();
    for (const size_t input : view.key_inputs) columns::AppendKeyValue(question.key, inputs[input]);
    if (own)
      question.cut.without_row =
          pipeline::LeftOutOf(*definition_, definition_->views[view.view], *own);
    views.push_back(drivers_[view.view]->Answer(question));
  }
  return serving::ValuesOfPlan(*definition_, plan, inputs, views);
}

}  // namespace headrace::training
