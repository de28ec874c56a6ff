#include "wiring/table_sources.h"

namespace headrace::wiring {
namespace {

std::string FolderFrom(const std::string& pipeline_folder, const std::string& folder) {
  return folder.starts_with('/') || pipeline_folder.empty() ? folder
                                                            : pipeline_folder + "/" + folder;
}

std::function<tables::TableSourceOptions::InForce()> InForce(
    const std::function<pipeline::PipelineRef()>& current, const std::string& stream) {
  return [current, stream]() -> tables::TableSourceOptions::InForce {
    const pipeline::PipelineRef definition = current();
    const auto index = definition->StreamNamed(stream);
    HR_CHECK(index.has_value(), "no change of a running engine takes a source away");
    const pipeline::StreamDefinition& now = definition->streams[*index];
    return {now.contract, now.timing.event_time_field};
  };
}

}  // namespace

TableSources::TableSources(const Parts& parts, const tables::TableSource::Log& log) {
  for (size_t i = 0; i < parts.definition.streams.size(); ++i) {
    const pipeline::StreamDefinition& stream = parts.definition.streams[i];
    if (!stream.table) continue;
    const std::string folder = FolderFrom(parts.pipeline_folder, stream.table->folder);
    sources_.push_back(
        {stream.name, folder,
         std::make_unique<tables::TableSource>(
             parts.environment, parts.budget,
             tables::TableSourceOptions{.stream = stream.name,
                                        .id = parts.ids[i],
                                        .in_force = InForce(parts.current, stream.name),
                                        .folder = folder,
                                        .definition = *stream.table},
             log, parts.positions.Of(stream.name))});
  }
}

void TableSources::Close() {
  std::vector<Source> ended;
  const std::lock_guard lock(mutex_);
  ended.swap(sources_);
}

std::vector<watch::SourceFigures> TableSources::Figures() const {
  const std::lock_guard lock(mutex_);
  std::vector<watch::SourceFigures> all;
  for (const Source& each : sources_) {
    const tables::TableSourceStatus status = each.source->status();
    all.push_back({.stream = each.stream,
                   .folder = each.folder,
                   .state = std::string(tables::NameOf(status.state)),
                   .reason = status.reason,
                   .table = status.table,
                   .taken = status.taken,
                   .reading = status.reading,
                   .newest = status.newest,
                   .files = status.files,
                   .files_done = status.files_done,
                   .rows = status.rows,
                   .rows_done = status.rows_done,
                   .accepted = status.accepted,
                   .refused = status.refused,
                   .pieces = status.pieces,
                   .versions = status.versions,
                   .skipped = status.skipped,
                   .gone = status.gone,
                   .heartbeats = status.heartbeats,
                   .errors = status.errors,
                   .waiting_rows = status.waiting_rows,
                   .last_error = status.last_error,
                   .last_error_at = status.last_error_at});
  }
  return all;
}

}  // namespace headrace::wiring
