// 1. The pipeline that the log names last, and the service's plan: keys, request inputs, views.
// 2. The labels; each of their columns that is needed, as values of the plan's types.
// 3. The history of the views, sorted.
// 4. In slices of rows, in parallel: a question a row and view, cut at the epoch that the label
//    names, else at its time.
// 5. The slices in order, to one Parquet file.
#include "training/train.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/next_step.h"
#include "columns/batch_builder.h"
#include "contract/diagnostic_report.h"
#include "contract/no_such_name.h"
#include "serving/input_values.h"
#include "tables/parquet/parquet_reader.h"
#include "tables/parquet/parquet_writer.h"
#include "training/offline_answers.h"
#include "training/workers.h"

namespace headrace::training {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::Column;
using columns::ColumnBatch;
using columns::Field;
using columns::Schema;
using columns::SchemaRef;
using columns::Type;

constexpr size_t kSliceRows = 4096;
constexpr const char* kKnownColumn = "_known";

Result<ColumnBatch> ReadLabels(env::Environment& environment, const TrainOptions& options) {
  HR_TRY(const bool there, environment.files().Exists(options.labels));
  if (!there)
    return Fail(base::Error(ErrorCode::kNotFound, "there is no such file of labels")
                    .With("file", options.labels)
                    .With(base::kNextStep, "name a Parquet file with keys and a time"));
  HR_TRY(const auto reader, tables::ParquetReader::Open(environment.files(), options.labels));
  if (reader->rows() > options.labels_max) {
    return Fail(base::Error(ErrorCode::kResourceExhausted,
                            fmt::format("{} labels, more than {}: train in parts", reader->rows(),
                                        options.labels_max))
                    .With("file", options.labels));
  }
  HR_TRY(const SchemaRef schema, reader->schema());
  return reader->ReadAll(schema);
}

// Before the work, not after it.
Result<void> CheckOutput(env::Environment& environment, const std::string& output) {
  const size_t slash = output.rfind('/');
  if (slash == std::string::npos || slash == 0) return {};
  const std::string folder = output.substr(0, slash);
  HR_TRY(const bool there, environment.files().Exists(folder));
  if (there) return {};
  return Fail(base::Error(ErrorCode::kNotFound, "the folder of the training set is not there")
                  .With("folder", folder)
                  .With(base::kNextStep, fmt::format("mkdir -p {}", folder)));
}

class TrainingRun {
 public:
  TrainingRun(env::Environment& environment, const TrainOptions& options)
      : environment_(environment), options_(options) {}

  Result<TrainReport> Run() {
    HR_TRY_VOID(CheckOutput(environment_, options_.output));
    HR_TRY_VOID(Timed(report_.read, [&] { return Bind(); }));
    HR_TRY_VOID(Timed(report_.prepare, [&] { return Prepare(); }));
    std::vector<ColumnBatch> slices((labels_.rows() + kSliceRows - 1) / kSliceRows);
    HR_TRY_VOID(Timed(report_.answer, [&] {
      if (options_.progress != nullptr)
        options_.progress->Begin("answering", "label", labels_.rows());
      return InPieces(environment_, options_.workers, slices.size(), [&](size_t i) {
        return AnswerSlice(i * kSliceRows, std::min(labels_.rows(), (i + 1) * kSliceRows),
                           slices[i]);
      });
    }));
    HR_TRY_VOID(Timed(report_.write, [&] { return Write(slices); }));
    report_.rows = labels_.rows();
    report_.scanned = answers_->scanned();
    return report_;
  }

 private:
  template <typename Step>
  Result<void> Timed(base::Duration& took, Step step) {
    const env::MonotonicTime begin = environment_.clock().Now();
    Result<void> done = step();
    took = std::chrono::duration_cast<base::Duration>(environment_.clock().Now() - begin);
    return done;
  }

  // Steps 1 and 2.
  Result<void> Bind() {
    HR_TRY(history_, History::Open(environment_, options_.data_folder, options_.progress));
    HR_TRY(logged_, history_->Newest());
    definition_ = logged_.definition;
    const auto index = definition_->ServiceNamed(options_.service);
    if (!index) {
      std::vector<std::string> names;
      for (const pipeline::ServiceDefinition& service : definition_->services)
        names.push_back(service.name);
      return Fail(contract::NoSuchName("service", options_.service, names,
                                       "pipeline " + definition_->name));
    }
    HR_TRY(plan_, serving::CompileService(*definition_, definition_->services[*index]));
    report_.max_lag = plan_->max_lag;
    HR_TRY(labels_, ReadLabels(environment_, options_));
    for (const serving::PlanInput& input : plan_->inputs) {
      HR_TRY(const size_t column, LabelColumn(input.name));
      input_columns_.push_back(column);
    }
    HR_TRY(time_column_, LabelColumn(options_.time_column));
    if (labels_.column(time_column_).type() != Type::kTimestamp &&
        labels_.column(time_column_).type() != Type::kTimestampNtz) {
      return Fail(base::Error(ErrorCode::kInvalidInput, "the labels' time is no timestamp column")
                      .With("column", options_.time_column));
    }
    if (options_.exclude_column) HR_TRY_VOID(FindExclude());
    if (options_.epoch_column) HR_TRY_VOID(FindEpochs());
    return NameOutputs();
  }

