// Lookback: which rows are behind a value.

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "log/reader.h"
#include "pipeline/restricted_features.h"
#include "serving/caller_rights.h"
#include "serving/not_found.h"
#include "tables/stream_rows.h"
#include "wiring/lookback.h"

namespace headrace::wiring {

using base::EpochId;
using base::Error;
using base::ErrorCode;
using base::Fail;
using base::Result;
using pipeline::KeyRows;
using pipeline::ViewDefinition;

namespace {

pipeline::RowQuestion QuestionOf(const Explanation& explanation) {
  return {.as_of = explanation.as_of,
          .epoch = explanation.epoch,
          .since = pipeline::SinceOf(explanation.logged.since, explanation.view_definition().name)};
}

}  // namespace

std::optional<bool> Explanation::SameBits() const {
  if (served && !recomputed.SameBits(*served)) return false;
  if (told && recomputed.value.ToJson() != *told) return false;
  if (served || told) return true;
  return std::nullopt;
}

Result<void> Lookback::TakeRows(const ExplainRequest& request, const KeyOfView& key,
                                Reading reading, env::MonotonicTime deadline, Explanation& to) {
  const ViewDefinition& view = to.view_definition();
  const bool earlier = to.epoch != reading.epoch;
  KeyReading& read = reading.keys.front();
  std::vector<size_t> windows;
  if (!view.lifetime()) windows.push_back(view.outputs[to.output].window);
  const bool enough =
      read.rows && (earlier || read.answer) &&
      IsEnough(view, windows, *read.rows, QuestionOf(to),
               earlier ? pipeline::CopyIsOf::kLaterEpoch : pipeline::CopyIsOf::kThatEpoch);
  if (enough && request.source != RowSource::kTable) {
    to.rows = std::move(*read.rows);
    return {};
  }
  to.because =
      enough ? "the table was asked for" : WhyNotState(view, read.rows, read.answer, earlier);
  if (request.source == RowSource::kState)
    return Fail(Error(ErrorCode::kFailedPrecondition,
                      to.because + ": leave `source` out, and table and log are read")
                    .With("view", view.name));
  auto table = ReadTable(to.logged, {&key, 1}, to.epoch, deadline);
  if (!table) return Fail(std::move(table).error().With("state", to.because));
  to.source = RowSource::kTable;
  to.rows = std::move(table->rows.front());
  to.table_version = table->table_version;
  return {};
}

std::string Lookback::PositionsOf(const pipeline::PipelineDefinition& definition,
                                  const ViewDefinition& view, RowSource source) {
  const bool of_root = source == RowSource::kState && definition.KeepsPositions(view.stream);
  return definition.streams[of_root ? definition.RootOf(view.stream) : view.stream].name;
}

void Lookback::FindKnownAt(const pipeline::StreamDefinition& stream, std::span<const size_t> listed,
                           KeyRows& rows) const {
  if (stream.known_at.kind == pipeline::KnownAtRule::Kind::kEventTime && !stream.derived()) {
    rows.known_at = rows.times;
    return;
  }
  auto index = sources_.definition.StreamNamed(stream.name);
  if (!index) return;
  // What was made of a row became known with it, and has its position.
  if (sources_.definition.KeepsPositions(*index)) index = sources_.definition.RootOf(*index);
  const auto described = sources_.publishers.Describe(*index);
  if (!described || described->stream.made != nullptr) return;
  const auto reader = log::LogReader::Open(environment_, sources_.log_folder);
  if (!reader) return;
  std::set<EpochId> epochs;
  for (const size_t row : listed) {
    if (epochs.size() >= kEpochsLookedUpMax) break;
    epochs.insert(rows.positions[row].epoch());
  }
  for (const EpochId epoch : epochs) {
    const auto take = [&](const tables::EpochRows& found) -> Result<void> {
      for (const size_t row : listed) {
        const columns::Position at = rows.positions[row];
        if (at.epoch() == epoch && at.row() < found.known_at.size())
          rows.known_at[row] = found.known_at[at.row()];
      }
      return {};
    };
    // What the log has let go stays unknown.
    (void)tables::ScanStreamRows(**reader, described->stream, EpochId{epoch.value - 1}, epoch,
                                 tables::UnknownTime::kNever, take);
  }
}

Result<Explanation> Lookback::Explain(const ExplainRequest& request,
                                      const access::CallerRef& caller,
                                      env::MonotonicTime deadline) {
  if (request.rows > kRowsListedMax)
    return Fail(ErrorCode::kInvalidInput,
                fmt::format("at most {} rows are listed: they are counted all", kRowsListedMax));
  for (int pins = 0; pins < kPinsMax; ++pins) {
    Explanation explanation;
    explanation.logged = sources_.views.current();
    const pipeline::PipelineDefinition& definition = *explanation.logged.definition;
    const auto index = definition.ViewNamed(request.view);
    if (!index) return serving::NoSuchView(definition, request.view);
    explanation.view = *index;
    const ViewDefinition& view = explanation.view_definition();
    if (caller != nullptr) HR_TRY_VOID(serving::CheckView(*caller, view));
    const auto output =
        std::ranges::find(view.outputs, request.feature, &pipeline::OutputFeature::name);
    if (output == view.outputs.end()) return serving::NoSuchFeature(view, request.feature);
    explanation.output = static_cast<size_t>(output - view.outputs.begin());
    if (caller != nullptr)
      HR_TRY_VOID(serving::CheckOutput(*caller, definition, pipeline::FindRestricted(definition),
                                       explanation.view, explanation.output));
    HR_TRY(const KeyOfView key, ResolveKey(definition, explanation.view, request.key));
    HR_TRY(const When when, Settle({request.epoch, request.as_of}));
    HR_TRY(std::optional<Reading> reading,
           ReadState(explanation.logged, {&key, 1}, when, Copied::kAlways));
    if (!reading) continue;
    explanation.key = key.values;
    explanation.log = sources_.log;
    explanation.epoch = request.epoch.value_or(reading->epoch);
    explanation.as_of = reading->as_of;
    explanation.told = request.served;
    const auto& answer = reading->keys.front().answer;
    if (explanation.epoch == reading->epoch && answer)
      explanation.served = {answer->values[explanation.output],
                            answer->statuses[explanation.output], answer->event_time};
    HR_TRY_VOID(TakeRows(request, key, std::move(*reading), deadline, explanation));
    explanation.positions_of = PositionsOf(definition, view, explanation.source);

    const pipeline::RowQuestion question = QuestionOf(explanation);
    explanation.explained = ExplainRows(view, explanation.output, explanation.rows, question);
    explanation.recomputed =
        RecomputeFrom(view, definition.streams[view.stream], explanation.output, explanation.rows,
                      explanation.explained, question);
    const size_t listed = std::min(request.rows, explanation.rows.size());
    for (size_t i = 0; i < listed; ++i)
      explanation.listed.push_back(explanation.rows.size() - 1 - i);
    if (explanation.source == RowSource::kState)
      FindKnownAt(definition.streams[view.stream], explanation.listed, explanation.rows);
    return explanation;
  }
  return Fail(ErrorCode::kUnavailable,
              "the state moved on faster than the key's rows were read: ask again");
}

}  // namespace headrace::wiring
