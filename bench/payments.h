#pragma once
// The stream of benches that measure views without an engine: payments of cards.

#include <string>
#include <string_view>

#include "base/result.h"
#include "pipeline/pipeline_file.h"

namespace headrace::bench {

// Fields: card (integer), paid_at, amount, then those of `more_fields`, lines of the contract.
inline constexpr std::string_view kPaymentsContract = R"(apiVersion: v3.1.0
kind: DataContract
id: payments
version: 1.0.0
status: active
schema:
  - name: payments
    logicalType: object
    properties:
      - {name: card, logicalType: integer, required: true}
      - {name: paid_at, logicalType: timestamp, required: true}
      - {name: amount, logicalType: number, required: true}
)";

inline pipeline::PipelineRef PaymentsPipeline(const std::string& pipeline_file,
                                              std::string_view more_fields = {}) {
  const auto checked =
      pipeline::CheckPipeline("pipeline.yaml", pipeline_file, [&](const std::string&) {
        return base::Result<std::string>(std::string(kPaymentsContract) + std::string(more_fields));
      });
  HR_CHECK(checked.definition != nullptr, "the windows are broken, or the benchmark's pipeline is");
  return checked.definition;
}

}  // namespace headrace::bench
