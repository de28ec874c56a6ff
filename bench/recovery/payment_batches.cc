#include "payment_batches.h"

#include <arrow/array/array_primitive.h>
#include <arrow/buffer.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>

#include <algorithm>
#include <random>

namespace headrace::bench {
namespace {

constexpr uint64_t kSeed = 4;

arrow::Result<int64_t*> NewColumn(size_t rows, std::shared_ptr<arrow::Buffer>& column) {
  ARROW_ASSIGN_OR_RAISE(column, arrow::AllocateBuffer(static_cast<int64_t>(rows * 8)));
  return reinterpret_cast<int64_t*>(column->mutable_data());
}

}  // namespace

std::shared_ptr<arrow::Schema> PaymentSchema(const std::string& producer) {
  const auto& whole = arrow::int64();
  return arrow::schema({arrow::field("card", whole, false),
                        arrow::field("at", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"), false),
                        arrow::field("amount", whole, false), arrow::field("lane", whole, false),
                        arrow::field("batch", whole, false)},
                       arrow::key_value_metadata({"headrace.producer"}, {producer}));
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> PaymentBatch(
    const std::shared_ptr<arrow::Schema>& schema, uint64_t number, size_t rows, uint64_t cards,
    int64_t at_us) {
  std::vector<std::shared_ptr<arrow::Buffer>> buffers(5);
  std::vector<int64_t*> columns(5);
  for (size_t i = 0; i < columns.size(); ++i) {
    ARROW_ASSIGN_OR_RAISE(columns[i], NewColumn(rows, buffers[i]));
  }
  std::mt19937_64 dice(kSeed + number);
  for (size_t row = 0; row < rows; ++row) {
    const uint64_t thrown = dice();
    columns[0][row] = static_cast<int64_t>(thrown % cards);
    columns[2][row] = static_cast<int64_t>(thrown >> 48);
  }
  std::fill_n(columns[1], rows, at_us);
  std::fill_n(columns[3], rows, 0);
  std::fill_n(columns[4], rows, static_cast<int64_t>(number));
  columns[3][0] = 1;
  std::vector<std::shared_ptr<arrow::ArrayData>> arrays;
  for (size_t i = 0; i < columns.size(); ++i)
    arrays.push_back(arrow::ArrayData::Make(schema->field(static_cast<int>(i))->type(),
                                            static_cast<int64_t>(rows), {nullptr, buffers[i]}, 0));
  return arrow::RecordBatch::Make(schema, static_cast<int64_t>(rows), std::move(arrays));
}

}  // namespace headrace::bench
