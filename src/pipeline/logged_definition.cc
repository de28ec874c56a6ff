#include "pipeline/logged_definition.h"

#include "columns/batch_codec.h"
#include "pipeline/pipeline_file.h"

namespace headrace::pipeline {
namespace {

// Behind version 1, which is EncodeDefinition's own.
constexpr uint32_t kEntryVersion = 2;
constexpr uint64_t kOriginMax = static_cast<uint64_t>(LoggedDefinition::Origin::kApplied);

}  // namespace

base::EpochId SinceOf(const ViewsSince& since, const std::string& view) {
  const auto found = since.find(view);
  return found == since.end() ? base::EpochId{0} : found->second;
}

log::ControlEntry EncodeEntry(const LoggedDefinition& logged) {
  const base::DefinitionId id = logged.definition->id;
  std::vector<uint8_t> definition = EncodeDefinition(*logged.definition);
  log::ControlEntry entry{log::ControlEntry::Kind::kDefinition, id.ToString(), {}};
  const bool plain = logged.origin == LoggedDefinition::Origin::kStart && logged.since.empty() &&
                     logged.before.value == 0;
  if (plain) {
    entry.payload = std::move(definition);
    return entry;
  }
  columns::ByteWriter out(entry.payload);
  out.U32(kEntryVersion);
  out.U8(static_cast<uint8_t>(logged.origin));
  out.U64(logged.started.value);
  out.U64(logged.before.value);
  out.U32(static_cast<uint32_t>(logged.since.size()));
  for (const auto& [view, since] : logged.since) {
    out.Text(view);
    out.U64(since.value);
  }
  out.U32(static_cast<uint32_t>(definition.size()));
  out.Bytes(definition);
  return entry;
}

base::Result<LoggedDefinition> DecodeEntry(const log::ControlEntry& entry, base::EpochId at) {
  LoggedDefinition logged;
  columns::ByteReader in(entry.payload);
  HR_TRY(const uint32_t version, in.U32());
  if (version != kEntryVersion) {
    HR_TRY(logged.definition, DecodeDefinition(entry.payload));
    logged.started = logged.definition->id;
    return logged;
  }
  HR_TRY(const uint8_t origin, in.U8());
  if (origin > kOriginMax)
    return base::Fail(base::ErrorCode::kCorruption, "a definition of no known origin");
  logged.origin = static_cast<LoggedDefinition::Origin>(origin);
  HR_TRY(logged.started.value, in.U64());
  HR_TRY(logged.before.value, in.U64());
  HR_TRY(const uint32_t views, in.U32());
  for (uint32_t i = 0; i < views; ++i) {
    HR_TRY(const std::string_view view, in.Text());
    HR_TRY(const uint64_t since, in.U64());
    logged.since[std::string(view)] = since == kSinceThisEntry.value ? at : base::EpochId{since};
  }
  HR_TRY(const uint32_t size, in.U32());
  HR_TRY(const auto definition, in.Bytes(size));
  HR_TRY(logged.definition, DecodeDefinition(definition));
  return logged;
}

}  // namespace headrace::pipeline
