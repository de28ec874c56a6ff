#include "tables/publish/plan.h"

#include <fmt/format.h>

#include "columns/batch_codec.h"

namespace headrace::tables {
namespace {

constexpr uint8_t kPlanVersion = 2;
constexpr uint8_t kWithoutRowsAfter = 1;

}  // namespace

log::ControlEntry EncodePlan(const LoggedPlan& plan, const std::string& table) {
  log::ControlEntry entry = SealingEntry(table);
  columns::ByteWriter out(entry.payload);
  out.U8(kPlanVersion);
  out.U32(plan.stream.value);
  out.U64(plan.after.value);
  out.U64(plan.last.value);
  out.U64(plan.rows_after.value);
  return entry;
}

log::ControlEntry SealingEntry(const std::string& table) {
  return {.kind = log::ControlEntry::Kind::kPublishPlan, .name = table, .payload = {}};
}

base::Result<std::optional<LoggedPlan>> DecodePlan(const log::ControlEntry& entry) {
  if (entry.kind != log::ControlEntry::Kind::kPublishPlan || entry.payload.empty())
    return std::nullopt;
  columns::ByteReader in(entry.payload);
  HR_TRY(const uint8_t version, in.U8());
  if (version != kPlanVersion && version != kWithoutRowsAfter) {
    return base::Fail(base::ErrorCode::kCorruption,
                      fmt::format("publish plan of unknown version {}", version));
  }
  LoggedPlan plan;
  HR_TRY(plan.stream.value, in.U32());
  HR_TRY(plan.after.value, in.U64());
  HR_TRY(plan.last.value, in.U64());
  plan.rows_after = plan.after;
  if (version == kPlanVersion) {
    HR_TRY(plan.rows_after.value, in.U64());
  }
  if (in.remaining() != 0 || plan.rows_after < plan.after || plan.last <= plan.rows_after)
    return base::Fail(base::ErrorCode::kCorruption, "publish plan that makes no sense");
  return plan;
}

Standing Compare(const std::optional<LoggedPlan>& last_plan, std::optional<base::EpochId> marker,
                 bool other_logs) {
  if (!marker && other_logs) return Standing::kForeign;
  const base::EpochId at = marker.value_or(base::EpochId{0});
  if (!last_plan) return at.value == 0 ? Standing::kFresh : Standing::kLogRestored;
  if (at == last_plan->last) return Standing::kCommitted;
  if (at == last_plan->after) return Standing::kPlanned;
  return at > last_plan->last ? Standing::kLogRestored : Standing::kTableRestored;
}

}  // namespace headrace::tables
