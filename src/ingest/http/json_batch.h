#pragma once
// JSON rows -> an EventBatch: typed by the contract's schema, then held to the contract.

#include <cstddef>
#include <span>
#include <string_view>

#include "columns/event_batch.h"
#include "contract/contract.h"

namespace headrace::ingest {

struct JsonRows {
  std::span<const std::string_view> rows;
  // End of the bytes that may be read behind any row (simdjson looks at whole blocks); null: none
  // may.
  const char* readable_end = nullptr;
};

// Every row ends up accepted or rejected, numbered as in `rows`. A rejected row's payload is its
// original text; a row longer than `row_bytes_max` is rejected unread (rule `size`), with the first
// part of its text. Stream and source are left to the caller.
columns::EventBatch ReadJsonBatch(const JsonRows& json, const contract::Contract& contract,
                                  size_t row_bytes_max);

}  // namespace headrace::ingest
