#pragma once
// Rows written under another version of a stream's schema, as one schema wants them.

#include "columns/batch.h"

namespace headrace::columns {

// The batch itself when the schemas are equal; else its columns by field name. A column of a
// narrower type (schema_evolution.h) is widened. One of a wider type, for a reader that goes by an
// earlier schema, gives what the narrower one has as well, and null for every other value. Fields
// that the batch does not have, or has of any other type, are null.
ColumnBatch ConformTo(const SchemaRef& schema, const ColumnBatch& batch);

// The same of one column.
Column ConformTo(Type type, const Column& column);

// `rows` nulls.
Column AllNullColumn(Type type, size_t rows);

}  // namespace headrace::columns
