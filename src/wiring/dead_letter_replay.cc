#include "wiring/dead_letter_replay.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "ingest/http/events_endpoint.h"
#include "ingest/http/json_batch.h"

namespace headrace::wiring {

using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::Replay;

namespace {

// Texts and typed columns, as of events that come in.
constexpr uint64_t kBytesOfEach = 3;
constexpr const char* kWhyLateStays =
    "the row is late, and what joins this stream, or leaves its repeats out, has let go of what it "
    "would have met: raise `late`";

// Why a letter that is not what came can't come in; nothing for others.
const char* WhyNotWhole(const columns::RejectedRow& row) {
  if (row.rule == "size")
    return "the letter has the first part of the row only: send the row again";
  // What came as columns is written as JSON, which has a sign in the place of what is no UTF-8.
  if (row.rule == "type" && row.payload.find("\\ufffd") != std::string::npos)
    return "a text of the row was no UTF-8, and the letter does not have its bytes: send the row "
           "again";
  return nullptr;
}

base::Error NotInForce(const std::string& stream) {
  return {ErrorCode::kNotFound, fmt::format("no stream `{}` in the definition in force", stream)};
}

// Whether rows of one stream become, by whatever way, rows of another.
bool Feeds(const pipeline::PipelineDefinition& definition, size_t from, size_t to) {
  if (from == to) return true;
  const auto& derivation = definition.streams[to].derivation;
  if (derivation == nullptr) return false;
  return Feeds(definition, from, derivation->source) ||
         (derivation->interval && Feeds(definition, from, derivation->interval->stream));
}

// What a join or a dedupe keeps is what a row may meet that is not late: a version as of its time,
// a partner, an earlier row that it repeats. Without that a late row would be wrong in silence. A
// late version is none of these: it changes nothing before.
Replay::LateRows LateRowsOf(const pipeline::PipelineDefinition& definition, size_t stream) {
  const bool meets = std::ranges::any_of(definition.streams, [&](const auto& each) {
    const auto& derivation = each.derivation;
    if (derivation == nullptr) return false;
    return ((derivation->as_of || derivation->interval || derivation->dedupe) &&
            Feeds(definition, stream, derivation->source)) ||
           (derivation->interval && Feeds(definition, stream, derivation->interval->stream));
  });
  return meets ? Replay::LateRows::kStay : Replay::LateRows::kComeIn;
}

}  // namespace

struct DeadLetterReplay::Task {
  ReplayRequest request;
  ReplayDone done;
  base::StreamId stream;
  Replay::LateRows late_rows = Replay::LateRows::kComeIn;
  ReplayReport report;
  LetterPosition passed;
  uint64_t tried = 0;
  uint64_t visited = 0;
  bool has_more = true;

  bool is_over() const { return tried >= request.limit || visited >= kVisitedMax; }
};

// What is sent again at once.
struct DeadLetterReplay::Piece {
  std::vector<Replay::Letter> letters;
  std::vector<uint32_t> rows;  // their numbers in the requests that they came with
  std::vector<std::string> payloads;
  uint64_t bytes = 0;
  base::MemoryCharge charge;
};

DeadLetterReplay::DeadLetterReplay(Parts parts) : parts_(std::move(parts)) {}

DeadLetterReplay::~DeadLetterReplay() { Close(); }

void DeadLetterReplay::Close() {
  std::unique_ptr<env::Executor> ending;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    ending = std::move(executor_);
  }
  ending.reset();
  if (task_ != nullptr) Finish(Fail(ErrorCode::kUnavailable, "the engine is stopping"));
}

void DeadLetterReplay::Post(std::move_only_function<void()> step) {
  const std::lock_guard lock(mutex_);
  if (executor_ != nullptr) executor_->Post(std::move(step));
}

void DeadLetterReplay::Begin(ReplayRequest request, ReplayDone done) {
  auto task = std::make_unique<Task>();
  const auto begin = [&]() -> Result<void> {
    HR_TRY(task->stream, parts_.stream_id(request.stream));
    if (request.limit == 0 || request.limit > kLettersMax)
      return Fail(ErrorCode::kInvalidInput,
                  fmt::format("limit is 1 to {} letters: go on with after=POSITION, which the "
                              "answer's `next` has",
                              kLettersMax));
    const pipeline::PipelineRef definition = parts_.definition();
    const auto index = definition->StreamNamed(request.stream);
    if (!index) return Fail(NotInForce(request.stream));
    task->late_rows = LateRowsOf(*definition, *index);
    task->passed = request.after;
    task->report.stream = request.stream;
    task->report.run = request.run;
    const std::lock_guard lock(mutex_);
    if (closed_) return Fail(ErrorCode::kUnavailable, "the engine is stopping");
    if (task_ != nullptr)
      return Fail(ErrorCode::kConflict,
                  "a replay of dead letters is under way: ask again when it is done");
    if (executor_ == nullptr)
      executor_ = parts_.environment.NewExecutor("replay", env::Priority::kBackground);
    task->request = std::move(request);
    task->done = std::move(done);
    task_ = std::move(task);
    executor_->Post([this] { GoOn(); });
    return {};
  };
  if (auto begun = begin(); !begun) done(Fail(std::move(begun).error()));
}

void DeadLetterReplay::GoOn() {
  if (!task_->has_more || task_->is_over()) return Finish({});
  auto piece = Gather();
  const bool is_full = !piece && piece.error().code() == ErrorCode::kResourceExhausted;
  // Who goes on behind what came in is told.
  if (is_full && task_->report.replayed > 0) return Finish({});
  if (!piece) return Finish(Fail(std::move(piece).error()));
  if ((*piece)->letters.empty()) return Post([this] { GoOn(); });
  Submit(*std::move(piece));
}

