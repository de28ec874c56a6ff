#include "ingest/http/json_batch.h"

#include <fmt/format.h>

#include <vector>

#include "ingest/http/json_row_reader.h"

namespace headrace::ingest {
namespace {

constexpr size_t kOversizedPayloadBytes = 4096;  // of a row that is too long to keep whole

columns::RejectedRow Oversized(uint32_t number, std::string_view row, size_t row_bytes_max) {
  return {.row = number,
          .field = "",
          .rule = "size",
          .reason = fmt::format("the row has {} bytes, more than {}: send smaller rows", row.size(),
                                row_bytes_max),
          .payload = std::string(row.substr(0, kOversizedPayloadBytes))};
}

}  // namespace

columns::EventBatch ReadJsonBatch(const JsonRows& json, const contract::Contract& contract,
                                  size_t row_bytes_max) {
  JsonRowReader reader(contract.schema(), contract.shape());
  columns::BatchBuilder typed(contract.schema());
  std::vector<uint32_t> numbers;
  std::vector<columns::RejectedRow> untyped;
  numbers.reserve(json.rows.size());
  for (uint32_t i = 0; i < json.rows.size(); ++i) {
    const std::string_view row = json.rows[i];
    if (row.size() > row_bytes_max) {
      untyped.push_back(Oversized(i, row, row_bytes_max));
      continue;
    }
    const size_t readable =
        json.readable_end == nullptr
            ? 0
            : static_cast<size_t>(json.readable_end - (row.data() + row.size()));
    auto problem = reader.Append(row, readable, typed);
    if (!problem) {
      numbers.push_back(i);
      continue;
    }
    untyped.push_back({.row = i,
                       .field = std::move(problem->field),
                       .rule = std::move(problem->rule),
                       .reason = std::move(problem->reason),
                       .payload = std::string(row)});
  }
  columns::EventBatch batch = contract.Enforce(typed.Finish(), std::move(numbers),
                                               std::move(untyped), contract::RowsFrom::kJson);
  // What the contract refused is kept as it came, too: a replay after mending the contract starts
  // from the sender's own text.
  for (columns::RejectedRow& rejected : batch.rejected) {
    if (rejected.rule != "size") rejected.payload = std::string(json.rows[rejected.row]);
  }
  return batch;
}

}  // namespace headrace::ingest
