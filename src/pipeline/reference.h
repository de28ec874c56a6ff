#pragma once
// The generated pages of docs/reference that this room and `contract` own. A test fails when the
// committed ones differ; HEADRACE_REWRITE=1 makes it write them.

#include <string>
#include <vector>

#include "contract/diagnostic_codes.h"
#include "pipeline/expressions/functions.h"

namespace headrace::pipeline {

struct ReferencePage {
  std::string file;  // in docs/reference
  std::string text;
};

std::string AggregatesReference();
std::vector<ReferencePage> ReferencePages();

}  // namespace headrace::pipeline
