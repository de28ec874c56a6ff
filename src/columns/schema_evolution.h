#pragma once
// What becomes of a stream whose schema is changed while its log goes on: what may follow what.
// Rows of before keep their bytes; whoever reads them under the schema after sees NULL for fields
// that they do not have. So a field may be added anywhere if it is optional, a required one may
// become optional, a field may get a type that has every value of the one before, and fields may
// change places. Nothing else may: some row of before would have no value, or another one, under
// the schema after.

#include <string>
#include <vector>

#include "columns/schema.h"

namespace headrace::columns {

struct WidenedField {
  std::string name;
  Type from;
  Type to;
  bool operator==(const WidenedField&) const = default;
};

struct SchemaEvolution {
  std::vector<std::string> added;    // fields
  std::vector<std::string> relaxed;  // fields that were required
  std::vector<WidenedField> widened;
  bool reordered = false;  // fields of before stand in another order
  // A sentence for each field that can't be changed so: what is wrong, and what to do.
  std::vector<std::string> refused;

  bool possible() const { return refused.empty(); }
  bool changes() const {
    return !added.empty() || !relaxed.empty() || !widened.empty() || reordered;
  }
};

// Fields are told by their names; their ids do not count.
SchemaEvolution EvolutionOf(const Schema& before, const Schema& after);

// Whether every value of `from` is one of `to`, which has more of them: int32 to int64 or float64,
// float32 to float64. (A date far enough away is no timestamp.)
bool IsWidening(Type from, Type to);
// Whether there is a wider one.
bool IsNarrow(Type type);

// `schema`, with the types of fields of `other` that are wider; itself when none is.
SchemaRef AsWideAs(const SchemaRef& schema, const Schema& other);

}  // namespace headrace::columns
