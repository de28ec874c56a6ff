#include "wiring/change_plan.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "contract/diagnostic.h"
#include "contract/diagnostic_report.h"
#include "log/reader.h"
#include "pipeline/pipeline_file.h"
#include "pipeline/pipeline_file_encoding.h"
#include "serving/answer_plan.h"
#include "tables/table_reader.h"
#include "training/history.h"
#include "wiring/stream_history.h"

namespace headrace::wiring {
namespace {

using base::EpochId;
using base::ErrorCode;
using base::Fail;
using base::Result;
using pipeline::ChangeKind;
using Json = nlohmann::ordered_json;
using Build = PlannedView::Build;

// docs/internals/state.md: a row and its slack, an argument of it, a key in a view (with its past,
// and the room of its first chunk) and in the index.
constexpr uint64_t kRowBytes = 16 + 8;
constexpr uint64_t kArgumentBytes = 8 + 2;
constexpr uint64_t kKeyBytes = 128 + 64;
// A view without windows adds its rows up in a tile, which takes about as much.
constexpr uint64_t kRowsPerTotal = 8;
// A change that leaves less of the budget free than this share of it is refused.
constexpr uint64_t kSpareShare = 16;
// Settings that a running engine does not take over: they decide what is accepted, and where it is
// put.
constexpr std::array kAtStartOnly = {std::string_view("clock"), std::string_view("tables"),
                                     std::string_view("pipeline"), std::string_view("headrace")};

class Planner {
 public:
  Planner(const ChangeGround& ground, const ChangeRequest& request)
      : ground_(ground), request_(request), before_(*ground.current.definition) {}

  ChangePlan Plan() && {
    plan_.diff = Compare(before_, next());
    plan_.broken = BrokenBy(before_, next());
    plan_.next.definition = request_.next;
    plan_.next.origin = pipeline::LoggedDefinition::Origin::kApplied;
    plan_.next.started = ground_.current.started;
    plan_.next.before = before_.id;
    for (const auto* list : {&plan_.diff.streams, &plan_.diff.views, &plan_.diff.on_request,
                             &plan_.diff.services, &plan_.diff.settings})
      for (const auto& each : *list)
        plan_.changes = plan_.changes || each.difference != ChangeKind::kUnchanged;
    CheckAdmission();
    CheckServices();
    CheckNames();
    std::set<size_t> read;
    for (const pipeline::NamedDifference& view : plan_.diff.views) PlanView(view, read);
    for (const size_t stream : read) plan_.history_rows += RowsOf(stream);
    CheckMemory();
    return std::move(plan_);
  }

 private:
  const pipeline::PipelineDefinition& next() const { return *request_.next; }
  // That are read for it.
  uint64_t RowsOf(size_t stream) const {
    const auto rows = ground_.rows.find(next().streams[next().RootOf(stream)].name);
    return rows == ground_.rows.end() ? 0 : rows->second;
  }
  void Refuse(std::string why) { plan_.refusals.push_back(std::move(why)); }

  bool IsDerived(const std::string& stream) const {
    for (const auto* definition : {&next(), &before_})
      if (const auto index = definition->StreamNamed(stream))
        return definition->streams[*index].derived();
    return false;
  }

