#pragma once
// How the rows of a derived stream are made of another stream's, row by row: columns of a dimension
// joined in, computed columns, a condition, the columns that stay. But for the join a pure function
// of a row; with it, one of the log up to the row's epoch: so online state, tables and training
// sets have the same rows and bits. docs/concepts/streams.md is for people.

#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.h"
#include "columns/batch.h"
#include "columns/schema.h"
#include "pipeline/expressions/expression.h"

namespace headrace::pipeline {

enum class JoinKind : uint8_t {
  kInner,  // rows without a partner are left out
  kLeft,   // they stay, with NULL for the partner's columns
};

// Joins in the version of a dimension's row that was valid at the event's time (as_of_table.h).
struct AsOfJoin {
  size_t stream = 0;  // the dimension, a stream like any other; its number is less than our own
  JoinKind kind = JoinKind::kLeft;
  std::vector<size_t> key;            // of the source
  std::vector<size_t> dimension_key;  // of the dimension, in the same order
  std::vector<size_t> fields;         // of the dimension: all, as `dimension.field`
};

// Joins the rows of another stream whose event time is within [t + from, t + to] of an event's time
// t (interval_table.h).
struct IntervalJoin {
  size_t stream = 0;  // the other; its number is less than our own
  JoinKind kind = JoinKind::kLeft;
  std::vector<size_t> key;        // of the source
  std::vector<size_t> other_key;  // of the other, in the same order
  base::Duration from{0};
  base::Duration to{0};
};

// Makes a row of each element of a list, which is a JSON array in a text column (unnest.h).
struct Unnest {
  size_t list = 0;              // of the input, where the element takes its place
  uint32_t elements_max = 100;  // of a list; those behind are left out, and counted
  // A row without elements stays, with NULL for element and ordinal.
  bool keeps_empty = false;
  // What an element is: its JSON; or a text without quotes, other values as JSON.
  enum class Element : uint8_t { kJson, kText } element = Element::kJson;
};

// Leaves out rows that repeat an earlier one of their key (first_rows.h).
struct Dedupe {
  std::vector<size_t> by;    // of the derived stream's columns
  base::Duration within{0};  // of event time, before and after
};

// Immutable once shared; any thread may derive with it.
struct Derivation {
  size_t source = 0;  // index into PipelineDefinition::streams, less than the derived stream's own
  std::optional<AsOfJoin> as_of;
  std::optional<IntervalJoin> interval;
  columns::SchemaRef input;  // the columns of the source, then those joined in, as `other.field`;
                             // last, of an interval join, the time of the pair
  size_t event_time = 0;     // of `input`
  std::optional<Unnest> unnest;
  columns::SchemaRef unnested;      // `input`; or with the element for the list, and the ordinal
  std::vector<Expression> columns;  // computed ones, over `unnested`
  columns::SchemaRef wide;          // those of `unnested`, then the computed ones
  std::optional<Expression> where;  // over `wide`
  std::vector<size_t> kept;         // of `wide`: the columns that stay, in their order
  columns::SchemaRef schema;        // of the derived stream
  std::optional<Dedupe> dedupe;     // comes last
};

struct UnnestCounts {
  uint64_t elements = 0;  // that became rows
  uint64_t empty = 0;     // lists without elements
  uint64_t null_lists = 0;
  uint64_t not_lists = 0;  // something else, or malformed
  uint64_t left_out = 0;   // elements beyond a limit
  bool operator==(const UnnestCounts&) const = default;
};

// What became of the rows so far; a function of the log.
struct DerivationCounts {
  uint64_t rows_in = 0;
  uint64_t rows_out = 0;
  uint64_t where_false = 0;  // left out: the condition was false
  uint64_t where_null = 0;   // left out: the condition was NULL
  // Rows in which an expression failed and gave NULL: of `columns`, then of `where`.
  std::vector<uint64_t> failed;
  UnnestCounts unnest;
  bool operator==(const DerivationCounts&) const = default;
};
DerivationCounts CountsOf(const Derivation& derivation);  // none so far

struct AsOfCounts {
  uint64_t matched = 0;
  uint64_t unmatched = 0;          // no version of the key was valid, or known
  uint64_t null_keys = 0;          // a NULL in the key matches nothing
  uint64_t version_null_keys = 0;  // of the dimension's rows, which are no versions then
  uint64_t without_texts = 0;      // of `matched`: NULL for them, as the epoch had no room
  bool operator==(const AsOfCounts&) const = default;
};

struct IntervalCounts {
  uint64_t pairs = 0;
  uint64_t alone = 0;  // events that had no partner when none could come any more
  // Events that went before that, and what was not made: too many, or no room for their texts.
  uint64_t given_up = 0;
  uint64_t null_keys = 0;
  uint64_t other_null_keys = 0;
  bool operator==(const IntervalCounts&) const = default;
};

struct DedupeCounts {
  uint64_t repeats = 0;
  uint64_t null_keys = 0;  // kept: a NULL repeats nothing
  uint64_t forgotten = 0;  // kept rows that went early, as there were too many
  bool operator==(const DedupeCounts&) const = default;
};

// What lists became, before a condition left rows out.
struct UnnestedSize {
  uint64_t rows = 0;
  uint64_t text = 0;  // bytes
  bool full = false;  // elements were left out as there was no room for more rows, or text
};

struct DerivedRows {
  columns::ColumnBatch rows;   // of the derivation's schema
  std::vector<uint32_t> from;  // the input row that each is made of, ascending; not once each
                               // when lists are unnested
  UnnestedSize unnested = {};
};

// `input` has the derivation's input schema, and is all that an epoch has if lists are unnested:
// one limit is the epoch's. A condition that reads no computed column is looked at
// first: nothing is computed, and nothing can fail, for the rows that it leaves out.
DerivedRows Derive(const Derivation& derivation, const columns::ColumnBatch& input,
                   DerivationCounts& counts);

// Of `wide`, and of `input`, whose columns it begins with: whether a column is kept, anything is
// computed with it, or its lists are unnested.
std::vector<bool> WantedColumns(const Derivation& derivation);

// The columns of text among those of `input`.
std::vector<size_t> WantedTexts(const Derivation& derivation);

// The columns of `input` that are needed for the columns `fields` of the derived stream.
std::vector<size_t> InputFieldsOf(const Derivation& derivation, const std::vector<size_t>& fields);

}  // namespace headrace::pipeline
