#pragma once
// The rows that the sender makes: payments of many cards. A batch's rows follow from its number
// alone, but for their time, so that nothing has to be kept in order to send a batch again.

#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <cstdint>
#include <memory>
#include <string>

namespace headrace::bench {

// card, at, amount, lane, batch. The first row of a batch has lane 1: `last(batch)` over these is
// the newest batch that an answer knows of.
std::shared_ptr<arrow::Schema> PaymentSchema(const std::string& producer);

// `number` counts from 1. All rows have the event time `at_us`.
arrow::Result<std::shared_ptr<arrow::RecordBatch>> PaymentBatch(
    const std::shared_ptr<arrow::Schema>& schema, uint64_t number, size_t rows, uint64_t cards,
    int64_t at_us);

}  // namespace headrace::bench
