#pragma once
// What captured state is of: which views, and how their rows and keys are kept. Two definitions
// whose views have the same text here have the same state, whatever else is different.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "pipeline/definition.h"
#include "pipeline/logged_definition.h"

namespace headrace::pipeline {

struct ViewLayout {
  struct View {
    std::string name;
    std::string kept;  // its stream, key, condition, arguments, accumulated things and horizon
    // Of a view that forgets keys: how long beyond its horizon they are kept.
    std::optional<base::Duration> keys_ttl = {};
  };
  std::vector<View> views;            // in the order of their numbers in captured pieces
  std::vector<std::string> entities;  // likewise
};

// How the rows of one view are kept.
std::string KeptText(const PipelineDefinition& definition, const ViewDefinition& view);
// Of one that does not begin with the log unless `since` is 0.
ViewLayout::View LayoutOf(const PipelineDefinition& definition, const ViewDefinition& view,
                          base::EpochId since);
// `since`: views that do not begin with the log.
ViewLayout LayoutOf(const PipelineDefinition& definition, const ViewsSince& since);
// Whether state that was kept as `captured` is state of `view`: it is, and no key was forgotten
// sooner.
bool IsStateOf(const ViewLayout::View& captured, const ViewLayout::View& view);
std::vector<uint8_t> EncodeLayout(const ViewLayout& layout);
// Errors: kCorruption; kUnsupported when it was written by another version of this code.
base::Result<ViewLayout> DecodeLayout(std::span<const uint8_t> bytes);

}  // namespace headrace::pipeline
