#pragma once
// Values as they come in a request, made values of the columns they are for.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "columns/value.h"
#include "pipeline/views/answer.h"
#include "serving/answer.h"

namespace headrace::serving {

// The same value as `wanted`, when nothing is lost: 5 and 5.0 are one number, "2001-01-01" is a
// date, "120" is 120, a date as a timestamp is its midnight. Dates and timestamps are no numbers.
// A text stands for bytes as base64, as in JSON; bytes for another type are its text.
// Null stays null. Errors: kInvalidInput that says what is wanted.
base::Result<columns::Value> ConvertInput(const columns::Value& given, columns::Type wanted);

// The column of that name; null when there is none. Errors: kInvalidInput (field=) for two of them.
base::Result<const InputColumn*> InputNamed(const std::vector<InputColumn>& given,
                                            const std::string& name);

// Bytes of a value, and of what it has on the heap.
uint64_t HeldBytes(const columns::Value& value);
uint64_t HeldBytes(const pipeline::ViewAnswer& answer);
// Of what a query names and brings.
uint64_t HeldBytes(const std::string& service, std::span<const std::string> features,
                   const std::vector<InputColumn>& inputs);

}  // namespace headrace::serving
