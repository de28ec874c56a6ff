#include "ingest/http/events_endpoint.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "columns/batch.h"
#include "ingest/http/body_rows.h"
#include "ingest/http/json_batch.h"
#include "ingest/outcome_json.h"
#include "ingest/reserved_producers.h"

namespace headrace::ingest {
namespace {

using base::ErrorCode;
using base::Fail;

constexpr size_t kNameBytesMax = 256;  // of a producer or an idempotency key

base::Result<uint64_t> ParseSequence(std::string_view text) {
  uint64_t sequence = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), sequence);
  if (error != std::errc() || end != text.data() + text.size() || sequence == 0) {
    return Fail(
        ErrorCode::kInvalidInput,
        fmt::format("Headrace-Sequence `{}` is no sequence number: count 1, 2, 3 ...", text));
  }
  return sequence;
}

base::Result<columns::BatchSource> ReadSource(EventsRequest& request) {
  columns::BatchSource source;
  if (request.idempotency_key) {
    if (request.producer || request.sequence)
      return Fail(
          ErrorCode::kInvalidInput,
          "send either Idempotency-Key or Headrace-Producer and Headrace-Sequence, not both");
    HR_TRY_VOID(CheckSourceName("Idempotency-Key", *request.idempotency_key));
    source.idempotency_key = std::move(request.idempotency_key);
    return source;
  }
  if (request.producer.has_value() != request.sequence.has_value())
    return Fail(ErrorCode::kInvalidInput,
                "Headrace-Producer and Headrace-Sequence belong together: send both or neither");
  if (request.producer) {
    HR_TRY_VOID(CheckSourceName("Headrace-Producer", *request.producer));
    HR_TRY_VOID(CheckNotReserved("Headrace-Producer", *request.producer));
    HR_TRY(source.sequence, ParseSequence(*request.sequence));
    source.producer = std::move(*request.producer);
  }
  return source;
}

// Media types that say "a value a line"; none is registered, all are in use.
constexpr std::array<std::string_view, 5> kLinesOfJson = {
    "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines",
    "application/jsonlines"};

// The media type in lower case, without parameters.
std::string MediaOf(std::string_view content_type) {
  std::string media(content_type.substr(0, content_type.find(';')));
  media.erase(media.find_last_not_of(" \t") + 1);
  std::ranges::transform(media, media.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return media;
}

BodyForm FormOf(std::string_view content_type) {
  const std::string media = MediaOf(content_type);
  if (media == "application/json") return BodyForm::kOneValue;
  return std::ranges::find(kLinesOfJson, media) != kLinesOfJson.end() ? BodyForm::kLines
                                                                      : BodyForm::kDetect;
}

EventsReply ReplyOf(const IngestOutcome& outcome, size_t refused_listed_max) {
  EventsReply reply;
  reply.status = outcome.all_refused() ? 422 : 200;
  reply.body = "{";
  AppendOutcomeMembers(reply.body, outcome, refused_listed_max);
  reply.body += "}\n";
  return reply;
}

}  // namespace

base::Result<void> CheckSourceName(std::string_view header, std::string_view name) {
  if (!name.empty() && name.size() <= kNameBytesMax) return {};
  return Fail(ErrorCode::kInvalidInput,
              fmt::format("{} has {} bytes: give it 1 to {}", header, name.size(), kNameBytesMax));
}

base::Result<columns::EventBatch> ReadEvents(EventsRequest& request, const StreamGate& gate,
                                             const EventsLimits& limits,
                                             const ChargeColumns& charge_columns) {
  HR_TRY(const StreamHandle stream, gate.Find(request.stream));
  HR_TRY(columns::BatchSource source, ReadSource(request));
  if (const size_t bytes = BytesOf(request); bytes > limits.body_bytes_max) {
    return Fail(ErrorCode::kInvalidInput,
                fmt::format("the request has {} bytes, more than {}: split it into several", bytes,
                            limits.body_bytes_max));
  }
  std::vector<std::string_view> split;
  std::span<const std::string_view> rows = request.rows;
  if (rows.empty()) {
    HR_TRY(split, SplitBody(request.body, FormOf(request.content_type), limits.rows_max));
    rows = split;
  }
  if (rows.empty() && !request.body.contains('['))
    return Fail(ErrorCode::kInvalidInput,
                "the request has no rows: send one JSON object a line, or a JSON array of them; [] "
                "says that the source is alive and has nothing");
  if (charge_columns)
    HR_TRY_VOID(charge_columns(columns::BytesOfNulls(*stream.contract->schema(), rows.size())));
  // Readable, whatever it holds; of rows of their own nothing behind the last is known to be.
  const char* end = request.rows.empty() ? request.body.data() + request.body.capacity() : nullptr;
  columns::EventBatch batch =
      ReadJsonBatch({.rows = rows, .readable_end = end}, *stream.contract, limits.row_bytes_max);
  batch.stream = stream.id;
  batch.source = std::move(source);
  batch.atomicity = request.atomicity;
  return batch;
}

size_t BytesOf(const EventsRequest& request) {
  size_t bytes = request.body.size();
  for (const std::string_view row : request.rows) bytes += row.size();
  return bytes;
}

void SubmitEvents(EventsRequest request, StreamGate& gate, base::MemoryBudget& budget,
                  const EventsLimits& limits, OutcomeCallback done) {
  // The typed columns, until they are durable: about the size of the text, and as much again while
  // they grow. The text is charged by whoever received it.
  auto charge = budget.TryCharge(base::MemoryAccount::kIngest, 2 * BytesOf(request));
  if (!charge) return done(Fail(std::move(charge).error()));
  base::MemoryCharge beyond_text;
  auto batch = ReadEvents(request, gate, limits, [&](uint64_t bytes) -> base::Result<void> {
    if (bytes <= charge->bytes()) return {};
    HR_TRY(beyond_text, budget.TryCharge(base::MemoryAccount::kIngest, bytes - charge->bytes()));
    return {};
  });
  if (!batch) return done(Fail(std::move(batch).error()));
  gate.Submit(std::move(*batch),
              [done = std::move(done), charge = std::move(*charge),
               beyond_text = std::move(beyond_text)](base::Result<IngestOutcome> outcome) mutable {
                charge.Release();
                beyond_text.Release();
                done(std::move(outcome));
              });
}

void HandleEvents(EventsRequest request, StreamGate& gate, base::MemoryBudget& budget,
                  const EventsLimits& limits, EventsCallback done) {
  SubmitEvents(std::move(request), gate, budget, limits,
               [done = std::move(done),
                listed = limits.refused_listed_max](base::Result<IngestOutcome> outcome) mutable {
                 if (!outcome) return done(Fail(std::move(outcome).error()));
                 done(ReplyOf(*outcome, listed));
               });
}

}  // namespace headrace::ingest
