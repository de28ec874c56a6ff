#pragma once
// For tests: the rows of a foreign table's stream that a log has, and those that it refused.

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "env/simulated/environment.h"
#include "log/reader.h"
#include "tables/delta/foreign_table.h"

namespace headrace::tables::foreign_table {

struct LoggedRows {
  std::vector<Row> rows;
  std::vector<columns::RejectedRow> refused;
};

inline LoggedRows RowsInLog(env::simulated::SimulatedEnvironment& machine) {
  LoggedRows logged;
  machine.Run([&] {
    const auto reader = log::LogReader::Open(machine, "data/log");
    ASSERT_TRUE(reader) << reader.error().ToString();
    const auto scanned =
        (*reader)->Scan({1}, {~0ULL}, [&](const log::EpochRef& epoch) -> base::Result<void> {
          for (const log::StreamRows& of_stream : epoch->streams)
            for (Row& row : RowsOf(of_stream.rows)) logged.rows.push_back(std::move(row));
          for (const log::StreamRejects& rejects : epoch->rejects)
            logged.refused.insert(logged.refused.end(), rejects.rows.begin(), rejects.rows.end());
          return {};
        });
    ASSERT_TRUE(scanned) << scanned.error().ToString();
  });
  return logged;
}

}  // namespace headrace::tables::foreign_table
