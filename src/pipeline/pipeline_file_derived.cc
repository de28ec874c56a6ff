// Streams that are made of another one: `from` and what follows it.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "contract/yaml_reading.h"
#include "pipeline/pipeline_file_reader.h"
#include "pipeline/streams/interval_join.h"

namespace headrace::pipeline {

using columns::Field;
using contract::DiagnosticCode;
using contract::YamlNode;

namespace {

// The event time of an interval join's rows.
constexpr const char* kJoinedAt = "joined_at";

// Columns that a table gives each row.
bool IsReserved(std::string_view name) {
  return name == "_epoch" || name == "_row" || name == "_known_at";
}

columns::SchemaRef Numbered(std::vector<Field> fields) {
  for (size_t i = 0; i < fields.size(); ++i) fields[i].id = static_cast<uint32_t>(i + 1);
  return std::make_shared<const columns::Schema>(std::move(fields));
}

std::vector<std::string> NamesOf(const columns::Schema& schema) {
  std::vector<std::string> names;
  for (const Field& field : schema.fields()) names.push_back(field.name);
  return names;
}

}  // namespace

void PipelineReader::DerivedStream(const Node& name, const Node& node) {
  const std::string what = fmt::format("stream {}", name.text);
  const bool keys = OnlyDerivedKeys(node, what);
  auto derivation = From(*node.Find("from"), what);
  if (!derivation) return;
  const std::string& source = definition_.streams[derivation->source].name;
  bool good = keys;
  if (const YamlNode* unnest = Find(node, Section::kStream, "unnest"); good && unnest != nullptr)
    good = UnnestOf(*unnest, what, *derivation);
  good = good && Computed(node, what, *derivation);
  if (const YamlNode* where = Find(node, Section::kStream, "where"); good && where != nullptr) {
    derivation->where = Condition(*where, what, derivation->wide, source);
    good = derivation->where.has_value();
  }
  good = good && Kept(node, what, *derivation);
  if (const YamlNode* dedupe = Find(node, Section::kStream, "dedupe"); good && dedupe != nullptr)
    good = DedupeOf(*dedupe, what, *derivation);
  if (const YamlNode* rate = Find(node, Section::kStream, "rate"))
    Rate(*rate, name.text, good ? derivation->schema : nullptr);
  if (!good) return;
  broken_streams_.erase(name.text);
  AddDerived(name.text, std::move(*derivation));
}

// The stream has the rate of its source, if it says none itself: it has no more rows, unless it
// makes several of one.
void PipelineReader::AddDerived(std::string name, Derivation derivation) {
  const StreamDefinition& source = definition_.streams[derivation.source];
  StreamDefinition stream = source;
  const auto time = std::ranges::find(derivation.kept, derivation.event_time);
  stream.timing.event_time_field = static_cast<size_t>(time - derivation.kept.begin());
  if (const auto rate = rows_per_second_.find(source.name);
      rate != rows_per_second_.end() && !derivation.unnest &&
      rows_per_second_.emplace(name, rate->second).second) {
    const bool inner = derivation.as_of && derivation.as_of->kind == JoinKind::kInner;
    if (inner || derivation.interval || derivation.where || derivation.dedupe ||
        uncertain_rates_.contains(source.name))
      uncertain_rates_.insert(name);
  }
  stream.name = std::move(name);
  stream.contract = nullptr;
  stream.table.reset();
  stream.derivation = std::make_shared<const Derivation>(std::move(derivation));
  definition_.streams.push_back(std::move(stream));
}

bool PipelineReader::MadeByUnnest(size_t stream) const {
  for (; definition_.streams[stream].derived();
       stream = definition_.streams[stream].derivation->source)
    if (definition_.streams[stream].derivation->unnest) return true;
  return false;
}

// Sets `unnested`: the element stands in the list's place, the ordinal last.
bool PipelineReader::UnnestOf(const Node& node, const std::string& what, Derivation& derivation) {
  const std::string part = what + ": unnest";
  if (!CheckSection(node, Section::kUnnest, part)) return false;
  const size_t errors = report_.errors();
  if (MadeByUnnest(derivation.source)) {
    report_.Error(DiagnosticCode::kDerivedStream, node.place,
                  fmt::format("{}: rows of `{}` are elements of a list already", part,
                              definition_.streams[derivation.source].name),
                  "lists of two levels are not in this version; json_extract reads what is inside");
    return false;
  }
  Unnest unnest;
  const YamlNode* list = contract::Require(node, "list", part, report_);
  const auto name =
      list == nullptr ? std::nullopt : contract::ReadText(*list, part + ": `list`", report_);
  if (!name) return false;
  const auto field = derivation.input->IndexOf(*name);
  if (!field) {
    const auto known = NamesOf(*derivation.input);
    report_.Error(
        DiagnosticCode::kUnknownColumn, list->place, fmt::format("{}: no column `{}`", part, *name),
        contract::DidYouMean(*name, known, fmt::format("columns: {}", fmt::join(known, ", "))));
    return false;
  }
  if (derivation.input->field(*field).type != columns::Type::kString) {
    report_.Error(DiagnosticCode::kDerivedStream, list->place,
                  fmt::format("{}: `{}` is {}, and a list is a JSON array in a text", part, *name,
                              columns::NameOf(derivation.input->field(*field).type)),
                  "in the contract: logicalType: array, physicalType: json");
    return false;
  }
  unnest.list = *field;
  if (const YamlNode* most = Find(node, Section::kUnnest, "at_most")) {
    const auto count = contract::ReadInteger(*most, part + ": `at_most`", report_);
    if (count && (*count < 1 || *count > kElementsMax))
      report_.Error(DiagnosticCode::kTooMany, most->place,
                    fmt::format("{}: `at_most` is 1 to {}, here is {}", part, kElementsMax, *count),
                    "every other column of the event is copied for each element");
    if (count) unnest.elements_max = static_cast<uint32_t>(*count);
  }
  if (const YamlNode* as = Find(node, Section::kUnnest, "as"))
    if (contract::ReadChoice(*as, {"json", "text"}, part + ": `as`", report_) == "text")
      unnest.element = Unnest::Element::kText;
  if (const YamlNode* empty = Find(node, Section::kUnnest, "empty"))
    unnest.keeps_empty =
        contract::ReadChoice(*empty, {"left_out", "kept"}, part + ": `empty`", report_) == "kept";
  std::vector<Field> fields = derivation.input->fields();
  const auto named = [&](const char* key) {
    const YamlNode* own = Find(node, Section::kUnnest, key);
    std::string text = key;
    if (own != nullptr && contract::ExpectName(*own, part, report_)) text = own->text;
    const bool taken = std::ranges::any_of(fields, [&](const Field& f) { return f.name == text; });
    const YamlNode& at = own != nullptr ? *own : node;
    if (taken)
      report_.Error(DiagnosticCode::kNameTaken, at.place,
                    fmt::format("{}: there is a column `{}` already", part, text),
                    fmt::format("give it another name: `{}: line`", key));
    if (IsReserved(text))
      report_.Error(DiagnosticCode::kReservedName, at.place,
                    fmt::format("{}: a table gives each row a column `{}`", part, text));
    return text;
  };
  // The list's name is free for its element.
  fields[unnest.list] = {0, {}, columns::Type::kString, columns::Nullable::kYes};
  fields[unnest.list].name = named("element");
  fields.push_back({0, named("ordinal"), columns::Type::kInt64, columns::Nullable::kYes});
  derivation.unnest = unnest;
  derivation.unnested = Numbered(std::move(fields));
  derivation.wide = derivation.unnested;
  derivation.schema = derivation.unnested;
  derivation.kept.resize(derivation.wide->size());
  std::iota(derivation.kept.begin(), derivation.kept.end(), size_t{0});
  return report_.errors() == errors;
}

bool PipelineReader::OnlyDerivedKeys(const Node& node, const std::string& what) {
  const size_t errors = report_.errors();
  for (const YamlNode& key : node.keys)
    for (const std::string_view other : {"contract", "source", "time", "history", "compatibility"})
      if (key.text == other)
        report_.Error(
            DiagnosticCode::kDerivedStream, key.place,
            fmt::format("{} is made of another stream, and has that one's {}", what, key.text),
            fmt::format("remove `{}`, or `from`", key.text));
  return report_.errors() == errors;
}

std::optional<Derivation> PipelineReader::From(const Node& from, const std::string& what) {
  const auto text = contract::ReadText(from, what + ": `from`", report_);
  if (!text) return std::nullopt;
  const auto clause = ParseFrom(*text);
  if (!clause) {
    ReportExpression(from, 0, clause.error(), what + ": `from`", what);
    return std::nullopt;
  }
  Derivation derivation;
  const auto source = FromStream(from, clause->stream, what);
  if (!source) return std::nullopt;
  derivation.source = *source;
  derivation.input = definition_.streams[*source].schema();
  derivation.event_time = definition_.streams[*source].timing.event_time_field;
  if (clause->join && !Join(from, *clause->join, what, derivation)) return std::nullopt;
  derivation.unnested = derivation.input;
  derivation.wide = derivation.input;
  derivation.schema = derivation.input;
  derivation.kept.resize(derivation.wide->size());
  std::iota(derivation.kept.begin(), derivation.kept.end(), size_t{0});
  return derivation;
}

std::optional<size_t> PipelineReader::FromStream(const Node& from, const Token& name,
                                                 const std::string& what) {
  if (const auto stream = definition_.StreamNamed(name.text)) return stream;
  if (broken_streams_.contains(name.text)) return std::nullopt;
  std::vector<std::string> names;
  for (const StreamDefinition& stream : definition_.streams) names.push_back(stream.name);
  report_.Error(
      DiagnosticCode::kUnknownStream, from.PlaceOf(name.begin, name.end),
      fmt::format("{}: no stream `{}`{}", what, name.text,
                  what.starts_with("stream ") ? " above it" : ""),
      contract::DidYouMean(
          name.text, names,
          what.starts_with("stream ") ? "a stream stands below those it is made of" : ""));
  return std::nullopt;
}

bool PipelineReader::CanBeJoined(const Node& from, const FromClause::Join& join, size_t other,
                                 const std::string& what, const Derivation& derivation) {
  const auto fail = [&](const Token& at, std::string_view message, std::string hint) {
    report_.Error(DiagnosticCode::kJoin, from.PlaceOf(at.begin, at.end),
                  fmt::format("{}: {}", what, message), std::move(hint));
    return false;
  };
  const std::string& name = join.stream.text;
  if (other == derivation.source)
    return fail(join.stream, "a stream can't be joined to itself", "name another stream");
  if (!join.within && definition_.DependsOnOtherRows(other))
    return fail(join.stream, fmt::format("`{}` is made by a join, or without repeats", name),
                "join to a stream that comes in, or to one that only filters and computes");
  if (IsMadeByIntervalJoin(definition_, derivation.source) ||
      IsMadeByIntervalJoin(definition_, other))
    return fail(join.stream, "rows of a join within a time come out of order, and can't be joined",
                "join the dimension first, then within a time");
  if (join.within && join.within->from > join.within->to)
    return fail(join.within->at, "the first bound is after the second",
                "write the earlier one first: within 1h to 90d");
  return true;
}

bool PipelineReader::Join(const Node& from, const FromClause::Join& join, const std::string& what,
                          Derivation& derivation) {
  const auto other = FromStream(from, join.stream, what);
  if (!other || !CanBeJoined(from, join, *other, what, derivation)) return false;
  if (TooMany(from, join.key.size(), kKeyFieldsMax, "key fields")) return false;
  std::vector<size_t> key;
  std::vector<size_t> other_key;
  const size_t errors = report_.errors();
  for (const Token& column : join.key)
    JoinKey(from, column, what, derivation.source, *other, key, other_key);
  const StreamDefinition& joined = definition_.streams[*other];
  std::vector<Field> fields = derivation.input->fields();
  const auto add = [&](std::string name, columns::Type type, columns::Nullable nullable) {
    if (derivation.input->IndexOf(name) && report_.errors() == errors)  // one is enough
      report_.Error(DiagnosticCode::kJoin, from.PlaceOf(join.stream.begin, join.stream.end),
                    fmt::format("{}: there is a column `{}` already", what, name),
                    "drop it, or give it another name, in a stream between");
    fields.push_back({0, std::move(name), type, nullable});
  };
  for (const Field& field : joined.schema()->fields())
    add(joined.name + "." + field.name, field.type, columns::Nullable::kYes);
  if (join.within) {
    add(kJoinedAt, columns::Type::kTimestamp, columns::Nullable::kNo);
    derivation.event_time = fields.size() - 1;
    derivation.interval = {.stream = *other,
                           .kind = join.kind,
                           .key = std::move(key),
                           .other_key = std::move(other_key),
                           .from = join.within->from,
                           .to = join.within->to};
  } else {
    std::vector<size_t> all(joined.schema()->size());
    std::iota(all.begin(), all.end(), size_t{0});
    derivation.as_of = {.stream = *other,
                        .kind = join.kind,
                        .key = std::move(key),
                        .dimension_key = std::move(other_key),
                        .fields = std::move(all)};
  }
  derivation.input = Numbered(std::move(fields));
  return report_.errors() == errors;
}

// A column that both have, of one type.
bool PipelineReader::JoinKey(const Node& from, const Token& column, const std::string& what,
                             size_t source_stream, size_t other_stream, std::vector<size_t>& key,
                             std::vector<size_t>& other_key) {
  const contract::Place place = from.PlaceOf(column.begin, column.end);
  const StreamDefinition& source = definition_.streams[source_stream];
  const StreamDefinition& dimension = definition_.streams[other_stream];
  std::vector<size_t>* keys[] = {&key, &other_key};
  const StreamDefinition* streams[] = {&source, &dimension};
  for (size_t i = 0; i < 2; ++i) {
    const columns::Schema& schema = *streams[i]->schema();
    const auto field = schema.IndexOf(column.text);
    if (!field) {
      report_.Error(
          DiagnosticCode::kUnknownColumn, place,
          fmt::format("{}: no column `{}` in {}", what, column.text, streams[i]->name),
          contract::DidYouMean(column.text, NamesOf(schema),
                               fmt::format("columns: {}; `derive` can give one another name",
                                           fmt::join(NamesOf(schema), ", "))));
      return false;
    }
    keys[i]->push_back(*field);
  }
  const columns::Type left = source.schema()->field(key.back()).type;
  const columns::Type right = dimension.schema()->field(other_key.back()).type;
  if (columns::IsFloating(left) || columns::IsFloating(right)) {
    report_.Error(DiagnosticCode::kKeyField, place,
                  fmt::format("{}: `{}` is a float, and a key can't be one", what, column.text));
    return false;
  }
  if (left == right || (columns::IsInteger(left) && columns::IsInteger(right))) return true;
  report_.Error(
      DiagnosticCode::kJoin, place,
      fmt::format("{}: `{}` is {} in {} and {} in {}", what, column.text, columns::NameOf(left),
                  source.name, columns::NameOf(right), dimension.name),
      "a derived stream can CAST one of them");
  return false;
}

bool PipelineReader::Computed(const Node& node, const std::string& what, Derivation& derivation) {
  const YamlNode* derive = Find(node, Section::kStream, "derive");
  if (derive == nullptr) return true;
  if (!contract::ExpectMap(*derive, what + ": `derive`", report_) ||
      TooMany(*derive, derive->items.size(), kFeaturesMax, "derived columns"))
    return false;
  const std::string& source = definition_.streams[derivation.source].name;
  const size_t errors = report_.errors();
  std::vector<Field> fields = derivation.unnested->fields();
  for (size_t i = 0; i < derive->items.size(); ++i) {
    const YamlNode& name = derive->keys[i];
    if (!contract::ExpectName(name, what + ": `derive`", report_)) continue;
    if (derivation.unnested->IndexOf(name.text)) {
      report_.Error(DiagnosticCode::kNameTaken, name.place,
                    fmt::format("{}: {} has a column `{}` already", what, source, name.text),
                    "give the new one another name, and drop the old one if it should go");
      continue;
    }
    if (IsReserved(name.text)) {
      report_.Error(DiagnosticCode::kReservedName, name.place,
                    fmt::format("{}: a table gives each row a column `{}`", what, name.text));
      continue;
    }
    const auto text = contract::ReadText(derive->items[i], what + ": `derive`", report_);
    if (!text) continue;
    auto expression = Expression::Compile(*text, derivation.unnested);
    if (!expression) {
      ReportExpression(derive->items[i], 0, expression.error(), what, source);
      continue;
    }
    fields.push_back({0, name.text, expression->type(), columns::Nullable::kYes});
    derivation.columns.push_back(std::move(*expression));
  }
  derivation.wide = Numbered(std::move(fields));
  return report_.errors() == errors;
}

// Sets the columns that stay, and the schema.
bool PipelineReader::Kept(const Node& node, const std::string& what, Derivation& derivation) {
  const columns::Schema& wide = *derivation.wide;
  const size_t event_time = derivation.event_time;
  const YamlNode* select = Find(node, Section::kStream, "select");
  const YamlNode* drop = Find(node, Section::kStream, "drop");
  if (select != nullptr && drop != nullptr) {
    report_.Error(DiagnosticCode::kDerivedStream, drop->place,
                  fmt::format("{} has both select and drop", what),
                  "select says which columns stay, drop which go: one is enough");
    return false;
  }
  const YamlNode* list = select != nullptr ? select : drop;
  const char* key = select != nullptr ? "select" : "drop";
  std::vector<size_t> named;
  const size_t errors = report_.errors();
  if (list != nullptr) {
    const auto names = contract::ReadTexts(*list, fmt::format("{}: `{}`", what, key), report_);
    if (!names) return false;
    for (const YamlNode* name : *names) KeptColumn(*name, what, derivation, named);
  }
  if (report_.errors() != errors) return false;
  derivation.kept.clear();
  if (select != nullptr) {
    derivation.kept = std::move(named);
  } else {
    for (size_t field = 0; field < wide.size(); ++field)
      if (std::ranges::find(named, field) == named.end()) derivation.kept.push_back(field);
  }
  if (std::ranges::find(derivation.kept, event_time) == derivation.kept.end()) {
    report_.Error(
        DiagnosticCode::kDerivedStream, list->place,
        fmt::format("{}: its event time `{}` must stay", what, wide.field(event_time).name),
        select != nullptr ? "select it too" : "do not drop it");
    return false;
  }
  std::vector<Field> fields;
  for (const size_t field : derivation.kept) fields.push_back(wide.field(field));
  derivation.schema = Numbered(std::move(fields));
  return true;
}

bool PipelineReader::DedupeOf(const Node& node, const std::string& what, Derivation& derivation) {
  const std::string part = what + ": dedupe";
  if (!CheckSection(node, Section::kDedupe, part)) return false;
  const YamlNode* by = contract::Require(node, "by", part, report_);
  const YamlNode* within = contract::Require(node, "within", part, report_);
  const auto names =
      by == nullptr ? std::nullopt : contract::ReadTexts(*by, part + ": `by`", report_);
  const auto span = within == nullptr
                        ? std::nullopt
                        : contract::ReadDuration(*within, part + ": `within`", report_);
  if (!names || !span || TooMany(*by, names->size(), kKeyFieldsMax, "key fields")) return false;
  if (derivation.interval || IsMadeByIntervalJoin(definition_, derivation.source)) {
    report_.Error(DiagnosticCode::kDerivedStream, node.place,
                  fmt::format("{}: rows of a join within a time come out of order", part),
                  "leave repeats out before the join");
    return false;
  }
  Dedupe dedupe{.by = {}, .within = *span};
  const size_t errors = report_.errors();
  if (names->empty())
    report_.Error(DiagnosticCode::kKeyField, by->place, part + ": a key has at least one field");
  for (const YamlNode* name : *names) {
    const auto field = derivation.schema->IndexOf(name->text);
    if (!field) {
      const auto known = NamesOf(*derivation.schema);
      report_.Error(DiagnosticCode::kUnknownColumn, name->place,
                    fmt::format("{}: no column `{}`", part, name->text),
                    contract::DidYouMean(name->text, known,
                                         fmt::format("columns: {}", fmt::join(known, ", "))));
    } else if (columns::IsFloating(derivation.schema->field(*field).type)) {
      report_.Error(DiagnosticCode::kKeyField, name->place,
                    fmt::format("{}: `{}` is a float, and a key can't be one", part, name->text));
    } else {
      dedupe.by.push_back(*field);
    }
  }
  derivation.dedupe = std::move(dedupe);
  return report_.errors() == errors;
}

bool PipelineReader::KeptColumn(const Node& name, const std::string& what,
                                const Derivation& derivation, std::vector<size_t>& fields) {
  const auto field = derivation.wide->IndexOf(name.text);
  if (!field) {
    const auto names = NamesOf(*derivation.wide);
    report_.Error(
        DiagnosticCode::kUnknownColumn, name.place,
        fmt::format("{}: no column `{}`", what, name.text),
        contract::DidYouMean(name.text, names, fmt::format("columns: {}", fmt::join(names, ", "))));
    return false;
  }
  if (std::ranges::find(fields, *field) != fields.end()) {
    report_.Error(DiagnosticCode::kNameTaken, name.place,
                  fmt::format("{}: `{}` is there twice", what, name.text));
    return false;
  }
  fields.push_back(*field);
  return true;
}

}  // namespace headrace::pipeline
