#include "pipeline/definition_diff.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "contract/yaml_document.h"
#include "pipeline/answered_names.h"
#include "pipeline/pipeline_file_encoding.h"
#include "pipeline/streams/derived_streams.h"
#include "pipeline/views/view_layout.h"

namespace headrace::pipeline {
namespace {

using contract::YamlNode;
using ByName = DefinitionTexts::ByName;

void AppendText(const YamlNode& node, std::string& out) {
  switch (node.kind) {
    case YamlNode::Kind::kNull: out += '~'; return;
    case YamlNode::Kind::kScalar:
      // As lengths, so that no text can look like two.
      out += fmt::format("{}{}:{}", node.style == YamlNode::Style::kQuoted ? 'q' : 'p',
                         node.text.size(), node.text);
      return;
    case YamlNode::Kind::kList:
      out += '[';
      for (const YamlNode& item : node.items) AppendText(item, out);
      out += ']';
      return;
    case YamlNode::Kind::kMap:
      out += '{';
      for (size_t i = 0; i < node.items.size(); ++i) {
        AppendText(node.keys[i], out);
        AppendText(node.items[i], out);
      }
      out += '}';
      return;
  }
}

std::string TextOf(const YamlNode& node) {
  std::string text;
  AppendText(node, text);
  return text;
}

// The keys of a thing may stand in any order; that of what is below them counts (features are
// answered in theirs).
std::string SortedTextOf(const YamlNode& node) {
  if (!node.is_map()) return TextOf(node);
  std::vector<std::string> members;
  for (size_t i = 0; i < node.items.size(); ++i)
    members.push_back(TextOf(node.keys[i]) + TextOf(node.items[i]));
  std::ranges::sort(members);
  return fmt::format("{}", fmt::join(members, ""));
}

ByName EachOf(const YamlNode& map) {
  ByName texts;
  for (size_t i = 0; i < map.items.size(); ++i)
    texts[map.keys[i].text] = SortedTextOf(map.items[i]);
  return texts;
}

std::optional<YamlNode> Parsed(std::string_view text) {
  contract::DiagnosticReport report("the definition");
  return contract::ParseYaml(text, report);
}

void Erase(std::string_view key, YamlNode& map) {
  for (size_t i = map.keys.size(); i-- > 0;) {
    if (map.keys[i].text != key) continue;
    map.keys.erase(map.keys.begin() + static_cast<ptrdiff_t>(i));
    map.items.erase(map.items.begin() + static_cast<ptrdiff_t>(i));
  }
}

ByName WaysIn(const YamlNode& streams) {
  ByName texts;
  for (size_t i = 0; i < streams.items.size(); ++i) {
    YamlNode beside = streams.items[i];
    Erase("contract", beside);
    Erase("compatibility", beside);
    texts[streams.keys[i].text] = SortedTextOf(beside);
  }
  return texts;
}

// Whether a table's columns may be widened is asked when a contract is changed, of the file that
// changes it; nothing that runs depends on it.
YamlNode WithoutWidening(YamlNode tables) {
  for (YamlNode& table : tables.items) Erase("type_widening", table);
  return tables;
}

void AppendContracts(const YamlNode& streams, const std::map<std::string, std::string>& contracts,
                     ByName& texts) {
  for (size_t i = 0; i < streams.items.size(); ++i) {
    const YamlNode* name = streams.items[i].Find("contract");
    // Without the schema object that is picked.
    const auto text = name == nullptr ? contracts.end()
                                      : contracts.find(name->text.substr(0, name->text.find('#')));
    if (text == contracts.end()) continue;
    const auto contract = Parsed(text->second);
    texts[streams.keys[i].text] += contract ? TextOf(*contract) : text->second;
  }
}

std::vector<NamedDifference> CompareNames(const ByName& before, const ByName& after,
                                          const std::vector<std::string>& order) {
  std::vector<NamedDifference> all;
  for (const std::string& name : order) {
    const auto old = before.find(name);
    if (old == before.end()) {
      all.push_back({name, ChangeKind::kAdded});
    } else {
      const auto now = after.find(name);
      const bool same = now != after.end() && now->second == old->second;
      all.push_back({name, same ? ChangeKind::kUnchanged : ChangeKind::kAltered});
    }
  }
  for (const auto& [name, text] : before)
    if (std::ranges::find(order, name) == order.end()) all.push_back({name, ChangeKind::kRemoved});
  return all;
}

template <typename T>
std::vector<std::string> NamesOf(const std::vector<T>& things) {
  std::vector<std::string> names;
  for (const T& thing : things) names.push_back(thing.name);
  return names;
}

std::vector<std::string> KeysOf(const ByName& texts) {
  std::vector<std::string> names;
  for (const auto& [name, text] : texts) names.push_back(name);
  return names;
}

// `written`: what TextsOf says of its views.
std::vector<std::string> IdentitiesOf(const PipelineDefinition& definition, const ByName& written) {
  std::vector<std::string> identities;
  for (const ViewDefinition& view : definition.views) {
    std::string& identity =
        identities.emplace_back(fmt::format("view {} {}", view.name, KeptText(definition, view)));
    for (const OutputFeature& output : view.outputs)
      identity += fmt::format("output {} {} {}\n", output.name, columns::NameOf(output.type),
                              output.elements_max);
    if (const auto text = written.find(view.name); text != written.end()) identity += text->second;
  }
  return identities;
}

ByName ViewsOf(const PipelineDefinition& definition, const ByName& written) {
  ByName texts;
  const std::vector<std::string> identities = IdentitiesOf(definition, written);
  for (size_t i = 0; i < definition.views.size(); ++i)
    texts[definition.views[i].name] = identities[i];
  return texts;
}

// What a feature is, by what it is made of.
std::string FeatureText(const ViewDefinition& view, const OutputFeature& output) {
  const AggregateSpec& spec = view.features[output.feature];
  const auto text = [&](const std::optional<size_t>& argument) {
    return argument ? view.arguments[*argument].text() : std::string();
  };
  return fmt::format("{} {} ({}) where ({}) {} {} {} {} {} {}", static_cast<int>(spec.kind),
                     columns::NameOf(output.type), text(spec.argument), text(spec.where),
                     spec.quantile, spec.quantile_bits, spec.register_bits, output.elements_max,
                     spec.half_life.count(),
                     view.lifetime() ? "" : TextOf(view.windows[output.window]));
}

ByName FeaturesOf(const ViewDefinition& view) {
  ByName texts;
  for (const OutputFeature& output : view.outputs) texts[output.name] = FeatureText(view, output);
  return texts;
}

// By the keys of the file.
ByName WrittenKeysOf(const PipelineDefinition& definition, const ViewDefinition& view) {
  const StreamDefinition& stream = definition.streams[view.stream];
  std::string by;
  for (const size_t field : view.by) by += stream.schema()->field(field).name + "\n";
  return {{"from", stream.name},
          {"by", by},
          {"where", view.where ? view.where->text() : ""},
          {"history", base::FormatDuration(view.history)},
          {"ttl", view.ttl ? base::FormatDuration(*view.ttl) : ""},
          {"self", std::to_string(static_cast<int>(view.self))}};
}

struct AnsweredValue {
  std::string name;  // its alias, or "card.spend_7d"
  columns::Type type;
  AnsweredName answered;
};
std::vector<AnsweredValue> ValuesOf(const PipelineDefinition& definition,
                                    const ServiceDefinition& service) {
  std::vector<AnsweredValue> values;
  const std::vector<AnsweredName> names = AnsweredNames(definition, service);
  for (size_t i = 0; i < names.size(); ++i) {
    const FeatureReference& feature = service.features[i];
    values.push_back({feature.alias.empty() ? definition.NameOf(feature) : feature.alias,
                      definition.TypeOf(feature), names[i]});
  }
  return values;
}

}  // namespace

DefinitionTexts TextsOf(const PipelineDefinition& definition) {
  DefinitionTexts texts;
  const auto source = UnpackSource(definition.source);
  if (!source) return texts;
  const auto root = Parsed(source->pipeline);
  if (!root || !root->is_map()) return texts;
  std::string inputs;
  for (size_t i = 0; i < root->items.size(); ++i) {
    const std::string& key = root->keys[i].text;
    const YamlNode& node = root->items[i];
    if (key == "streams") {
      texts.streams = EachOf(node);
      texts.ways_in = WaysIn(node);
      AppendContracts(node, source->contracts, texts.streams);
    } else if (key == "views") {
      texts.views = EachOf(node);
    } else if (key == "on_request") {
      texts.on_request = EachOf(node);
    } else if (key == "services") {
      texts.services = EachOf(node);
    } else if (key == "inputs") {
      inputs = TextOf(node);
    } else {
      texts.settings[key] = SortedTextOf(key == "tables" ? WithoutWidening(node) : node);
    }
  }
  for (auto& [name, text] : texts.on_request) text += inputs;
  // Also those that a view's `from` makes.
  for (size_t i = 0; i < definition.streams.size(); ++i)
    if (definition.streams[i].derived())
      texts.streams[definition.streams[i].name] += DerivationText(definition, i);
  return texts;
}

std::vector<std::string> IdentitiesOf(const PipelineDefinition& definition) {
  return IdentitiesOf(definition, TextsOf(definition).views);
}

std::string_view NameOf(ChangeKind difference) {
  switch (difference) {
    case ChangeKind::kUnchanged: return "unchanged";
    case ChangeKind::kAdded: return "added";
    case ChangeKind::kRemoved: return "removed";
    case ChangeKind::kAltered: return "altered";
  }
  return "unchanged";
}

DefinitionDiff Compare(const PipelineDefinition& before, const PipelineDefinition& after) {
  const DefinitionTexts old = TextsOf(before);
  const DefinitionTexts now = TextsOf(after);
  return {.streams = CompareNames(old.streams, now.streams, NamesOf(after.streams)),
          .views = CompareNames(ViewsOf(before, old.views), ViewsOf(after, now.views),
                                NamesOf(after.views)),
          .on_request = CompareNames(old.on_request, now.on_request, NamesOf(after.on_request)),
          .services = CompareNames(old.services, now.services, NamesOf(after.services)),
          .settings = CompareNames(old.settings, now.settings, KeysOf(now.settings))};
}

ViewDiff CompareView(const PipelineDefinition& before, const PipelineDefinition& after,
                     const std::string& view) {
  const auto old_view = before.ViewNamed(view);
  const auto new_view = after.ViewNamed(view);
  if (!old_view || !new_view) return {};
  const ViewDefinition& was = before.views[*old_view];
  const ViewDefinition& is = after.views[*new_view];
  ViewDiff diff;
  for (const auto& [name, difference] :
       CompareNames(FeaturesOf(was), FeaturesOf(is), NamesOf(is.outputs))) {
    if (difference == ChangeKind::kAdded) diff.added.push_back(name);
    if (difference == ChangeKind::kRemoved) diff.removed.push_back(name);
    if (difference == ChangeKind::kAltered) diff.altered.push_back(name);
  }
  const ByName old_keys = WrittenKeysOf(before, was);
  for (const auto& [name, text] : WrittenKeysOf(after, is))
    if (old_keys.at(name) != text) diff.keys.push_back(name);
  return diff;
}

std::vector<BrokenConsumer> BrokenBy(const PipelineDefinition& before,
                                     const PipelineDefinition& after) {
  std::vector<BrokenConsumer> broken;
  for (const ServiceDefinition& service : before.services) {
    const auto index = after.ServiceNamed(service.name);
    if (!index) {
      broken.push_back({.service = service.name});
      continue;
    }
    BrokenConsumer consumer{.service = service.name};
    const auto now = ValuesOf(after, after.services[*index]);
    for (const auto& [name, type, answered] : ValuesOf(before, service)) {
      const auto same = std::ranges::find(now, name, &AnsweredValue::name);
      if (same == now.end()) {
        consumer.missing.push_back(name);
        continue;
      }
      if (same->type != type)
        consumer.retyped.push_back(fmt::format("{}: {}, was {}", name, columns::NameOf(same->type),
                                               columns::NameOf(type)));
      if (same->answered.shown != answered.shown)
        consumer.renamed.push_back(
            fmt::format("{}: answered as {}, was {}", name, same->answered.shown, answered.shown));
    }
    if (!consumer.missing.empty() || !consumer.retyped.empty() || !consumer.renamed.empty())
      broken.push_back(std::move(consumer));
  }
  return broken;
}

}  // namespace headrace::pipeline
