// 1. The answers file part by part; each line parsed.
// 2. For a definition that was not met before: the rows of all its views, sorted; for a service or
// list of features: its plan.
// 3. The part's answers, in parallel: the same question under the cut "epoch <= the answer's", the
// values as JSON, compared as text.
#include "training/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <string_view>
#include <utility>

#include "serving/answer_log.h"
#include "serving/input_values.h"
#include "training/offline_answers.h"
#include "training/workers.h"

namespace headrace::training {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using pipeline::FeatureStatus;
using serving::ServedAnswer;

constexpr size_t kPieceAnswers = 256;

// Step 1: whole lines of a file, in parts.
class LineParts {
 public:
  LineParts(const env::ReadableFile& file, uint64_t part_bytes)
      : file_(file), part_bytes_(part_bytes) {}

  // The next whole lines, each handed out without its line end; false at the end. The last line may
  // lack one.
  Result<bool> Next(std::vector<std::string_view>& lines) {
    lines.clear();
    if (offset_ >= file_.size()) return false;
    const uint64_t size = std::min(part_bytes_, file_.size() - offset_);
    text_.resize(size);
    HR_TRY_VOID(file_.ReadAt(offset_, {reinterpret_cast<uint8_t*>(text_.data()), size}));
    const size_t last = text_.rfind('\n');
    const bool at_end = offset_ + size == file_.size();
    const size_t taken = at_end || last == std::string::npos ? text_.size() : last + 1;
    const std::string_view text = std::string_view(text_).substr(0, taken);
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      lines.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
    offset_ += taken;
    return true;
  }

 private:
  const env::ReadableFile& file_;
  const uint64_t part_bytes_;
  uint64_t offset_ = 0;
  std::string text_;
};

// What answers of one definition are computed with.
struct Recomputation {
  std::unique_ptr<OfflineAnswers> answers;
  std::map<std::string, serving::AnswerPlanRef>
      plans;  // by service, or by the features a line each
};

struct CheckedAnswer {
  const ServedAnswer* served = nullptr;
  uint64_t line = 0;
  const OfflineAnswers* answers = nullptr;
  const serving::AnswerPlan* plan = nullptr;
  std::optional<Difference> difference;
};

std::string KeyText(const ServedAnswer& served) {
  std::string text;
  for (const auto& [name, json] : served.inputs) {
    const auto value = serving::ScalarFromJson(json);
    const bool plain = value && !value->is_null() && value->type() == columns::Type::kString;
    text += fmt::format("{}{}={}", text.empty() ? "" : ", ", name, plain ? value->as_text() : json);
  }
  return text;
}

Difference DifferenceOf(const CheckedAnswer& check) {
  const ServedAnswer& served = *check.served;
  return {.line = check.line,
          .epoch = served.epoch,
          .as_of = served.as_of,
          .service = served.service,
          .key = KeyText(served),
          .reason = {},
          .features = {}};
}

Result<std::vector<columns::Value>> InputsOf(const ServedAnswer& served,
                                             const serving::AnswerPlan& plan) {
  std::vector<columns::Value> inputs;
  for (const serving::PlanInput& wanted : plan.inputs) {
    const auto found = std::ranges::find(served.inputs, wanted.name,
                                         [](const auto& input) { return input.first; });
    if (found == served.inputs.end())
      return Fail(ErrorCode::kInvalidInput, fmt::format("input `{}` is missing", wanted.name));
    HR_TRY(const columns::Value given, serving::ScalarFromJson(found->second));
    if (given.is_null()) {
      inputs.push_back(columns::Value::Null(wanted.type));
      continue;
    }
    HR_TRY(columns::Value value, serving::ConvertInput(given, wanted.type));
    inputs.push_back(std::move(value));
  }
  return inputs;
}

FeatureStatus WithLag(FeatureStatus status, const serving::AnswerPlan& plan, base::Duration lag) {
  const bool fresh = !plan.max_lag || lag <= *plan.max_lag;
  const bool told = status == FeatureStatus::kPresent || status == FeatureStatus::kNullValue;
  return fresh || !told ? status : FeatureStatus::kOutsideMaxAge;
}

// Step 3 for one answer.
void Check(CheckedAnswer& check) {
  const ServedAnswer& served = *check.served;
  const auto inputs = InputsOf(served, *check.plan);
  const auto& columns = *check.plan->columns;
  if (!inputs || served.values.size() != columns.size()) {
    check.difference = DifferenceOf(check);
    check.difference->reason =
        inputs ? "it has not as many values as its definition gives it" : inputs.error().message();
    return;
  }
  pipeline::Cut cut;
  cut.epoch_max = served.epoch;
  const auto values = check.answers->Answer(*check.plan, *inputs, served.as_of, cut, served.own);
  std::string json;
  for (size_t i = 0; i < columns.size(); ++i) {
    const FeatureStatus status = WithLag(values[i].status, *check.plan, served.lag);
    json.clear();
    values[i].value.AppendJson(json);
    if (json == served.values[i] && status == served.statuses[i]) continue;
    if (!check.difference) check.difference = DifferenceOf(check);
    check.difference->features.push_back(
        {.feature = columns[i].Reference(),
         .served = fmt::format("{} {}", served.values[i], NameOf(served.statuses[i])),
         .recomputed = fmt::format("{} {}", json, NameOf(status))});
  }
}

// Whether it is the beginning of a line. One that is long enough ends inside its outermost braces.
bool IsTorn(std::string_view line) {
  constexpr std::string_view kBegin = R"({"log":")";
  if (line.size() <= kBegin.size()) return kBegin.starts_with(line);
  if (!line.starts_with(kBegin)) return false;
  int depth = 0;
  bool in_text = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (in_text && c == '\\') {
      ++i;
    } else if (c == '"') {
      in_text = !in_text;
    } else if (!in_text && (c == '{' || c == '}')) {
      depth += c == '{' ? 1 : -1;
      if (depth == 0) return false;
    }
  }
  return true;
}

