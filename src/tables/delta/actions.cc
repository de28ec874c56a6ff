#include "tables/delta/actions.h"

#include <fmt/format.h>

#include <charconv>

#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/hex.h"
#include "base/json_text.h"

namespace headrace::tables::delta {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using Json = nlohmann::json;                 // what is read: many keys are found fast
using OrderedJson = nlohmann::ordered_json;  // what is written

// Ours, beside what the protocol names: of a whole commit, in commitInfo.
constexpr const char* kCommitChecksum = "headraceXxh3";
constexpr std::string_view kNoDigits = "0000000000000000";

std::string Line(const OrderedJson& action) { return base::JsonText(action) + "\n"; }

OrderedJson ProtocolJson(const Protocol& protocol) {
  OrderedJson json = {{"minReaderVersion", protocol.reader_version},
                      {"minWriterVersion", protocol.writer_version}};
  if (protocol.reader_version >= kFeaturesReader) json["readerFeatures"] = protocol.reader_features;
  if (protocol.writer_version >= kFeaturesWriter) json["writerFeatures"] = protocol.writer_features;
  return json;
}

OrderedJson MetadataJson(const Metadata& metadata) {
  OrderedJson json = {{"id", metadata.id}, {"name", metadata.name}};
  if (!metadata.description.empty()) json["description"] = metadata.description;
  json["format"] = {{"provider", metadata.provider}, {"options", metadata.options}};
  json["schemaString"] = metadata.schema_string;
  json["partitionColumns"] = metadata.partition_columns;
  json["configuration"] = metadata.configuration;
  if (metadata.created_ms) json["createdTime"] = *metadata.created_ms;
  return json;
}

OrderedJson AddJson(const AddFile& add) {
  OrderedJson json = {{"path", EncodePath(add.path)},
                      {"partitionValues", OrderedJson::object()},
                      {"size", add.size},
                      {"modificationTime", add.modified_ms},
                      {"dataChange", add.data_change}};
  if (!add.stats.empty()) json["stats"] = add.stats;
  if (add.checksum) json["tags"][kChecksumTag] = RenderChecksum(*add.checksum);
  for (const auto& [name, value] : add.tags) json["tags"][name] = value;
  return json;
}

// Of files without partitions and deletion vectors: all that we remove.
OrderedJson RemoveJson(const RemoveFile& remove) {
  OrderedJson json = {{"path", EncodePath(remove.path)},
                      {"deletionTimestamp", remove.deleted_ms.value_or(0)},
                      {"dataChange", remove.data_change},
                      {"extendedFileMetadata", remove.size.has_value()}};
  if (!remove.size) return json;
  json["partitionValues"] = OrderedJson::object();
  json["size"] = *remove.size;
  return json;
}

OrderedJson CommitInfoJson(const Commit& commit) {
  OrderedJson parameters = OrderedJson::object();
  for (const auto& [name, value] : commit.parameters) parameters[name] = value;
  OrderedJson json = {{"timestamp", commit.timestamp_ms},
                      {"operation", commit.operation},
                      {"operationParameters", std::move(parameters)}};
  for (const auto& [name, value] : commit.metrics) json["operationMetrics"][name] = value;
  json["isBlindAppend"] = !commit.metadata.has_value() && commit.removes.empty();
  json["txnId"] = commit.transaction_id;
  json["engineInfo"] = "Headrace/0.1.0";
  json[kCommitChecksum] = kNoDigits;
  return json;
}

// Where the 16 digits of a commit's checksum are; npos when it has none.
size_t FindDigits(std::string_view text) {
  const std::string name = fmt::format("\"{}\":\"", kCommitChecksum);
  const size_t at = text.find(name);
  if (at == std::string_view::npos || at + name.size() + kNoDigits.size() > text.size())
    return std::string_view::npos;
  return at + name.size();
}

// Over the whole commit, with zeros for the checksum's own digits.
std::string ChecksumOf(std::string text, size_t digits) {
  text.replace(digits, kNoDigits.size(), kNoDigits);
  return fmt::format("{:016x}", base::Hash64(text));
}

Result<void> CheckCommit(std::string_view text) {
  const size_t digits = FindDigits(text);
  if (digits == std::string_view::npos) return {};
  if (text.substr(digits, kNoDigits.size()) == ChecksumOf(std::string(text), digits)) return {};
  return Fail(base::Error(ErrorCode::kCorruption,
                          "this commit is not as it was written: restore it from a copy")
                  .With("offset", "0")
                  .With("bytes", std::to_string(text.size())));
}

Protocol ProtocolFrom(const Json& json) {
  const auto has = [&json](const char* name) {
    return json.contains(name) && !json[name].is_null();
  };
  Protocol protocol{.reader_version = json.at("minReaderVersion").get<int>(),
                    .writer_version = json.at("minWriterVersion").get<int>()};
  if (has("readerFeatures"))
    protocol.reader_features = json["readerFeatures"].get<std::vector<std::string>>();
  if (has("writerFeatures"))
    protocol.writer_features = json["writerFeatures"].get<std::vector<std::string>>();
  protocol.reader_features_missing =
      protocol.reader_version >= kFeaturesReader && !has("readerFeatures");
  protocol.writer_features_missing =
      protocol.writer_version >= kFeaturesWriter && !has("writerFeatures");
  return protocol;
}

std::map<std::string, std::string> TextsFrom(const Json& json, const char* name) {
  std::map<std::string, std::string> texts;
  const auto found = json.find(name);
  if (found == json.end() || !found->is_object()) return texts;
  for (const auto& [key, value] : found->items())
    if (value.is_string()) texts[key] = value.get<std::string>();
  return texts;
}

std::string TextFrom(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

template <typename T>
std::optional<T> NumberFrom(const Json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end() || !found->is_number()) return std::nullopt;
  return found->get<T>();
}

Metadata MetadataFrom(const Json& json) {
  Metadata metadata{.id = json.at("id").get<std::string>(),
                    .name = TextFrom(json, "name"),
                    .description = TextFrom(json, "description"),
                    .schema_string = json.at("schemaString").get<std::string>(),
                    .partition_columns = json.value("partitionColumns", std::vector<std::string>{}),
                    .configuration = TextsFrom(json, "configuration"),
                    .created_ms = NumberFrom<int64_t>(json, "createdTime")};
  if (const auto format = json.find("format"); format != json.end() && format->is_object()) {
    metadata.provider = TextFrom(*format, "provider");
    metadata.options = TextsFrom(*format, "options");
  }
  return metadata;
}

PartitionValues PartitionValuesFrom(const Json& json) {
  PartitionValues values;
  const auto found = json.find("partitionValues");
  if (found == json.end() || !found->is_object()) return values;
  for (const auto& [column, value] : found->items()) {
    values.emplace_back(column,
                        value.is_string() ? std::optional(value.get<std::string>()) : std::nullopt);
  }
  return values;
}

std::optional<DeletionVector> DeletionVectorFrom(const Json& json) {
  const auto found = json.find("deletionVector");
  if (found == json.end() || found->is_null()) return std::nullopt;
  return DeletionVector{.storage = found->at("storageType").get<std::string>(),
                        .path_or_inline = found->at("pathOrInlineDv").get<std::string>(),
                        .offset = NumberFrom<int32_t>(*found, "offset"),
                        .bytes = found->at("sizeInBytes").get<int32_t>(),
                        .cardinality = found->at("cardinality").get<int64_t>()};
}

Result<AddFile> AddFrom(const Json& json) {
  HR_TRY(std::string path, TablePath(json.at("path").get<std::string>()));
  AddFile add{.path = std::move(path), .size = json.at("size").get<uint64_t>()};
  add.modified_ms = json.value("modificationTime", int64_t{0});
  add.data_change = json.value("dataChange", true);
  add.stats = TextFrom(json, "stats");
  add.rows = RowsInStats(add.stats);
  add.partition_values = PartitionValuesFrom(json);
  add.deletion_vector = DeletionVectorFrom(json);
  for (auto& [name, value] : TextsFrom(json, "tags")) {
    if (name == kChecksumTag) {
      add.checksum = ParseChecksum(value);
    } else {
      add.tags.emplace_back(name, value);
    }
  }
  return add;
}

Result<RemoveFile> RemoveFrom(const Json& json) {
  HR_TRY(std::string path, TablePath(json.at("path").get<std::string>()));
  return RemoveFile{.path = std::move(path),
                    .deleted_ms = NumberFrom<int64_t>(json, "deletionTimestamp"),
                    .data_change = json.value("dataChange", true),
                    .extended = json.value("extendedFileMetadata", false),
                    .partition_values = PartitionValuesFrom(json),
                    .size = NumberFrom<uint64_t>(json, "size"),
                    .deletion_vector = DeletionVectorFrom(json)};
}

Result<void> AddAction(const Json& action, Commit& commit) {
  if (action.contains("protocol")) commit.protocol = ProtocolFrom(action["protocol"]);
  if (action.contains("metaData")) commit.metadata = MetadataFrom(action["metaData"]);
  if (action.contains("txn")) {
    const Json& txn = action["txn"];
    commit.transactions.push_back({txn.at("appId").get<std::string>(),
                                   txn.at("version").get<uint64_t>(),
                                   NumberFrom<int64_t>(txn, "lastUpdated")});
  }
  if (action.contains("add")) {
    HR_TRY(AddFile add, AddFrom(action["add"]));
    commit.adds.push_back(std::move(add));
  }
  if (action.contains("remove")) {
    HR_TRY(RemoveFile remove, RemoveFrom(action["remove"]));
    commit.removes.push_back(std::move(remove));
  }
  if (action.contains("domainMetadata") && !action["domainMetadata"].value("removed", false))
    commit.domains.push_back(action["domainMetadata"].at("domain").get<std::string>());
  if (action.contains("sidecar"))
    commit.sidecars.push_back(action["sidecar"].at("path").get<std::string>());
  if (action.contains("commitInfo") && action["commitInfo"].is_object()) {
    const Json& told = action["commitInfo"];
    commit.transaction_id = TextFrom(told, "txnId");
    commit.operation = TextFrom(told, "operation");
    commit.timestamp_ms = NumberFrom<int64_t>(told, "timestamp").value_or(0);
    commit.in_commit_ms = NumberFrom<int64_t>(told, "inCommitTimestamp");
    commit.ours = told.contains(kCommitChecksum);
    for (auto& [name, value] : TextsFrom(told, "operationMetrics"))
      commit.metrics.emplace_back(name, std::move(value));
  }
  return {};
}

}  // namespace

