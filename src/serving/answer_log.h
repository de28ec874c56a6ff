#pragma once
// The answers file: what was served, one line of JSON for each entity row, so that `headrace
// verify` can compute it again.
//
//   {"log":"<32 hex>","definition":"<16
//   hex>","epoch":7,"as_of_us":978307260000000,"lag_us":0,"service":"departure",
//    "inputs":{"origin":"ORD"},"values":[12,-3.5,null],"statuses":[1,1,2]}
//
// The answer to a push has the event, as
// `"own":{"stream":"trips","epoch":7,"time_us":978307260000000,"row":0}` (no row when it is not
// known); a provisional one `"provisional":true`. A list of features without a service also has
// "features":["origin.flights_1h", ...], in the order of the values; with one the definition tells.
// Values are JSON as columns::Value::AppendJson writes it: of one type, two values have the same
// text exactly when they have the same bits.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "pipeline/views/answer.h"
#include "serving/answer.h"

namespace headrace::serving {

// One line, read back. Inputs and values stay JSON texts: their types are the definition's.
struct ServedAnswer {
  base::LogId log;
  base::DefinitionId definition;
  base::EpochId epoch;
  base::Timestamp as_of;
  base::Duration lag{0};
  std::optional<pipeline::OwnRow> own;
  bool provisional = false;  // an event counts that no epoch need have: it can't be recomputed
  std::string service;       // or
  std::vector<std::string> features;                        // qualified names
  std::vector<std::pair<std::string, std::string>> inputs;  // name, JSON
  std::vector<std::string> values;                          // JSON
  std::vector<pipeline::FeatureStatus> statuses;
};

// Appends a line for each row of the answer.
void AppendAnswerLines(const FeatureAnswer& answer, std::string& out);

// Errors: kInvalidInput for what is no such line (a crash may have torn one).
base::Result<ServedAnswer> ParseAnswerLine(std::string_view line);

// A JSON scalar as a value: true, an integer, a float or text; "NaN" and times stay text (see
// ConvertInput).
base::Result<columns::Value> ScalarFromJson(std::string_view json);

}  // namespace headrace::serving
