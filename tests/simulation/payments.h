#pragma once
// The pipeline that is simulated: payments, a view of cards over 1 h and 6 h, a Delta table.

#include <cstdint>
#include <string>
#include <vector>

#include "columns/event_batch.h"
#include "pipeline/definition.h"

namespace headrace::simulation {

inline constexpr int kCards = 7;
inline constexpr int64_t kHourUs = 3'600'000'000;
inline constexpr const char* kData = "data";
inline constexpr const char* kStream = "payments";

enum class ClockKind : uint8_t { kEvents, kWall };

// Under `clock: wall` rows are live, so plans wait for visible times; under `clock: events` they
// are history.
enum class LogKeeps : uint8_t { kAll, kMinutes };
// Variants keep other rows, or other views beside; what the service answers is the same of all.
inline constexpr uint64_t kVariants = 4;
// The contract of after has a field more, before the others, and a payment's amount may be missing.
// Nobody sends it.
enum class ContractOf : uint8_t { kBefore, kAfter };
pipeline::PipelineRef PaymentsPipeline(ClockKind clock, LogKeeps keeps, uint64_t variant = 0,
                                       ContractOf contract = ContractOf::kBefore);

// A payment as the record keeps it.
struct Row {
  int64_t id = 0;
  int64_t card = 0;
  double amount = 0;
  int64_t paid_at_us = 0;
  bool broken = false;  // the contract refuses it
  bool operator==(const Row&) const = default;
};

// Rows as they leave the contract's check, without stream and source.
columns::EventBatch CheckedRows(const pipeline::PipelineDefinition& definition,
                                const std::vector<Row>& rows);
// The same rows as NDJSON.
std::string AsNdjson(const std::vector<Row>& rows);

}  // namespace headrace::simulation