  // What was accepted before can't be decided again.
  void CheckAdmission() {
    const auto before = TextsOf(before_).ways_in;
    const auto after = TextsOf(next()).ways_in;
    plan_.contracts = ContractChanges(before_, next());
    for (const auto& contract : plan_.contracts)
      for (const std::string& why : contract.refused) Refuse(why);
    for (std::string& why : TablesTooNarrow(before_, next())) Refuse(std::move(why));
    for (const auto& stream : plan_.diff.streams) {
      if (stream.difference == ChangeKind::kUnchanged) continue;
      if (IsDerived(stream.name)) {
        if (stream.difference != ChangeKind::kRemoved && !ground_.made.contains(stream.name))
          RefuseDerived(stream);
        continue;
      }
      const auto was = before.find(stream.name);
      const auto is = after.find(stream.name);
      if (was != before.end() && is != after.end() && was->second == is->second) continue;
      Refuse(fmt::format(
          "stream {} is {}: a running engine changes its contract, and nothing else of which rows "
          "it takes; stop it and `headrace serve` the new file",
          stream.name, NameOf(stream.difference)));
    }
    // What it says is the same, and what it has is not.
    for (const pipeline::StreamDefinition& stream : next().streams) {
      const auto was = before_.StreamNamed(stream.name);
      if (!stream.derived() || !was || refused_streams_.contains(stream.name)) continue;
      if (*before_.streams[*was].schema() != *stream.schema() ||
          KeyTypes(before_, before_.streams[*was]) != KeyTypes(next(), stream))
        RefuseDerived({stream.name, ChangeKind::kAltered});
    }
    for (const auto& setting : plan_.diff.settings)
      if (setting.difference != ChangeKind::kUnchanged &&
          std::ranges::find(kAtStartOnly, setting.name) != kAtStartOnly.end())
        Refuse(fmt::format(
            "`{}` is {}: that needs a start; stop the engine and `headrace serve` the new file",
            setting.name, NameOf(setting.difference)));
  }

  // Of what joins it to its dimension: rows are met by the type that they had at the start.
  static std::vector<columns::Type> KeyTypes(const pipeline::PipelineDefinition& definition,
                                             const pipeline::StreamDefinition& stream) {
    std::vector<columns::Type> types;
    if (!stream.derivation->as_of) return types;
    for (const size_t field : stream.derivation->as_of->key)
      types.push_back(definition.streams[stream.derivation->source].schema()->field(field).type);
    return types;
  }

  void RefuseDerived(const pipeline::NamedDifference& stream) {
    refused_streams_.insert(stream.name);
    const bool depends = next().DependsOnOtherRows(*next().StreamNamed(stream.name));
    std::string way = request_.back
                          ? "stop the engine and `headrace serve` the file of before (if the last "
                            "start was with that very file, change a comment in it: else what was "
                            "applied since stays in force)"
                          : "stop the engine and `headrace serve` the new file";
    if (depends && ground_.first.value > 1)
      way = fmt::format(
          "no start can do that any more, as the log holds rows from epoch {} on: it needs a data "
          "folder of its own",
          ground_.first.value);
    Refuse(
        fmt::format("the derived stream {} is {}: its rows are made from the log's first one on, "
                    "which takes a start; {}",
                    stream.name, NameOf(stream.difference), way) +
        GetsFields(stream.name));
  }

  // Without `select` it has all fields of the stream that it is made of.
  std::string GetsFields(const std::string& stream) const {
    const auto was = before_.StreamNamed(stream);
    const auto is = next().StreamNamed(stream);
    if (!was || !is || plan_.contracts.empty()) return "";
    const std::string& root = next().streams[next().RootOf(*is)].name;
    for (const pipeline::ContractChange& contract : plan_.contracts)
      if (contract.stream == root && !contract.evolution.widened.empty())
        return fmt::format(". `{}` of {} gets a wider type",
                           contract.evolution.widened.front().name, root);
    const auto evolution =
        columns::EvolutionOf(*before_.streams[*was].schema(), *next().streams[*is].schema());
    if (!evolution.possible() || evolution.added.empty()) return "";
    return fmt::format(
        ". It would get {}, as it has every field of the stream that it is made of: "
        "a `select` that names those of before leaves it as it is",
        fmt::join(evolution.added, ", "));
  }

  bool OverRefused(size_t stream) const {
    for (; next().streams[stream].derived(); stream = next().streams[stream].derivation->source)
      if (refused_streams_.contains(next().streams[stream].name)) return true;
    return false;
  }

  void CheckServices() {
    for (const pipeline::ServiceDefinition& service : next().services)
      if (const auto compiled = serving::CompileService(next(), service); !compiled)
        Refuse(fmt::format("service {} can't be answered: {}", service.name,
                           compiled.error().message()));
    if (request_.may_break) return;
    for (const pipeline::BrokenConsumer& broken : plan_.broken)
      Refuse(fmt::format("service {} {}: its readers break; --break-consumers says that they know",
                         broken.service, Loses(broken)));
  }

