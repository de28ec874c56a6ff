#include "ingest/reserved_producers.h"

#include <fmt/format.h>

namespace headrace::ingest {

base::Result<void> CheckNotReserved(std::string_view field, std::string_view producer) {
  if (!producer.starts_with(kReservedProducers)) return {};
  return base::Fail(base::ErrorCode::kInvalidInput,
                    fmt::format("{} `{}`: names that begin with `{}` are those of tables that are "
                                "read as sources; choose another",
                                field, producer, kReservedProducers));
}

}  // namespace headrace::ingest