Result<std::unique_ptr<DeadLetterReplay::Piece>> DeadLetterReplay::Gather() {
  auto piece = std::make_unique<Piece>();
  Task& task = *task_;
  const bool real = task.request.run == ReplayRequest::Run::kReal;
  if (real && parts_.letters.replayed_ranges() + kBatchRowsMax > DeadLetters::kReplayedRangesMax)
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("{} ranges of letters that were replayed are remembered, as many as "
                            "may be: they go as the log forgets the letters",
                            parts_.letters.replayed_ranges()));
  const uint64_t visited_before = task.visited;
  task.has_more = false;
  HR_TRY_VOID(
      parts_.letters.Visit(parts_.reader, task.passed, [&](const DeadLetters::Letter& letter) {
        if (closed_ || task.is_over() || task.visited - visited_before >= kVisitedAtOnce ||
            piece->letters.size() >= kBatchRowsMax || piece->bytes >= kBatchBytesMax) {
          task.has_more = true;
          return false;
        }
        ++task.visited;
        task.passed = letter.behind;
        if (letter.stream != task.stream) return true;
        if (!task.request.rule.empty() && letter.row.rule != task.request.rule) return true;
        if (letter.is_replayed) {
          ++task.report.replayed_before;
          return true;
        }
        ++task.tried;
        if (const char* why = WhyNotWhole(letter.row)) {
          ++task.report.kept;
          columns::RejectedRow told = letter.row;
          told.reason = why;
          List(letter.id.epoch, letter.row.row, told);
          return true;
        }
        piece->letters.push_back({letter.id, letter.ordinal});
        piece->rows.push_back(letter.row.row);
        piece->payloads.push_back(letter.row.payload);
        piece->bytes += letter.row.payload.size();
        return true;
      }));
  HR_TRY(piece->charge,
         parts_.budget.TryCharge(base::MemoryAccount::kIngest, kBytesOfEach * piece->bytes));
  return piece;
}

Result<columns::EventBatch> DeadLetterReplay::BatchOf(const Piece& piece) {
  const pipeline::PipelineRef definition = parts_.definition();  // a change may have come meanwhile
  const auto stream = definition->StreamNamed(task_->request.stream);
  if (!stream) return Fail(NotInForce(task_->request.stream));
  const std::vector<std::string_view> rows(piece.payloads.begin(), piece.payloads.end());
  columns::EventBatch batch = ingest::ReadJsonBatch({.rows = rows, .readable_end = nullptr},
                                                    *definition->streams[*stream].contract,
                                                    ingest::EventsLimits{}.row_bytes_max);
  Keep(piece, batch.rejected.size(), batch.rejected);
  batch.rejected.clear();
  batch.stream = task_->stream;
  batch.replay.late_rows = task_->late_rows;
  for (uint32_t i = 0; i < batch.rows.rows(); ++i)
    batch.replay.letters.push_back(
        piece.letters[batch.row_numbers.empty() ? i : batch.row_numbers[i]]);
  return batch;
}

void DeadLetterReplay::Submit(std::unique_ptr<Piece> piece) {
  auto made = BatchOf(*piece);
  if (!made) return Finish(Fail(std::move(made).error()));
  columns::EventBatch batch = *std::move(made);
  const size_t rows = batch.rows.rows();
  if (task_->request.run == ReplayRequest::Run::kDry) task_->report.replayed += rows;
  if (rows == 0 || task_->request.run == ReplayRequest::Run::kDry) return Post([this] { GoOn(); });
  piece->payloads.clear();
  parts_.submit(std::move(batch),
                [this, piece = std::move(piece)](Result<log::Acknowledgement> answer) mutable {
                  Post([this, piece = std::move(piece), answer = std::move(answer)] {
                    TakeAnswer(*piece, answer);
                  });
                });
}

void DeadLetterReplay::TakeAnswer(const Piece& piece, const Result<log::Acknowledgement>& answer) {
  if (!answer) return Finish(Fail(answer.error()));
  ReplayReport& report = task_->report;
  report.replayed += answer->accepted;
  if (answer->accepted > 0) report.epoch = std::max(report.epoch, answer->epoch);
  Keep(piece, answer->refused_rows, answer->refused);
  GoOn();
}

// A late one stays only where LateRowsOf says so.
void DeadLetterReplay::Keep(const Piece& piece, uint64_t rows,
                            std::span<const columns::RejectedRow> first) {
  task_->report.kept += rows;
  for (columns::RejectedRow row : first) {
    if (row.rule == "late") row.reason = kWhyLateStays;
    List(piece.letters[row.row].id.epoch, piece.rows[row.row], row);
  }
}

void DeadLetterReplay::List(base::EpochId epoch, uint32_t row, const columns::RejectedRow& why) {
  ReplayReport& report = task_->report;
  if (report.listed.size() >= kListedMax) return;
  report.listed.push_back(
      {.epoch = epoch, .row = row, .field = why.field, .rule = why.rule, .reason = why.reason});
}

void DeadLetterReplay::Finish(Result<void> result) {
  std::unique_ptr<Task> task;
  {
    const std::lock_guard lock(mutex_);
    task = std::move(task_);
  }
  if (!result) return task->done(Fail(std::move(result).error()));
  if (task->has_more) task->report.next = task->passed;
  task->done(std::move(task->report));
}

}  // namespace headrace::wiring
