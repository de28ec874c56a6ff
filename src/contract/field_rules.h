#pragma once
// What the contract wants of one field's values, and the check of a whole column against it.

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "columns/column.h"
#include "contract/value_set.h"

namespace re2 {
class RE2;
}

namespace headrace::contract {

// Why a value is refused. `rule` is stable (columns::RejectedRow::rule).
struct RuleFailure {
  std::string_view rule;
  std::string reason;  // "distance is -5; the contract wants at least 1"
};

// Bounds of an integer, date or timestamp: inclusive, so that an exclusive one is the next value.
struct IntegerBounds {
  int64_t minimum = std::numeric_limits<int64_t>::min();
  int64_t maximum = std::numeric_limits<int64_t>::max();
  int64_t multiple_of = 1;
  bool any() const {
    return minimum != std::numeric_limits<int64_t>::min() ||
           maximum != std::numeric_limits<int64_t>::max() || multiple_of != 1;
  }
};

struct FloatBounds {
  double minimum = -std::numeric_limits<double>::infinity();
  double maximum = std::numeric_limits<double>::infinity();
  bool minimum_excluded = false;
  bool maximum_excluded = false;
  bool any() const {
    return minimum != -std::numeric_limits<double>::infinity() ||
           maximum != std::numeric_limits<double>::infinity();
  }
};

// Code points of a string, bytes of bytes.
struct LengthBounds {
  size_t minimum = 0;
  size_t maximum = std::numeric_limits<size_t>::max();
  bool any() const { return minimum != 0 || maximum != std::numeric_limits<size_t>::max(); }
};

// A value; any thread may check with it. A null passes everything but `required`.
struct FieldRules {
  std::string name;
  columns::Type type = columns::Type::kInt64;
  bool required = false;
  bool restricted = false;  // its values are not shown in reasons
  IntegerBounds integers;
  FloatBounds floats;
  LengthBounds length;
  std::vector<std::shared_ptr<const re2::RE2>> patterns;  // the whole text must match each
  ValueSet texts;                // enumeration of a field of text or bytes; empty: there is none
  std::vector<int64_t> numbers;  // enumeration of an integer field, ascending; empty: none

  // True when every value passes: the usual case, in one tight loop. `column` has this field's
  // type.
  bool AllPass(const columns::Column& column) const;
  // One row.
  bool Passes(const columns::Column& column, size_t row) const;
  // Why row `row`, which does not pass, does not.
  RuleFailure Explain(const columns::Column& column, size_t row) const;

  // A single value against bounds, length, pattern and enumeration; used by Passes and when rules
  // are checked for sense.
  bool TextPasses(std::string_view text) const;
  bool IntegerPasses(int64_t value) const;
  bool FloatPasses(double value) const;

 private:
  const re2::RE2* PatternBrokenBy(std::string_view text) const;  // the first; null: none
  RuleFailure ExplainText(std::string_view text, const std::string& shown) const;
  RuleFailure ExplainInteger(int64_t value, const std::string& shown) const;
  RuleFailure ExplainFloat(double value, const std::string& shown) const;
};

// Code points of valid UTF-8.
size_t LengthInCodePoints(std::string_view text);

}  // namespace headrace::contract
