#pragma once
// Rows written under another version of a stream's schema, as one schema wants them.

#include "columns/batch.h"

namespace headrace::columns {

// The batch itself when the schemas are equal; else its columns by field name, with nulls for
// fields that it does not have, or has of another type.
ColumnBatch ConformTo(const SchemaRef& schema, const ColumnBatch& batch);

// `rows` nulls.
Column AllNullColumn(Type type, size_t rows);

}  // namespace headrace::columns
