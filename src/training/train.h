#pragma once
// Training sets: for each label the features as the online store would have answered them at the
// label's time.

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "env/environment.h"
#include "training/history.h"

namespace headrace::training {

struct TrainOptions {
  std::string data_folder;
  std::string
      labels;  // a Parquet file: join keys, request inputs, the time, and whatever else goes along
  std::string service;
  std::string time_column;  // a timestamp of the labels: only rows known by then count
  std::optional<std::string>
      exclude_column;  // of labels and stream: rows that equal the label's are left out
  std::optional<std::string> epoch_column;  // of the labels: the epoch of an answer, an integer
  std::string output;                       // a Parquet file; replaced
  size_t workers = 2;                       // 0: this thread
  uint64_t labels_max = 50'000'000;         // more are kResourceExhausted: train in parts
  WorkProgress* progress = nullptr;         // told how far it is; null: nobody asks
};

struct TrainReport {
  uint64_t rows = 0;
  size_t features = 0;
  uint64_t without_own_row =
      0;                 // labels whose exclude_column is null: nothing is left out for them
  bool assumed = false;  // when rows became known was not observed for every stream
  // Of the service, if it has one: no label was held against it.
  std::optional<base::Duration> max_lag;
  ScannedRows scanned;
  base::Duration read{0}, prepare{0}, answer{0}, write{0};
};

// The output has the labels' columns in their order and rows, then the service's features under the
// names that it answers them with, then `_known`: "observed", or "assumed" when a stream's rows
// have no observed time at which they became known; of rows from before the clock was the wall's
// that is so for labels of times at which not all of them were known. A label that names the epoch
// of an answer gets what was answered then, if its time is the answer's as_of: the rows of epochs
// up to that one, which is always observed; another label the rows known at its time. A label
// without a time has null features; one with a null key those of the rows whose key is null.
// Errors: kNotFound (no log, service, labels file); kInvalidInput for a column that is missing, of
// a type that cannot be used, or that has a feature's name, and for an exclude_column where the
// service reads no rows.
base::Result<TrainReport> Train(env::Environment& environment, const TrainOptions& options);

}  // namespace headrace::training
