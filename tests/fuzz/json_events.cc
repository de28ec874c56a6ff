// A body of events: every row is accepted or refused, and an accepted one is accepted again in our
// own words.

#include "contract/contract.h"
#include "fuzz/target.h"
#include "ingest/http/body_rows.h"
#include "ingest/http/json_batch.h"

namespace headrace::fuzz {
namespace {

constexpr size_t kRowsMax = 200;
constexpr size_t kRowBytesMax = 2000;
constexpr size_t kReadableBehind = 64;

constexpr std::string_view kContract = R"yaml(apiVersion: v3.1.0
kind: DataContract
id: things
version: 1.0.0
status: active
schema:
  - name: things
    logicalType: object
    properties:
      - {name: text, logicalType: string, required: true, logicalTypeOptions: {maxLength: 20}}
      - {name: at, logicalType: timestamp}
      - {name: day, logicalType: date}
      - {name: whole, logicalType: integer, physicalType: int64}
      - {name: small, logicalType: integer, physicalType: int32}
      - {name: number, logicalType: number}
      - {name: single, logicalType: number, physicalType: float32}
      - {name: yes, logicalType: boolean}
      - {name: secret, logicalType: string, classification: restricted}
      - name: inside
        logicalType: object
        properties:
          - {name: a, logicalType: integer}
          - {name: b, logicalType: string, required: true}
)yaml";

const contract::Contract& TheContract() {
  static const contract::ContractRef contract = [] {
    auto parsed = contract::Contract::Parse("things.yaml", kContract, "");
    Promise(parsed.contract != nullptr, "the contract is right");
    return parsed.contract;
  }();
  return *contract;
}

columns::EventBatch Read(const std::string& body, std::span<const std::string_view> rows) {
  return ingest::ReadJsonBatch({.rows = rows, .readable_end = body.data() + body.capacity()},
                               TheContract(), kRowBytesMax);
}

void OneForm(std::string body, ingest::BodyForm form) {
  body.reserve(body.size() + kReadableBehind);
  const auto rows = ingest::SplitBody(body, form, kRowsMax);
  if (!rows) return;
  const columns::EventBatch batch = Read(body, *rows);
  Promise(batch.rows.rows() + batch.rejected.size() == rows->size(),
          "every row is accepted or refused");
  for (const columns::RejectedRow& refused : batch.rejected) {
    Promise(refused.row < rows->size() && !refused.reason.empty(), "a refusal has its reason");
    (void)TheContract().MaskPayload(refused.payload);
  }
}

}  // namespace
}  // namespace headrace::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace headrace;
  const std::string body(reinterpret_cast<const char*>(data), size);
  fuzz::OneForm(body, ingest::BodyForm::kDetect);
  fuzz::OneForm(body, ingest::BodyForm::kOneValue);
  return 0;
}
