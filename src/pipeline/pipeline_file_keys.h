#pragma once
// The one table of the pipeline file's keys. The reader checks keys against it; the reference page
// and the JSON schema for editors are generated from it.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::pipeline {

// A map of the file, by what it describes.
enum class Section : uint8_t {
  kPipeline,
  kPromise,
  kOnMiss,
  kConsumer,
  kStream,
  kSource,
  kTime,
  kRate,
  kHistory,
  kDedupe,
  kUnnest,
  kView,
  kService,
  kTable,
  kOptimize,
  kLog
};

// What a value looks like.
enum class Shape : uint8_t {
  kText,
  kInteger,
  kDuration,        // 250ms, 10m, 7d
  kSize,            // 4GiB
  kPercent,         // 0.84%
  kMoney,           // $85
  kAmount,          // 25/s
  kChoice,          // one of KeyRow::choices, separated by blanks
  kName,            // of something else in the file
  kTexts,           // a text or a list of texts
  kDurations,       // a duration or a list of them
  kMapOfText,       // names to texts
  kMapOfValue,      // names to texts, numbers or truths
  kMapOfMapOfText,  // numbers to such maps
  kMapOfDuration,   // names to durations
  kSection,         // a map with the keys of KeyRow::of
  kMapOfSection,    // names to such maps
};

enum class Support : uint8_t { kHere, kLater };  // kLater: refused as not in this version

struct KeyRow {
  Section section;
  std::string_view key;
  Shape shape;
  std::string_view says;
  std::string_view example;
  std::string_view choices = {};
  Section of = Section::kPipeline;
  Support support = Support::kHere;
};

std::span<const KeyRow> KeyTable();
// Null when the section has no such key.
const KeyRow* KeyNamed(Section section, std::string_view key);
std::vector<std::string_view> KeysOf(Section section);
// "view", for messages and headings.
std::string_view NameOf(Section section);

// docs/reference/pipeline-file.md and pipeline.schema.json as they must be committed.
std::string PipelineFileReference();
std::string PipelineFileSchema();

}  // namespace headrace::pipeline
