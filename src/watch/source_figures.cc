#include "watch/source_figures.h"

#include <nlohmann/json.hpp>

namespace headrace::watch {

nlohmann::ordered_json SourceJson(const SourceFigures& source) {
  nlohmann::ordered_json json = {
      {"stream", source.stream}, {"folder", source.folder}, {"state", source.state}};
  if (!source.reason.empty()) json["reason"] = source.reason;
  if (!source.table.empty()) json["table"] = source.table;
  if (source.taken) json["version"] = *source.taken;
  if (source.newest) json["newest"] = *source.newest;
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
  return json;
}

}  // namespace headrace::watch
