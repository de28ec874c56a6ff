#pragma once
// A log looked at from outside, beside a running engine or without one: what it holds, whether
// every byte of it is what was written, and a copy of it under another id. Nothing here changes the
// log.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "env/environment.h"
#include "log/catalogue.h"
#include "log/epoch.h"

namespace headrace::log {

// One file of epochs.
struct SurveyedFile {
  std::string path;
  base::EpochId first;
  base::EpochId last;
  uint64_t bytes = 0;       // of records
  uint64_t file_bytes = 0;  // with what is reserved
  uint64_t rows = 0;        // accepted; 0 for a residue
  uint64_t refused = 0;
  uint64_t controls = 0;
};

// A place whose bytes are not what was written.
struct Damage {
  std::string path;
  uint64_t offset = 0;
  std::string what;
};

struct LogSurvey {
  base::LogId log;
  base::EpochId first{1};  // whose rows are held
  base::EpochId last;      // the last whole record
  base::EpochId durable;   // by the mark; 0: it says nothing
  std::vector<SurveyedFile> segments;
  std::vector<SurveyedFile> residues;
  uint64_t refused_forgotten = 0;
  std::vector<StreamEntry> streams;
  base::Timestamp clock_first = base::Timestamp::Max();  // of the epochs whose rows are held
  base::Timestamp clock_last = base::Timestamp::Min();
  uint64_t torn_bytes = 0;  // behind the last record: being written, or left by a crash
  std::vector<Damage> damages;
  // Behind the records of a segment that has a successor, where zeros were: no epoch is missing,
  // and a start goes on.
  std::vector<Damage> strays;
};

// Told from time to time how many bytes of how many were looked at.
using SurveyProgress = std::function<void(uint64_t, uint64_t)>;

// Reads every byte of LOG, DURABLE, every segment and every residue, and goes on behind damage in
// the next file. An engine may be running: what it writes or lets go meanwhile is no damage.
// Errors: those that leave nothing to look at: kNotFound (no log), kCorruption of LOG,
// kUnsupported, kIoError.
base::Result<LogSurvey> SurveyLog(env::Environment& environment, const std::string& folder,
                                  const SurveyProgress& progress);

struct ForkReport {
  base::LogId log;  // the copy's
  base::EpochId last;
  uint64_t bytes = 0;
  uint64_t segments = 0;
  uint64_t residues = 0;
};

// Copies the log's epochs up to `through` (nothing: all) into `to`, which must not hold a log,
// under a new id: every record gets that id and a new chain of checksums. Beside an engine those
// that are durable; without one those that a start would keep. The copy is synced; its LOG is
// written last, so that a copy that was cut off is none. Errors: kAlreadyExists, kCorruption with
// file and offset, kFailedPrecondition (`through` is not held), kUnavailable (segments went
// meanwhile), kStorageFull, kIoError.
base::Result<ForkReport> ForkLog(env::Environment& environment, const std::string& from,
                                 const std::string& to, std::optional<base::EpochId> through,
                                 const SurveyProgress& progress);

}  // namespace headrace::log
