#pragma once
// What the tests of this room share: a small stream, batches of it, and the rows of a log in order.

#include <algorithm>
#include <string>
#include <vector>

#include "columns/batch_builder.h"
#include "env/simulated/environment.h"
#include "log/reader.h"
#include "log/sequencer.h"

namespace headrace::log {

// (at timestamp, id int64, note string)
inline columns::SchemaRef TestSchema() {
  using columns::Nullable;
  using columns::Type;
  static const auto kSchema = std::make_shared<const columns::Schema>(
      std::vector<columns::Field>{{1, "at", Type::kTimestamp, Nullable::kNo},
                                  {2, "id", Type::kInt64, Nullable::kNo},
                                  {3, "note", Type::kString, Nullable::kYes}});
  return kSchema;
}

struct TestRow {
  int64_t at_s = 0;  // event time in seconds
  int64_t id = 0;
};

inline columns::ColumnBatch RowsOf(const std::vector<TestRow>& rows) {
  columns::BatchBuilder builder(TestSchema());
  for (const TestRow& row : rows) {
    builder.column(0).AppendInt(row.at_s * 1'000'000);
    builder.column(1).AppendInt(row.id);
    if (row.id % 3 == 0) {
      builder.column(2).AppendNull();
    } else {
      builder.column(2).AppendText("note " + std::to_string(row.id));
    }
  }
  return builder.Finish();
}

inline columns::EventBatch BatchOf(base::StreamId stream, const std::vector<TestRow>& rows,
                                   std::string producer = {}, uint64_t sequence = 0) {
  columns::EventBatch batch;
  batch.stream = stream;
  batch.rows = RowsOf(rows);
  batch.source = {std::move(producer), sequence, {}};
  return batch;
}

inline std::vector<int64_t> IdsOf(const Epoch& epoch) {
  std::vector<int64_t> ids;
  for (const StreamRows& stream : epoch.streams)
    for (const int64_t id : stream.rows.column(1).Int64s().first(stream.rows.rows()))
      ids.push_back(id);
  return ids;
}

// Late by a minute, ahead by a day.
inline StreamTiming TestTiming() {
  return {
      .event_time_field = 0, .late = std::chrono::minutes(1), .max_ahead = std::chrono::hours(24)};
}

// Small segments, event-time clock.
inline LogOptions TestOptions() {
  LogOptions options;
  options.clock = ClockMode::kEvents;
  options.segment_bytes = 64 << 10;
  options.reserve_bytes = 4 << 10;
  return options;
}

// A log on a simulated machine: one life of it.
class TestLog {
 public:
  using Ack = base::Result<Acknowledgement>;

  explicit TestLog(env::simulated::SimulatedEnvironment& machine,
                   LogOptions options = TestOptions(), std::string folder = "data")
      : machine_(machine), options_(options), folder_(std::move(folder)) {}

  // False: the machine died while opening. error() says why an open failed otherwise.
  bool Open(ResumePoint resume = {}) {
    return machine_.Run([&] {
      auto opened =
          Sequencer::Open(machine_, budget_, folder_, options_, resume, [&](const Epoch& epoch) {
            recovered.push_back(epoch.id);
            for (const int64_t id : IdsOf(epoch)) recovered_ids.push_back(id);
            return base::Result<void>();
          });
      if (!opened) {
        error = opened.error();
        return;
      }
      sequencer = std::move(*opened);
      stream = *sequencer->AddStream("events", schema, timing);
      sequencer->Start([&](const EpochRef& epoch) { durable.push_back(epoch); });
    });
  }
  // Submits and runs the machine until the answer is there. An answer that never comes is
  // kUnavailable.
  Ack Submit(columns::EventBatch batch) {
    Ack answer = base::Fail(base::ErrorCode::kUnavailable, "no answer");
    bool answered = false;
    machine_.Run([&] {
      sequencer->Submit(std::move(batch), [&](Ack ack) {
        answer = std::move(ack);
        answered = true;
      });
    });
    machine_.RunUntil([&] { return answered; });
    return answer;
  }
  Ack Submit(const std::vector<TestRow>& rows, std::string producer = {}, uint64_t sequence = 0) {
    return Submit(BatchOf(stream, rows, std::move(producer), sequence));
  }
  base::Result<StateCapture> Capture() {
    base::Result<StateCapture> answer = base::Fail(base::ErrorCode::kUnavailable, "no answer");
    bool answered = false;
    sequencer->CaptureState([&](base::Result<StateCapture> capture) {
      answer = std::move(capture);
      answered = true;
    });
    machine_.RunUntil([&] { return answered; });
    if (answer) answer->charges.clear();  // it may outlive budget_
    return answer;
  }
  base::Result<base::EpochId> Append(ControlEntry entry) {
    base::Result<base::EpochId> answer = base::Fail(base::ErrorCode::kUnavailable, "no answer");
    bool answered = false;
    sequencer->Append(std::move(entry), [&](base::Result<base::EpochId> epoch) {
      answer = std::move(epoch);
      answered = true;
    });
    machine_.RunUntil([&] { return answered; });
    return answer;
  }

  base::MemoryBudget budget_{1ULL << 30};
  // What the stream is at Open.
  columns::SchemaRef schema = TestSchema();
  StreamTiming timing = TestTiming();
  base::StreamId stream;
  std::vector<base::EpochId> recovered;
  std::vector<int64_t> recovered_ids;
  std::vector<EpochRef> durable;
  std::optional<base::Error> error;
  std::unique_ptr<Sequencer> sequencer;

 private:
  env::simulated::SimulatedEnvironment& machine_;
  const LogOptions options_;
  const std::string folder_;
};

// The ids of all rows of a log, in order, as LogReader sees it.
inline base::Result<std::vector<int64_t>> ReadIds(env::Environment& environment,
                                                  const std::string& folder = "data") {
  HR_TRY(const auto reader, LogReader::Open(environment, folder));
  std::vector<int64_t> ids;
  HR_TRY_VOID(reader->Scan({1}, {1ULL << 39}, [&](const EpochRef& epoch) {
    for (const int64_t id : IdsOf(*epoch)) ids.push_back(id);
    return base::Result<void>();
  }));
  return ids;
}

// Segment files of a log, first to last.
inline std::vector<std::string> SegmentsOf(env::Environment& environment,
                                           const std::string& folder = "data") {
  std::vector<std::string> paths;
  const auto names = environment.files().List(folder);
  if (!names) return paths;
  for (const std::string& name : *names)
    if (name.starts_with("epoch-")) paths.push_back(folder + "/" + name);
  return paths;
}

}  // namespace headrace::log
