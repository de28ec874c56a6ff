// The promise and the consumers: what they say is checked here and used by `plan`; only budget and
// outside are in the definition.
#include <fmt/format.h>

#include <algorithm>

#include "contract/yaml_reading.h"
#include "pipeline/pipeline_file_reader.h"

namespace headrace::pipeline {

using contract::DiagnosticCode;
using contract::YamlNode;

void PipelineReader::Promise(const Node& node) {
  if (!CheckSection(node, Section::kPromise, "promise")) return;
  if (const YamlNode* budget = contract::Require(node, "budget", "promise", report_))
    Budget(*budget);
  if (const YamlNode* outside = Find(node, Section::kPromise, "outside")) Outside(*outside);
  if (const YamlNode* on_miss = Find(node, Section::kPromise, "on_miss")) OnMiss(*on_miss);
  if (const YamlNode* deadline = Find(node, Section::kPromise, "at_deadline"))
    promised_at_deadline_ = ReadAtDeadline(*deadline, "`at_deadline`");
}

std::optional<AtDeadline> PipelineReader::ReadAtDeadline(const Node& node,
                                                         const std::string& what) {
  const auto rule = contract::ReadChoice(node, {"last_known", "defaults", "refuse"}, what, report_);
  return rule ? AtDeadlineNamed(*rule) : std::nullopt;
}

// What the consumer wants holds for the service; two that want different things must ask for it in
// their requests.
void PipelineReader::ConsumerAtDeadline(const Node& node, const std::string& what,
                                        std::optional<size_t> service) {
  const auto rule = ReadAtDeadline(node, what + ": `at_deadline`");
  if (!rule) return;
  if (!service) {
    report_.Error(DiagnosticCode::kWrongValue, node.place,
                  what + ": `at_deadline` is about a service, and the consumer reads none",
                  "reads: service NAME");
    return;
  }
  ServiceDefinition& wanted = definition_.services[*service];
  if (at_deadline_said_.insert(*service).second) {
    wanted.at_deadline = *rule;
  } else if (wanted.at_deadline != *rule) {
    report_.Error(DiagnosticCode::kWrongValue, node.place,
                  fmt::format("{}: another consumer of service `{}` says `{}`", what, wanted.name,
                              NameOf(wanted.at_deadline)),
                  "say one of them here, and the other one in the requests that want it");
  }
}

// One who does not allow it must not be given what another one asked for: they read one service.
void PipelineReader::ConsumerProvisional(const Node& node, const std::string& what,
                                         std::optional<size_t> service) {
  const auto rule =
      contract::ReadChoice(node, {"allowed", "refused"}, what + ": `provisional`", report_);
  if (!rule) return;
  if (!service) {
    report_.Error(DiagnosticCode::kWrongValue, node.place,
                  what + ": `provisional` is about a service, and the consumer reads none",
                  "reads: service NAME");
    return;
  }
  ServiceDefinition& wanted = definition_.services[*service];
  const bool allowed = *rule == "allowed";
  if (!provisional_said_.insert(*service).second && wanted.provisional != allowed)
    report_.Error(DiagnosticCode::kWrongValue, node.place,
                  fmt::format("{}: another consumer of service `{}` says `{}`", what, wanted.name,
                              wanted.provisional ? "allowed" : "refused"),
                  "give the one that allows it a service of its own");
  wanted.provisional = allowed;
}

void PipelineReader::Budget(const Node& node) {
  const bool one = node.is_map() && node.items.size() == 1;
  const std::string key = one ? node.keys[0].text : "";
  const auto percentile =
      key.starts_with('p') ? contract::NumberIn(std::string_view(key).substr(1)) : std::nullopt;
  if (!percentile || *percentile <= 0 || *percentile >= 100) {
    report_.Error(DiagnosticCode::kPromiseShape, node.place,
                  "a budget is one percentile below p100 and its time", "budget: {p99: 200ms}");
    return;
  }
  definition_.promise.percentile = *percentile;
  if (const auto time = contract::ReadDuration(node.items[0], fmt::format("`{}`", key), report_))
    definition_.promise.budget = *time;
}

void PipelineReader::Outside(const Node& node) {
  if (!contract::ExpectMap(node, "`outside`", report_)) return;
  for (size_t i = 0; i < node.items.size(); ++i) {
    const auto time =
        contract::ReadDuration(node.items[i], fmt::format("`{}`", node.keys[i].text), report_);
    if (time) definition_.promise.outside[node.keys[i].text] = *time;
  }
}

std::optional<double> PipelineReader::Percent(const Node& node, const std::string& what) {
  std::string_view text = node.text;
  const bool sign = node.is_scalar() && text.ends_with('%');
  if (sign) text.remove_suffix(1);
  const auto value = sign ? contract::NumberIn(text) : std::nullopt;
  if (value && *value >= 0 && *value <= 100) return *value / 100;
  report_.Error(DiagnosticCode::kBadNumber, node.place,
                fmt::format("{} must be a percentage, here is `{}`", what, node.text),
                "write it like 0.84%");
  return std::nullopt;
}

void PipelineReader::OnMiss(const Node& node) {
  if (!CheckSection(node, Section::kOnMiss, "on_miss")) return;
  if (const YamlNode* costs = Find(node, Section::kOnMiss, "costs")) {
    const std::string_view text = costs->text;
    const auto money = text.starts_with('$') ? contract::NumberIn(text.substr(1)) : std::nullopt;
    if (!money || *money < 0)
      report_.Error(DiagnosticCode::kBadNumber, costs->place,
                    fmt::format("`costs` must be dollars, here is `{}`", text),
                    "write it like $85");
  }
  if (const YamlNode* in = Find(node, Section::kOnMiss, "in")) Percent(*in, "`in`");
  if (const YamlNode* because = Find(node, Section::kOnMiss, "because"))
    contract::ReadText(*because, "`because`", report_);
}

namespace {

// Years are for what consumers keep: 365 days.
bool IsYears(std::string_view text) {
  if (!text.ends_with('y')) return false;
  const auto years = contract::IntegerIn(text.substr(0, text.size() - 1));
  return years && *years > 0 && *years <= 1000;
}

}  // namespace

// How pushes that are answered by the consumer's service are.
void PipelineReader::ConsumerPushes(const Node& node, const std::string& what) {
  constexpr std::string_view kService = "service ";
  const YamlNode* reads = node.Find("reads");
  const bool of_service = reads != nullptr && reads->text.starts_with(kService);
  if (of_service && broken_views_.contains(reads->text)) return;
  const auto service =
      of_service ? definition_.ServiceNamed(reads->text.substr(kService.size())) : std::nullopt;
  if (const YamlNode* rule = Find(node, Section::kConsumer, "at_deadline"))
    ConsumerAtDeadline(*rule, what, service);
  if (const YamlNode* rule = Find(node, Section::kConsumer, "provisional"))
    ConsumerProvisional(*rule, what, service);
}

void PipelineReader::Consumer(const Node& name, const Node& node) {
  const std::string what = fmt::format("consumer {}", name.text);
  if (!CheckSection(node, Section::kConsumer, what)) return;
  if (const YamlNode* reads = contract::Require(node, "reads", what, report_)) {
    constexpr std::string_view kService = "service ";
    const std::string& text = reads->text;
    if (text.starts_with(kService)) {
      const std::string service = text.substr(kService.size());
      if (!definition_.ServiceNamed(service) && !broken_views_.contains("service " + service)) {
        std::vector<std::string> names;
        for (const ServiceDefinition& known : definition_.services) names.push_back(known.name);
        report_.Error(DiagnosticCode::kUnknownService, reads->place,
                      fmt::format("{}: no service `{}`", what, service),
                      contract::DidYouMean(service, names));
      }
    } else if (!definition_.StreamNamed(text) && !definition_.ViewNamed(text) &&
               !broken_streams_.contains(text) && !broken_views_.contains(text)) {
      std::vector<std::string> names;
      for (const StreamDefinition& known : definition_.streams) names.push_back(known.name);
      for (const ViewDefinition& known : definition_.views) names.push_back(known.name);
      for (const ServiceDefinition& known : definition_.services)
        names.push_back("service " + known.name);
      report_.Error(DiagnosticCode::kUnknownStream, reads->place,
                    fmt::format("{}: `{}` is no stream, view or service", what, text),
                    contract::DidYouMean(text, names));
    }
  }
  ConsumerPushes(node, what);
  for (const std::string_view key : {"pattern", "sees", "model"})
    if (const YamlNode* text = Find(node, Section::kConsumer, key))
      contract::ReadText(*text, fmt::format("{}: `{}`", what, key), report_);
  if (const YamlNode* staleness = Find(node, Section::kConsumer, "staleness"))
    contract::ReadDuration(*staleness, what + ": `staleness`", report_);
  if (const YamlNode* error = Find(node, Section::kConsumer, "error"))
    Percent(*error, what + ": `error`");
  if (const YamlNode* keep = Find(node, Section::kConsumer, "keep");
      keep != nullptr && !IsYears(keep->text))
    contract::ReadDuration(*keep, what + ": `keep`", report_);
  const auto text_of = [&](std::string_view key) {
    const YamlNode* text = Find(node, Section::kConsumer, key);
    return text == nullptr ? std::string() : text->text;
  };
  definition_.consumers.push_back({name.text, text_of("reads"), text_of("pattern")});
}

std::optional<uint64_t> PipelineReader::Size(const Node& node, std::string_view what,
                                             uint64_t least) {
  static constexpr std::pair<std::string_view, double> kUnits[] = {
      {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40},
      {"KB", 1e3},     {"MB", 1e6},     {"GB", 1e9},     {"TB", 1e12}};
  const auto bytes_min = static_cast<double>(least);
  const std::string_view text = node.text;
  for (const auto& [unit, bytes] : kUnits) {
    if (!text.ends_with(unit)) continue;
    const auto number = contract::NumberIn(text.substr(0, text.size() - unit.size()));
    if (number && *number * bytes >= bytes_min && *number * bytes < 0x1p50)
      return static_cast<uint64_t>(*number * bytes);
    break;
  }
  report_.Error(
      DiagnosticCode::kBadNumber, node.place,
      least >= 1U << 20
          ? fmt::format("{} must be at least {}MiB, here is `{}`", what, least >> 20, text)
          : fmt::format("{} must be at least {}KiB, here is `{}`", what, least >> 10, text),
      "write it like 4GiB");
  return std::nullopt;
}

}  // namespace headrace::pipeline
