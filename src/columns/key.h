#pragma once
// A key is the canonical ordered bytes of a typed tuple: equal tuples have equal bytes, and bytes
// order as the tuples do.
//
// Per value: a tag (0 null, 1 present), then
//   bool         one byte 0 or 1
//   integers     8 bytes big-endian with the sign bit flipped (int32, date and timestamps widen to
//   64 bits) floats       widened to double, -0.0 made 0.0, NaN made one NaN; big-endian with the
//   sign folded so that bytes order text, bytes  each 0x00 written as 0x00 0xFF, closed by 0x00
//   0x00

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "columns/batch.h"

namespace headrace::columns {

// The bytes of a key; a plain string so that it can be hashed and compared.
using KeyBytes = std::string;

// Appends one value.
void AppendKeyValue(KeyBytes& out, const Value& value);
// Appends row `row` of `column`.
void AppendKeyColumn(KeyBytes& out, const Column& column, size_t row);
// The key of `row` over the given columns of a batch, replacing `out`.
void KeyOfRow(const ColumnBatch& batch, std::span<const size_t> columns, size_t row, KeyBytes& out);
// The tuple back. Errors: kCorruption.
base::Result<std::vector<Value>> DecodeKey(std::span<const Type> types, std::string_view key);

}  // namespace headrace::columns
