#include "pipeline/views/event_ahead.h"

#include <algorithm>
#include <array>
#include <limits>

#include "columns/conform.h"
#include "columns/key.h"
#include "pipeline/aggregates/cells.h"

namespace headrace::pipeline {
namespace {

// Behind every row that the state has.
constexpr uint64_t kPositionAhead = std::numeric_limits<uint64_t>::max();
constexpr std::array<uint32_t, 1> kRow = {0};

bool IsMadeOf(const PipelineDefinition& definition, size_t stream, std::string_view name) {
  const StreamDefinition& of = definition.streams[stream];
  if (!of.derived()) return of.name == name;
  const Derivation& derivation = *of.derivation;
  return IsMadeOf(definition, derivation.source, name) ||
         (derivation.as_of && IsMadeOf(definition, derivation.as_of->stream, name)) ||
         (derivation.interval && IsMadeOf(definition, derivation.interval->stream, name));
}

// Failures are counted when the event is applied.
columns::Column EvaluateUncounted(const Expression& expression, const columns::ColumnBatch& row) {
  uint64_t failures = 0;
  return expression.Evaluate(row, failures);
}

bool Selects(const ViewDefinition& view, const columns::ColumnBatch& row) {
  if (!view.where) return true;
  const columns::Column condition = EvaluateUncounted(*view.where, row);
  return !condition.IsNull(0) && condition.Bool(0);
}

}  // namespace

class AheadRow::Texts final : public TextMemory {
 public:
  explicit Texts(std::vector<std::unique_ptr<uint64_t[]>>& texts) : texts_(texts) {}
  void* AllocateText(size_t bytes) override {
    return texts_.emplace_back(std::make_unique<uint64_t[]>((bytes + 7) / 8)).get();
  }

 private:
  std::vector<std::unique_ptr<uint64_t[]>>& texts_;
};

base::Result<std::optional<AheadRow>> AheadRow::Of(const PipelineDefinition& definition,
                                                   const ViewDefinition& view,
                                                   const EventAhead& ahead, std::string_view key) {
  const StreamDefinition& stream = definition.streams[view.stream];
  if (stream.derived()) {
    const bool excluded = view.self == SelfRule::kExcluded &&
                          definition.streams[definition.RootOf(view.stream)].name == ahead.stream;
    if (excluded || !IsMadeOf(definition, view.stream, ahead.stream)) return std::nullopt;
    return base::Fail(base::Error(base::ErrorCode::kUnsupported,
                                  "rows of a derived stream are made of durable events only")
                          .With("view", view.name));
  }
  if (stream.name != ahead.stream || view.self == SelfRule::kExcluded) return std::nullopt;
  const columns::ColumnBatch row = columns::ConformTo(stream.schema(), ahead.row);
  columns::KeyBytes of_row;
  columns::KeyOfRow(row, view.by, 0, of_row);
  if (of_row != key || !Selects(view, row)) return std::nullopt;
  auto cells = std::make_unique<Cells>();
  cells->time = row.column(stream.timing.event_time_field).Int64s()[0];
  cells->position = kPositionAhead;
  cells->cells.resize(view.arguments.size());
  cells->arguments.resize(view.arguments.size());
  Texts texts(cells->texts);
  for (size_t i = 0; i < view.arguments.size(); ++i) {
    const columns::Column argument = EvaluateUncounted(view.arguments[i], row);
    ArgumentBlock& block = cells->arguments[i];
    block.valid = GatherValid(argument, kRow);
    if (argument.type() == columns::Type::kBool) {
      block.truth = GatherTruth(argument, kRow);
    } else {
      GatherCells(argument, kRow, &cells->cells[i], texts);
    }
    block.cells = &cells->cells[i];
  }
  cells->block = {&cells->time, &cells->position, cells->arguments.data()};
  return AheadRow(std::move(cells));
}

}  // namespace headrace::pipeline
