#pragma once
// Nexmark's window queries over streams that come in epoch by epoch, each as its pipeline file
// (q5.yaml and so on) says it, and as somebody asks it who wants all of its result.
//
// 5 and 7 ask the one key that has all bids as of each window's end, when an epoch has gone past
// it. 8 is a derived stream. 11 and 12 are told the answer as of each bid; that of a bidder's last
// bid in a session, or in a window, is a row of the result.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "columns/batch.h"
#include "pipeline/definition.h"

namespace headrace::bench {

// One thread.
class WindowQuery {
 public:
  // Takes a row of the result as a JSON object.
  using Row = std::function<void(std::string)>;
  // "q5"; null when there is none of that name. `row` may be empty: then rows are only counted.
  static std::unique_ptr<WindowQuery> Named(const std::string& name,
                                            const pipeline::PipelineRef& definition, Row row);
  virtual ~WindowQuery() = default;
  // Rows of the streams that come in, in their order.
  virtual void Apply(std::vector<columns::ColumnBatch> streams) = 0;
  // Nothing comes any more.
  virtual void Finish() {}
  uint64_t rows() const { return rows_; }

 protected:
  explicit WindowQuery(Row row) : row_(std::move(row)) {}
  // `text` makes the row; it is called only for somebody who wants it.
  template <typename Text>
  void Give(const Text& text) {
    ++rows_;
    if (row_) row_(text());
  }

 private:
  const Row row_;
  uint64_t rows_ = 0;
};

}  // namespace headrace::bench
