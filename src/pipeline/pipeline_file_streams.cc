#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "contract/yaml_reading.h"
#include "pipeline/expressions/lexer.h"
#include "pipeline/pipeline_file_reader.h"

namespace headrace::pipeline {

using columns::Type;
using contract::DiagnosticCode;
using contract::YamlNode;

void PipelineReader::Stream(const Node& name, const Node& node) {
  const std::string what = fmt::format("stream {}", name.text);
  broken_streams_.insert(name.text);  // until it turns out well
  if (!CheckSection(node, Section::kStream, what)) return;
  if (node.Find("from") != nullptr) return DerivedStream(name, node);
  StreamDefinition stream;
  stream.name = name.text;
  if (definition_.clock == log::ClockMode::kEvents) {
    stream.timing.max_ahead = std::chrono::hours(24);
    stream.known_at.kind = KnownAtRule::Kind::kEventTime;
  }
  if (const YamlNode* source = contract::Require(node, "source", what, report_))
    Source(*source, what, stream);
  const YamlNode* contract_name = contract::Require(node, "contract", what, report_);
  if (contract_name != nullptr) stream.contract = ReadContract(*contract_name);
  if (const YamlNode* rate = Find(node, Section::kStream, "rate"))
    Rate(*rate, stream.name, stream.contract == nullptr ? nullptr : stream.schema());
  const YamlNode* time = contract::Require(node, "time", what, report_);
  if (stream.contract == nullptr || time == nullptr) return;
  const bool timed = Time(*time, stream);
  if (const YamlNode* history = Find(node, Section::kStream, "history")) History(*history, stream);
  if (const YamlNode* word = Find(node, Section::kStream, "compatibility"))
    if (const auto chosen = contract::ReadChoice(*word, {"backward", "forward", "full"},
                                                 what + ": `compatibility`", report_))
      stream.compatibility = *CompatibilityNamed(*chosen);
  if (!timed) return;
  broken_streams_.erase(name.text);
  definition_.streams.push_back(std::move(stream));
}

contract::ContractRef PipelineReader::ReadContract(const Node& node) {
  const auto text = contract::ReadText(node, "`contract`", report_);
  if (!text) return nullptr;
  if (const auto known = contracts_.find(*text); known != contracts_.end()) return known->second;
  const size_t hash = text->find('#');
  const std::string file = text->substr(0, hash);
  const std::string object = hash == std::string::npos ? "" : text->substr(hash + 1);
  auto content = files_(file);
  if (!content) {
    report_.Error(DiagnosticCode::kContractUnreadable, node.place,
                  fmt::format("contract `{}`: {}", file, content.error().message()),
                  "the path is relative to the pipeline file");
    return nullptr;
  }
  contract::ParsedContract parsed = contract::Contract::Parse(file, *content, object);
  contract_diagnostics_.insert(contract_diagnostics_.end(), parsed.diagnostics.begin(),
                               parsed.diagnostics.end());
  contract_texts_[file] = std::move(*content);
  return contracts_[*text] = parsed.contract;
}

void PipelineReader::Source(const Node& node, const std::string& what, StreamDefinition& stream) {
  if (!CheckSection(node, Section::kSource, what + ": source")) return;
  if (node.items.empty())
    report_.Error(DiagnosticCode::kMissingKey, node.place, what + ": source names no way in",
                  "source: {flight: push}");
  for (const std::string_view key : {"flight", "http"})
    if (const YamlNode* way = Find(node, Section::kSource, key))
      contract::ReadChoice(*way, {"push"}, fmt::format("{}: `{}`", what, key), report_);
  TableSource(node, what, stream);
}

void PipelineReader::TableSource(const Node& node, const std::string& what,
                                 StreamDefinition& stream) {
  using From = TableSourceDefinition::From;
  using Changes = TableSourceDefinition::Changes;
  const YamlNode* delta = Find(node, Section::kSource, "delta");
  for (const std::string_view key : {"every", "from", "changes"})
    if (const YamlNode* of_table = Find(node, Section::kSource, key); of_table && !delta)
      report_.Error(DiagnosticCode::kMissingKey, of_table->place,
                    fmt::format("{}: `{}` is of a table, and source names none", what, key),
                    "source: {delta: lake/shops}");
  if (delta == nullptr) return;
  TableSourceDefinition table;
  table.folder = contract::ReadText(*delta, what + ": `delta`", report_).value_or("");
  if (delta->is_scalar() && table.folder.empty())
    report_.Error(DiagnosticCode::kWrongValue, delta->place, what + ": `delta` names no folder",
                  "the folder that has _delta_log in it");
  if (const YamlNode* every = Find(node, Section::kSource, "every")) {
    table.every = contract::ReadDuration(*every, what + ": `every`", report_).value_or(table.every);
    if (table.every < kTableLookedAtEvery)
      report_.Error(DiagnosticCode::kBadDuration, every->place,
                    fmt::format("{}: a table can't be looked at every {}", what, every->text),
                    "100ms or more");
  }
  if (const YamlNode* from = Find(node, Section::kSource, "from")) {
    const auto text = contract::ReadText(*from, what + ": `from`", report_);
    const auto version = contract::IntegerIn(text.value_or(""));
    if (text == "now") table.from = From::kNow;
    if (version) {
      table.from = From::kVersion;
      table.version = *version;
    }
    if (text && text != "now" && text != "earliest" && (!version || *version < 0))
      report_.Error(DiagnosticCode::kWrongValue, from->place,
                    fmt::format("{}: `from` can't be `{}`", what, *text),
                    "earliest, now, or the number of a version: 12");
  }
  if (const YamlNode* changes = Find(node, Section::kSource, "changes")) {
    const auto text =
        contract::ReadChoice(*changes, {"stop", "skip", "new_rows"}, what + ": `changes`", report_);
    for (const Changes each : {Changes::kStop, Changes::kSkip, Changes::kNewRows})
      if (text == NameOf(each)) table.changes = each;
  }
  stream.table = std::move(table);
}

std::optional<size_t> PipelineReader::TimestampField(const Node& node, const std::string& name,
                                                     const StreamDefinition& stream) {
  const auto field = stream.schema()->IndexOf(name);
  if (!field) {
    std::vector<std::string> names;
    for (const columns::Field& known : stream.schema()->fields()) names.push_back(known.name);
    report_.Error(
        DiagnosticCode::kUnknownColumn, node.place,
        fmt::format("stream {}: no column `{}` in its contract", stream.name, name),
        contract::DidYouMean(name, names, fmt::format("columns: {}", fmt::join(names, ", "))));
    return std::nullopt;
  }
  const columns::Field& found = stream.schema()->field(*field);
  if (found.type == Type::kTimestamp && found.nullable == columns::Nullable::kNo) return field;
  report_.Error(DiagnosticCode::kTimeField, node.place,
                found.type != Type::kTimestamp
                    ? fmt::format("stream {}: `{}` is {}, a time must be a timestamp", stream.name,
                                  name, columns::NameOf(found.type))
                    : fmt::format("stream {}: `{}` may be missing, a time must be required",
                                  stream.name, name),
                found.type != Type::kTimestamp ? "" : "write `required: true` in the contract");
  return std::nullopt;
}

bool PipelineReader::Time(const Node& node, StreamDefinition& stream) {
  const std::string what = fmt::format("stream {}: time", stream.name);
  if (!CheckSection(node, Section::kTime, what)) return false;
  if (const YamlNode* late = Find(node, Section::kTime, "late"))
    stream.timing.late =
        contract::ReadDuration(*late, what + ": `late`", report_).value_or(stream.timing.late);
  if (const YamlNode* ahead = Find(node, Section::kTime, "max_ahead"))
    stream.timing.max_ahead = contract::ReadDuration(*ahead, what + ": `max_ahead`", report_)
                                  .value_or(stream.timing.max_ahead);
  const YamlNode* event = contract::Require(node, "event", what, report_);
  const auto name =
      event == nullptr ? std::nullopt : contract::ReadText(*event, what + ": `event`", report_);
  if (!name) return false;
  const auto field = TimestampField(*event, *name, stream);
  if (!field) return false;
  stream.timing.event_time_field = *field;
  stream.timing.event_time_restricted = stream.contract->restricted(*field);
  return true;
}

namespace {

// "25/s", "2k/s", "9/m" as events a second; "2M" as a number when `per_time` is not wanted.
std::optional<double> Amount(std::string_view text, bool per_time) {
  double seconds = 1;
  if (per_time) {
    const size_t slash = text.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const std::string_view unit = text.substr(slash + 1);
    if (unit != "s" && unit != "m" && unit != "h" && unit != "d") return std::nullopt;
    seconds = unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : 86400;
    text = text.substr(0, slash);
  }
  double scale = 1;
  for (const auto& [suffix, factor] :
       {std::pair{'k', 1e3}, std::pair{'M', 1e6}, std::pair{'G', 1e9}}) {
    if (!text.ends_with(suffix)) continue;
    scale = factor;
    text.remove_suffix(1);
    break;
  }
  const auto number = contract::NumberIn(text);
  if (!number || *number <= 0) return std::nullopt;
  return *number * scale / seconds;
}

// What the keys in a column may be called: the column, or what it identifies, one or many of them:
// "card_id", "card", "cards".
std::vector<std::string> NamesOfKeys(const std::string& column) {
  constexpr std::string_view kIdentifier = "_id";
  std::vector<std::string> names = {column};
  if (column.size() > kIdentifier.size() && column.ends_with(kIdentifier))
    names.push_back(column.substr(0, column.size() - kIdentifier.size()));
  for (size_t i = 0, ones = names.size(); i < ones; ++i) {
    const std::string one = names[i];
    names.push_back(one + "s");
    names.push_back(one + "es");
    if (one.ends_with('y')) names.push_back(one.substr(0, one.size() - 1) + "ies");
  }
  return names;
}

}  // namespace

// mean and peak, and beside them columns with the number of their keys.
void PipelineReader::Rate(const Node& node, const std::string& stream,
                          const columns::SchemaRef& schema) {
  if (!contract::ExpectMap(node, "`rate`", report_)) return;
  std::vector<std::string> columns, known = {"mean", "peak"};
  if (schema != nullptr)
    for (const columns::Field& field : schema->fields()) {
      columns.push_back(field.name);
      std::ranges::copy(NamesOfKeys(field.name), std::back_inserter(known));
    }
  for (size_t i = 0; i < node.items.size(); ++i) {
    const std::string& key = node.keys[i].text;
    if (schema != nullptr && std::ranges::find(known, key) == known.end()) {
      std::vector<std::string> near = columns;
      near.insert(near.end(), {"mean", "peak"});
      report_.Error(
          DiagnosticCode::kUnknownKey, node.keys[i].place,
          fmt::format("stream {}: rate: no key `{}`", stream, key),
          contract::DidYouMean(key, near,
                               fmt::format("mean, peak, or the number of keys in a column: {}",
                                           fmt::join(columns, ", "))));
      continue;
    }
    const bool per_time = key == "mean" || key == "peak";
    const auto amount = Amount(node.items[i].text, per_time);
    if (!amount)
      report_.Error(
          DiagnosticCode::kBadNumber, node.items[i].place,
          fmt::format("stream {}: rate `{}` can't be `{}`", stream, key, node.items[i].text),
          per_time ? "write it like 25/s or 2k/s" : "write the number of keys like 2M");
    else if (key == "mean")
      rows_per_second_[stream] = *amount;
    else if (!per_time)
      keys_[stream] = std::max(keys_[stream], *amount);
  }
}

void PipelineReader::History(const Node& node, StreamDefinition& stream) {
  if (!CheckSection(node, Section::kHistory, fmt::format("stream {}: history", stream.name)))
    return;
  if (const YamlNode* files = Find(node, Section::kHistory, "files"))
    report_.Warning(DiagnosticCode::kHistoryNotRead, files->place,
                    fmt::format("stream {}: this version does not read history.files", stream.name),
                    fmt::format("feed them with `headrace ingest {} FILE`", stream.name));
  if (const YamlNode* arrived = Find(node, Section::kHistory, "arrived")) Arrived(*arrived, stream);
}

// `field` or `field + 3s`. Counts for every row under clock: events; live rows are observed.
bool PipelineReader::Arrived(const Node& node, StreamDefinition& stream) {
  const auto tokens = Tokenize(node.text);
  const auto kind = [&](size_t i) { return (*tokens)[i].kind; };
  const bool field_alone = tokens && tokens->size() == 2 && kind(0) == Token::Kind::kName;
  const bool with_offset = tokens && tokens->size() == 4 && kind(0) == Token::Kind::kName &&
                           (*tokens)[1].text == "+" && kind(2) == Token::Kind::kDuration;
  const auto offset = with_offset ? base::ParseDuration((*tokens)[2].text)
                                  : base::Result<base::Duration>(base::Duration(0));
  if ((!field_alone && !with_offset) || !offset) {
    report_.Error(DiagnosticCode::kArrived, node.place,
                  fmt::format("stream {}: `arrived` can't be `{}`", stream.name, node.text),
                  "a timestamp field, or one plus a span of time: paid_at + 3s");
    return false;
  }
  const auto field = TimestampField(node, (*tokens)[0].text, stream);
  if (!field) return false;
  if (definition_.clock == log::ClockMode::kEvents)
    stream.known_at = {KnownAtRule::Kind::kArrived, *field, *offset};
  return true;
}

}  // namespace headrace::pipeline
