#pragma once
// What an event must be: an Open Data Contract Standard 3.1/3.2 document, bound to a schema,
// checked on columns.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "columns/batch.h"
#include "columns/event_batch.h"
#include "contract/diagnostic.h"
#include "contract/event_shape.h"

namespace headrace::contract {

class Contract;
using ContractRef = std::shared_ptr<const Contract>;

struct ParsedContract {
  ContractRef contract;  // null when there is an error
  std::vector<Diagnostic> diagnostics;
};

// The reader of JSON gives no rows but of the shape of an event (shape_check.h), and has their
// texts: what is refused of those gets no payload here.
enum class RowsFrom : uint8_t { kColumns, kJson };

// Immutable; any thread may check with it.
class Contract {
 public:
  // Reads ODCS YAML (the first schema object, or the one called `object` if not empty). Unknown
  // rules are errors, not ignored.
  static ParsedContract Parse(std::string_view file_name, std::string_view text,
                              std::string_view object);

  const std::string& id() const;
  const std::string& version() const;
  const columns::SchemaRef& schema() const;
  const EventShape& shape() const;      // how an event's JSON leads to the schema's fields
  bool restricted(size_t field) const;  // classification: restricted
  const std::string& text() const;      // the file's text, as logged
  // A dead letter's payload with the values of restricted fields as "***": for people and replies.
  // What is logged stays whole, as it must be replayable. A payload that is no JSON object becomes
  // "***" when any field is restricted.
  std::string MaskPayload(std::string_view payload) const;

  // Checks typed rows. Failing rows are appended to `rejected` (first failing field and rule of
  // each, payload as JSON), their numbers in request order; `accepted` gets the numbers of the good
  // rows. The batch has this contract's schema.
  void Check(const columns::ColumnBatch& rows, std::vector<uint32_t>& accepted,
             std::vector<columns::RejectedRow>& rejected, RowsFrom from = RowsFrom::kColumns) const;

  // Splits the batch into an EventBatch (stream and source are left to the caller).
  columns::EventBatch Enforce(columns::ColumnBatch rows) const;
  // Rows with known reasons already (JSON that does not parse or type): merged in order of row
  // number. `row_numbers[i]` is the request's number of row i of `rows`.
  columns::EventBatch Enforce(columns::ColumnBatch rows, std::vector<uint32_t> row_numbers,
                              std::vector<columns::RejectedRow> untyped,
                              RowsFrom from = RowsFrom::kColumns) const;

 private:
  friend class ContractParser;
  Contract();
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

// Row `row` of a batch as a flat JSON object, a name for each column; JSON text is text in it.
std::string RowToJson(const columns::ColumnBatch& rows, size_t row);

}  // namespace headrace::contract