class Verification {
 public:
  Verification(env::Environment& environment, const VerifyOptions& options)
      : environment_(environment), options_(options) {}

  Result<VerifyReport> Run() {
    const env::MonotonicTime begin = environment_.clock().Now();
    // The answers first: what they were given from is then in the log, also beside a running
    // engine.
    HR_TRY(const auto file, environment_.files().OpenForReading(options_.answers));
    HR_TRY(history_, History::Open(environment_, options_.data_folder, options_.progress));
    LineParts parts(*file, options_.part_bytes);
    std::vector<std::string_view> lines;
    for (;;) {
      HR_TRY(const bool more, parts.Next(lines));
      if (!more) break;
      HR_TRY_VOID(CheckPart(lines));
    }
    report_.took = std::chrono::duration_cast<base::Duration>(environment_.clock().Now() - begin);
    return std::move(report_);
  }

 private:
  Result<void> CheckPart(const std::vector<std::string_view>& lines) {
    std::vector<ServedAnswer> served;
    served.reserve(lines.size());
    std::vector<CheckedAnswer> checks;
    for (const std::string_view line : lines) {
      ++line_;
      if (line.empty()) continue;
      auto parsed = serving::ParseAnswerLine(line);
      if (!parsed) {
        ++(IsTorn(line) ? report_.unreadable : report_.damaged);
      } else if (parsed->log != history_->log()) {
        ++report_.other_log;
      } else if (parsed->provisional) {
        ++report_.provisional;
      } else {
        served.push_back(std::move(*parsed));
        checks.push_back({.served = nullptr, .line = line_});
      }
    }
    for (size_t i = 0; i < checks.size(); ++i) {
      checks[i].served = &served[i];
      HR_TRY_VOID(Bind(checks[i]));
    }
    if (options_.progress != nullptr && !comparing_)
      options_.progress->Begin("comparing", "answer", std::nullopt);
    comparing_ = true;
    const size_t pieces = (checks.size() + kPieceAnswers - 1) / kPieceAnswers;
    HR_TRY_VOID(InPieces(environment_, options_.workers, pieces, [&](size_t piece) -> Result<void> {
      const size_t end = std::min(checks.size(), (piece + 1) * kPieceAnswers);
      for (size_t i = piece * kPieceAnswers; i < end; ++i)
        if (!checks[i].difference) Check(checks[i]);
      if (options_.progress != nullptr) options_.progress->Note(end - piece * kPieceAnswers);
      return {};
    }));
    for (CheckedAnswer& check : checks) Count(check);
    return {};
  }

