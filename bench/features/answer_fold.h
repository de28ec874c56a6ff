#pragma once
// Folds answers as of every row into one number. Outputs are by feature, then by window: counts,
// then sums of amounts in whole cents.

#include <bit>
#include <cmath>
#include <cstdint>

#include "moving_windows.h"
#include "pipeline/views/row_answers.h"

namespace headrace::bench {

// On the applier's thread; read when it has ended.
class AnswerFold final : public pipeline::RowAnswerReader {
 public:
  explicit AnswerFold(size_t windows) : windows_(windows) {}
  void Take(base::EpochId, size_t, const pipeline::RowAnswers& answers) override {
    for (const uint32_t row : answers.rows()) {
      const int64_t at_ms = answers.event_time(row).us / 1000;
      for (size_t w = 0; w < windows_; ++w) {
        const auto spent = std::bit_cast<double>(answers.cell(row, windows_ + w));
        value_ += AnswerDigest(at_ms, w, answers.cell(row, w), std::llround(spent * 100));
      }
    }
    rows_ += answers.rows().size();
  }
  uint64_t value() const { return value_; }
  uint64_t rows() const { return rows_; }

 private:
  const size_t windows_;
  uint64_t value_ = 0;
  uint64_t rows_ = 0;
};

}  // namespace headrace::bench