std::string RenderCommit(const Commit& commit) {
  std::string out = Line({{"commitInfo", CommitInfoJson(commit)}});
  if (commit.protocol) out += Line({{"protocol", ProtocolJson(*commit.protocol)}});
  if (commit.metadata) out += Line({{"metaData", MetadataJson(*commit.metadata)}});
  for (const Transaction& txn : commit.transactions) {
    out += Line({{"txn",
                  {{"appId", txn.application},
                   {"version", txn.version},
                   {"lastUpdated", commit.timestamp_ms}}}});
  }
  for (const RemoveFile& remove : commit.removes) out += Line({{"remove", RemoveJson(remove)}});
  for (const AddFile& add : commit.adds) out += Line({{"add", AddJson(add)}});
  const size_t digits = FindDigits(out);
  return out.replace(digits, kNoDigits.size(), ChecksumOf(out, digits));
}

std::string RenderMetadata(const Metadata& metadata) {
  return base::JsonText(MetadataJson(metadata));
}
std::string RenderProtocol(const Protocol& protocol) {
  return base::JsonText(ProtocolJson(protocol));
}

Result<Commit> ParseCommit(std::span<const uint8_t> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  HR_TRY_VOID(CheckCommit(text));
  Commit commit;
  size_t number = 0;
  size_t actions = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    try {
      const Json action = Json::parse(line);
      if (!action.is_object()) return Fail(ErrorCode::kCorruption, "an action is no JSON object");
      HR_TRY_VOID(AddAction(action, commit));
      ++actions;
    } catch (const Json::exception& e) {
      return Fail(base::Error(ErrorCode::kCorruption, fmt::format("broken action: {}", e.what()))
                      .With("line", std::to_string(number)));
    }
  }
  if (actions == 0) return Fail(ErrorCode::kCorruption, "it holds no action");
  return commit;
}

