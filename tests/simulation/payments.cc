#include "simulation/payments.h"

#include <array>

#include <fmt/format.h>

#include "base/time.h"
#include "columns/batch_builder.h"
#include "pipeline/pipeline_file.h"

namespace headrace::simulation {
namespace {

constexpr std::string_view kPipeline = R"(headrace: 1
pipeline: simulated
promise: {{budget: {{p99: 200ms}}}}
recovery: 1ms
{}{}streams:
  payments:
    contract: payments.yaml
    source: {{http: push}}
    time: {{event: paid_at, late: 1h}}
views:
  card:
    from: payments
    by: card
{}
    features: {{n: count(*), spend: sum(amount), most: max(amount)}}
services:
  scoring: {{features: [card.n_1h, card.n_6h, card.spend_1h, card.spend_6h, card.most_1h, card.most_6h]}}
tables: {{payments: {{commit: 1s, optimize: {{every: 10s{}}}}}}}
)";

constexpr std::string_view kContractAfter = R"(apiVersion: v3.1.0
kind: DataContract
id: payments
version: 1.1.0
status: active
schema:
  - name: payments
    logicalType: object
    properties:
      - {name: channel, logicalType: string}
      - {name: id, logicalType: integer, required: true}
      - {name: card, logicalType: integer, required: true}
      - {name: paid_at, logicalType: timestamp, required: true}
      - {name: amount, logicalType: number, logicalTypeOptions: {minimum: 0}}
)";

constexpr std::string_view kContract = R"(apiVersion: v3.1.0
kind: DataContract
id: payments
version: 1.0.0
status: active
schema:
  - name: payments
    logicalType: object
    properties:
      - {name: id, logicalType: integer, required: true}
      - {name: card, logicalType: integer, required: true}
      - {name: amount, logicalType: number, required: true, logicalTypeOptions: {minimum: 0}}
      - {name: paid_at, logicalType: timestamp, required: true}
)";

}  // namespace

pipeline::PipelineRef PaymentsPipeline(ClockKind clock, LogKeeps keeps, uint64_t variant,
                                       ContractOf contract) {
  constexpr std::array<std::string_view, kVariants> kWindows = {
      "    over: [1h, 6h]", "    over: [1h, 6h, 12h]", "    over: [1h, 6h]\n    history: 20m",
      "    over: [1h, 6h]\n    where: amount >= 0"};
  const std::string text = fmt::format(
      kPipeline, clock == ClockKind::kEvents ? "clock: events\n" : "",
      keeps == LogKeeps::kMinutes ? "log: {keep: 1m}\n" : "", kWindows[variant % kVariants],
      clock == ClockKind::kEvents ? ", z_order: [card, paid_at], target: 64KiB" : "");
  const auto checked = pipeline::CheckPipeline("pipeline.yaml", text, [&](const std::string&) {
    return base::Result<std::string>(
        std::string(contract == ContractOf::kBefore ? kContract : kContractAfter));
  });
  for (const contract::Diagnostic& diagnostic : checked.diagnostics)
    HR_CHECK(diagnostic.severity == contract::Severity::kWarning, diagnostic.message);
  return checked.definition;
}

columns::EventBatch CheckedRows(const pipeline::PipelineDefinition& definition,
                                const std::vector<Row>& rows) {
  columns::BatchBuilder builder(definition.streams[0].schema());
  for (const Row& row : rows) {
    builder.column(0).AppendInt(row.id);
    builder.column(1).AppendInt(row.card);
    builder.column(2).AppendDouble(row.amount);
    builder.column(3).AppendInt(row.paid_at_us);
  }
  return definition.streams[0].contract->Enforce(builder.Finish());
}

std::string AsNdjson(const std::vector<Row>& rows) {
  std::string text;
  for (const Row& row : rows)
    text += fmt::format(R"({{"id":{},"card":{},"amount":{},"paid_at":"{}"}})"
                        "\n",
                        row.id, row.card, row.amount, base::FormatTimestamp({row.paid_at_us}));
  return text;
}

}  // namespace headrace::simulation
