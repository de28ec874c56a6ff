#pragma once
// What a Flight server hands out: rooms below implement it, and the server only translates.

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "access/access_list.h"
#include "base/memory_budget.h"
#include "base/result.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace headrace::ingest {

// Who calls, and whether they are still there.
struct FlightCaller {
  access::CallerRef who;       // null: access is not controlled
  std::function<bool()> gone;  // asked between pieces of work; empty: stays
  bool IsGone() const { return gone && gone(); }
};

// Rows of the schema of what they are of, on their way out.
struct FlightBatch {
  std::shared_ptr<arrow::RecordBatch> rows;
  std::string metadata;       // a JSON document, as app_metadata; empty: none
  base::MemoryCharge charge;  // until it is written
};

// Rows on their way to one client. One thread; gone before what made it.
class FlightRows {
 public:
  virtual ~FlightRows() = default;
  virtual std::shared_ptr<arrow::Schema> schema() const = 0;  // with its metadata
  // Asked for when the batch before it was sent: the client's pace is ours. Nothing after the last.
  virtual base::Result<std::optional<FlightBatch>> Next() = 0;
  // What goes with the end, as the metadata of an empty batch: a JSON document.
  virtual std::string Summary() const = 0;
};

// Thread-safe; outlives the server.
class FlightReads {
 public:
  virtual ~FlightReads() = default;
  // A command that means the same rows whenever its ticket is used.
  struct Offer {
    std::string ticket;
    std::shared_ptr<arrow::Schema> schema;
  };
  virtual base::Result<Offer> MakeOffer(const std::string& command,
                                        const access::CallerRef& caller) = 0;
  // May block until the rows are there.
  virtual base::Result<std::unique_ptr<FlightRows>> Open(const std::string& ticket,
                                                         FlightCaller caller) = 0;
};

// Batches in, one batch out for each. One thread; gone before what made it.
class FlightExchange {
 public:
  virtual ~FlightExchange() = default;
  virtual std::shared_ptr<arrow::Schema> schema() const = 0;  // of what comes out, with metadata
  virtual size_t rows_max() const = 0;                        // of a batch that comes in
  // `metadata` is the batch's app_metadata; empty when it has none. An error ends the call.
  virtual base::Result<FlightBatch> Answer(const arrow::RecordBatch& rows,
                                           std::string_view metadata) = 0;
};

// Thread-safe; outlives the server.
class FlightExchanges {
 public:
  virtual ~FlightExchanges() = default;
  // `schema` is that of the batches that will come.
  virtual base::Result<std::unique_ptr<FlightExchange>> Open(const std::string& command,
                                                             const arrow::Schema& schema,
                                                             FlightCaller caller) = 0;
};

}  // namespace headrace::ingest
