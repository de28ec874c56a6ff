#pragma once
// Names of producers that nobody who sends events may use.

#include <string_view>

#include "base/result.h"
#include "columns/source_producers.h"

namespace headrace::ingest {

// Those of streams that are fed by Delta tables.
inline constexpr std::string_view kReservedProducers = columns::kSourceProducers;

// Errors: kInvalidInput for a producer's name that is reserved; `field` is where it stood.
base::Result<void> CheckNotReserved(std::string_view field, std::string_view producer);

}  // namespace headrace::ingest
