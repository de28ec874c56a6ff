#include "columns/conform.h"

#include <utility>

#include "columns/batch_builder.h"

namespace headrace::columns {

Column AllNullColumn(Type type, size_t rows) {
  ColumnBuilder builder(type);
  for (size_t i = 0; i < rows; ++i) builder.AppendNull();
  return builder.Finish();
}

ColumnBatch ConformTo(const SchemaRef& schema, const ColumnBatch& batch) {
  if (batch.schema() == schema || *batch.schema() == *schema) return batch;
  std::vector<Column> conformed;
  for (const Field& field : schema->fields()) {
    const auto index = batch.schema()->IndexOf(field.name);
    const bool usable = index && batch.column(*index).type() == field.type;
    conformed.push_back(usable ? batch.column(*index) : AllNullColumn(field.type, batch.rows()));
  }
  return {schema, batch.rows(), std::move(conformed)};
}

}  // namespace headrace::columns
