#include "pipeline/views/conform.h"

#include <utility>

#include "columns/batch_builder.h"

namespace headrace::pipeline {
namespace {

columns::Column AllNull(columns::Type type, size_t rows) {
  columns::ColumnBuilder builder(type);
  for (size_t i = 0; i < rows; ++i) builder.AppendNull();
  return builder.Finish();
}

}  // namespace

columns::ColumnBatch ConformTo(const columns::SchemaRef& schema,
                               const columns::ColumnBatch& batch) {
  if (batch.schema() == schema || *batch.schema() == *schema) return batch;
  std::vector<columns::Column> conformed;
  for (const columns::Field& field : schema->fields()) {
    const auto index = batch.schema()->IndexOf(field.name);
    const bool usable = index && batch.column(*index).type() == field.type;
    conformed.push_back(usable ? batch.column(*index) : AllNull(field.type, batch.rows()));
  }
  return columns::ColumnBatch(schema, batch.rows(), std::move(conformed));
}

}  // namespace headrace::pipeline
