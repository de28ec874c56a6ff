#pragma once
// Keys as a key-value client names them: `view:key`, `view:first:second` where the view is by two
// fields.

#include <string>
#include <string_view>

#include "base/result.h"
#include "columns/value.h"
#include "pipeline/definition.h"
#include "serving/answer.h"

namespace headrace::serving {

// The key of a view by one field is all that follows the first colon, as it is. Of several fields,
// colons are between the parts, and inside a part %3A is a colon and %25 a percent sign. Errors:
// kNotFound (object=view), kInvalidInput that says what a part wants.
base::Result<KeyQuestion> ReadKey(const pipeline::PipelineDefinition& definition,
                                  std::string_view text);
// The same for `view.feature:key`; `output` gets the index of the feature. Errors: also kNotFound
// (object=feature).
base::Result<KeyQuestion> ReadFeatureKey(const pipeline::PipelineDefinition& definition,
                                         std::string_view text, size_t& output);
// The index of the view's output. Errors: kNotFound (object=feature) that names what is near.
base::Result<size_t> OutputNamed(const pipeline::ViewDefinition& view, std::string_view name);

// Appends a value that is not null as text: numbers with the fewest digits that read back, true or
// false, texts and bytes as they are, times as in JSON, lists as JSON.
void AppendValueText(const columns::Value& value, std::string& out);

}  // namespace headrace::serving
