#pragma once
// What the features of a service are called in its answers.

#include <string>
#include <vector>

#include "pipeline/definition.h"

namespace headrace::pipeline {

struct AnsweredName {
  // The alias, "origin__mean_delay_6h", or the bare name of an on-request feature.
  std::string full;
  std::string shown;      // the alias, "mean_delay_6h", or `full`
  bool gave_way = false;  // `shown` is `full`: something else in the answer has the short name
};

// In the order of its features. An alias stays as it is; a short name that another feature, a key
// or an input has gives way to the full one.
std::vector<AnsweredName> AnsweredNames(const PipelineDefinition& definition,
                                        const ServiceDefinition& service);

}  // namespace headrace::pipeline
