#include "tables/delta/actions.h"

#include <fmt/format.h>

#include <charconv>

#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/hex.h"

namespace headrace::tables::delta {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using Json = nlohmann::ordered_json;

// Ours, beside what the protocol names: of a whole commit, in commitInfo; of a data file, in the
// tags of its add.
constexpr const char* kCommitChecksum = "headraceXxh3";
constexpr const char* kChecksumTag = "headrace.xxh3";
constexpr std::string_view kNoDigits = "0000000000000000";

std::string Line(const Json& action) {
  return action.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json ProtocolJson(const Protocol& protocol) {
  Json json = {{"minReaderVersion", protocol.reader_version},
               {"minWriterVersion", protocol.writer_version}};
  if (protocol.reader_version >= 3) json["readerFeatures"] = protocol.reader_features;
  if (protocol.writer_version >= 7) json["writerFeatures"] = protocol.writer_features;
  return json;
}

Json MetadataJson(const Metadata& metadata) {
  return {{"id", metadata.id},
          {"name", metadata.name},
          {"format", {{"provider", "parquet"}, {"options", Json::object()}}},
          {"schemaString", metadata.schema_string},
          {"partitionColumns", metadata.partition_columns},
          {"configuration", metadata.configuration},
          {"createdTime", metadata.created_ms}};
}

Json AddJson(const AddFile& add) {
  Json json = {{"path", EncodePath(add.path)},
               {"partitionValues", Json::object()},
               {"size", add.size},
               {"modificationTime", add.modified_ms},
               {"dataChange", true}};
  if (!add.stats.empty()) json["stats"] = add.stats;
  if (add.checksum) json["tags"] = {{kChecksumTag, fmt::format("{:016x}", *add.checksum)}};
  return json;
}

Json CommitInfoJson(const Commit& commit) {
  return {{"timestamp", commit.timestamp_ms},
          {"operation", commit.operation},
          {"operationParameters", {{"mode", "Append"}, {"partitionBy", "[]"}}},
          {"isBlindAppend", !commit.metadata.has_value()},
          {"txnId", commit.transaction_id},
          {"engineInfo", "Headrace/0.1.0"},
          {kCommitChecksum, kNoDigits}};
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

// What a tag of ours says; anything else is none.
std::optional<uint64_t> ChecksumFrom(const Json& add) {
  if (!add.contains("tags") || !add["tags"].is_object()) return std::nullopt;
  const auto tag = add["tags"].find(kChecksumTag);
  if (tag == add["tags"].end() || !tag->is_string()) return std::nullopt;
  const auto text = tag->get<std::string>();
  uint64_t checksum = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), checksum, /*base=*/16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return checksum;
}

Protocol ProtocolFrom(const Json& json) {
  return {.reader_version = json.at("minReaderVersion").get<int>(),
          .writer_version = json.at("minWriterVersion").get<int>(),
          .reader_features = json.value("readerFeatures", std::vector<std::string>{}),
          .writer_features = json.value("writerFeatures", std::vector<std::string>{})};
}

Metadata MetadataFrom(const Json& json) {
  Metadata metadata{.id = json.at("id").get<std::string>(),
                    .name = {},
                    .schema_string = json.at("schemaString").get<std::string>(),
                    .partition_columns = json.value("partitionColumns", std::vector<std::string>{}),
                    .configuration = {},
                    .created_ms = 0};
  const Json configuration = json.value("configuration", Json::object());
  for (const auto& [name, value] : configuration.items())
    if (value.is_string()) metadata.configuration[name] = value.get<std::string>();
  return metadata;
}

// A relative path that stays in the table's folder.
Result<std::string> TablePath(const std::string& logged) {
  HR_TRY(std::string path, DecodePath(logged));
  if (path.starts_with('/') || path.find("://") != std::string::npos) {
    return Fail(base::Error(ErrorCode::kUnsupported, "a data file outside the table's folder")
                    .With("path", path));
  }
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    if (path.compare(begin, end - begin, "..") == 0)
      return Fail(
          base::Error(ErrorCode::kCorruption, "a data file's path leaves the table's folder")
              .With("path", path));
    begin = end + 1;
  }
  if (path.empty()) return Fail(ErrorCode::kCorruption, "a data file without a path");
  return path;
}

Result<AddFile> AddFrom(const Json& json) {
  HR_TRY(std::string path, TablePath(json.at("path").get<std::string>()));
  AddFile add{.path = std::move(path), .size = json.at("size").get<uint64_t>()};
  add.modified_ms = json.value("modificationTime", int64_t{0});
  add.checksum = ChecksumFrom(json);
  add.masked = json.contains("deletionVector") && !json.at("deletionVector").is_null();
  if (json.contains("stats") && json.at("stats").is_string()) {
    add.stats = json.at("stats").get<std::string>();
    const Json stats = Json::parse(add.stats, nullptr, /*allow_exceptions=*/false);
    if (stats.is_object()) add.rows = stats.value("numRecords", uint64_t{0});
  }
  return add;
}

Result<void> AddAction(const Json& action, Commit& commit) {
  if (action.contains("protocol")) commit.protocol = ProtocolFrom(action["protocol"]);
  if (action.contains("metaData")) commit.metadata = MetadataFrom(action["metaData"]);
  if (action.contains("txn")) {
    const Json& txn = action["txn"];
    commit.transactions.push_back(
        {txn.at("appId").get<std::string>(), txn.at("version").get<uint64_t>()});
  }
  if (action.contains("add")) {
    HR_TRY(AddFile add, AddFrom(action["add"]));
    commit.adds.push_back(std::move(add));
  }
  if (action.contains("remove")) {
    HR_TRY(std::string path, TablePath(action["remove"].at("path").get<std::string>()));
    commit.removes.push_back(std::move(path));
  }
  if (action.contains("commitInfo") && action["commitInfo"].is_object()) {
    commit.transaction_id = action["commitInfo"].value("txnId", std::string());
    commit.operation = action["commitInfo"].value("operation", std::string());
    commit.timestamp_ms = action["commitInfo"].value("timestamp", int64_t{0});
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
  for (const AddFile& add : commit.adds) out += Line({{"add", AddJson(add)}});
  const size_t digits = FindDigits(out);
  return out.replace(digits, kNoDigits.size(), ChecksumOf(out, digits));
}

Result<Commit> ParseCommit(std::span<const uint8_t> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  HR_TRY_VOID(CheckCommit(text));
  Commit commit;
  size_t number = 0;
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
    } catch (const Json::exception& e) {
      return Fail(base::Error(ErrorCode::kCorruption, fmt::format("broken action: {}", e.what()))
                      .With("line", std::to_string(number)));
    }
  }
  return commit;
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