  void CheckNames() {
    std::vector<std::string> names;
    for (const pipeline::ViewDefinition& view : next().views) names.push_back(view.name);
    for (const std::string& view : request_.from_now) {
      if (next().ViewNamed(view)) continue;
      const std::string hint = contract::DidYouMean(view, names);
      Refuse(fmt::format("--from now:{}: there is no such view in the new file{}{}", view,
                         hint.empty() ? "" : ": ", hint));
    }
  }

  static std::string Loses(const pipeline::BrokenConsumer& broken) {
    std::string text;
    if (!broken.missing.empty()) text = fmt::format("loses {}", fmt::join(broken.missing, ", "));
    for (const auto* all : {&broken.retyped, &broken.renamed})
      for (const std::string& each : *all) text += (text.empty() ? "gives " : "; gives ") + each;
    return text.empty() ? "is removed" : text;
  }

  void PlanView(const pipeline::NamedDifference& named, std::set<size_t>& read) {
    PlannedView& view = plan_.views.emplace_back();
    view.name = named.name;
    view.difference = named.difference;
    if (named.difference == ChangeKind::kAltered)
      view.altered = pipeline::CompareView(before_, next(), named.name);
    if (named.difference == ChangeKind::kRemoved) {
      view.means = "not answered any more; its state is kept for a way back, and then goes";
      return;
    }
    const EpochId began = pipeline::SinceOf(ground_.current.since, named.name);
    if (named.difference == ChangeKind::kUnchanged) {
      if (began.value > 0) plan_.next.since[named.name] = began;
      view.means = began.value == 0 ? "keeps its state"
                                    : fmt::format("keeps its state, since epoch {}", began.value);
      return;
    }
    const size_t index = *next().ViewNamed(named.name);
    const pipeline::ViewDefinition& definition = next().views[index];
    if (request_.all_from_now || request_.from_now.contains(named.name)) {
      plan_.next.since[named.name] = pipeline::kSinceThisEntry;
      view.build = Build::kNow;
      view.means = "begins empty, with the cut-over (from: now)";
      return;
    }
    const EpochId begins = pipeline::SinceOf(request_.since, named.name);
    if (begins.value > 0) plan_.next.since[named.name] = begins;
    if (ground_.ready.contains(named.name)) {
      view.build = Build::kReady;
      view.means = "is still kept up from before the last change: nothing to build";
      return;
    }
    if (OverRefused(definition.stream)) {
      view.build = Build::kGone;
      view.means = "is of a stream that needs a start";
      return;
    }
    if (const auto gone = GoneBecause(next(), definition.stream, begins, ground_.first)) {
      view.build = Build::kGone;
      view.means = "can't be rebuilt: " + *gone;
      Refuse(fmt::format(
          "view {} can't be rebuilt: {}. {}--from now:{} begins it with the cut-over", named.name,
          *gone, request_.back ? "`headrace apply` of the file of before with " : "", named.name));
      return;
    }
    view.build = Build::kHistory;
    view.rows = RowsOf(definition.stream);
    view.seconds = static_cast<double>(view.rows) / ground_.rows_per_second;
    view.bytes = BytesOf(definition, view.rows);
    plan_.state_bytes += view.bytes;
    read.insert(definition.stream);
  }

  // After what the views of today have: rows and keys of one over the same stream, as much longer
  // as its windows are; without one, every row of the history.
  uint64_t BytesOf(const pipeline::ViewDefinition& view, uint64_t history) const {
    const std::string& stream = next().streams[view.stream].name;
    uint64_t rows = history;
    uint64_t keys = history / 10 + 1;
    for (size_t i = 0; i < ground_.views.size() && i < before_.views.size(); ++i) {
      const pipeline::ViewDefinition& known = before_.views[i];
      if (before_.streams[known.stream].name != stream) continue;
      if (!known.lifetime() && !known.precision && !view.lifetime() && !view.where &&
          known.horizon().count() > 0) {
        const double longer = static_cast<double>(view.horizon().count()) /
                              static_cast<double>(known.horizon().count());
        rows = std::min(history,
                        static_cast<uint64_t>(longer * static_cast<double>(ground_.views[i].rows)));
      }
      // One that forgets keys says little of how many there ever were.
      if (known.entity == view.entity && (view.forgets_after() || !known.forgets_after()))
        keys = ground_.views[i].keys;
    }
    if (view.lifetime()) rows = std::min(rows, keys * kRowsPerTotal);
    return rows * (kRowBytes + kArgumentBytes * view.arguments.size()) + keys * kKeyBytes;
  }

