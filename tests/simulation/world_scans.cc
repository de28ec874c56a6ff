// World: scans of the payments' table and the log's tail, read a piece at a time while producers
// send, tables are committed, segments go and lives end. What one gave is held in the end against
// the table that has every row.
#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "simulation/foreign_writer.h"
#include "simulation/world.h"

namespace headrace::simulation {

using base::ErrorCode;

namespace {

constexpr size_t kScansMax = 40;  // that are kept, of a history

// What tells two rows apart; and what must be the same of one.
auto Facts(const LoggedRow& row) {
  return std::tuple(row.row.id, row.epoch.value, row.known_at_us, row.row.card, row.row.amount,
                    row.row.paid_at_us);
}
bool Before(const LoggedRow& a, const LoggedRow& b) { return Facts(a) < Facts(b); }

}  // namespace

void World::Scan() {
  if (machine_->crashed() || Failed() || script_.seed % 4 == 0) return;
  if (scan_.scan != nullptr) return ReadScan();
  if (scans_.size() < kScansMax && scan_random_() % 3 == 0) BeginScan();
}

void World::BeginScan() {
  scan_ = {};
  scan_.request.stream = kStream;
  if (scan_random_() % 3 == 0) {
    scan_.card = static_cast<int64_t>(scan_random_() % kCards);
    scan_.request.where = fmt::format("card = {} and id > 0", *scan_.card);
  }
  if (scan_random_() % 2 == 0)
    scan_.request.columns = {"_known_at", "id", "paid_at", "amount", "card", "_epoch"};
  const uint64_t durable = core_->log_status().durable.value;
  if (scan_random_() % 3 == 0 && durable > 0) scan_.request.epoch = 1 + scan_random_() % durable;
  machine_->Run([&] {
    auto begun = core_->scans().Open(scan_.request, {});
    if (machine_->crashed()) return;
    if (!begun) {
      const ErrorCode code = begun.error().code();
      if (code == ErrorCode::kUnavailable || code == ErrorCode::kResourceExhausted || MayRefuse())
        return;
      return Fail("a scan is refused: " + begun.error().ToString());
    }
    scan_.scan = std::move(*begun);
    scan_.epoch = scan_.scan->figures().epoch;
    if (!scan_.request.epoch && scan_.epoch.value < durable)
      Fail("a scan begins before what was durable");
  });
}

void World::ReadScan() {
  machine_->Run([&] {
    auto part = scan_.scan->Next();
    if (machine_->crashed()) return;
    if (!part) {
      // It may have been revoked over a quiet time; nobody takes data files away here.
      const bool revoked = part.error().code() == ErrorCode::kUnavailable &&
                           part.error().message().find("revoked") != std::string::npos;
      if (!revoked && !MayRefuse()) Fail("a scan breaks off: " + part.error().ToString());
      scan_.scan.reset();
      return;
    }
    if (!*part) {
      scan_.scan.reset();
      scans_.push_back(std::move(scan_));
      scan_ = {};
      return;
    }
    const columns::ColumnBatch& rows = **part;
    const auto column = [&](const char* name) {
      return rows.column(*rows.schema()->IndexOf(name));
    };
    for (size_t at = 0; at < rows.rows(); ++at) {
      const Row row{.id = column("id").Int64s()[at],
                    .card = column("card").Int64s()[at],
                    .amount = column("amount").Float64s()[at],
                    .paid_at_us = column("paid_at").Int64s()[at]};
      if (IsForeign(row.id)) continue;
      scan_.rows.push_back({{static_cast<uint64_t>(column("_epoch").Int64s()[at])},
                            row,
                            column("_known_at").Int64s()[at]});
    }
  });
}

void World::EndScan() { scan_ = {}; }

// `table` has every row that there is.
void World::CheckScans(std::vector<LoggedRow> table) {
  std::ranges::sort(table, Before);
  for (ScanRun& run : scans_) {
    std::vector<LoggedRow> expected;
    for (const LoggedRow& row : table)
      if (row.epoch <= run.epoch && (!run.card || row.row.card == *run.card))
        expected.push_back(row);
    std::ranges::sort(run.rows, Before);
    const auto [a, b] = std::ranges::mismatch(
        expected, run.rows, [](const auto& x, const auto& y) { return Facts(x) == Facts(y); });
    if (a == expected.end() && b == run.rows.end()) continue;
    const bool missing = b == run.rows.end() || (a != expected.end() && Before(*a, *b));
    const LoggedRow& row = missing ? *a : *b;
    return Fail(fmt::format("a scan as of epoch {}: row {} of epoch {}, known at {}, {}",
                            run.epoch.value, row.row.id, row.epoch.value, row.known_at_us,
                            missing ? "is missing" : "is there, and should not be"));
  }
  outcome_.scans_checked = scans_.size();
}

}  // namespace headrace::simulation