bool MayBeCut(std::span<const uint8_t> bytes) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.find_first_not_of(kBlanks) == std::string_view::npos) return true;
  const std::string_view last = text.substr(text.rfind('\n') + 1);  // npos + 1 is the beginning
  return last.find_first_not_of(kBlanks) != std::string_view::npos && !Json::accept(last);
}

std::string KeyOf(const std::string& path, const std::optional<DeletionVector>& deletion_vector) {
  std::string key = path;
  if (!deletion_vector) return key;
  key += '\0';
  key += deletion_vector->storage + deletion_vector->path_or_inline;
  if (deletion_vector->offset) key += "@" + std::to_string(*deletion_vector->offset);
  return key;
}

uint64_t RowsInStats(std::string_view stats) {
  // Where every known writer has it. A JSON parser takes longer than all else about a file.
  constexpr std::string_view kFirst = R"({"numRecords":)";
  uint64_t rows = 0;
  if (stats.starts_with(kFirst)) {
    const char* const begin = stats.data() + kFirst.size();
    const char* const end = stats.data() + stats.size();
    const auto [after, error] = std::from_chars(begin, end, rows);
    if (error == std::errc() && after != end && (*after == ',' || *after == '}')) return rows;
  }
  const Json json = Json::parse(stats, nullptr, /*allow_exceptions=*/false);
  return json.is_object() ? NumberFrom<uint64_t>(json, "numRecords").value_or(0) : 0;
}

