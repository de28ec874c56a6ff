#pragma once
// Cuts a request body into the texts of its rows: lines of NDJSON, or the elements of a JSON array.
// What is inside a row is not looked at, so that one bad row spoils no other.

#include <cstddef>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace headrace::ingest {

enum class BodyForm : uint8_t {
  kDetect,    // an array when it begins with '[', else lines
  kOneValue,  // application/json: an array, or one object that may span lines
  kLines,     // application/x-ndjson: lines, whatever they begin with; [] alone has none
};

// The rows in order, without surrounding blanks; blank lines are no rows. Views into `body`.
// Errors: kInvalidInput when an array or object is not closed, something follows it, or there are
// more than `rows_max` rows.
base::Result<std::vector<std::string_view>> SplitBody(std::string_view body, BodyForm form,
                                                      size_t rows_max);

}  // namespace headrace::ingest
