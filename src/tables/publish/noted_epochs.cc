#include "tables/publish/noted_epochs.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "columns/batch_codec.h"
#include "log/catalogue.h"
#include "tables/publish/made_rows.h"

namespace headrace::tables {

using base::EpochId;
using base::Result;

Result<void> NotedEpochs::Note(const log::Epoch& epoch) {
  std::optional<LoggedPlan> logged;
  std::optional<RewritePlan> rewrite;
  columns::SchemaRef schema;
  for (const log::ControlEntry& entry : epoch.controls) {
    if (entry.kind == log::ControlEntry::Kind::kStream && entry.name == stream_.name) {
      HR_TRY(const log::StreamEntry known, log::DecodeStreamEntry(entry.name, entry.payload));
      schema = known.schema;
    }
    HR_TRY(const auto plan, DecodePlan(entry));
    if (plan && plan->stream == stream_.id) logged = plan;
    HR_TRY(auto rewriting, DecodeRewrite(entry, epoch.id));
    if (rewriting && rewriting->stream == stream_.id) rewrite = std::move(rewriting);
  }
  const uint64_t rows = RowsOf(epoch);
  const std::lock_guard lock(mutex_);
  if (epoch.id <= durable_) return {};  // a capture has it
  if (schema != nullptr) schemas_[epoch.id] = std::move(schema);
  if (schemas_.size() > kSchemasMax) schemas_.erase(schemas_.begin());
  if (rewrite) logged_rewrite_ = std::move(rewrite);
  durable_ = epoch.id;
  known_through_ = std::max(known_through_, epoch.visible_through);
  pending_.Add(epoch.id, rows, epoch.sealed_at);
  if (!logged) return {};
  logged_plan_ = logged;
  // Nobody plans before the plan before is in the table.
  DropThroughLocked(logged->after);
  if (stream_.made != nullptr) stream_.made->DropThrough(logged->after);
  return {};
}

// Of the streams that its own rows are made of: what there are of those is not known here.
uint64_t NotedEpochs::RowsOf(const log::Epoch& epoch) const {
  uint64_t rows = 0;
  const auto add = [&](base::StreamId id) {
    if (const auto* batch = epoch.RowsOf(id)) rows += batch->rows();
  };
  if (stream_.made == nullptr) add(stream_.logged_id());
  for (const base::StreamId input : stream_.inputs) add(input);
  return rows;
}

void NotedEpochs::NoteSchema(columns::SchemaRef schema) {
  const std::lock_guard lock(mutex_);
  if (schemas_.empty()) schemas_.emplace(EpochId{0}, std::move(schema));
}

void NotedEpochs::DropThrough(EpochId epoch) {
  const std::lock_guard lock(mutex_);
  DropThroughLocked(epoch);
}

void NotedEpochs::DropThroughLocked(EpochId epoch) {
  pending_.DropThrough(epoch);
  dropped_through_ = std::max(dropped_through_, epoch);
}

EpochId NotedEpochs::dropped_through() const {
  const std::lock_guard lock(mutex_);
  return dropped_through_;
}

void NotedEpochs::SettleRewrite(EpochId epoch) {
  const std::lock_guard lock(mutex_);
  if (logged_rewrite_ && logged_rewrite_->epoch <= epoch) logged_rewrite_.reset();
}

NotedEpochs::Pending NotedEpochs::pending() const {
  const std::lock_guard lock(mutex_);
  if (pending_.empty()) return {.durable = durable_, .rows = 0, .oldest = {}, .first = {}};
  return {durable_, pending_.rows(), pending_.oldest(), pending_.first()};
}

std::optional<LoggedPlan> NotedEpochs::logged_plan() const {
  const std::lock_guard lock(mutex_);
  return logged_plan_;
}

std::optional<RewritePlan> NotedEpochs::logged_rewrite() const {
  const std::lock_guard lock(mutex_);
  return logged_rewrite_;
}

std::vector<columns::SchemaRef> NotedEpochs::KnownSchemas() const {
  const std::lock_guard lock(mutex_);
  std::vector<columns::SchemaRef> schemas;
  for (const auto& [epoch, schema] : schemas_) schemas.push_back(schema);
  if (schemas.empty()) schemas.push_back(stream_.schema);
  return schemas;
}

columns::SchemaRef NotedEpochs::SchemaAt(EpochId epoch) const {
  const std::lock_guard lock(mutex_);
  if (schemas_.empty()) return stream_.schema;
  const auto after = schemas_.upper_bound(epoch);
  return after == schemas_.begin() ? after->second : std::prev(after)->second;
}

std::optional<LoggedPlan> NotedEpochs::NextPlan(EpochId committed, uint64_t rows_max) const {
  const std::lock_guard lock(mutex_);
  if (pending_.empty()) return std::nullopt;
  EpochId last = pending_.EndOf(rows_max).value_or(durable_);
  if (!stream_.known_at.assumed()) last = std::min(last, known_through_);
  if (stream_.made != nullptr) last = std::min(last, stream_.made->through());
  if (last < pending_.first()) last = committed;
  const EpochId before_first{pending_.first().value - 1};
  return LoggedPlan{{stream_.id, committed, last}, std::max(committed, before_first)};
}

EpochId NotedEpochs::Encode(columns::ByteWriter& out) const {
  const std::lock_guard lock(mutex_);
  out.U64(durable_.value);
  out.U64(known_through_.value);
  const bool open = logged_plan_ && dropped_through_ < logged_plan_->last;
  out.U8(static_cast<uint8_t>((logged_plan_ ? kHasPlan : 0) | (logged_rewrite_ ? kHasRewrite : 0) |
                              (schemas_.empty() ? 0 : kHasSchemas) | (open ? kPlanIsOpen : 0) |
                              (logged_plan_ ? kHasRowsAfter : 0)));
  if (logged_plan_) {
    out.U64(logged_plan_->after.value);
    out.U64(logged_plan_->last.value);
    out.U64(logged_plan_->rows_after.value);
  }
  if (logged_rewrite_) {
    const auto payload = EncodeRewrite(*logged_rewrite_, stream_.name).payload;
    out.U64(logged_rewrite_->epoch.value);
    out.U32(static_cast<uint32_t>(payload.size()));
    out.Bytes(payload);
  }
  if (!schemas_.empty()) out.U32(static_cast<uint32_t>(schemas_.size()));
  for (const auto& [epoch, schema] : schemas_) {
    out.U64(epoch.value);
    columns::EncodeSchema(*schema, out);
  }
  pending_.Encode(out);
  return durable_;
}

Result<void> NotedEpochs::Decode(columns::ByteReader& in) {
  const std::lock_guard lock(mutex_);
  HR_TRY(durable_.value, in.U64());
  HR_TRY(known_through_.value, in.U64());
  HR_TRY(const uint8_t has, in.U8());
  if ((has & kHasPlan) != 0) {
    LoggedPlan plan{{stream_.id, {}, {}}, {}};
    HR_TRY(plan.after.value, in.U64());
    HR_TRY(plan.last.value, in.U64());
    plan.rows_after = plan.after;
    if ((has & kHasRowsAfter) != 0) {
      HR_TRY(plan.rows_after.value, in.U64());
    }
    logged_plan_ = plan;
    dropped_through_ = (has & kPlanIsOpen) != 0 ? plan.after : plan.last;
  }
  if ((has & kHasRewrite) != 0) {
    HR_TRY(const uint64_t epoch, in.U64());
    HR_TRY(const uint32_t size, in.U32());
    HR_TRY(const auto payload, in.Bytes(size));
    HR_TRY(logged_rewrite_, DecodeRewrite({.kind = log::ControlEntry::Kind::kRewritePlan,
                                           .name = stream_.name,
                                           .payload = {payload.begin(), payload.end()}},
                                          EpochId{epoch}));
  }
  uint32_t schemas = 0;
  if ((has & kHasSchemas) != 0) {
    HR_TRY(schemas, in.U32());
  }
  for (uint32_t i = 0; i < schemas; ++i) {
    HR_TRY(const uint64_t epoch, in.U64());
    HR_TRY(schemas_[EpochId{epoch}], columns::DecodeSchema(in));
  }
  return pending_.Decode(in);
}

}  // namespace headrace::tables