  void CheckMemory() {
    if (!ground_.memory_free || plan_.state_bytes == 0) return;
    const uint64_t spare = ground_.memory_limit / kSpareShare;
    if (plan_.state_bytes + spare <= *ground_.memory_free) return;
    Refuse(
        fmt::format("old and new views do not fit beside each other: about {} bytes are needed, "
                    "{} of {} are free; raise `memory`, use `precision` or shorter windows, or "
                    "--from now, which begins empty",
                    plan_.state_bytes + spare, *ground_.memory_free, ground_.memory_limit));
  }

  const ChangeGround& ground_;
  const ChangeRequest& request_;
  const pipeline::PipelineDefinition& before_;
  ChangePlan plan_;
  std::set<std::string> refused_streams_;  // derived ones that need a start
};

std::string_view NameOf(Build build) {
  switch (build) {
    case Build::kNone: return "nothing";
    case Build::kReady: return "ready";
    case Build::kHistory: return "history";
    case Build::kNow: return "now";
    case Build::kGone: return "gone";
  }
  return "nothing";
}

Json DifferencesJson(const std::vector<pipeline::NamedDifference>& differences) {
  Json json = Json::array();
  for (const auto& each : differences)
    json.push_back({{"name", each.name}, {"change", pipeline::NameOf(each.difference)}});
  return json;
}

Json WidenedJson(const std::vector<columns::WidenedField>& fields) {
  Json json = Json::array();
  for (const columns::WidenedField& field : fields)
    json.push_back({{"name", field.name},
                    {"from", columns::NameOf(field.from)},
                    {"to", columns::NameOf(field.to)}});
  return json;
}

Result<ChangeRequest> Refused(const pipeline::CheckedPipeline& checked,
                              const std::map<std::string, std::string>& texts) {
  std::string message = "the new file has errors:";
  for (const contract::Diagnostic& diagnostic : checked.diagnostics) {
    if (diagnostic.severity == contract::Severity::kWarning) continue;
    const auto text = texts.find(diagnostic.file);
    message += "\n" + contract::Render(diagnostic, text == texts.end() ? "" : text->second);
  }
  while (message.ends_with('\n')) message.pop_back();
  return Fail(ErrorCode::kInvalidInput, message);
}

}  // namespace

ChangePlan PlanChange(const ChangeGround& ground, const ChangeRequest& request) {
  return Planner(ground, request).Plan();
}

std::string ChangePlan::ToJson(const ChangeGround& ground) const {
  Json json = {{"pipeline", next.definition->name},
               {"from", ground.current.definition->id.ToString()},
               {"to", next.definition->id.ToString()},
               {"changes", changes},
               {"possible", may_go()}};
  json["streams"] = DifferencesJson(diff.streams);
  for (const pipeline::ContractChange& change : contracts)
    for (Json& stream : json["streams"])
      if (stream["name"] == change.stream)
        stream["contract"] = {{"added", change.evolution.added},
                              {"relaxed", change.evolution.relaxed},
                              {"widened", WidenedJson(change.evolution.widened)},
                              {"reordered", change.evolution.reordered},
                              {"notes", change.notes}};
  json["views"] = Json::array();
  for (const PlannedView& view : views) {
    Json& each = json["views"].emplace_back(Json{{"name", view.name},
                                                 {"change", pipeline::NameOf(view.difference)},
                                                 {"build", NameOf(view.build)}});
    if (view.build == Build::kHistory)
      each.update({{"rows", view.rows}, {"seconds", view.seconds}, {"bytes", view.bytes}});
    if (!view.means.empty()) each["means"] = view.means;
    if (view.difference == ChangeKind::kAltered)
      each["altered"] = {{"features_added", view.altered.added},
                         {"features_removed", view.altered.removed},
                         {"features_altered", view.altered.altered},
                         {"keys", view.altered.keys}};
  }
  json["on_request"] = DifferencesJson(diff.on_request);
  json["services"] = DifferencesJson(diff.services);
  json["settings"] = DifferencesJson(diff.settings);
  json["breaks"] = Json::array();
  for (const pipeline::BrokenConsumer& each : broken)
    json["breaks"].push_back({{"service", each.service},
                              {"missing", each.missing},
                              {"retyped", each.retyped},
                              {"renamed", each.renamed}});
  json["history_rows"] = history_rows;
  json["state_bytes"] = state_bytes;
  if (ground.memory_free)
    json["memory"] = {{"free_bytes", *ground.memory_free}, {"limit_bytes", ground.memory_limit}};
  json["refused"] = refusals;
  return base::JsonText(json);
}

Result<ChangeRequest> ParseChangeRequest(std::string_view body) {
  const Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  const auto wrong = [](std::string_view what) {
    return Fail(
        ErrorCode::kInvalidInput,
        fmt::format("{}: send {{\"pipeline\": TEXT, \"contracts\": {{NAME: TEXT}}}}", what));
  };
  if (!json.is_object() || !json.contains("pipeline") || !json["pipeline"].is_string())
    return wrong("the body is no JSON object with the pipeline file's text");
  std::map<std::string, std::string> contracts;
  if (json.contains("contracts")) {
    if (!json["contracts"].is_object()) return wrong("`contracts` is no object");
    for (const auto& [name, text] : json["contracts"].items()) {
      if (!text.is_string()) return wrong("a contract is no text");
      contracts[name] = text.get<std::string>();
    }
  }
  ChangeRequest request;
  if (json.contains("from_now")) {
    const Json& from_now = json["from_now"];
    request.all_from_now = from_now == "all";
    if (!from_now.is_array() && !request.all_from_now) return wrong("`from_now` is no list");
    if (from_now.is_array())
      for (const Json& view : from_now) {
        if (!view.is_string()) return wrong("`from_now` is no list of views");
        request.from_now.insert(view.get<std::string>());
      }
  }
  const auto may_break = json.find("may_break");
  request.may_break = may_break != json.end() && may_break->is_boolean() && may_break->get<bool>();
  const std::string text = json["pipeline"].get<std::string>();
  const auto checked = pipeline::CheckPipeline(
      "pipeline.yaml", text, [&](const std::string& name) -> Result<std::string> {
        const auto found = contracts.find(name);
        if (found == contracts.end())
          return Fail(ErrorCode::kNotFound, fmt::format("`contracts` has no {}", name));
        return found->second;
      });
  if (!checked.definition) {
    contracts["pipeline.yaml"] = text;
    return Refused(checked, contracts);
  }
  request.next = checked.definition;
  return request;
}

std::string ChangeRequestJson(const ChangeRequest& request) {
  Json json;
  if (const auto source = pipeline::UnpackSource(request.next->source)) {
    json["pipeline"] = source->pipeline;
    json["contracts"] = source->contracts;
  }
  if (request.all_from_now) {
    json["from_now"] = "all";
  } else if (!request.from_now.empty()) {
    json["from_now"] = request.from_now;
  }
  if (request.may_break) json["may_break"] = true;
  return base::JsonText(json);
}

Result<ChangeGround> GroundOf(env::Environment& environment, const std::string& data_folder) {
  HR_TRY(const auto history, training::History::Open(environment, data_folder));
  ChangeGround ground;
  HR_TRY(ground.current, history->Newest());
  HR_TRY(const auto log, log::LogReader::Open(environment, data_folder + "/log"));
  HR_TRY(ground.first, log->First());
  for (const pipeline::StreamDefinition& stream : ground.current.definition->streams) {
    if (stream.derived()) continue;
    uint64_t rows = 0;
    const auto count = [&](const tables::PositionedRows& part) -> Result<void> {
      rows += part.rows.rows();
      return {};
    };
    HR_TRY_VOID(history->ScanRows(stream, {stream.timing.event_time_field}, count));
    ground.rows[stream.name] = rows;
  }
  return ground;
}

}  // namespace headrace::wiring
