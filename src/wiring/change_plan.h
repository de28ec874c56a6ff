#pragma once
// What a change of definition would do: what is different, what has to be built from how much
// history, what it costs, whom it breaks, and why it can't be done.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/memory_budget.h"
#include "base/result.h"
#include "env/environment.h"
#include "pipeline/contract_change.h"
#include "pipeline/definition_diff.h"
#include "pipeline/logged_definition.h"
#include "pipeline/views/view_set.h"

namespace headrace::wiring {

// What is asked for.
struct ChangeRequest {
  pipeline::PipelineRef next;
  // `from: now`: these views begin empty, with the cut-over, instead of with their history.
  bool all_from_now = false;
  std::set<std::string> from_now;
  pipeline::ViewsSince since;  // of views that are to begin where they once did: a way back
  bool may_break = false;      // services may lose what their readers ask for
  bool back = false;           // to the definition before: nobody has its file at hand
};

// What is there to change: a running engine, or a data folder.
struct ChangeGround {
  pipeline::LoggedDefinition current;
  base::EpochId first{1};                // whose rows the log holds
  std::map<std::string, uint64_t> rows;  // of each stream that comes in, about: in table and log
  std::vector<pipeline::ViewStatus> views;
  std::set<std::string> ready;          // names of the next definition's views that are kept up
  std::set<std::string> made;           // of its derived streams, whose rows are made already
  double rows_per_second = 1e6;         // that this machine applies
  std::optional<uint64_t> memory_free;  // nothing: nobody runs
  uint64_t memory_limit = 0;
};

struct PlannedView {
  std::string name;
  pipeline::ChangeKind difference = pipeline::ChangeKind::kUnchanged;
  enum class Build : uint8_t { kNone, kReady, kHistory, kNow, kGone } build = Build::kNone;
  uint64_t rows = 0;   // of history
  uint64_t bytes = 0;  // of state, about
  double seconds = 0;  // about
  std::string means;   // for people
  pipeline::ViewDiff altered;
};

struct ChangePlan {
  pipeline::LoggedDefinition next;
  pipeline::DefinitionDiff diff;
  std::vector<PlannedView> views;
  std::vector<pipeline::ContractChange> contracts;  // of streams that take rows under another one
  std::vector<pipeline::BrokenConsumer> broken;
  std::vector<std::string> refusals;  // why not, each with a way out
  uint64_t history_rows = 0;          // read, each stream once
  uint64_t state_bytes = 0;
  bool changes = false;  // anything
  bool may_go() const { return refusals.empty(); }
  // {"from","to","changes","possible","views":[..],...}: docs/reference/http.md.
  std::string ToJson(const ChangeGround& ground) const;
};

ChangePlan PlanChange(const ChangeGround& ground, const ChangeRequest& request);

// A body of POST /definition: {"pipeline": text, "contracts": {name: text}, "from_now": ["view"] or
// "all", "may_break": true}. Errors: kInvalidInput with every diagnostic.
base::Result<ChangeRequest> ParseChangeRequest(std::string_view body);
// And the other way round, as `headrace apply` sends it.
std::string ChangeRequestJson(const ChangeRequest& request);

// The ground of a data folder that nobody serves (or somebody does: it is only looked at). Errors:
// as training::History::Open and Newest.
base::Result<ChangeGround> GroundOf(env::Environment& environment, const std::string& data_folder);

}  // namespace headrace::wiring
