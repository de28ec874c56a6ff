#pragma once
// Sends record batches to a stream over Arrow Flight until every one is acknowledged, through
// broken connections and restarts.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/result.h"
#include "commands.h"
#include "flight_sender.h"
#include "ingest_totals.h"
#include "pace.h"
#include "parquet_batches.h"
#include "progress.h"

namespace headrace::app {

// Runs once. The calling thread sends; a second one per connection reads acknowledgements.
//   - At most the server's window of batches is unacknowledged; they are kept, and after a broken
//   connection all are sent again:
//     the server answers a repeat with its first answer, so the totals stay exact.
//   - Batches that were durable before this run (the greeting's last_sequence) are counted as
//   repeated, and not sent.
class FlightIngest {
 public:
  FlightIngest(const IngestOptions& options, std::string producer, ParquetBatches& batches,
               Progress& progress);

  // Errors: the server's, once it can't be repeated or retry_for has passed without progress;
  // kConflict when the server turned out to have another log. totals() then says how far it came.
  base::Result<void> Run();
  const IngestTotals& totals() const { return totals_; }

 private:
  struct Pending {
    uint64_t sequence;
    std::shared_ptr<arrow::RecordBatch> batch;
    bool sent_before;  // on an earlier connection of this run
  };

  base::Result<void> RunConnection();
  base::Result<void> Greet(const ingest::Greeting& greeting);
  base::Result<void> SkipDurable(uint64_t last_sequence);
  base::Result<void> SendAll(FlightSender& sender);
  bool SendAgain(FlightSender& sender);
  void WaitUntilDue();
  bool WaitForRoom(size_t window);
  bool WaitUntilAcknowledged();
  void ReadAcknowledgements(FlightSender& sender);
  base::Result<void> Count(const ingest::BatchAcknowledgement& ack);

  const IngestOptions& options_;
  const std::string producer_;
  ParquetBatches& batches_;
  Progress& progress_;
  Pace pace_;
  Backoff backoff_;
  std::string log_;         // of the first greeting
  uint64_t sequence_ = 0;   // of the last batch read from the file
  uint64_t rows_sent_ = 0;  // for the first time
  bool file_ended_ = false;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<Pending> pending_;
  std::optional<base::Error> broken_;  // of the current connection
  IngestTotals totals_;
};

}  // namespace headrace::app
