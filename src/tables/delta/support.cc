#include "tables/delta/support.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace headrace::tables::delta {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;

constexpr std::string_view kTimestampNtz = "timestampNtz";
constexpr std::string_view kTypeWidening = "typeWidening";
// deletionVectors may be named: a file that has one is refused when it is read.
constexpr std::array<std::string_view, 4> kReaderFeatures = {kTimestampNtz, "deletionVectors",
                                                             "vacuumProtocolCheck", kTypeWidening};
// What DeltaReader understands.
constexpr std::array<std::string_view, 7> kAllReaderFeatures = {
    kTimestampNtz,  "deletionVectors",      "vacuumProtocolCheck", "columnMapping",
    "v2Checkpoint", "typeWidening-preview", kTypeWidening};
// Listed features bind an appender only through properties and columns, which CheckWritable looks
// at.
constexpr std::array<std::string_view, 6> kWriterFeatures = {
    kTimestampNtz, "deletionVectors", "vacuumProtocolCheck",
    kTypeWidening, "appendOnly",      "invariants"};

template <size_t N>
Result<void> CheckFeatures(const std::vector<std::string>& features,
                           const std::array<std::string_view, N>& known, const char* what) {
  for (const std::string& feature : features) {
    if (std::find(known.begin(), known.end(), feature) == known.end()) {
      return Fail(
          base::Error(
              ErrorCode::kUnsupported,
              fmt::format("the table needs {} feature `{}`, which this version does not have", what,
                          feature))
              .With("feature", feature));
    }
  }
  return {};
}

std::unexpected<base::Error> VersionTooNew(const char* what, int version) {
  return Fail(ErrorCode::kUnsupported,
              fmt::format("the table needs {} version {}, which this version does not have", what,
                          version));
}

std::unexpected<base::Error> FeaturesMissing(const char* what) {
  return Fail(ErrorCode::kCorruption,
              fmt::format("the table's protocol does not say which {} features it needs", what));
}

Protocol ProtocolWith(std::string_view feature) {
  return {.reader_version = 3,
          .writer_version = 7,
          .reader_features = {std::string(feature)},
          .writer_features = {std::string(feature), "appendOnly", "invariants"}};
}

// Both; `known` when `wanted` needs no features.
Protocol Merge(const Protocol& wanted, const Protocol& known) {
  if (wanted.reader_version < 3) return known;
  if (known.reader_version < 3) return wanted;
  Protocol both = known;
  const auto add = [](const std::vector<std::string>& more, std::vector<std::string>& features) {
    for (const std::string& feature : more)
      if (std::ranges::find(features, feature) == features.end()) features.push_back(feature);
  };
  add(wanted.reader_features, both.reader_features);
  add(wanted.writer_features, both.writer_features);
  return both;
}

}  // namespace

Protocol ProtocolFor(const columns::Schema& schema) {
  const auto& fields = schema.fields();
  const bool ntz = std::any_of(fields.begin(), fields.end(), [](const columns::Field& field) {
    return field.type == columns::Type::kTimestampNtz;
  });
  return ntz ? ProtocolWith(kTimestampNtz) : Protocol{};
}

Protocol WithFeaturesFor(const columns::Schema& schema, const Protocol& known) {
  return Merge(ProtocolFor(schema), known);
}

Protocol WithTypeWidening(const Protocol& known) {
  return Merge(ProtocolWith(kTypeWidening), known);
}

Result<void> CheckReadable(const Protocol& protocol) {
  if (protocol.reader_features_missing) return FeaturesMissing("reader");
  if (protocol.reader_version == 1) return {};
  if (protocol.reader_version != 3) return VersionTooNew("reader", protocol.reader_version);
  return CheckFeatures(protocol.reader_features, kReaderFeatures, "reader");
}

Result<void> CheckReadableByAll(const Protocol& protocol) {
  if (protocol.reader_features_missing) return FeaturesMissing("reader");
  if (protocol.reader_version <= 2) return {};
  if (protocol.reader_version != 3) return VersionTooNew("reader", protocol.reader_version);
  return CheckFeatures(protocol.reader_features, kAllReaderFeatures, "reader");
}

Result<void> CheckPlain(const Metadata& metadata) {
  if (!metadata.partition_columns.empty())
    return Fail(ErrorCode::kUnsupported, "a partitioned table, which this version does not read");
  const auto mapping = metadata.configuration.find("delta.columnMapping.mode");
  if (mapping != metadata.configuration.end() && mapping->second != "none")
    return Fail(ErrorCode::kUnsupported,
                "a table with column mapping, which this version does not read");
  return {};
}

Result<void> CheckWritable(const Protocol& protocol, const Metadata& metadata) {
  if (protocol.writer_features_missing) return FeaturesMissing("writer");
  if (protocol.writer_version == 7) {
    HR_TRY_VOID(CheckFeatures(protocol.writer_features, kWriterFeatures, "writer"));
  } else if (protocol.writer_version > 2) {
    return VersionTooNew("writer", protocol.writer_version);
  }
  if (metadata.schema_string.find("delta.invariants") != std::string::npos)
    return Fail(ErrorCode::kUnsupported,
                "the table has column invariants, which this version does not check");
  return {};
}

}  // namespace headrace::tables::delta