std::string RenderChecksum(uint64_t checksum) { return fmt::format("{:016x}", checksum); }

std::optional<uint64_t> ParseChecksum(std::string_view text) {
  uint64_t checksum = 0;
  const auto [after, error] =
      std::from_chars(text.data(), text.data() + text.size(), checksum, /*base=*/16);
  if (error != std::errc() || after != text.data() + text.size()) return std::nullopt;
  return checksum;
}

Result<std::string> TablePath(std::string_view logged) {
  HR_TRY(std::string path, DecodePath(logged));
  if (path.empty()) return Fail(ErrorCode::kCorruption, "a data file without a path");
  const size_t colon = path.find(":/");
  if (path.starts_with('/') || (colon != std::string::npos && path.find('/') > colon)) {
    return Fail(base::Error(ErrorCode::kUnsupported, "a data file outside the table's folder")
                    .With("path", path));
  }
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view segment = std::string_view(path).substr(begin, end - begin);
    if (segment == "..")
      return Fail(
          base::Error(ErrorCode::kCorruption, "a data file's path leaves the table's folder")
              .With("path", path));
    if (segment.empty() || segment == ".")
      return Fail(base::Error(ErrorCode::kUnsupported,
                              "a data file's path has an empty segment or `.`: by its name it "
                              "would be another file")
                      .With("path", path));
    begin = end + 1;
  }
  if (path.find('\0') != std::string::npos)
    return Fail(ErrorCode::kCorruption, "a data file whose path has a zero byte");
  return path;
}

std::string EncodePath(std::string_view path) {
  std::string out;
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~' || c == '/' || c == '=';
    if (plain) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

Result<std::string> DecodePath(std::string_view path) {
  std::string out;
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '%') {
      out += path[i];
      continue;
    }
    const int high = i + 1 < path.size() ? base::HexDigit(path[i + 1]) : -1;
    const int low = i + 2 < path.size() ? base::HexDigit(path[i + 2]) : -1;
    if (high < 0 || low < 0)
      return Fail(base::Error(ErrorCode::kCorruption, "a bad percent escape in a data file's path")
                      .With("path", std::string(path)));
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

}  // namespace headrace::tables::delta
