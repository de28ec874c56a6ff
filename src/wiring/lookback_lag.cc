// Lookback: how far behind its sources an earlier epoch was, from the log.
// 1. The epochs up to it are read backwards, in pieces that grow: of a live source the newest one
//    is near.
// 2. It ends when every source was found, or when no older epoch could change the verdict.

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "log/reader.h"
#include "log/sign_of_life.h"
#include "wiring/lookback.h"

namespace headrace::wiring {

using base::Error;
using base::ErrorCode;
using base::Fail;
using base::Result;

namespace {

constexpr uint64_t kFirstPieceEpochs = 64;
constexpr uint64_t kPieceEpochsMax = 16'384;

}  // namespace

Result<base::Duration> Lookback::LagAt(const pipeline::PipelineDefinition& definition,
                                       std::span<const size_t> streams, const LagQuestion& asked,
                                       env::MonotonicTime deadline) const {
  std::map<std::string, base::StreamId> missing;
  for (const size_t stream : streams)
    for (const size_t source : definition.SourcesOf(stream)) {
      const std::string& name = definition.streams[source].name;
      HR_TRY(missing[name], sources_.stream_id(name));
    }
  HR_TRY(const auto reader, log::LogReader::Open(environment_, sources_.log_folder));
  base::Timestamp behind = asked.as_of;  // the source that is furthest behind
  base::Timestamp oldest = asked.as_of;  // looked at
  base::EpochId last = asked.epoch;
  for (uint64_t piece = kFirstPieceEpochs; !missing.empty() && last.value > 0;
       piece = std::min(4 * piece, kPieceEpochsMax)) {
    if (Now() >= deadline)
      return Fail(ErrorCode::kDeadlineExceeded,
                  "the log was not read in time for when the sources were last heard of: ask with "
                  "more time, or for the features by name");
    const base::EpochId first{last.value > piece ? last.value - piece + 1 : 1};
    std::map<std::string, base::Timestamp> heard;
    bool any = false;
    const auto scanned = reader->Scan(first, last, [&](const log::EpochRef& epoch) -> Result<void> {
      if (!std::exchange(any, true)) oldest = std::min(oldest, epoch->clock);
      for (const auto& [name, id] : missing)
        if (log::IsHeardOf(*epoch, id, name)) heard[name] = epoch->clock;
      return {};
    });
    if (!scanned)
      return Fail(Error(ErrorCode::kFailedPrecondition,
                        "the log has let go of epochs that tell when the sources were last heard "
                        "of, which the service's max_lag wants: ask for the features by name")
                      .With("error", scanned.error().ToString()));
    for (const auto& [name, clock] : heard) {
      missing.erase(name);
      behind = std::min(behind, clock);
    }
    if (asked.as_of - oldest > asked.most) break;
    last = base::EpochId{first.value - 1};
  }
  // A source without anything in all of the log has been silent for ever.
  if (!missing.empty()) behind = std::min(behind, last.value == 0 ? base::Timestamp{0} : oldest);
  return std::max(base::Duration(0), asked.as_of - behind);
}

}  // namespace headrace::wiring
