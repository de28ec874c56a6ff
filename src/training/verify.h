#pragma once
// Verification: every answer in an answers file computed again from table files and log by the
// offline path, and compared to the last bit, values and statuses.

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "env/environment.h"
#include "training/history.h"

namespace headrace::training {

struct VerifyOptions {
  std::string data_folder;
  std::string answers;            // serving/answer_log.h
  size_t workers = 2;             // 0: this thread
  size_t differences_max = 1000;  // described; all are counted
  uint64_t part_bytes =
      8ULL << 20;  // of the answers file, at once in memory; a longer line is unreadable
  WorkProgress* progress = nullptr;  // told how far it is; null: nobody asks
};

// One feature that came out differently.
struct DifferentFeature {
  std::string feature;  // "origin.mean_delay_6h"
  std::string served;   // JSON and status: "12.5 PRESENT"
  std::string recomputed;
};

// One answer that came out differently.
struct Difference {
  uint64_t line = 0;  // of the answers file, from 1
  base::EpochId epoch;
  base::Timestamp as_of;
  std::string service;
  std::string key;     // "origin=ORD, destination=DFW"
  std::string reason;  // empty: features differ; else why the answer can't be what the log says
  std::vector<DifferentFeature> features;
};

struct VerifyReport {
  uint64_t checked = 0;      // answers (entity rows) computed again
  uint64_t values = 0;       // features in them
  uint64_t mismatches = 0;   // answers of which at least one bit differs
  uint64_t unreadable = 0;   // lines that a crash has torn: begun, and not ended
  uint64_t damaged = 0;      // lines that no crash leaves
  uint64_t provisional = 0;  // answers with an event that no epoch had: nobody can prove them
  uint64_t other_log = 0;    // answers of another log, which this folder can't prove
  std::vector<Difference> differences;
  ScannedRows scanned;
  base::Duration took{0};
};

// Errors: kNotFound (no log, no answers file), those of History; a difference is no error.
base::Result<VerifyReport> Verify(env::Environment& environment, const VerifyOptions& options);

}  // namespace headrace::training
