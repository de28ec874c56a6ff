#include "tables/maintenance/table_rewriter.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/log.h"
#include "tables/data_file_names.h"
#include "tables/maintenance/z_order.h"
#include "tables/where/where_clause.h"

namespace headrace::tables {
namespace {

using base::EpochId;
using base::ErrorCode;
using base::Fail;
using base::Result;

// A rewriting waits this long at most while the engine is pressed; then it goes on.
constexpr env::MonotonicTime kYieldMax = std::chrono::minutes(10);
constexpr EpochId kNewest{~uint64_t{0}};

Result<void> CheckZOrder(const std::vector<std::string>& z_order, const columns::Schema& schema) {
  if (z_order.size() > kZOrderColumnsMax)
    return Fail(ErrorCode::kInvalidInput,
                fmt::format("a Z-order of {} columns: of more than {} none is told apart any more",
                            z_order.size(), kZOrderColumnsMax));
  std::set<std::string> seen;
  for (const std::string& name : z_order) {
    const auto field = std::ranges::find(schema.fields(), name, &columns::Field::name);
    if (field == schema.fields().end())
      return Fail(ErrorCode::kInvalidInput, fmt::format("Z-order: no column `{}`", name));
    if (columns::IsList(field->type))
      return Fail(ErrorCode::kInvalidInput, fmt::format("Z-order: column `{}` is a list", name));
    if (!seen.insert(name).second)
      return Fail(ErrorCode::kInvalidInput, fmt::format("Z-order: `{}` stands there twice", name));
  }
  return {};
}

Result<void> CheckTarget(uint64_t bytes) {
  if (bytes == 0 ||
      (bytes >= RewriteRequest::kTargetBytesMin && bytes <= RewriteRequest::kTargetBytesMax))
    return {};
  return Fail(ErrorCode::kInvalidInput,
              fmt::format("files of {} bytes: from 64KiB to 1GiB are made", bytes));
}

}  // namespace

TableRewriter::TableRewriter(Table table, Publisher publisher)
    : table_(std::move(table)), publisher_(std::move(publisher)) {}

void TableRewriter::Begin(const base::LogId& log, const std::optional<RewritePlan>& logged) {
  if (open_) return;
  open_ = true;
  log_ = log;
  Arm();
  TableFormat* table = publisher_.table();
  if (!logged || table == nullptr || job_ != nullptr) return;
  for (const Marker& marker : table->markers())
    if (marker.application == RewritingId(log_, table_.name) &&
        marker.version >= logged->epoch.value)
      return;
  table_.environment.CrashPoint("rewrite.before_redo");
  job_ = std::make_unique<Job>();
  job_->began = table_.environment.clock().Now();
  job_->plan = *logged;
  WriteFiles();
}

void TableRewriter::Arm() {
  if (!table_.schedule) return;
  publisher_.post_after(table_.schedule->every, Guarded([](TableRewriter& self) {
                          self.Arm();
                          if (!self.MayBegin())
                            return;  // the last one is not done, or nothing can be
                          self.OnAsked(self.table_.schedule->request, {});
                        }));
}

void TableRewriter::Optimize(OptimizeRequest request, OptimizeDone done) {
  publisher_.post(
      Guarded([request = std::move(request), done = std::move(done)](TableRewriter& self) mutable {
        self.OnAsked(std::move(request), std::move(done));
      }));
}

void TableRewriter::Vacuum(const VacuumRequest& request, VacuumDone done) {
  publisher_.post(Guarded([request, done = std::move(done)](TableRewriter& self) mutable {
    self.OnVacuumAsked(request, std::move(done));
  }));
}

Result<void> TableRewriter::MayBegin() const {
  if (job_ != nullptr || vacuuming_)
    return Fail(base::Error(ErrorCode::kConflict,
                            "this table is being rewritten or vacuumed already: wait for that")
                    .With("table", table_.name));
  if (open_ && publisher_.table() != nullptr) return {};
  return Fail(base::Error(ErrorCode::kUnavailable,
                          "the table is not open: `headrace status` says why; retry")
                  .With("table", table_.name));
}

void TableRewriter::OnAsked(OptimizeRequest request, OptimizeDone done) {
  const auto refuse = [&](const Result<void>& checked) {
    if (checked) return false;
    if (done) done(Fail(checked.error()));
    return true;
  };
  const columns::SchemaRef schema = publisher_.schema(kNewest);
  if (schema == nullptr || refuse(MayBegin()) || refuse(CheckZOrder(request.z_order, *schema)) ||
      refuse(CheckTarget(request.target_bytes)))
    return;
  job_ = std::make_unique<Job>();
  job_->request = std::move(request);
  job_->done = std::move(done);
  job_->began = table_.environment.clock().Now();
  Enter("choosing");
  publisher_.work(Guarded([request = job_->request](TableRewriter& self) {
    self.publisher_.post(
        self.Guarded([choice = self.Choose(request)](TableRewriter& again) mutable {
          again.OnChosen(std::move(choice));
        }));
  }));
}

// On the executor for long work.
Result<FileChoice> TableRewriter::Choose(const OptimizeRequest& request) const {
  HR_TRY(const TableFiles table,
         ReadTableFiles(table_.environment, table_.folder, log_, table_.stream));
  RewriteRequest chosen{.where = {},
                        .z_order = request.z_order,
                        .target_bytes = request.target_bytes,
                        .effort = request.effort};
  if (!request.where.empty()) {
    HR_TRY(chosen.where, ConditionsOf(request.where, table.columns));
    HR_TRY_VOID(delta::CheckConditions(table.columns, chosen.where));
  }
  return ChooseFiles(table, table_.stream, chosen, table_.limits);
}

// A file that may have a row that fits is taken whole, so files have to tell all of it.
Result<std::vector<delta::Condition>> TableRewriter::ConditionsOf(
    const std::string& where, const delta::TableColumns& table) const {
  std::vector<columns::Field> fields;
  std::map<std::string, std::string> others;
  for (const delta::TableColumn& column : table.columns) {
    if (column.comparable() && !columns::IsList(*column.held)) {
      fields.push_back({.id = static_cast<uint32_t>(fields.size() + 1),
                        .name = column.name,
                        .type = *column.held});
    } else {
      others[column.name] = column.type;
    }
  }
  const auto schema = std::make_shared<const columns::Schema>(std::move(fields));
  HR_TRY(const WhereClause clause,
         WhereClause::Parse(where, schema, table_.environment.clock().Wall(), others));
  HR_TRY_VOID(clause.CheckFilesTellAll());
  return clause.conditions();
}

void TableRewriter::OnChosen(Result<FileChoice> choice) {
  if (!choice) return End(Fail(std::move(choice).error()));
  job_->report.choice = *choice;
  if (job_->request.run == OptimizeRequest::Run::kReal)
    job_->left.assign(choice->plans.begin(), choice->plans.end());
  NextPlan();
}

void TableRewriter::NextPlan() {
  if (job_->left.empty()) return End({});
  job_->plan = std::move(job_->left.front());
  job_->left.pop_front();
  job_->tries = 0;
  Enter("rewriting");
  table_.environment.CrashPoint("rewrite.before_plan");
  publisher_.append(EncodeRewrite(job_->plan, table_.name),
                    [weak = weak_from_this()](const Result<EpochId>& logged) {
                      if (const auto self = weak.lock()) self->OnLogged(logged);
                    });
}

void TableRewriter::OnLogged(const Result<EpochId>& logged) {
  if (!logged) return End(Fail(logged.error()));
  table_.environment.CrashPoint("rewrite.after_plan");
  job_->plan.epoch = *logged;
  WriteFiles();
}

void TableRewriter::WriteFiles() {
  Enter("rewriting");
  publisher_.work(Guarded([plan = job_->plan](TableRewriter& self) {
    const Table& table = self.table_;
    const columns::SchemaRef schema = self.publisher_.schema(plan.epoch);
    if (schema == nullptr) return;
    env::BackgroundPass pass(table.environment, env::WorkClass::kMaintenance,
                             fmt::format("OPTIMIZE of table {}", table.name), kYieldMax);
    auto written = WriteRewrittenFiles({.environment = table.environment,
                                        .budget = table.budget,
                                        .folder = table.folder,
                                        .log = self.log_,
                                        .schema = schema,
                                        .sorted_text_bytes_max = table.limits.sorted_text_bytes_max,
                                        .pass = pass,
                                        .stopping = self.stopping_},
                                       plan);
    self.publisher_.post(self.Guarded([written = std::move(written)](TableRewriter& again) mutable {
      again.OnWritten(std::move(written));
    }));
  }));
}

void TableRewriter::OnWritten(Result<std::optional<RewrittenFiles>> written) {
  if (!written) return Failed(std::move(written).error());
  if (!*written) return GiveUp();
  Commit(**written);
}

void TableRewriter::Commit(const RewrittenFiles& written) {
  table_.environment.CrashPoint("rewrite.before_commit");
  const auto replaced = TryCommit(written);
  if (!replaced) return Failed(replaced.error());
  if (*replaced == Replaced::kGone) return GiveUp();
  table_.environment.CrashPoint("rewrite.after_commit");
  CountCommit(written);
  publisher_.settled(job_->plan.epoch);
  publisher_.committed();
  NextPlan();
}

Result<Replaced> TableRewriter::TryCommit(const RewrittenFiles& written) {
  TableFormat* table = publisher_.table();
  if (table == nullptr) return Fail(ErrorCode::kUnavailable, "the table is not open");
  const Marker marker{RewritingId(log_, table_.name), job_->plan.epoch.value};
  if (job_->tries > 0) {  // an earlier try may have committed after all
    HR_TRY_VOID(table->Refresh());
    const auto markers = table->markers();
    if (std::ranges::find(markers, marker) != markers.end()) return Replaced::kDone;
  }
  Replacement replacement{
      .taken = job_->plan.files,
      .put = written.files,
      .marker = marker,
      .checked_version = written.checked_version,
      .parameters = {{"targetSize", std::to_string(job_->plan.rows_per_file) + " rows"}}};
  replacement.parameters.emplace_back("zOrderBy",
                                      fmt::format("[{}]", fmt::join(job_->plan.z_order, ",")));
  return table->Replace(replacement);
}

void TableRewriter::CountCommit(const RewrittenFiles& written) {
  OptimizeReport& report = job_->report;
  uint64_t taken = 0;
  uint64_t made = 0;
  for (const OldFile& file : job_->plan.files) taken += file.bytes;
  for (const DataFile& file : written.files) made += file.bytes;
  ++report.versions;
  report.files_taken += job_->plan.files.size();
  report.files_made += written.files.size();
  report.bytes_taken += taken;
  report.bytes_made += made;
  const std::lock_guard lock(mutex_);
  ++status_.versions;
  status_.files_taken += job_->plan.files.size();
  status_.files_made += written.files.size();
  status_.bytes_taken += taken;
  status_.bytes_made += made;
}

// Its files are no longer as they were planned. Those that were written for it stay until a vacuum.
void TableRewriter::GiveUp() {
  base::LogWarning("tables.rewrite_given_up",
                   {{"stream", table_.name},
                    {"epoch", std::to_string(job_->plan.epoch.value)},
                    {"reason", "another writer rewrote or removed one of its files"}});
  ++job_->report.given_up;
  publisher_.settled(job_->plan.epoch);
  {
    const std::lock_guard lock(mutex_);
    ++status_.given_up;
  }
  NextPlan();
}

void TableRewriter::Failed(const base::Error& error) {
  RewritePlan& plan = job_->plan;
  if (error.code() == ErrorCode::kResourceExhausted && plan.files.size() > 1) {
    // Two of half its size, the first of them next.
    RewritePlan second = plan;
    const auto half = static_cast<ptrdiff_t>(plan.files.size() / 2);
    second.files.assign(plan.files.begin() + half, plan.files.end());
    plan.files.resize(static_cast<size_t>(half));
    job_->left.push_front(std::move(second));
    job_->left.push_front(plan);
    ++job_->report.split;
    return NextPlan();
  }
  if (!MayPass(error.code()) || ++job_->tries >= kTriesMax || stopping_) return End(Fail(error));
  base::LogWarning("tables.rewrite_failed",
                   {{"stream", table_.name}, {"reason", error.ToString()}});
  table_.environment.CrashPoint("rewrite.before_retry");
  publisher_.post_after(kRetryMin * (1 << job_->tries), Guarded([](TableRewriter& self) {
                          if (self.job_ != nullptr) self.WriteFiles();
                        }));
}

void TableRewriter::End(Result<void> result) {
  const std::unique_ptr<Job> job = std::move(job_);
  const auto took = table_.environment.clock().Now() - job->began;
  job->report.took = std::chrono::duration_cast<base::Duration>(took);
  Enter("idle");
  if (!result) {
    const std::lock_guard lock(mutex_);
    ++status_.failed;
    status_.reason = result.error().ToString();
  }
  if (job->done)
    return job->done(result ? Result<OptimizeReport>(std::move(job->report))
                            : Fail(std::move(result).error()));
  if (!result)
    base::LogWarning("tables.rewrite_failed",
                     {{"stream", table_.name}, {"reason", result.error().ToString()}});
}

void TableRewriter::OnVacuumAsked(const VacuumRequest& request, VacuumDone done) {
  if (const auto may = MayBegin(); !may) return done(Fail(may.error()));
  vacuuming_ = true;
  Enter("vacuuming");
  // A plan that is logged from here on makes files that are younger than this.
  publisher_.work(Guarded([request, now = table_.environment.clock().Wall(),
                           is_planned = publisher_.planned_files(),
                           done = std::move(done)](TableRewriter& self) mutable {
    const Table& table = self.table_;
    env::BackgroundPass pass(table.environment, env::WorkClass::kMaintenance,
                             fmt::format("vacuum of table {}", table.name), kYieldMax);
    auto report = VacuumTable(table.environment, table.folder, request, is_planned, now, pass);
    self.publisher_.post(self.Guarded(
        [report = std::move(report), done = std::move(done)](TableRewriter& again) mutable {
          again.vacuuming_ = false;
          again.Enter("idle");
          done(std::move(report));
        }));
  }));
}

void TableRewriter::Enter(std::string state) {
  const std::lock_guard lock(mutex_);
  status_.state = std::move(state);
}

OptimizeStatus TableRewriter::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

}  // namespace headrace::tables
