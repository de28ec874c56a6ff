#pragma once
// Sends an NDJSON file to a stream over HTTP, a chunk at a time, until every one is answered.

#include <string>

#include "base/result.h"
#include "commands.h"
#include "http_calls.h"
#include "ingest_totals.h"
#include "json_lines.h"
#include "pace.h"
#include "progress.h"

namespace headrace::app {

// Runs once, on the calling thread. A chunk without an answer is sent again with its sequence: the
// server answers a repeat with its first answer. A chunk that was in the log before this run counts
// as repeated.
class HttpIngest {
 public:
  HttpIngest(const IngestOptions& options, std::string producer, JsonLines& lines,
             Progress& progress);
  // Errors: as FlightIngest::Run.
  base::Result<void> Run();
  const IngestTotals& totals() const { return totals_; }

 private:
  base::Result<void> SendChunk(const JsonLinesChunk& chunk, uint64_t sequence);
  base::Result<void> Count(const std::string& outcome, const JsonLinesChunk& chunk,
                           uint64_t sequence, bool sent_before);

  const IngestOptions& options_;
  const std::string producer_;
  JsonLines& lines_;
  Progress& progress_;
  HttpCalls calls_;
  Pace pace_;
  Backoff backoff_;
  IngestTotals totals_;
};

}  // namespace headrace::app
