#pragma once
// What a Flight server hands out: rooms below implement it, and the server only translates.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "columns/batch.h"

namespace headrace::ingest {

// Rows on their way to one client. One thread; gone before what made it.
class FlightRows {
 public:
  virtual ~FlightRows() = default;
  virtual const columns::SchemaRef& schema() const = 0;
  // Of the Arrow schema.
  virtual std::vector<std::pair<std::string, std::string>> metadata() const = 0;
  // Asked for when the batch before it was sent: the client's pace is ours. Nothing after the last.
  virtual base::Result<std::optional<columns::ColumnBatch>> Next() = 0;
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
    columns::SchemaRef schema;
  };
  virtual base::Result<Offer> MakeOffer(const std::string& command) = 0;
  // May block until the rows are there. `gone`: whether the client has left; asked between pieces
  // of work, for as long as the rows live.
  virtual base::Result<std::unique_ptr<FlightRows>> Open(const std::string& ticket,
                                                         std::function<bool()> gone) = 0;
};

}  // namespace headrace::ingest
