#pragma once
// What a scan asks for: the ticket of a Flight DoGet, and what `headrace scan` sends.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace headrace::tables {

// A value.
struct ScanRequest {
  static constexpr size_t kBytesMax = 64 << 10;  // of a ticket

  std::string stream;
  std::vector<std::string> columns;  // of its table, in this order; empty: all
  std::string where;                 // an expression over the table's columns; empty: every row
  std::optional<uint64_t> epoch;     // rows of epochs up to it; nothing: up to the newest
  bool operator==(const ScanRequest&) const = default;
};

// {"scan":"payments","columns":["amount"],"where":"amount > 10","epoch":12}; only `scan` must be
// there. Errors: kInvalidInput that says what is wrong; an unknown member is.
base::Result<ScanRequest> ParseScanRequest(std::string_view json);
std::string RenderScanRequest(const ScanRequest& request);

}  // namespace headrace::tables
