#include "tables/maintenance/rewrite_plan.h"

#include <fmt/format.h>

#include <charconv>

#include "columns/batch_codec.h"

namespace headrace::tables {
namespace {

constexpr uint8_t kRewriteVersion = 1;

}  // namespace

log::ControlEntry EncodeRewrite(const RewritePlan& plan, const std::string& table) {
  log::ControlEntry entry{
      .kind = log::ControlEntry::Kind::kRewritePlan, .name = table, .payload = {}};
  columns::ByteWriter out(entry.payload);
  out.U8(kRewriteVersion);
  out.U32(plan.stream.value);
  out.U64(plan.rows_per_file);
  out.U32(static_cast<uint32_t>(plan.z_order.size()));
  for (const std::string& column : plan.z_order) out.Text(column);
  out.U32(static_cast<uint32_t>(plan.files.size()));
  for (const OldFile& file : plan.files) {
    out.Text(file.name);
    out.U64(file.bytes);
  }
  return entry;
}

base::Result<std::optional<RewritePlan>> DecodeRewrite(const log::ControlEntry& entry,
                                                       base::EpochId epoch) {
  if (entry.kind != log::ControlEntry::Kind::kRewritePlan) return std::nullopt;
  columns::ByteReader in(entry.payload);
  HR_TRY(const uint8_t version, in.U8());
  if (version != kRewriteVersion) {
    return base::Fail(base::ErrorCode::kCorruption,
                      fmt::format("rewrite plan of unknown version {}", version));
  }
  RewritePlan plan;
  plan.epoch = epoch;
  HR_TRY(plan.stream.value, in.U32());
  HR_TRY(plan.rows_per_file, in.U64());
  HR_TRY(const uint32_t columns, in.U32());
  for (uint32_t i = 0; i < columns; ++i) {
    HR_TRY(const std::string_view column, in.Text());
    plan.z_order.emplace_back(column);
  }
  HR_TRY(const uint32_t files, in.U32());
  for (uint32_t i = 0; i < files; ++i) {
    HR_TRY(const std::string_view name, in.Text());
    OldFile file{.name = std::string(name)};
    HR_TRY(file.bytes, in.U64());
    plan.files.push_back(std::move(file));
  }
  if (in.remaining() != 0 || plan.files.empty() || plan.rows_per_file == 0)
    return base::Fail(base::ErrorCode::kCorruption, "rewrite plan that makes no sense");
  return plan;
}

std::string PositionsText(PositionRange range) {
  return fmt::format("{}-{}", range.first.packed, range.last.packed);
}

std::optional<PositionRange> PositionsOf(std::string_view text) {
  PositionRange range;
  const char* const end = text.end();
  const auto first = std::from_chars(text.begin(), end, range.first.packed);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '-') return std::nullopt;
  const auto last = std::from_chars(first.ptr + 1, end, range.last.packed);
  if (last.ec != std::errc() || last.ptr != end || range.last < range.first) return std::nullopt;
  return range;
}

std::string OrderOf(const std::vector<std::string>& z_order) {
  return fmt::format("z:{}", fmt::join(z_order, ","));
}

}  // namespace headrace::tables
