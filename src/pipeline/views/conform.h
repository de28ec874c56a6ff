#pragma once
// Rows written under an earlier version of a stream's schema, as the definition's schema wants
// them.

#include "columns/batch.h"

namespace headrace::pipeline {

// The batch itself when the schemas are equal; else its columns by field name, with nulls for
// fields that it does not have.
columns::ColumnBatch ConformTo(const columns::SchemaRef& schema, const columns::ColumnBatch& batch);

}  // namespace headrace::pipeline
