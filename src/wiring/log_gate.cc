#include "wiring/log_gate.h"

#include <fmt/format.h>

#include <utility>

#include "contract/no_such_name.h"

namespace headrace::wiring {
namespace {

ingest::IngestOutcome ToOutcome(log::Acknowledgement ack) {
  using log::Acknowledgement;
  std::optional<ingest::IngestOutcome::FirstRow> first;
  if (ack.first_row != log::kRowUnknown) first = {ack.first_row, ack.first_time};
  return {.epoch = ack.epoch,
          .accepted = ack.accepted,
          .first_row = first,
          .refused_rows = ack.refused_rows,
          .refused = std::move(ack.refused),
          .repeat = ack.repeat == Acknowledgement::Repeat::kRepeated ? ingest::Repeat::kRepeated
                                                                     : ingest::Repeat::kFirst,
          .durability = ack.durability == log::Durability::kFsync ? ingest::Durability::kFsync
                                                                  : ingest::Durability::kOs};
}

}  // namespace

base::Result<ingest::StreamHandle> LogGate::Find(std::string_view stream) const {
  const pipeline::PipelineRef definition = core_.definition();
  const auto index = definition->StreamNamed(stream);
  if (!index) {
    std::vector<std::string> names;
    for (const pipeline::StreamDefinition& known : definition->streams)
      if (!known.derived()) names.push_back(known.name);
    return base::Fail(
        contract::NoSuchName("stream", stream, names, "pipeline " + definition->name));
  }
  const pipeline::StreamDefinition& found = definition->streams[*index];
  HR_TRY(const base::StreamId id, core_.StreamNamed(found.name));
  return ingest::StreamHandle{id, found.name, found.contract};
}

std::vector<ingest::StreamHandle> LogGate::Streams() const {
  std::vector<ingest::StreamHandle> handles;
  const pipeline::PipelineRef definition = core_.definition();
  for (const pipeline::StreamDefinition& stream : definition->streams)
    if (auto handle = Find(stream.name)) handles.push_back(std::move(*handle));
  return handles;
}

void LogGate::Submit(columns::EventBatch batch, ingest::OutcomeCallback done) {
  core_.Submit(std::move(batch),
               [done = std::move(done)](base::Result<log::Acknowledgement> ack) mutable {
                 if (ack) {
                   done(ToOutcome(std::move(*ack)));
                 } else {
                   done(base::Fail(std::move(ack).error()));
                 }
               });
}

}  // namespace headrace::wiring
