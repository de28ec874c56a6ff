#pragma once
// GET /status: is it well, in one JSON document. wiring gathers the figures; the shape is decided
// here (docs/reference/http.md).

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "base/ids.h"
#include "base/memory_budget.h"
#include "env/process_memory.h"
#include "log/log_clock.h"
#include "log/recovery_progress.h"
#include "log/sequencer.h"
#include "pipeline/definition.h"
#include "pipeline/logged_definition.h"
#include "pipeline/views/view_set.h"
#include "plan/layers.h"
#include "watch/change_figures.h"
#include "watch/governor.h"
#include "watch/metrics_text.h"
#include "watch/push_figures.h"
#include "watch/recent_times.h"
#include "watch/source_figures.h"
#include "watch/tls_figures.h"

namespace headrace::watch {

// A table and its publisher.
struct TableFigures {
  std::string name;
  std::string folder;
  std::string state;   // "running", "stopped" ...
  std::string reason;  // why it stopped
  base::EpochId committed;
  uint64_t pending_rows = 0;
  base::Duration lag{0};           // age of the oldest row that is not in the table
  base::Duration commit_every{0};  // when there are rows
  uint64_t commits = 0, files = 0, rows = 0, bytes = 0;
  uint64_t log_bytes = 0;  // of commits, checkpoints and checksum files
  plan::LayerKind layer = plan::LayerKind::kRaw;
  std::vector<std::string> readers = {};
  std::string advice = {};  // when nobody reads it
  // Microseconds of each row from its epoch's sealing to its commit; null: nothing is known.
  const base::Histogram* visible_us = nullptr;
  struct Optimize {
    std::string state = "idle";
    uint64_t versions = 0, given_up = 0, failed = 0;
    uint64_t files_taken = 0, files_made = 0, bytes_taken = 0, bytes_made = 0;
    std::string reason;  // why the last one failed
  } optimize;            // since the start
  uint64_t commit_p50_us = 0, commit_p99_us = 0;
};

// The snapshots that bound a start after a crash.
struct SnapshotFigures {
  uint64_t taken = 0, failed = 0;  // since the start
  bool under_way = false;
  std::string reason;                 // why the last one failed; empty when it did not
  base::EpochId after, through;       // of the newest
  uint64_t bytes = 0;                 // of the newest
  base::Duration took{0};             // the newest, pauses included
  base::Duration writing{0};          // of it, at the disk
  std::optional<base::Duration> age;  // of the newest; nothing when none was taken since the start
  base::Duration recovery{0};         // the bound
  base::Duration recovery_estimate{0};  // of a start now
  bool bound_holds = true;              // whether it can be kept at the present rate
  std::string used_at_start;            // its path; empty: the log was read whole
  uint64_t passed_over_at_start = 0;    // snapshots that could not be used
  uint64_t replayed_rows_at_start = 0;
};

// From which epoch on the log is needed.
struct RetentionFigures {
  base::EpochId needed_from;  // 0: everything is
  std::string held_by;        // what holds the oldest rows, for people
};

// One moment of an engine. References live during the call that it is made for.
struct StatusFigures {
  const pipeline::PipelineDefinition& definition;
  base::Duration uptime{0};
  log::LogStatus log;
  log::ClockSteps clock;
  log::Durability durability = log::Durability::kFsync;
  base::EpochId visible;
  uint64_t backlog_rows = 0;      // durable, not yet visible
  base::Duration backlog_age{0};  // since the oldest epoch that is not visible became durable
  base::Duration step_age{0};     // since the step that applies some began; 0: there is none
  // Microseconds, since the start.
  const base::Histogram& sync_us;        // each fdatasync
  const base::Histogram& durable_us;     // accepted -> durable: ingest
  const base::Histogram& visible_us;     // durable -> visible: transform
  const base::Histogram& end_to_end_us;  // accepted -> visible, per batch
  const base::Histogram& serve_us;       // a request inside the engine
  RecentFigures recent = {};             // of those, and of pushes' answers
  std::vector<pipeline::ViewStatus> views;
  pipeline::ViewsSince since;  // of views that do not begin with the log
  ChangeFigures change;
  std::vector<pipeline::DerivedStreamStatus> derived_streams;
  std::vector<TableFigures> tables;
  std::vector<SourceFigures> sources = {};
  std::map<std::string, std::map<std::string, uint64_t>> dead_letters;  // stream -> rule -> rows
  std::map<std::string, uint64_t> dead_letters_replayed;                // stream -> rows
  uint64_t revoked_pins = 0;
  std::optional<serving::PushFigures> pushes = {};
  std::optional<log::RecoveryFigures> recovery;  // of the start, when somebody looked
  SnapshotFigures snapshots;
  RetentionFigures retention;
  std::optional<GovernorFigures> background;  // when there is a governor
  std::optional<TlsFigures> tls = {};         // when it is spoken
  const base::MemoryBudget& budget;
  env::ProcessMemory memory;
};

std::string StatusJson(const StatusFigures& figures);
// The document of an engine that is not ready: `state` is "recovering".
std::string StartingStatusJson(const std::string& pipeline, const log::RecoveryFigures& recovery);
// The same figures for GET /metrics.
std::string StatusMetrics(const StatusFigures& figures);

}  // namespace headrace::watch
