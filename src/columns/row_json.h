#pragma once
// A row as the JSON object in which a sender would have written it.

#include <memory>
#include <string>
#include <vector>

#include "columns/batch.h"

namespace headrace::columns {

// Names of the string columns whose values are JSON themselves. Null: there are none.
using JsonColumns = std::shared_ptr<const std::vector<std::string>>;

// A flat object, a name for each column. What a column of `json` holds is written as the list or
// object that it is, without blanks between; as text if it is neither.
std::string RowAsJson(const ColumnBatch& rows, size_t row, const JsonColumns& json = nullptr);

}  // namespace headrace::columns
