#include "pipeline/table_patterns.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

namespace headrace::pipeline {
namespace {

constexpr size_t kAutoColumns = 3;

class Patterns {
 public:
  explicit Patterns(const PipelineDefinition& definition) : definition_(definition) {}

  std::map<size_t, std::vector<std::string>> Of(size_t stream) const {
    std::map<size_t, std::vector<std::string>> found;
    const auto add = [&](size_t field, std::string who) {
      auto& all = found[field];
      if (std::ranges::find(all, who) == all.end()) all.push_back(std::move(who));
    };
    for (const ConsumerDefinition& consumer : definition_.consumers)
      if (Reads(consumer, stream))
        for (const size_t field : FieldsIn(consumer.pattern, stream))
          add(field, fmt::format("consumer {}: pattern", consumer.name));
    for (const ViewDefinition& view : definition_.views) {
      if (view.stream != stream) continue;
      for (const size_t field : view.by) add(field, fmt::format("view {}: by", view.name));
      if (view.where)
        for (const size_t field : view.where->inputs())
          add(field, fmt::format("view {}: where", view.name));
      if (!view.windows.empty())
        add(definition_.streams[stream].timing.event_time_field,
            fmt::format("view {}: windows", view.name));
    }
    for (size_t other = 0; other < definition_.streams.size(); ++other)
      if (definition_.streams[other].derived()) AddDerived(stream, other, add);
    return found;
  }

 private:
  bool Reads(const ConsumerDefinition& consumer, size_t stream) const {
    if (consumer.reads == definition_.streams[stream].name) return true;
    const auto view = definition_.ViewNamed(consumer.reads);
    return view && definition_.views[*view].stream == stream;
  }

  // The words of a text that name columns.
  std::vector<size_t> FieldsIn(std::string_view text, size_t stream) const {
    std::vector<size_t> fields;
    const columns::SchemaRef schema = definition_.streams[stream].schema();
    const auto is_part = [](char c) {
      return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
    };
    for (size_t begin = 0; begin < text.size();) {
      size_t end = begin;
      while (end < text.size() && is_part(text[end])) ++end;
      const std::string_view word = text.substr(begin, end - begin);
      for (size_t field = 0; field < schema->size(); ++field)
        if (schema->field(field).name == word) fields.push_back(field);
      begin = std::max(end, begin + 1);
    }
    return fields;
  }

  template <typename Add>
  void AddDerived(size_t stream, size_t other, const Add& add) const {
    const Derivation& derivation = *definition_.streams[other].derivation;
    const std::string who = "stream " + definition_.streams[other].name;
    const auto add_all = [&](const std::vector<size_t>& fields, const char* what) {
      for (const size_t field : fields) add(field, fmt::format("{}: {}", who, what));
    };
    if (derivation.as_of && derivation.as_of->stream == stream)
      add_all(derivation.as_of->dimension_key, "join");
    if (derivation.interval && derivation.interval->stream == stream)
      add_all(derivation.interval->other_key, "join");
    if (derivation.source != stream) return;
    if (derivation.as_of) add_all(derivation.as_of->key, "join");
    if (derivation.interval) add_all(derivation.interval->key, "join");
    const size_t own = definition_.streams[stream].schema()->size();
    if (derivation.where)
      for (const size_t field : derivation.where->inputs())
        if (field < own) add(field, who + ": where");
    for (const auto& [field, why] : Of(other))
      if (derivation.kept[field] < own)
        for (const std::string& each : why) add(derivation.kept[field], each);
  }

  const PipelineDefinition& definition_;
};

}  // namespace

std::vector<FilterColumn> FilterColumns(const PipelineDefinition& definition, size_t stream) {
  std::vector<FilterColumn> columns;
  for (auto& [field, who] : Patterns(definition).Of(stream))
    columns.push_back({field, std::move(who)});
  std::ranges::stable_sort(
      columns, [](const auto& a, const auto& b) { return a.who.size() > b.who.size(); });
  return columns;
}

std::vector<std::string> ZOrderByPatterns(const PipelineDefinition& definition, size_t stream) {
  std::vector<std::string> names;
  const columns::SchemaRef schema = definition.streams[stream].schema();
  for (const FilterColumn& column : FilterColumns(definition, stream))
    if (names.size() < kAutoColumns && !columns::IsList(schema->field(column.field).type))
      names.push_back(schema->field(column.field).name);
  return names;
}

std::optional<std::string> NotFilteredBy(const PipelineDefinition& definition, size_t stream,
                                         const std::string& column) {
  const columns::SchemaRef schema = definition.streams[stream].schema();
  std::string others;
  for (const FilterColumn& each : FilterColumns(definition, stream)) {
    const std::string& name = schema->field(each.field).name;
    if (name == column) return std::nullopt;
    others += fmt::format("{}{} ({})", others.empty() ? "" : ", ", name, each.who.front());
  }
  const std::string why = fmt::format(
      "no reader of {} filters on `{}`, so that an order by it would let nobody read "
      "less",
      definition.streams[stream].name, column);
  return others.empty() ? why + "; none filters on any column"
                        : fmt::format("{}; readers filter on {}", why, others);
}

}  // namespace headrace::pipeline
