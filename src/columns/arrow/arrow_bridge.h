#pragma once
// Arrow's record batches as column batches and back, without copying where the layouts agree. They
// agree for every type except bool and validity bits of a slice that does not start on a byte, text
// of a slice, large and dictionary text, and widened numbers: those buffers are copied, the others
// are shared (the batch holds Arrow's buffer alive, or Arrow ours).
//
// A library of its own (headrace_columns_arrow), so that rooms without Arrow do not link it.
// Functions are thread-safe.

#include <memory>

#include "base/result.h"
#include "columns/batch.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace headrace::columns {

// `batch` as rows of `schema`; columns are matched by name and put into the schema's order. A field
// that may be null and has no column is NULL throughout: the sender knows an earlier schema.
// Accepted besides a field's own type:
//   int32, int64        narrower integers, unsigned ones included
//   float64             float32
//   date                date64 at midnight
//   timestamp           any zone or none (read as UTC); s, ms; ns when every value is a whole
//   microsecond timestamp_ntz       the same, only without a zone string, bytes       their large_
//   variants, dictionaries of them; fixed_size_binary for bytes
// The bytes are checked (offsets, UTF-8, dictionary indexes): a hostile sender gets an error, never
// undefined behaviour. Nulls in fields that are not nullable pass: they are the contract's
// business. Errors: kInvalidInput that names the column: a required one missing, extra, twice, of
// another type, or with a value that does not fit.
base::Result<ColumnBatch> FromArrow(const arrow::RecordBatch& batch, const SchemaRef& schema);

// The batch as Arrow sees it: timestamps in microseconds with zone UTC, timestamp_ntz without a
// zone. Shares every buffer. Errors: none today; a Result because Arrow reports so.
base::Result<std::shared_ptr<arrow::RecordBatch>> ToArrow(const ColumnBatch& batch);

// The Arrow schema that ToArrow gives a batch of `schema`.
std::shared_ptr<arrow::Schema> ToArrowSchema(const Schema& schema);

// A schema that FromArrow accepts for batches of `schema`: field ids are 1, 2, 3 ... in order.
// Errors: kUnsupported that names the first column whose type has no counterpart.
base::Result<SchemaRef> FromArrowSchema(const arrow::Schema& schema);

}  // namespace headrace::columns
