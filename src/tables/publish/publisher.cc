#include "tables/publish/publisher.h"

#include <utility>

#include "tables/publish/publisher_actor.h"

namespace headrace::tables {

using base::ErrorCode;
using base::Result;

std::string_view NameOf(PublisherStatus::State state) {
  switch (state) {
    case PublisherStatus::State::kStarting: return "starting";
    case PublisherStatus::State::kRunning: return "running";
    case PublisherStatus::State::kRetrying: return "retrying";
    case PublisherStatus::State::kStopped: return "stopped";
  }
  return "";
}

Publisher::Publisher(env::Environment& environment, base::MemoryBudget& budget,
                     PublishedStream stream, PublisherOptions options)
    : actor_(std::make_shared<Actor>(environment, budget, std::move(stream), std::move(options))),
      rewrite_executor_(environment.NewExecutor("optimize", env::Priority::kBackground)),
      upkeep_executor_(environment.NewExecutor("upkeep", env::Priority::kBackground)),
      executor_(environment.NewExecutor("publish", env::Priority::kBackground)) {
  actor_->SetExecutors(executor_.get(), upkeep_executor_.get(), rewrite_executor_.get());
  actor_->MakeRewriter();
}

Publisher::~Publisher() {
  if (actor_->rewriter() != nullptr) actor_->rewriter()->Stop();
  actor_->SetExecutors(nullptr, nullptr, nullptr);
  executor_.reset();
  upkeep_executor_.reset();
  rewrite_executor_.reset();
}

PublisherCapture Publisher::Capture() const { return actor_->Capture(); }
Result<void> Publisher::Restore(std::span<const uint8_t> bytes) { return actor_->Restore(bytes); }
Result<void> Publisher::NoteDurable(const log::Epoch& epoch) { return actor_->NoteDurable(epoch); }
void Publisher::NoteSchema(columns::SchemaRef schema) { actor_->NoteSchema(std::move(schema)); }
void Publisher::Start(std::unique_ptr<log::LogReader> log, Append append) {
  actor_->Start(std::move(log), std::move(append));
}
void Publisher::Flush(std::move_only_function<void(Result<void>)> done) {
  actor_->Flush(std::move(done));
}
void Publisher::Optimize(OptimizeRequest request, TableRewriter::OptimizeDone done) {
  if (actor_->rewriter() == nullptr)
    return done(base::Fail(ErrorCode::kFailedPrecondition, "the table can't be opened"));
  actor_->rewriter()->Optimize(std::move(request), std::move(done));
}
void Publisher::Vacuum(const VacuumRequest& request, TableRewriter::VacuumDone done) {
  if (actor_->rewriter() == nullptr)
    return done(base::Fail(ErrorCode::kFailedPrecondition, "the table can't be opened"));
  actor_->rewriter()->Vacuum(request, std::move(done));
}
PublisherStatus Publisher::status() const { return actor_->status(); }
const base::Histogram& Publisher::commit_us() const { return actor_->commit_us(); }
const base::Histogram& Publisher::visible_us() const { return actor_->visible_us(); }

}  // namespace headrace::tables