  Result<void> FindExclude() {
    if (plan_->views.empty())
      return Fail(base::Error(ErrorCode::kInvalidInput,
                              "the service reads no view, so there are no rows to leave out by a "
                              "column of theirs (--exclude)")
                      .With("service", options_.service));
    HR_TRY(exclude_column_, LabelColumn(*options_.exclude_column));
    for (size_t row = 0; row < labels_.rows(); ++row)
      report_.without_own_row += labels_.column(*exclude_column_).IsNull(row) ? 1 : 0;
    return {};
  }

  Result<void> FindEpochs() {
    HR_TRY(epoch_column_, LabelColumn(*options_.epoch_column));
    const Column& epochs = labels_.column(*epoch_column_);
    if (epochs.type() != Type::kInt64 && epochs.type() != Type::kInt32)
      return Fail(base::Error(ErrorCode::kInvalidInput, "the labels' epoch is no integer column")
                      .With("column", *options_.epoch_column));
    for (size_t row = 0; row < labels_.rows(); ++row) {
      if (epochs.IsNull(row)) continue;
      const int64_t epoch = epochs.At(row).as_int();
      if (epoch > 0 && static_cast<uint64_t>(epoch) <= history_->newest().value) continue;
      return Fail(base::Error(ErrorCode::kInvalidInput,
                              fmt::format("epoch {} is not in the log, which ends with {}", epoch,
                                          history_->newest().value))
                      .With("column", *options_.epoch_column)
                      .With("row", std::to_string(row)));
    }
    return {};
  }

  Result<size_t> LabelColumn(const std::string& name) const {
    if (const auto index = labels_.schema()->IndexOf(name)) return *index;
    std::vector<std::string> names;
    for (const Field& field : labels_.schema()->fields()) names.push_back(field.name);
    return Fail(
        base::Error(
            ErrorCode::kInvalidInput,
            fmt::format("the labels have no column `{}`, which this training set needs", name))
            .With("column", name)
            .With("columns", contract::Listed(names))
            .With("file", options_.labels)
            .With(base::kNextStep,
                  contract::DidYouMean(name, names,
                                       "name a column that the labels have, or add this one")));
  }

  Result<void> NameOutputs() {
    std::vector<Field> features;
    const auto id = [&] { return static_cast<uint32_t>(features.size() + 1); };
    for (size_t i = 0; i < plan_->columns->size(); ++i)
      features.push_back(
          {.id = id(), .name = (*plan_->columns)[i].shown, .type = (*plan_->columns)[i].type});
    features.push_back({.id = id(),
                        .name = kKnownColumn,
                        .type = Type::kString,
                        .nullable = columns::Nullable::kNo});
    std::vector<Field> all = labels_.schema()->fields();
    for (Field& feature : features) {
      if (labels_.schema()->IndexOf(feature.name)) {
        return Fail(
            base::Error(
                ErrorCode::kInvalidInput,
                fmt::format("the labels have a column `{}`, which is a feature's name: rename it",
                            feature.name))
                .With("column", feature.name));
      }
      feature.id += static_cast<uint32_t>(labels_.schema()->size());
      all.push_back(feature);
    }
    report_.features = features.size() - 1;
    feature_schema_ = std::make_shared<const Schema>(std::move(features));
    output_schema_ = std::make_shared<const Schema>(std::move(all));
    return {};
  }

  // Step 3.
  Result<void> Prepare() {
    std::vector<size_t> views;
    for (const serving::PlanView& view : plan_->views) {
      views.push_back(view.view);
      const size_t stream = definition_->views[view.view].stream;
      assumes_ |= definition_->streams[stream].known_at.assumed();
      if (options_.exclude_column) HR_TRY_VOID(BindExclude(*definition_->streams[stream].schema()));
      HR_TRY_VOID(CheckSelf(definition_->views[view.view]));
    }
    HR_TRY(answers_, OfflineAnswers::Build(environment_, options_.workers, *history_, logged_,
                                           views, options_.exclude_column));
    report_.assumed = assumes_ || answers_->scanned().assumed_before > base::Timestamp::Min();
    return {};
  }

  Result<void> CheckSelf(const pipeline::ViewDefinition& view) const {
    if (view.self != pipeline::SelfRule::kExcluded || options_.exclude_column) return {};
    return Fail(base::Error(ErrorCode::kInvalidInput,
                            "the view does not count the row that is scored: name the column that "
                            "tells a label's own row (--exclude)")
                    .With("view", view.name));
  }

  Result<void> BindExclude(const Schema& stream) {
    const auto field = stream.IndexOf(*options_.exclude_column);
    if (!field) return {};  // Build says so
    const Type type = stream.field(*field).type;
    if (exclude_type_ && *exclude_type_ != type) {
      return Fail(
          base::Error(
              ErrorCode::kInvalidInput,
              "the streams of this service have the column to leave rows out by in two types")
              .With("column", *options_.exclude_column));
    }
    exclude_type_ = type;
    return {};
  }

