#include "wiring/feast_writes.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "columns/batch.h"
#include "ingest/http/events_endpoint.h"
#include "ingest/http/json_batch.h"
#include "protocols/problem.h"
#include "serving/http/feast_frame.h"
#include "serving/http/feast_response.h"

namespace headrace::wiring {
namespace {

using protocols::HttpReply;
using protocols::HttpRequest;
using protocols::HttpResponse;
using serving::FrameVerb;
using serving::StatusMode;

// A frame of at most these bytes is typed at once (EventsIntake says why).
constexpr size_t kTypedAtOnceBytes = 2048;

// Of each byte of a body, while it is read: a document of some 14 times its bytes, and texts of 32
// for each value, which may be two of them.
constexpr uint64_t kReadingBytes = 32;

base::Result<columns::EventBatch> ReadBatch(const serving::FrameRows& rows,
                                            const ingest::StreamHandle& stream,
                                            const HttpRequest& request) {
  const std::vector<std::string_view> views = rows.Views();
  const char* end = rows.text.data() + rows.text.capacity();
  columns::EventBatch batch = ingest::ReadJsonBatch(
      {.rows = views, .readable_end = end}, *stream.contract, ingest::EventsLimits{}.row_bytes_max);
  batch.stream = stream.id;
  batch.atomicity = columns::Atomicity::kAllOrNone;
  if (const auto key = request.Field(ingest::kIdempotencyHeader)) {
    HR_TRY_VOID(ingest::CheckSourceName("Idempotency-Key", *key));
    batch.source.idempotency_key = std::string(*key);
  }
  return batch;
}

class FeastWrites {
 public:
  explicit FeastWrites(FeastWriteSources sources) : sources_(std::move(sources)) {}

  // Frames reach the gate in the order of the calls of one thread.
  void Take(FrameVerb verb, StatusMode mode, HttpRequest request, HttpReply reply) {
    if (request.body.size() <= kTypedAtOnceBytes && waiting_->load(std::memory_order_acquire) == 0)
      return Write(sources_, verb, mode, std::move(request), std::move(reply));
    waiting_->fetch_add(1, std::memory_order_relaxed);
    sources_.events->Post([sources = sources_, waiting = waiting_, verb, mode,
                           request = std::move(request), reply = std::move(reply)]() mutable {
      Write(sources, verb, mode, std::move(request), std::move(reply));
      waiting->fetch_sub(1, std::memory_order_release);
    });
  }

 private:
  static void Write(const FeastWriteSources& sources, FrameVerb verb, StatusMode mode,
                    HttpRequest request, HttpReply reply) {
    if (kReadingBytes * request.body.size() > sources.budget->limit_bytes() / 2)
      return reply.Send(protocols::ProblemResponse(
          {base::ErrorCode::kInvalidInput,
           "reading this frame takes half of `memory` or more: send several frames"}));
    const auto charged = [&](uint64_t bytes) {
      return sources.budget->TryCharge(base::MemoryAccount::kIngest, bytes);
    };
    auto charge = charged(kReadingBytes * request.body.size());
    if (!charge) return reply.Send(protocols::ProblemResponse(charge.error()));
    const auto frame = serving::ParseFeastFrame(request, verb);
    if (!frame) return reply.Send(serving::RequestProblemResponse(frame.error(), mode));
    charge->Release();
    // The columns as texts, then as rows, then typed.
    charge = charged(frame->held_bytes() + 2 * frame->row_bytes());
    if (!charge) return reply.Send(protocols::ProblemResponse(charge.error()));
    base::MemoryCharge beside;
    auto batch = BatchOf(sources, *frame, request, beside);
    if (!batch) return reply.Send(serving::WriteErrorResponse(batch.error(), mode));
    if (frame->rows() == 0) return reply.Send(serving::WrittenResponse(verb, std::nullopt));
    sources.gate->Submit(std::move(*batch),
                         [verb, mode, reply = std::move(reply), charge = std::move(*charge),
                          beside = std::move(beside), body = std::move(request.charge)](
                             base::Result<ingest::IngestOutcome> outcome) mutable {
                           charge.Release();
                           beside.Release();
                           reply.Send(AnswerOf(verb, mode, outcome));
                         });
  }
  static base::Result<columns::EventBatch> BatchOf(const FeastWriteSources& sources,
                                                   const serving::FeastFrame& frame,
                                                   const HttpRequest& request,
                                                   base::MemoryCharge& beside) {
    HR_TRY(const serving::FrameRows rows, serving::RowsOf(frame, *sources.definition()));
    HR_TRY(const ingest::StreamHandle stream, sources.gate->Find(rows.stream));
    // Beside what was charged for the rows that it has: it may leave most columns out.
    const uint64_t columns = columns::BytesOfNulls(*stream.contract->schema(), frame.rows());
    if (columns > frame.row_bytes()) {
      HR_TRY(beside, sources.budget->TryCharge(base::MemoryAccount::kIngest, columns));
    }
    return ReadBatch(rows, stream, request);
  }
  static HttpResponse AnswerOf(FrameVerb verb, StatusMode mode,
                               const base::Result<ingest::IngestOutcome>& outcome) {
    if (!outcome) return serving::WriteErrorResponse(outcome.error(), mode);
    if (outcome->refused_rows > 0)
      return serving::RefusedRowsResponse(outcome->refused_rows, outcome->refused, mode);
    return serving::WrittenResponse(verb, outcome->epoch);
  }

  FeastWriteSources sources_;
  // Posted and not yet at the gate. Shared with the tasks, which may outlive this.
  std::shared_ptr<std::atomic<size_t>> waiting_ = std::make_shared<std::atomic<size_t>>(0);
};

}  // namespace

void MountFeastWrites(protocols::HttpRouter& router, FeastWriteSources sources) {
  const auto writes = std::make_shared<FeastWrites>(std::move(sources));
  for (const StatusMode mode : {StatusMode::kStrict, StatusMode::kFeast})
    for (const FrameVerb verb : {FrameVerb::kPush, FrameVerb::kWrite}) {
      const std::string path =
          fmt::format("{}{}", serving::PrefixOf(mode),
                      verb == FrameVerb::kPush ? "/push" : "/write-to-online-store");
      router.Add(protocols::HttpMethod::kPost, path,
                 [writes, verb, mode](HttpRequest request, HttpReply reply) {
                   writes->Take(verb, mode, std::move(request), std::move(reply));
                 });
      router.LimitBody(protocols::HttpMethod::kPost, path, ingest::EventsLimits{}.body_bytes_max);
    }
}

}  // namespace headrace::wiring
