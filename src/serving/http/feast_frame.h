#pragma once
// The bodies of Feast 0.67's POST /push and POST /write-to-online-store: a data frame by columns,
// and the rows of a stream that it is.

#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "pipeline/definition.h"
#include "protocols/http_message.h"
#include "serving/http/feast_request.h"

namespace headrace::serving {

// kPush names a push source, kWrite a feature view.
enum class FrameVerb : uint8_t { kPush, kWrite };

struct FrameColumn {
  std::string name;
  std::vector<std::string> values;  // each as JSON text
};

// A value. All columns are equally long, and no two have one name.
struct FeastFrame {
  FrameVerb verb = FrameVerb::kPush;
  std::string target;  // push_source_name or feature_view_name
  std::vector<FrameColumn> columns;
  size_t rows() const { return columns.empty() ? 0 : columns.front().values.size(); }
  uint64_t held_bytes() const;
  uint64_t row_bytes() const;  // of its rows as texts, about
};

// Named limits of a frame; more of either is refused.
inline constexpr size_t kFrameRowsMax = 1U << 17;
inline constexpr size_t kFrameColumnsMax = 4096;

// The request's body, whatever its content type. Values of `to` other than Feast's three are
// refused; the three mean the same here, as one event is in both.
std::expected<FeastFrame, FieldProblems> ParseFeastFrame(const protocols::HttpRequest& request,
                                                         FrameVerb verb);

// What a frame is in the log: rows of one stream, each a JSON object of its fields.
struct FrameRows {
  std::string stream;
  std::string text;  // its capacity is at least 64 bytes over its size, as simdjson wants
  std::vector<std::pair<size_t, size_t>> rows;  // begin and size of each in `text`

  std::vector<std::string_view> Views() const;
};

// A frame's target is a stream, whose fields its columns are; or a view that only remembers, whose
// columns are its join keys and each of its `last()` features, and become the fields that these are
// the last values of. `event_timestamp` stands for the stream's event time, and `created` is left
// out, unless they are fields; numbers in timestamps are seconds, as Feast has them.
// Errors: kNotFound (context object= "push_source" or "view", name=); kInvalidInput with what to
// send instead (context field= the column, where it is one's fault): a view that is computed of
// many events, a column that is no field or can't be set, one that is missing.
base::Result<FrameRows> RowsOf(const FeastFrame& frame,
                               const pipeline::PipelineDefinition& definition);

}  // namespace headrace::serving
