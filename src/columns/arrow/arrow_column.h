#pragma once
// One Arrow array as a column: shared where the layouts agree, else copied. Used by
// arrow_bridge.cc.

#include "base/result.h"
#include "columns/column.h"

namespace arrow {
class Array;
}

namespace headrace::columns {

// `array` as a column of `type`; what is accepted is listed at FromArrow. Errors: kInvalidInput.
base::Result<Column> ColumnFromArrow(const arrow::Array& array, Type type);

}  // namespace headrace::columns
