#pragma once
// Which keys of a view an epoch touched: told from the epoch's rows alone.

#include <string>
#include <unordered_set>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "columns/key.h"
#include "log/epoch.h"
#include "pipeline/definition.h"

namespace headrace::serving {

// Distinct keys, in the order in which they were first met.
class KeyList {
 public:
  void Add(const columns::KeyBytes& key);
  void Clear();
  const std::vector<const columns::KeyBytes*>& keys() const { return order_; }
  uint64_t bytes() const { return bytes_; }

 private:
  std::unordered_set<columns::KeyBytes> set_;
  std::vector<const columns::KeyBytes*> order_;
  uint64_t bytes_ = 0;
};

// One thread. The definition lives as long.
class ChangedKeys {
 public:
  // The stream that comes in, of which the view's rows are made.
  static const pipeline::StreamDefinition& RootOf(const pipeline::PipelineDefinition& definition,
                                                  size_t view);
  // `root` is the log's id of RootOf. Errors: kUnsupported when rows of the view's stream depend on
  // more than their own epoch (a join, a deduplication).
  static base::Result<ChangedKeys> Make(pipeline::PipelineRef definition, size_t view,
                                        base::StreamId root);

  // Adds the keys of rows that the epoch brought into the view.
  void Add(const log::Epoch& epoch, KeyList& keys) const;

 private:
  ChangedKeys(pipeline::PipelineRef definition, size_t view, base::StreamId root)
      : definition_(std::move(definition)), view_(view), root_(root) {}

  pipeline::PipelineRef definition_;
  size_t view_;
  base::StreamId root_;
};

}  // namespace headrace::serving
