#pragma once
// What is different between two definitions of a pipeline, by what was written: comments, blanks
// and the order of a view's keys do not count, everything else does. So what is called unchanged
// is, and what only looks different is called altered.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "pipeline/definition.h"

namespace headrace::pipeline {

// What a definition's file and contracts say, a text for each thing. Of a definition that was not
// read from a file there is nothing to say.
struct DefinitionTexts {
  using ByName = std::map<std::string, std::string>;
  ByName streams;  // with their contracts
  // Of streams that come in, what stands beside the contract and what may follow it: which rows are
  // taken, and when.
  ByName ways_in;
  ByName views;
  ByName on_request;  // with the types of what a request brings
  ByName services;
  ByName settings;  // every other key of the file
};
DefinitionTexts TextsOf(const PipelineDefinition& definition);

// By view, a text that two views share only if they give the same answers from the same rows: name,
// what is kept, what is answered, and what was written.
std::vector<std::string> IdentitiesOf(const PipelineDefinition& definition);

enum class ChangeKind : uint8_t { kUnchanged, kAdded, kRemoved, kAltered };
std::string_view NameOf(ChangeKind difference);  // "unchanged", "added" ...

struct NamedDifference {
  std::string name;
  ChangeKind difference;
  bool operator==(const NamedDifference&) const = default;
};

// In the order of the new definition, what was removed at the end.
struct DefinitionDiff {
  std::vector<NamedDifference> streams;
  std::vector<NamedDifference> views;
  std::vector<NamedDifference> on_request;
  std::vector<NamedDifference> services;
  std::vector<NamedDifference> settings;
};
DefinitionDiff Compare(const PipelineDefinition& before, const PipelineDefinition& after);

// Of a view that both have: what it answers, by name, and what else was written otherwise.
struct ViewDiff {
  std::vector<std::string> added;    // features, as "spend_7d"
  std::vector<std::string> removed;  // likewise
  std::vector<std::string> altered;  // another aggregate, argument, condition, window or type
  std::vector<std::string> keys;     // of the view: "from", "by", "where", "history", "ttl", "self"
};
ViewDiff CompareView(const PipelineDefinition& before, const PipelineDefinition& after,
                     const std::string& view);

// A service whose readers miss something after the change.
struct BrokenConsumer {
  std::string service;
  std::vector<std::string> missing;  // "card.spend_7d"; empty: the whole service is gone
  std::vector<std::string> retyped;  // "card.last_country: string, was int64"
  std::vector<std::string> renamed;  // "card.n_1h: answered as card__n_1h, was n_1h"
};
std::vector<BrokenConsumer> BrokenBy(const PipelineDefinition& before,
                                     const PipelineDefinition& after);

}  // namespace headrace::pipeline