  // Step 4.
  Result<void> AnswerSlice(size_t begin, size_t end, ColumnBatch& out) const {
    columns::BatchBuilder builder(feature_schema_);
    const size_t features = plan_->columns->size();
    std::vector<columns::Value> inputs(input_columns_.size());
    for (size_t row = begin; row < end; ++row) {
      const auto epoch = EpochOf(row);
      builder.column(features).AppendText(IsAssumed(row) ? "assumed" : "observed");
      HR_TRY(const bool asked, BindRow(row, inputs));
      if (!asked) {
        for (size_t i = 0; i < features; ++i) builder.column(i).AppendNull();
        continue;
      }
      pipeline::Cut cut;
      const base::Timestamp time{labels_.column(time_column_).Int64s()[row]};
      cut.epoch_max = epoch;
      if (!epoch) cut.known_at_max = time;
      if (exclude_column_) {
        HR_TRY(cut.without, Converted(*exclude_column_, row, *exclude_type_));
        if (cut.without->is_null()) cut.without.reset();
      }
      const auto values = answers_->Answer(*plan_, inputs, time, cut);
      for (size_t i = 0; i < features; ++i) Append(builder.column(i), values[i]);
    }
    out = builder.Finish();
    if (options_.progress != nullptr) options_.progress->Note(end - begin);
    return {};
  }

  // The answer's epoch says what was known then, as does the time of a label behind all that was
  // assumed.
  bool IsAssumed(size_t row) const {
    if (EpochOf(row)) return false;
    const Column& times = labels_.column(time_column_);
    if (assumes_ || times.IsNull(row)) return report_.assumed;
    return base::Timestamp{times.Int64s()[row]} < answers_->scanned().assumed_before;
  }

  // Invalid values (outside what their type can hold) are null in a training set.
  static void Append(columns::ColumnBuilder& column, const serving::FeatureValue& value) {
    if (value.status == pipeline::FeatureStatus::kPresent) {
      column.AppendValue(value.value);
    } else {
      column.AppendNull();
    }
  }

  // Of the answer that the label carries; nothing when its time decides what was known.
  std::optional<base::EpochId> EpochOf(size_t row) const {
    if (!epoch_column_ || labels_.column(*epoch_column_).IsNull(row)) return std::nullopt;
    return base::EpochId{static_cast<uint64_t>(labels_.column(*epoch_column_).At(row).as_int())};
  }

  // False when the label has no time. A null in a key is a key, as it is online.
  Result<bool> BindRow(size_t row, std::vector<columns::Value>& inputs) const {
    if (labels_.column(time_column_).IsNull(row)) return false;
    for (size_t i = 0; i < inputs.size(); ++i) {
      HR_TRY(inputs[i], Converted(input_columns_[i], row, plan_->inputs[i].type));
    }
    return true;
  }

  Result<columns::Value> Converted(size_t column, size_t row, Type type) const {
    columns::Value value = labels_.column(column).At(row);
    if (value.is_null()) return columns::Value::Null(type);
    if (value.type() == type) return value;
    auto converted = serving::ConvertInput(value, type);
    if (!converted)
      return Fail(std::move(converted)
                      .error()
                      .With("column", labels_.schema()->field(column).name)
                      .With("row", std::to_string(row)));
    return converted;
  }

  // Step 5.
  Result<void> Write(const std::vector<ColumnBatch>& slices) const {
    const auto writer = tables::ParquetWriter::Make(output_schema_);
    size_t begin = 0;
    for (const ColumnBatch& slice : slices) {
      std::vector<Column> columns = labels_.Slice(begin, begin + slice.rows()).columns();
      columns.insert(columns.end(), slice.columns().begin(), slice.columns().end());
      HR_TRY_VOID(writer->Write(ColumnBatch(output_schema_, slice.rows(), std::move(columns))));
      begin += slice.rows();
    }
    HR_TRY(const tables::EncodedFile file, writer->Finish());
    return env::PutAtomically(environment_.files(), options_.output, file.bytes.bytes());
  }

  env::Environment& environment_;
  const TrainOptions& options_;
  TrainReport report_;
  std::unique_ptr<History> history_;
  pipeline::LoggedDefinition logged_;
  pipeline::PipelineRef definition_;  // of it
  serving::AnswerPlanRef plan_;
  ColumnBatch labels_;
  std::vector<size_t> input_columns_;  // of the labels, by plan input
  size_t time_column_ = 0;
  std::optional<size_t> exclude_column_;
  std::optional<Type> exclude_type_;
  std::optional<size_t> epoch_column_;
  SchemaRef feature_schema_;  // features and _known
  SchemaRef output_schema_;
  bool assumes_ = false;  // the definition itself, for all rows
  std::unique_ptr<OfflineAnswers> answers_;
};

}  // namespace

Result<TrainReport> Train(env::Environment& environment, const TrainOptions& options) {
  return TrainingRun(environment, options).Run();
}

}  // namespace headrace::training