  // Step 2.
  Result<void> Bind(CheckedAnswer& check) {
    const ServedAnswer& served = *check.served;
    if (served.epoch > history_->newest()) {
      check.difference = DifferenceOf(check);
      check.difference->reason =
          "its epoch is not in the log: the log has lost what was answered from";
      return {};
    }
    auto recomputation = RecomputationFor(served);
    if (!recomputation) {
      if (recomputation.error().code() != ErrorCode::kNotFound) return Fail(recomputation.error());
      check.difference = DifferenceOf(check);
      check.difference->reason = "its definition is not in the log";
      return {};
    }
    auto plan = PlanFor(**recomputation, served);
    if (!plan) {
      check.difference = DifferenceOf(check);
      check.difference->reason = plan.error().message();
      return {};
    }
    check.answers = (*recomputation)->answers.get();
    check.plan = *plan;
    return {};
  }

  Result<Recomputation*> RecomputationFor(const ServedAnswer& served) {
    HR_TRY(pipeline::LoggedDefinition definition, history_->Named(served.definition, served.epoch));
    Recomputation& recomputation = recomputations_[{served.definition, definition.since}];
    if (recomputation.answers != nullptr) return &recomputation;
    comparing_ = false;
    std::vector<size_t> views(definition.definition->views.size());
    std::iota(views.begin(), views.end(), size_t{0});
    HR_TRY(recomputation.answers,
           OfflineAnswers::Build(environment_, options_.workers, *history_, std::move(definition),
                                 views, std::nullopt));
    report_.scanned = recomputation.answers->scanned();
    return &recomputation;
  }

  static Result<const serving::AnswerPlan*> PlanFor(Recomputation& recomputation,
                                                    const ServedAnswer& served) {
    std::string name = served.service;
    if (name.empty()) name = fmt::format("\n{}", fmt::join(served.features, "\n"));
    const auto known = recomputation.plans.find(name);
    if (known != recomputation.plans.end()) return known->second.get();
    const pipeline::PipelineDefinition& definition = recomputation.answers->definition();
    serving::AnswerPlanRef plan;
    if (served.service.empty()) {
      HR_TRY(plan, serving::CompileFeatures(definition, served.features, served.features.size()));
    } else {
      const auto index = definition.ServiceNamed(served.service);
      if (!index)
        return Fail(ErrorCode::kNotFound, "its definition has no service " + served.service);
      HR_TRY(plan, serving::CompileService(definition, definition.services[*index]));
    }
    return recomputation.plans.emplace(std::move(name), std::move(plan)).first->second.get();
  }

  void Count(CheckedAnswer& check) {
    ++report_.checked;
    report_.values += check.served->values.size();
    if (!check.difference) return;
    ++report_.mismatches;
    if (report_.differences.size() < options_.differences_max)
      report_.differences.push_back(std::move(*check.difference));
  }

  env::Environment& environment_;
  const VerifyOptions& options_;
  VerifyReport report_;
  std::unique_ptr<History> history_;
  std::map<std::pair<base::DefinitionId, pipeline::ViewsSince>, Recomputation> recomputations_;
  uint64_t line_ = 0;
  bool comparing_ = false;  // is what `progress` was told last
};

}  // namespace

Result<VerifyReport> Verify(env::Environment& environment, const VerifyOptions& options) {
  return Verification(environment, options).Run();
}

}  // namespace headrace::training
