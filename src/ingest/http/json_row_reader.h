#pragma once
// One JSON object at a time -> one typed row of a schema. Reads on demand: a field is converted
// once, straight to its type.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "columns/batch_builder.h"
#include "columns/schema.h"
#include "contract/event_shape.h"

namespace headrace::ingest {

// Why a row could not be typed. Rules:
//   json           no JSON object, or a field given twice
//   type           a field's value is of another type, or does not fit its type
//   required       a field that may not be null is missing or null
//   unknown_field  the contract has no such field
struct RowProblem {
  std::string field;  // empty: the row as a whole
  std::string rule;
  std::string reason;
};

// Objects inside the event fill the columns of their members. The columns of such members may also
// be named by the event itself: {"device_os": "ios"} is {"device": {"os": "ios"}}, as rows that
// were written by columns are (columns::RowAsJson). Not thread-safe; reuse one for all rows of a
// request.
class JsonRowReader {
 public:
  // `shape` outlives the reader; its indexes are those of the schema.
  JsonRowReader(columns::SchemaRef schema, const contract::EventShape& shape);
  ~JsonRowReader();
  JsonRowReader(const JsonRowReader&) = delete;
  JsonRowReader& operator=(const JsonRowReader&) = delete;

  // Appends the row to `out`, whose schema is this reader's; or appends nothing and says what is
  // wrong first. `readable_after` is how many bytes behind the row may be read (their content does
  // not matter).
  std::optional<RowProblem> Append(std::string_view row, size_t readable_after,
                                   columns::BatchBuilder& out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace headrace::ingest
