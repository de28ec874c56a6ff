#pragma once
// A definition as bytes: the pipeline file and every contract that it names, as they were written.

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace headrace::pipeline {

struct SourceTexts {
  std::string pipeline;
  std::map<std::string, std::string> contracts;  // by the name in the pipeline file
};

// u32 version 1, text pipeline, u32 count, then per contract text name, text content; in the order
// of names.
std::string PackSource(std::string_view pipeline,
                       const std::map<std::string, std::string>& contracts);
// Errors: kCorruption.
base::Result<SourceTexts> UnpackSource(std::string_view bytes);

}  // namespace headrace::pipeline
