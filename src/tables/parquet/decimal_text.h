#pragma once
// Decimals as the text of their digits, exact: "-1.50" for decimal(10,2). The type table has no
// decimal, so that is how a table of somebody else's hands them out.

#include <string>
#include <string_view>

#include "base/result.h"
#include "columns/batch.h"

namespace arrow {
class Array;
}

namespace headrace::tables {

// An integer's digits with the point set before the last `scale` of them: ("-15", 2) is "-0.15".
std::string SetPoint(std::string_view integer, int scale);

// The text of a decimal, which may have an exponent, with exactly `scale` digits after the point.
// Errors: kInvalidInput for what is no number, or has more of them than that.
base::Result<std::string> DecimalOf(std::string_view text, int scale);

// An array of decimals, or of integers, as the texts of a decimal of that scale. Errors:
// kInvalidInput for an array of another type, or of a larger scale.
base::Result<columns::Column> DecimalTexts(const arrow::Array& array, int scale);

}  // namespace headrace::tables
