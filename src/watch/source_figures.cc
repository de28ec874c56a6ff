#include "watch/source_figures.h"

#include <nlohmann/json.hpp>

namespace headrace::watch {

uint64_t SourceFigures::waiting_versions() const {
  if (!newest) return 0;
  const int64_t last = taken.value_or(-1);
  return *newest > last ? static_cast<uint64_t>(*newest - last) : 0;
}

nlohmann::ordered_json SourceJson(const SourceFigures& source) {
  nlohmann::ordered_json json = {
      {"stream", source.stream}, {"folder", source.folder}, {"state", source.state}};
  if (!source.reason.empty()) json["reason"] = source.reason;
  if (!source.table.empty()) json["table"] = source.table;
  if (source.taken) json["version"] = *source.taken;
  if (source.newest) json["newest"] = *source.newest;
  json["lag_versions"] = source.waiting_versions();
  json["lag_rows"] = source.waiting_rows;
  if (source.reading)
    json["reading"] = {{"version", *source.reading},
                       {"files", source.files},
                       {"files_done", source.files_done},
                       {"rows", source.rows},
                       {"rows_done", source.rows_done}};
  json["accepted"] = source.accepted;
  json["refused"] = source.refused;
  json["pieces"] = source.pieces;
  json["versions"] = source.versions;
  json["skipped"] = source.skipped;
  json["rows_gone"] = source.gone;
  json["heartbeats"] = source.heartbeats;
  json["errors"] = source.errors;
  if (source.last_error_at)
    json["last_error"] = {{"at", base::FormatTimestamp(*source.last_error_at)},
                          {"reason", source.last_error}};
  return json;
}

}  // namespace headrace::watch
