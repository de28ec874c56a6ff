#include "pipeline/contract_change.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "contract/yaml_document.h"
#include "pipeline/pipeline_file_encoding.h"

namespace headrace::pipeline {
namespace {

using contract::YamlNode;

bool IsWord(char c) {
  return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// Where `name` stands as a word of its own, outside quotes.
std::optional<size_t> FindWord(std::string_view text, std::string_view name) {
  bool quoted = false;
  for (size_t at = 0; at + name.size() <= text.size(); ++at) {
    if (text[at] == '\'') quoted = !quoted;
    if (quoted || text.substr(at, name.size()) != name) continue;
    const size_t end = at + name.size();
    if ((at == 0 || !IsWord(text[at - 1])) && (end == text.size() || !IsWord(text[end]))) return at;
  }
  return std::nullopt;
}

// Keys under which there are no expressions and columns.
bool NamesNoColumn(std::string_view key) {
  static const std::set<std::string_view> kNone = {"from",    "contract",  "source", "rate",
                                                   "history", "precision", "ttl",    "self"};
  return kNone.contains(key);
}

std::optional<contract::Place> PlaceOf(const YamlNode& node, std::string_view field) {
  if (node.is_scalar()) {
    const auto at = FindWord(node.text, field);
    if (!at) return std::nullopt;
    return node.PlaceOf(*at, *at + field.size());
  }
  for (size_t i = 0; i < node.items.size(); ++i) {
    if (node.is_map() && NamesNoColumn(node.keys[i].text)) continue;
    if (auto place = PlaceOf(node.items[i], field)) return place;
  }
  return std::nullopt;
}

class Readers {
 public:
  Readers(const PipelineDefinition& definition, size_t stream, std::string_view field)
      : definition_(definition), stream_(stream), field_(field) {}

  std::vector<std::string> Find() && {
    const auto source = UnpackSource(definition_.source);
    contract::DiagnosticReport report("the definition");
    const auto root = source ? contract::ParseYaml(source->pipeline, report) : std::nullopt;
    if (!root) return {};
    for (size_t i = 0; i < definition_.streams.size(); ++i)
      if (definition_.streams[i].derived() && IsMadeOf(i))
        Add(root->Find("streams"), "derived stream", definition_.streams[i].name);
    for (const ViewDefinition& view : definition_.views)
      if (IsMadeOf(view.stream)) Add(root->Find("views"), "view", view.name);
    for (const TableDefinition& table : definition_.tables)
      if (table.stream == stream_)
        readers_.push_back(fmt::format("table {}", definition_.streams[stream_].name));
    for (const ConsumerDefinition& consumer : definition_.consumers)
      if (consumer.reads == definition_.streams[stream_].name)
        Add(root->Find("consumers"), "consumer", consumer.name);
    return std::move(readers_);
  }

 private:
  // Also by a join.
  bool IsMadeOf(size_t stream) const {
    if (stream == stream_) return true;
    const auto& derivation = definition_.streams[stream].derivation;
    if (derivation == nullptr) return false;
    return IsMadeOf(derivation->source) ||
           (derivation->as_of && IsMadeOf(derivation->as_of->stream)) ||
           (derivation->interval && IsMadeOf(derivation->interval->stream));
  }

  void Add(const YamlNode* section, std::string_view kind, const std::string& name) {
    const YamlNode* node = section == nullptr ? nullptr : section->Find(name);
    const auto place = node == nullptr ? std::nullopt : PlaceOf(*node, field_);
    if (place)
      readers_.push_back(fmt::format("{} {} ({}:{})", kind, name, place->line, place->column));
  }

  const PipelineDefinition& definition_;
  const size_t stream_;
  const std::string_view field_;
  std::vector<std::string> readers_;
};

std::string ReadBy(const PipelineDefinition& definition, size_t stream, std::string_view field) {
  const auto readers = ReadersOf(definition, stream, field);
  return readers.empty() ? "" : fmt::format("; it is read by {}", fmt::join(readers, ", "));
}

ContractChange ChangeOf(const PipelineDefinition& before, size_t stream,
                        const StreamDefinition& after) {
  const StreamDefinition& was = before.streams[stream];
  ContractChange change{.stream = after.name,
                        .evolution = columns::EvolutionOf(*was.schema(), *after.schema()),
                        .refused = {},
                        .notes = {}};
  // A sentence begins with: field `name`.
  for (const std::string& why : change.evolution.refused) {
    const size_t begin = why.find('`') + 1;
    const std::string field = why.substr(begin, why.find('`', begin) - begin);
    change.refused.push_back(
        fmt::format("stream {}: {}{}", after.name, why, ReadBy(before, stream, field)));
  }
  for (const std::string& field : change.evolution.relaxed) {
    if (was.compatibility == Compatibility::kBackward) {
      change.notes.push_back(
          fmt::format("`{}` may be missing from now on{}", field, ReadBy(before, stream, field)));
      continue;
    }
    change.refused.push_back(fmt::format(
        "stream {}: field `{}` would become optional, and `compatibility: {}` says that who knows "
        "the contract of before can read rows of after{}; leave it required, or declare "
        "`compatibility: backward` with an earlier change",
        after.name, field, NameOf(was.compatibility), ReadBy(before, stream, field)));
  }
  for (const columns::WidenedField& field : change.evolution.widened) {
    if (was.compatibility == Compatibility::kBackward) {
      change.notes.push_back(fmt::format("`{}` is {} from now on, and was {}{}", field.name,
                                         columns::NameOf(field.to), columns::NameOf(field.from),
                                         ReadBy(before, stream, field.name)));
      continue;
    }
    change.refused.push_back(fmt::format(
        "stream {}: field `{}` would become {}, and `compatibility: {}` says that who knows the "
        "contract of before, by which it is {}, can read rows of after{}; add a field of the wider "
        "type beside it, or declare `compatibility: backward` with an earlier change",
        after.name, field.name, columns::NameOf(field.to), NameOf(was.compatibility),
        columns::NameOf(field.from), ReadBy(before, stream, field.name)));
  }
  return change;
}

}  // namespace

std::vector<std::string> TablesTooNarrow(const PipelineDefinition& before,
                                         const PipelineDefinition& after) {
  std::vector<std::string> refused;
  for (const TableDefinition& table : after.tables) {
    const StreamDefinition& stream = after.streams[table.stream];
    const auto was = before.StreamNamed(stream.name);
    if (table.may_widen || !was || !before.HasTable(*was)) continue;
    const auto evolution = columns::EvolutionOf(*before.streams[*was].schema(), *stream.schema());
    for (const columns::WidenedField& field : evolution.widened)
      refused.push_back(fmt::format(
          "table {}: column `{}` would become {}, and is {}: that takes Delta's `typeWidening`, "
          "and DuckDB and Spark (Delta 4) read such a table, but delta-rs and Polars refuse all of "
          "it from then on; if nobody reads it with those, say `type_widening: allowed` there, "
          "else add a field of the wider type beside it",
          stream.name, field.name, columns::NameOf(field.to), columns::NameOf(field.from)));
  }
  return refused;
}

std::vector<std::string> ReadersOf(const PipelineDefinition& definition, size_t stream,
                                   std::string_view field) {
  return Readers(definition, stream, field).Find();
}

std::vector<ContractChange> ContractChanges(const PipelineDefinition& before,
                                            const PipelineDefinition& after) {
  std::vector<ContractChange> changes;
  for (const StreamDefinition& stream : after.streams) {
    const auto index = before.StreamNamed(stream.name);
    if (!index || stream.derived() || before.streams[*index].derived()) continue;
    if (stream.contract->text() == before.streams[*index].contract->text() &&
        *stream.schema() == *before.streams[*index].schema())
      continue;
    changes.push_back(ChangeOf(before, *index, stream));
  }
  return changes;
}

}  // namespace headrace::pipeline
