#include "training/stream_scan.h"

#include <algorithm>
#include <memory>
#include <set>
#include <span>
#include <utility>

#include "pipeline/streams/as_of_table.h"
#include "pipeline/views/conform.h"

namespace headrace::training {
namespace {

using base::Result;
using tables::PositionedRows;

columns::ColumnBatch Project(const columns::ColumnBatch& batch, const std::vector<size_t>& fields) {
  std::vector<columns::Field> schema;
  std::vector<columns::Column> columns;
  for (const size_t field : fields) {
    schema.push_back(batch.schema()->field(field));
    columns.push_back(batch.column(field));
  }
  return {std::make_shared<const columns::Schema>(std::move(schema)), batch.rows(),
          std::move(columns)};
}

PositionedRows WithOrigin(columns::ColumnBatch derived, const std::vector<uint32_t>& from,
                          const PositionedRows& source) {
  PositionedRows rows{std::move(derived), {}, {}};
  rows.positions.reserve(from.size());
  rows.known_at.reserve(from.size());
  for (const uint32_t row : from) {
    rows.positions.push_back(source.positions[row]);
    rows.known_at.push_back(source.known_at[row]);
  }
  return rows;
}

// Rows with their places and times, as a join wants them.
pipeline::AsOfTable::Rows ForJoin(const pipeline::StreamDefinition& stream,
                                  const columns::ColumnBatch& batch, const PositionedRows& rows) {
  return {.rows = batch,
          .times = batch.column(stream.timing.event_time_field).Int64s(),
          .positions = rows.positions,
          .known_at = stream.known_at.assumed() ? std::span<const int64_t>(rows.known_at)
                                                : std::span<const int64_t>()};
}

class DerivedScan {
 public:
  DerivedScan(const History& history, const pipeline::PipelineDefinition& definition, size_t stream)
      : history_(history),
        definition_(definition),
        derivation_(*definition.streams[stream].derivation),
        source_(definition.streams[derivation_.source]),
        counts_(pipeline::CountsOf(derivation_)) {}

  Result<ScannedRows> Run(const std::vector<size_t>& fields, const tables::VisitRows& visit) {
    const size_t columns = source_.schema()->size();
    std::set<size_t> needed = {source_.timing.event_time_field};
    std::set<size_t> joined;
    for (const size_t field : pipeline::InputFieldsOf(derivation_, fields)) {
      if (field < columns) needed.insert(field);
      if (field >= columns) joined.insert(derivation_.as_of->fields[field - columns]);
    }
    ScannedRows of_versions;
    if (derivation_.as_of) {
      needed.insert(derivation_.as_of->key.begin(), derivation_.as_of->key.end());
      HR_TRY(of_versions, ReadVersions(std::move(joined)));
    }
    HR_TRY(ScannedRows scanned,
           ScanStream(history_, definition_, derivation_.source, {needed.begin(), needed.end()},
                      [&](const PositionedRows& rows) -> Result<void> {
                        PositionedRows derived = Make(rows, fields);
                        if (derived.positions.empty()) return {};
                        return visit(derived);
                      }));
    scanned.from_table += of_versions.from_table;
    scanned.from_log += of_versions.from_log;
    scanned.table_version = std::max(scanned.table_version, of_versions.table_version);
    return scanned;
  }

 private:
  // All of them: labels may be of any time.
  Result<ScannedRows> ReadVersions(std::set<size_t> fields) {
    const pipeline::AsOfJoin& join = *derivation_.as_of;
    const pipeline::StreamDefinition& dimension = definition_.streams[join.stream];
    versions_ = std::make_unique<pipeline::AsOfTable>(join, derivation_.input, *dimension.schema());
    fields.insert(dimension.timing.event_time_field);
    fields.insert(join.dimension_key.begin(), join.dimension_key.end());
    return ScanStream(history_, definition_, join.stream, {fields.begin(), fields.end()},
                      [&](const PositionedRows& rows) -> Result<void> {
                        const auto batch = pipeline::ConformTo(dimension.schema(), rows.rows);
                        versions_->Insert(ForJoin(dimension, batch, rows), as_of_counts_);
                        return {};
                      });
  }

  PositionedRows Make(const PositionedRows& source, const std::vector<size_t>& fields) {
    const columns::ColumnBatch batch = pipeline::ConformTo(source_.schema(), source.rows);
    pipeline::DerivedRows input{batch, {}};
    if (versions_ != nullptr)
      input = versions_->Join(ForJoin(source_, batch, source), as_of_counts_);
    pipeline::DerivedRows derived = pipeline::Derive(derivation_, input.rows, counts_);
    if (!input.from.empty())
      for (uint32_t& row : derived.from) row = input.from[row];
    return WithOrigin(Project(derived.rows, fields), derived.from, source);
  }

  const History& history_;
  const pipeline::PipelineDefinition& definition_;
  const pipeline::Derivation& derivation_;
  const pipeline::StreamDefinition& source_;
  std::unique_ptr<pipeline::AsOfTable> versions_;
  pipeline::DerivationCounts counts_;
  pipeline::AsOfCounts as_of_counts_;
};

}  // namespace

Result<ScannedRows> ScanStream(const History& history,
                               const pipeline::PipelineDefinition& definition, size_t stream,
                               const std::vector<size_t>& fields, const tables::VisitRows& visit) {
  if (!definition.streams[stream].derived())
    return history.ScanRows(definition.streams[stream], fields, visit);
  return DerivedScan(history, definition, stream).Run(fields, visit);
}

}  // namespace headrace::training
