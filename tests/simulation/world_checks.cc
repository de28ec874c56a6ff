// World: what is read, and how it is held against the record.
#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "log/reader.h"
#include "simulation/flips.h"
#include "simulation/foreign_writer.h"
#include "simulation/world.h"
#include "tables/table_reader.h"

namespace headrace::simulation {

using base::ErrorCode;
using base::Result;
using env::simulated::SimulatedEnvironment;

namespace {

constexpr env::MonotonicTime kFlushWithin = std::chrono::seconds(30);

Row RowAt(const columns::ColumnBatch& rows, size_t at) {
  // Where they are depends on the contract of then.
  const auto column = [&rows](std::string_view name) -> const columns::Column& {
    return rows.column(*rows.schema()->IndexOf(name));
  };
  return {.id = column("id").Int64s()[at],
          .card = column("card").Int64s()[at],
          .amount = column("amount").Float64s()[at],
          .paid_at_us = column("paid_at").Int64s()[at]};
}

bool ById(const LoggedRow& a, const LoggedRow& b) { return a.row.id < b.row.id; }

// Both hold the same rows at the same epochs.
bool SameRows(std::vector<LoggedRow> a, std::vector<LoggedRow> b) {
  std::ranges::sort(a, ById);
  std::ranges::sort(b, ById);
  return std::ranges::equal(a, b, [](const LoggedRow& x, const LoggedRow& y) {
    return x.epoch == y.epoch && x.row == y.row;
  });
}

}  // namespace

// Rows that the log has let go are where they must be by then: in the table.
Result<std::vector<LoggedRow>> World::ReadLog(env::Environment& environment) const {
  HR_TRY(const auto reader, log::LogReader::Open(environment, std::string(kData) + "/log"));
  HR_TRY(const base::EpochId first, reader->First());
  std::vector<LoggedRow> rows;
  if (first.value > 1) {
    uint64_t foreign = 0;
    HR_TRY(rows, ReadTable(environment, foreign));
    std::erase_if(rows, [&](const LoggedRow& row) { return row.epoch >= first; });
  }
  // Control entries of what was let go are read by those who ask for old definitions.
  HR_TRY_VOID(reader->ScanRefused({1}, {~0ULL >> 1},
                                  [](const log::EpochRef&) -> Result<void> { return {}; }));
  HR_TRY_VOID(reader->Scan(first, {~0ULL >> 1}, [&](const log::EpochRef& epoch) -> Result<void> {
    for (const log::StreamRows& stream : epoch->streams)
      for (size_t at = 0; at < stream.rows.rows(); ++at)
        rows.push_back({epoch->id, RowAt(stream.rows, at)});
    return {};
  }));
  return rows;
}

Result<std::vector<LoggedRow>> World::ReadTable(env::Environment& environment,
                                                uint64_t& foreign) const {
  HR_TRY(const auto table,
         tables::TableReader::Open(environment, fmt::format("{}/tables/{}", kData, kStream)));
  std::vector<LoggedRow> rows;
  HR_TRY_VOID(table->Scan(definition_->streams[0].schema(),
                          [&](const tables::PositionedRows& part) -> Result<void> {
                            for (size_t at = 0; at < part.rows.rows(); ++at) {
                              Row row = RowAt(part.rows, at);
                              if (IsForeign(row.id)) {
                                ++foreign;
                                continue;
                              }
                              rows.push_back({part.positions[at].epoch(), row, part.known_at[at]});
                            }
                            return {};
                          }));
  return rows;
}

Result<Asked> World::AskCore(wiring::Core& core, int64_t card) const {
  serving::FeatureQuery query;
  query.service = "scoring";
  query.inputs = {{"card", {columns::Value::Int64(card)}}};
  HR_TRY(serving::FeatureAnswer answer, core.answers().Answer(query));
  return Asked{card, answer.epoch, answer.as_of, std::move(answer.values)};
}

// Beside the engine at work: a lookup, whose answer is explained by the log in the end.
void World::Ask() {
  if (machine_->crashed()) return;
  const auto card = static_cast<int64_t>(random_() % kCards);
  const bool by_http = random_() % 2 == 0;
  const AskedAt at{.true_us = TrueTime(), .last_as_of = last_as_of_};
  machine_->Run([&] {
    if (by_http) {
      PostQuestion(*front_, card,
                   [this, at](Result<Asked> asked) { OnAsked(std::move(asked), at); });
    } else {
      OnAsked(AskCore(*core_, card), at);
    }
  });
}

int64_t World::TrueTime() const { return machine_->clock().Wall().us - wall_off_.count(); }

void World::OnAsked(Result<Asked> asked, const AskedAt& at) {
  if (machine_->crashed()) return;
  if (!asked) {
    if (asked.error().code() != ErrorCode::kUnavailable)
      Fail("no answer: " + asked.error().ToString());
    return;
  }
  if (asked->epoch > core_->log_status().durable)
    return Fail("an answer from an epoch that is not durable");
  if (asked->as_of < at.last_as_of)
    return Fail(
        fmt::format("the log clock went back from {} to {} us", at.last_as_of.us, asked->as_of.us));
  last_as_of_ = std::max(last_as_of_, asked->as_of);
  if (shape_.clock == ClockKind::kWall && !clock_is_off_) {
    // Neither a step nor its way back moves the log clock by more than drift may.
    constexpr int64_t kDriftUs = 2'000'000;
    if (asked->as_of.us < at.true_us - kDriftUs || asked->as_of.us > TrueTime() + kDriftUs)
      return Fail(
          fmt::format("asked at {} us the log clock says {} us", at.true_us, asked->as_of.us));
  }
  record_.NoteAsked(std::move(*asked));
}

// Beside the engine at work: another process reads the log. It sees all that was acknowledged, but
// for the last epoch where the mark could not be written.
void World::LookAtLog() {
  if (machine_->crashed()) return;
  const auto& injected = machine_->injected();
  const bool marked = !injected.contains("failed write") && !injected.contains("full disk");
  Undisturbed([&] {
    const auto rows = ReadLog(*machine_);
    if (!rows) return Fail("a reader beside the engine: " + rows.error().ToString());
    FailIf(record_.CheckRows("log that a reader sees", *rows,
                             marked ? Record::Whole::kYes : Record::Whole::kPart));
  });
}

void World::CheckLog() {
  Result<std::vector<LoggedRow>> rows = base::Fail(ErrorCode::kInternal, "not read");
  machine_->Run([&] { rows = ReadLog(*machine_); });
  if (!rows) return Fail("log: " + rows.error().ToString());
  FailIf(record_.CheckRows("log", *rows));
  record_.SetLog(std::move(*rows));
}

void World::CheckTable() {
  Result<std::vector<LoggedRow>> rows = base::Fail(ErrorCode::kInternal, "not read");
  uint64_t foreign = 0;
  machine_->Run([&] { rows = ReadTable(*machine_, foreign); });
  if (!rows) return Fail("table: " + rows.error().ToString());
  FailIf(record_.CheckRows("table", *rows));
  if (!SameRows(*rows, record_.log())) Fail("table and log hold different rows");
  if (foreign != static_cast<uint64_t>(foreign_rows_))
    Fail(fmt::format("of {} rows of another writer {} are in the table", foreign_rows_, foreign));
  CheckKnownAt(*rows);
  CheckScans(std::move(*rows));
}

// Live rows became known in the order of their epochs, whatever the wall clock did.
void World::CheckKnownAt(std::vector<LoggedRow> rows) {
  if (shape_.clock != ClockKind::kWall) return;
  std::ranges::stable_sort(rows, {}, [](const LoggedRow& row) { return row.epoch.value; });
  for (size_t i = 1; i < rows.size(); ++i)
    if (rows[i].known_at_us < rows[i - 1].known_at_us)
      return Fail(fmt::format("epoch {} became known {} us before epoch {}", rows[i].epoch.value,
                              rows[i - 1].known_at_us - rows[i].known_at_us,
                              rows[i - 1].epoch.value));
}

void World::CheckAnswers() {
  for (int64_t card = 0; card < kCards && !Failed(); ++card) {
    Result<Asked> asked = base::Fail(ErrorCode::kInternal, "not asked");
    machine_->Run([&] { asked = AskCore(*core_, card); });
    if (!asked) return Fail("no answer: " + asked.error().ToString());
    record_.NoteAsked(std::move(*asked));
  }
  FailIf(record_.CheckAllAsked());
  outcome_.answers_checked += 2 * record_.asked();
}

void World::CheckDeadLetters() {
  std::vector<Letter> letters;
  wiring::DeadLetterQuery query{
      .stream = kStream, .after = {}, .limit = 1'000, .payloads = wiring::Payloads::kAsTheyCame};
  for (bool more = true; more && !Failed();) {
    Result<wiring::DeadLetterPage> page = base::Fail(ErrorCode::kInternal, "not read");
    machine_->Run([&] { page = core_->DeadLetters(query); });
    if (!page) return Fail("dead letters: " + page.error().ToString());
    for (const auto& json : nlohmann::json::parse(page->json)) {
      const auto payload = nlohmann::json::parse(json["payload"].get<std::string>());
      letters.push_back({payload["id"], payload["card"], payload["amount"]});
    }
    more = page->next.has_value();
    if (more) query.after = *page->next;
  }
  // The residue of a short log holds next to nothing.
  FailIf(record_.CheckDeadLetters(letters,
                                  shape_.short_log ? Record::Whole::kPart : Record::Whole::kYes));
}

World::Inspection World::Inspect(SimulatedEnvironment& machine) {
  Inspection found;
  warnings_ = &found.warnings;
  std::unique_ptr<wiring::Core> core;
  const auto refuse = [&](const base::Error& error) { found.refusals.push_back(error); };
  const auto wrong = [&](const Record::Finding& finding) {
    if (finding && !found.wrong) found.wrong = finding;
  };
  std::optional<Result<void>> flushed;
  machine.Run([&] {
    auto started = wiring::Core::Start(machine, Options());
    if (!started) return refuse(started.error());
    core = std::move(*started);
    found.started = true;
    core->FlushTables([&](Result<void> result) { flushed = std::move(result); });
  });
  if (core != nullptr) {
    const env::MonotonicTime deadline = machine.clock().Now() + kFlushWithin;
    machine.RunUntil([&] { return flushed || machine.clock().Now() > deadline; });
    machine.RunFor(std::chrono::seconds(1));
    if (flushed && !*flushed) refuse(flushed->error());
    if (!flushed) wrong("the table is never flushed");
  }
  machine.Run([&] {
    const auto log = ReadLog(machine);
    if (log) {
      wrong(record_.CheckRows("log", *log));
    } else {
      refuse(log.error());
    }
    uint64_t foreign = 0;
    const auto table = ReadTable(machine, foreign);
    const bool whole = flushed && flushed->has_value();
    if (table) {
      wrong(record_.CheckRows("table", *table, whole ? Record::Whole::kYes : Record::Whole::kPart));
      if (whole && log && !SameRows(*table, *log)) wrong("table and log hold different rows");
      if (foreign != static_cast<uint64_t>(foreign_rows_)) wrong("rows of another writer are gone");
    } else {
      refuse(table.error());
    }
    if (core != nullptr)  // which are all that a residue of the log is read for
      if (const auto letters = core->DeadLetters({.stream = {}, .after = {}, .limit = 100'000});
          !letters)
        refuse(letters.error());
    for (int64_t card = 0; core != nullptr && log && card < kCards; ++card) {
      const auto asked = AskCore(*core, card);
      if (asked) {
        wrong(Record::CheckAnswer(*asked, *log));
      } else {
        refuse(asked.error());
      }
    }
  });
  machine.Crash(env::simulated::CrashKind::kKill);
  core.reset();
  warnings_ = nullptr;
  return found;
}

// A bit rots on a copy of the disk, so that this history can go on: what starts from the copy says
// so or is right.
void World::FlipBitOnCopy() {
  if (machine_->crashed()) return;
  std::set<std::string> unread;
  Undisturbed([&] { unread = UnreadDataFiles(*machine_); });
  const auto flip = DrawFlip(machine_->disk(), unread, random_);
  if (!flip) return;
  ++outcome_.faults["bit flip at rest"];
  const FlipVerdict verdict = TryFlip(*this, *flip, random_());
  if (verdict.wrong) Fail(*verdict.wrong);
}

}  // namespace headrace::simulation
