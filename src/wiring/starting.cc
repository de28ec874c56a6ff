#include "wiring/starting.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "protocols/problem.h"
#include "watch/status_document.h"
#include "wiring/http_routes.h"

namespace headrace::wiring {
namespace {

using protocols::HttpMethod;
using protocols::HttpReply;
using protocols::HttpRequest;
using protocols::HttpResponse;

constexpr int64_t kRetryAfterMaxS = 60;
constexpr double kMegabyte = 1024.0 * 1024.0;

double Megabytes(uint64_t bytes) { return static_cast<double>(bytes) / kMegabyte; }

int64_t SecondsLeft(const log::RecoveryFigures& figures) {
  if (!figures.left) return 1;
  return std::chrono::ceil<std::chrono::seconds>(*figures.left).count();
}

base::Error NotReady(const log::RecoveryFigures& figures) {
  return base::Error(base::ErrorCode::kUnavailable, "starting: " + ProgressText(figures))
      .With("phase", std::string(log::NameOf(figures.phase)))
      .With("seconds_left", std::to_string(SecondsLeft(figures)));
}

HttpResponse NotReadyResponse(const log::RecoveryFigures& figures) {
  HttpResponse response = protocols::ProblemResponse(NotReady(figures), 503);
  for (protocols::HttpField& field : response.fields) {
    if (field.name == "Retry-After")
      field.value = std::to_string(std::clamp<int64_t>(SecondsLeft(figures), 1, kRetryAfterMaxS));
  }
  return response;
}

}  // namespace

std::string ProgressText(const log::RecoveryFigures& figures) {
  std::string text(log::Describe(figures.phase));
  if (figures.bytes_total == 0) return text;
  text += fmt::format(": {:.0f} of {:.0f} MB", Megabytes(figures.bytes_done),
                      Megabytes(figures.bytes_total));
  if (figures.rows > 0) text += fmt::format(", {} rows", figures.rows);
  if (!figures.left) return text;
  // A snapshot's rows are known once it is read.
  text += figures.rows_per_second > 0
              ? fmt::format(" at {:.0f}/s", figures.rows_per_second)
              : fmt::format(" at {:.0f} MB/s", figures.bytes_per_second / kMegabyte);
  text += fmt::format(", about {} s left", SecondsLeft(figures));
  return text;
}

void MountStarting(protocols::HttpRouter& router, const std::string& pipeline,
                   const log::RecoveryProgress& progress) {
  for (const char* health : {"/health", "/feast/health"})
    router.Add(HttpMethod::kGet, health,
               [](const HttpRequest& /*request*/, HttpReply reply) { reply.Send(HttpResponse{}); });
  router.Add(
      HttpMethod::kGet, "/status",
      [pipeline, &progress](const HttpRequest& /*request*/, HttpReply reply) {
        reply.Send(HttpResponse::Json(watch::StartingStatusJson(pipeline, progress.figures())));
      });
  SetRouteNeeds(router);
  router.AddOtherwise([&progress](const HttpRequest& /*request*/, HttpReply reply) {
    reply.Send(NotReadyResponse(progress.figures()));
  });
}

base::Result<void> StartingGate::Ready() const {
  if (ingest::StreamGate* gate = behind()) return gate->Ready();
  return base::Fail(NotReady(progress_.figures()));
}

base::Result<ingest::StreamHandle> StartingGate::Find(std::string_view stream) const {
  HR_TRY_VOID(Ready());
  return behind()->Find(stream);
}

std::vector<ingest::StreamHandle> StartingGate::Streams() const {
  const ingest::StreamGate* gate = behind();
  return gate != nullptr ? gate->Streams() : std::vector<ingest::StreamHandle>();
}

void StartingGate::Submit(columns::EventBatch batch, ingest::OutcomeCallback done) {
  if (ingest::StreamGate* gate = behind()) return gate->Submit(std::move(batch), std::move(done));
  done(base::Fail(NotReady(progress_.figures())));
}

uint64_t StartingGate::LastSequence(base::StreamId stream, const std::string& producer) const {
  const ingest::StreamGate* gate = behind();
  return gate != nullptr ? gate->LastSequence(stream, producer) : 0;
}

std::string StartingGate::LogName() const {
  const ingest::StreamGate* gate = behind();
  return gate != nullptr ? gate->LogName() : std::string();
}

}  // namespace headrace::wiring
