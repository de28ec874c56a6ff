#pragma once
// The keys and inputs of a service, taken from an event.

#include <string_view>
#include <vector>

#include "base/result.h"
#include "columns/batch.h"
#include "serving/answer.h"
#include "serving/answer_plan.h"

namespace headrace::serving {

// One value for each input of the plan: the one given, else the field of the event (the first row)
// that has its name. Errors: kInvalidInput (context field=) for one that neither has, or that is
// given twice.
base::Result<std::vector<InputColumn>> InputsOfEvent(const AnswerPlan& plan,
                                                     const columns::ColumnBatch& event,
                                                     const std::vector<InputColumn>& given);

// The same of an event that could not be typed: members of the JSON object that are scalars, as far
// as there are any. What is missing is missing.
base::Result<std::vector<InputColumn>> InputsOfText(const AnswerPlan& plan, std::string_view event,
                                                    const std::vector<InputColumn>& given);

}  // namespace headrace::serving
