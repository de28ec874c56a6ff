#include "serving/flight/view_changes.h"

#include <arrow/record_batch.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "columns/batch_builder.h"
#include "serving/caller_rights.h"
#include "serving/flight/visible_wait.h"
#include "serving/not_found.h"

namespace headrace::serving {
namespace {

using base::EpochId;
using base::ErrorCode;
using base::Fail;
using base::Result;
using Json = nlohmann::json;

constexpr size_t kGrowth = 8;  // by this part of it a piece grows that was read in time

std::unexpected<base::Error> Wrong(const std::string& what) {
  return Fail(ErrorCode::kInvalidInput,
              what + R"(: a subscription is {"changes":"VIEW"}, and may have "from_epoch":N, )"
                     R"("until_epoch":N, "log":"ID", "features":["NAME",...] and "marker_ms":N)");
}

Result<void> TakeNumber(const std::string& name, const Json& value, ChangesRequest& request) {
  if (!value.is_number_unsigned()) return Wrong(fmt::format("`{}` is no whole number", name));
  const auto number = value.get<uint64_t>();
  if (name == "from_epoch") {
    request.from_epoch = EpochId{number};
  } else if (name == "until_epoch") {
    request.until_epoch = EpochId{number};
  } else {
    const auto most = static_cast<uint64_t>(ViewChanges::kMarkerMost.count());
    request.marker_every =
        std::max(ViewChanges::kMarkerLeast, std::chrono::milliseconds(std::min(number, most)));
  }
  return {};
}

Result<void> Take(const std::string& name, const Json& value, ChangesRequest& request) {
  if (name == "changes" || name == "log") {
    if (!value.is_string()) return Wrong(fmt::format("`{}` is no text", name));
    (name == "log" ? request.log : request.view) = value.get<std::string>();
    return {};
  }
  if (name == "from_epoch" || name == "until_epoch" || name == "marker_ms")
    return TakeNumber(name, value, request);
  if (name != "features") return Wrong(fmt::format("`{}` is not known", name));
  if (!value.is_array() || value.empty()) return Wrong("`features` is no list of names");
  for (const Json& feature : value) {
    if (!feature.is_string()) return Wrong("a feature's name is no text");
    request.features.push_back(feature.get<std::string>());
  }
  return {};
}

FeatureQuery QueryOf(const ChangesRequest& request, const access::CallerRef& caller) {
  FeatureQuery query;
  query.caller = caller;
  query.lags = FeatureQuery::Lags::kOfEachView;
  std::vector<std::string> names;
  for (const std::string& feature : request.features) names.push_back(request.view + "." + feature);
  if (names.empty()) names.push_back(request.view + ".*");
  query.features = std::move(names);
  return query;
}

columns::ColumnBatch KeysOf(const columns::SchemaRef& schema,
                            std::span<const columns::KeyBytes* const> keys,
                            std::vector<InputColumn>& inputs) {
  std::vector<columns::Type> types;
  for (const columns::Field& field : schema->fields()) {
    types.push_back(field.type);
    inputs.push_back({field.name, {}});
  }
  columns::BatchBuilder rows(schema);
  for (const columns::KeyBytes* key : keys) {
    auto values = columns::DecodeKey(types, *key);
    HR_CHECK(values.has_value(), "a key that was just made reads back");
    for (size_t i = 0; i < values->size(); ++i) {
      rows.column(i).AppendValue((*values)[i]);
      inputs[i].values.push_back(std::move((*values)[i]));
    }
  }
  return rows.Finish();
}

}  // namespace

Result<ChangesRequest> ParseChangesRequest(std::string_view json) {
  if (json.size() > ChangesRequest::kBytesMax)
    return Wrong(
        fmt::format("{} bytes, and {} are the most", json.size(), ChangesRequest::kBytesMax));
  const Json document = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return Wrong("no JSON object");
  ChangesRequest request;
  for (const auto& [name, value] : document.items()) HR_TRY_VOID(Take(name, value, request));
  if (request.view.empty()) return Wrong("no view");
  return request;
}

ViewChanges::ViewChanges(const ChangeSources& sources, ChangesRequest request, FeatureQuery query,
                         FeatureLayout layout, ChangedKeys changed,
                         pipeline::PipelineRef definition, ingest::FlightCaller caller)
    : sources_(sources),
      request_(std::move(request)),
      query_(std::move(query)),
      layout_(std::move(layout)),
      changed_(std::move(changed)),
      definition_(std::move(definition)),
      caller_(std::move(caller)),
      follower_(*sources_.recent),
      log_(sources_.log->log().ToString()) {}

Result<std::unique_ptr<ViewChanges>> ViewChanges::Open(const ChangeSources& sources,
                                                       std::string_view ticket,
                                                       ingest::FlightCaller caller) {
  HR_TRY(ChangesRequest request, ParseChangesRequest(ticket));
  FeatureQuery query = QueryOf(request, caller.who);
  pipeline::PipelineRef definition = sources.serving.answers->definition();
  const auto view = definition->ViewNamed(request.view);
  if (!view) return NoSuchView(*definition, request.view);
  HR_TRY(auto plan, sources.serving.answers->PlanOf(query));
  if (caller.who != nullptr)
    HR_TRY_VOID(CheckKeys(*caller.who, *definition, pipeline::FindRestricted(*definition), *view));
  HR_TRY(FeatureLayout layout, FeatureLayout::Make(std::move(plan)));
  HR_TRY(const base::StreamId root,
         sources.stream_named(ChangedKeys::RootOf(*definition, *view).name));
  HR_TRY(ChangedKeys changed, ChangedKeys::Make(definition, *view, root));
  std::unique_ptr<ViewChanges> changes(
      new ViewChanges(sources, std::move(request), std::move(query), std::move(layout),
                      std::move(changed), std::move(definition), std::move(caller)));
  HR_TRY(changes->charge_,
         sources.serving.budget->TryCharge(base::MemoryAccount::kReplies, kChargeBytes));
  if (!changes->request_.log.empty() && changes->request_.log != changes->log_)
    return Fail(ErrorCode::kInvalidInput,
                fmt::format("epoch {} is one of log {}, and this is log {}: read anew what you "
                            "hold, then follow from its epoch on",
                            changes->request_.from_epoch.value_or(EpochId{}).value,
                            changes->request_.log, changes->log_));
  changes->through_ = changes->after_ = changes->request_.from_epoch.value_or(sources.visible());
  HR_TRY_VOID(changes->CheckBegin());
  return changes;
}

// Before the first batch: an epoch that is not there yet, or whose successors are gone.
Result<void> ViewChanges::CheckBegin() const {
  if (after_ > sources_.visible()) {
    const auto visible = WaitUntilVisible(*sources_.serving.answers, *sources_.serving.environment,
                                          caller_, after_, kAheadMax);
    if (!visible && visible.error().code() != ErrorCode::kDeadlineExceeded) return visible;
    if (!visible)
      return Fail(ErrorCode::kInvalidInput,
                  fmt::format("epoch {} is not there yet: the newest is {}", after_.value,
                              sources_.visible().value));
  }
  HR_TRY(const EpochId first, sources_.log->First());
  if (after_.Next() >= first) return {};
  return Fail(
      ErrorCode::kFailedPrecondition,
      fmt::format("rows of the epochs after {} were let go: changes can be had from_epoch "
                  "{} on. Read the keys that you hold, then follow from that answer's epoch",
                  after_.value, first.value - 1));
}

Result<std::optional<ingest::FlightBatch>> ViewChanges::Next() {
  if (begin_piece_ == keys_.keys().size()) {
    if (request_.until_epoch && through_ >= *request_.until_epoch) return std::nullopt;
    HR_TRY_VOID(BeginRound());
  }
  HR_TRY(ingest::FlightBatch batch, NextPiece());
  return batch;
}

// Steps 1 and 2.
Result<void> ViewChanges::BeginRound() {
  keys_.Clear();
  begin_piece_ = 0;
  after_ = through_;
  const auto waited = WaitUntilVisible(*sources_.serving.answers, *sources_.serving.environment,
                                       caller_, after_.Next(), request_.marker_every);
  if (!waited && waited.error().code() == ErrorCode::kDeadlineExceeded && !caller_.IsGone())
    return {};  // a marker
  if (!waited) return waited;
  if (sources_.serving.answers->definition() != definition_)
    return Fail(ErrorCode::kUnavailable,
                fmt::format("the definition has changed after epoch {}: read anew what you hold, "
                            "then follow from its epoch on",
                            after_.value));
  return TakeKeys(sources_.visible());
}

Result<void> ViewChanges::TakeKeys(EpochId visible) {
  const auto take = [this](const log::EpochRef& epoch) {
    changed_.Add(*epoch, keys_);
    through_ = epoch->id;
    return keys_.bytes() < kRoundBytesMax;
  };
  const std::vector<log::EpochRef> recent = sources_.recent->Find(after_.Next(), visible);
  for (const log::EpochRef& epoch : recent)
    if (!take(epoch)) return {};
  if (!recent.empty()) return {};
  // The log has them: in pieces, so that whoever waits for a batch gets one.
  bool enough = false;
  auto read =
      sources_.log->Scan(after_.Next(), visible, [&](const log::EpochRef& epoch) -> Result<void> {
        enough = !take(epoch);
        if (!enough && !caller_.IsGone()) return {};
        return Fail(ErrorCode::kUnavailable, "enough for one round");
      });
  if (read || enough) return {};
  return Fail(std::move(read).error().With("told_through", std::to_string(after_.value)));
}

// Step 4.
Result<ingest::FlightBatch> ViewChanges::NextPiece() {
  HR_TRY(const Piece piece, ReadPiece());
  const FeatureAnswer& answer = piece.answer;
  if (answer.columns != layout_.plan().columns && answer.definition != definition_->id)
    return Fail(ErrorCode::kUnavailable,
                fmt::format("the definition has changed after epoch {}: read anew what you hold, "
                            "then follow from its epoch on",
                            after_.value));
  ingest::FlightBatch batch;
  HR_TRY(batch.rows, layout_.ToArrow(piece.keys, answer));
  HR_TRY(batch.charge, ChargeReply(*sources_.serving.budget, *batch.rows));
  begin_piece_ += piece.keys.rows();
  batch.metadata = AnswerMembers(layout_.plan(), answer) +
                   fmt::format(R"(,"after":{},"through":{}}})", after_.value, told().value);
  return batch;
}

// Step 3.
Result<ViewChanges::Piece> ViewChanges::ReadPiece() {
  env::Clock& clock = sources_.serving.environment->clock();
  const env::MonotonicTime marker_at = clock.Now() + request_.marker_every;
  const size_t left = keys_.keys().size() - begin_piece_;
  size_t count = std::min(left, piece_keys_max_);
  while (true) {
    Result<Piece> piece = ReadKeys(count);
    if (piece && count == piece_keys_max_)
      piece_keys_max_ = std::min(kPieceKeysMax, count + count / kGrowth + 1);
    if (piece || piece.error().code() != ErrorCode::kUnavailable) return piece;
    if (!PauseBeforeAnother(*sources_.serving.answers, *sources_.serving.environment, caller_))
      return piece;
    if (count > 0) piece_keys_max_ = std::max<size_t>(1, count / 2);
    count = clock.Now() < marker_at ? std::min(left, piece_keys_max_) : 0;
  }
}

Result<ViewChanges::Piece> ViewChanges::ReadKeys(size_t count) const {
  FeatureQuery query = query_;
  query.min_epoch = through_;
  columns::ColumnBatch keys =
      KeysOf(layout_.inputs(), std::span(keys_.keys()).subspan(begin_piece_, count), query.inputs);
  HR_TRY(FeatureAnswer answer, sources_.serving.answers->Answer(query));
  return Piece{std::move(keys), std::move(answer)};
}

std::string ViewChanges::Summary() const {
  return fmt::format(R"({{"log":"{}","through":{}}})", log_, through_.value);
}

}  // namespace headrace::serving
