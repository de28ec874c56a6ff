#pragma once
// What an ingest run has done so far, and whether it may go on.

#include <cstdint>
#include <string>

#include "base/error.h"

namespace headrace::app {

// rows = accepted + refused + repeated, once everything is acknowledged.
struct IngestTotals {
  uint64_t rows = 0;  // of the file, acknowledged
  uint64_t accepted = 0;
  uint64_t refused = 0;   // broke the contract, or came too late; in the dead letters
  uint64_t repeated = 0;  // were in the log before this run
  uint64_t epoch = 0;     // the newest that holds any of them; 0: none was told
  uint64_t reconnects = 0;
  std::string first_refusal;  // "row 3, delay: ..."; empty when nothing was refused
};

// Whether the same batch, sent again as it is, may be taken.
inline bool MayRepeat(base::ErrorCode code) {
  return code == base::ErrorCode::kUnavailable || code == base::ErrorCode::kResourceExhausted ||
         code == base::ErrorCode::kDeadlineExceeded;
}

}  // namespace headrace::app
