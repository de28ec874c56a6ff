#include "http_ingest.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>

namespace headrace::app {

using base::Error;
using base::ErrorCode;
using base::Fail;
using nlohmann::json;

namespace {

uint64_t NumberAt(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
}

}  // namespace

HttpIngest::HttpIngest(const IngestOptions& options, std::string producer, JsonLines& lines,
                       Progress& progress)
    : options_(options),
      producer_(std::move(producer)),
      lines_(lines),
      progress_(progress),
      calls_(options.http),
      pace_(options.rate, std::chrono::steady_clock::now()),
      backoff_(options.retry_for) {}

base::Result<void> HttpIngest::Run() {
  uint64_t rows_sent = 0;
  for (uint64_t sequence = 1;; ++sequence) {
    HR_TRY(const JsonLinesChunk chunk, lines_.Next());
    if (chunk.rows == 0) return {};
    if (!pace_.unlimited()) std::this_thread::sleep_until(pace_.DueTime(rows_sent));
    rows_sent += chunk.rows;
    HR_TRY_VOID(SendChunk(chunk, sequence));
    progress_.Update(totals_.rows);
  }
}

base::Result<void> HttpIngest::SendChunk(const JsonLinesChunk& chunk, uint64_t sequence) {
  for (bool sent_before = false;; sent_before = true) {
    const auto outcome = calls_.PostEvents(options_.stream, chunk.text, producer_, sequence);
    if (outcome) {
      backoff_.Progressed();
      return Count(*outcome, chunk, sequence, sent_before);
    }
    if (!MayRepeat(outcome.error().code())) return Fail(outcome.error());
    const auto wait = backoff_.Failed(std::chrono::steady_clock::now());
    if (wait.count() == 0) {
      return Fail(
          Error(outcome.error())
              .With("gave_up_after_s", fmt::format("{}", options_.retry_for.count() / 1'000'000)));
    }
    ++totals_.reconnects;
    if (!sent_before) progress_.Say(fmt::format("{}, trying again", outcome.error().message()));
    std::this_thread::sleep_for(wait);
  }
}

base::Result<void> HttpIngest::Count(const std::string& outcome, const JsonLinesChunk& chunk,
                                     uint64_t sequence, bool sent_before) {
  const json answer = json::parse(outcome, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object() || !answer.contains("accepted"))
    return Fail(ErrorCode::kInternal,
                "the server's answer is no outcome: " + outcome.substr(0, 200));
  totals_.rows += chunk.rows;
  totals_.epoch = std::max(totals_.epoch, NumberAt(answer, "epoch"));
  if (answer.value("repeated", false) && !sent_before) {
    totals_.repeated += chunk.rows;
    return {};
  }
  totals_.accepted += NumberAt(answer, "accepted");
  totals_.refused += NumberAt(answer, "refused_rows");
  const auto refused = answer.find("refused");
  if (totals_.first_refusal.empty() && refused != answer.end() && refused->is_array() &&
      !refused->empty()) {
    const json& first = refused->front();
    const std::string field = first.value("field", "");  // empty: it is about the whole row
    totals_.first_refusal =
        fmt::format("batch {}, row {}{}{}: {}", sequence, NumberAt(first, "row"),
                    field.empty() ? "" : ", ", field, first.value("reason", ""));
  }
  return {};
}

}  // namespace headrace::app
