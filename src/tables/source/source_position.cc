#include "tables/source/source_position.h"

#include "columns/batch_codec.h"
#include "columns/source_producers.h"

namespace headrace::tables {
namespace {

constexpr uint8_t kFormat = 3;
constexpr uint8_t kWithoutPlace = 2;
constexpr uint8_t kWithoutFields = 1;

}  // namespace

log::ControlEntry EncodePosition(const std::string& stream, const SourcePosition& position) {
  log::ControlEntry entry{
      .kind = log::ControlEntry::Kind::kSourcePosition, .name = stream, .payload = {}};
  columns::ByteWriter out(entry.payload);
  out.U8(kFormat);
  out.U8(static_cast<uint8_t>(position.phase));
  out.Text(position.table);
  out.Text(position.folder);
  out.I64(position.version);
  out.U64(position.base);
  out.U32(position.piece_rows);
  out.U64(position.files);
  out.U32(static_cast<uint32_t>(position.fields.size()));
  for (const std::string& field : position.fields) out.Text(field);
  out.U64(position.piece_bytes);
  out.U64(position.file);
  out.U64(position.row);
  return entry;
}

base::Result<std::optional<SourcePosition>> DecodePosition(const log::ControlEntry& entry) {
  if (entry.kind != log::ControlEntry::Kind::kSourcePosition) return std::nullopt;
  columns::ByteReader in(entry.payload);
  HR_TRY(const uint8_t format, in.U8());
  HR_TRY(const uint8_t phase, in.U8());
  if (format < kWithoutFields || format > kFormat ||
      phase > static_cast<uint8_t>(SourcePosition::Phase::kAdded))
    return base::Fail(base::Error(base::ErrorCode::kCorruption,
                                  "the position of a source is of no format that is known")
                          .With("stream", entry.name));
  SourcePosition position{.phase = static_cast<SourcePosition::Phase>(phase)};
  HR_TRY(position.table, in.Text());
  HR_TRY(position.folder, in.Text());
  HR_TRY(position.version, in.I64());
  HR_TRY(position.base, in.U64());
  HR_TRY(position.piece_rows, in.U32());
  HR_TRY(position.files, in.U64());
  if (format > kWithoutFields) {
    HR_TRY(const uint32_t fields, in.U32());
    for (uint32_t i = 0; i < fields; ++i) {
      HR_TRY(const std::string_view field, in.Text());
      position.fields.emplace_back(field);
    }
  }
  if (format > kWithoutPlace) {
    HR_TRY(position.piece_bytes, in.U64());
    HR_TRY(position.file, in.U64());
    HR_TRY(position.row, in.U64());
  }
  const bool sending = position.phase != SourcePosition::Phase::kTaken;
  if (in.remaining() > 0 || (sending && position.piece_rows == 0))
    return base::Fail(
        base::Error(base::ErrorCode::kCorruption, "the position of a source is no position")
            .With("stream", entry.name));
  return position;
}

std::string SourceProducer(const std::string& stream, const std::string& table) {
  return std::string(columns::kSourceProducers) + stream + "/" + table;
}

}  // namespace headrace::tables
