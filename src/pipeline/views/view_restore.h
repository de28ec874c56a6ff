#pragma once
// Brings captured state (view_capture.h) back into a new ViewSet.
//
// Afterwards the epochs after the capture's earliest one are applied as always; each view leaves
// out, page by page, what it has already. With the last epoch that the capture saw the state is
// what it would have been had every epoch been applied.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "columns/batch_codec.h"
#include "pipeline/views/view_set.h"

namespace headrace::pipeline {

// On the applier's thread, before the first Apply. A ViewSet whose restoration failed is of no use
// any more.
class ViewRestore {
 public:
  // `layout` is ViewCapture::Layout's. Views that are not in it, or are other ones now, stay empty
  // and take no rows: their history has to be read for them (ViewSet::BeginChange). Errors:
  // kFailedPrecondition when such a view is of a joined stream, or one without repeats, whose
  // history is not read back, and as DerivedStreams::NoteCaptured; kCorruption; kUnsupported. One
  // that takes no rows of epochs up to `through`, the last that may be in the capture, is whole:
  // the replay brings all its rows. `captured_under`: the definition that was in force, if known.
  static base::Result<ViewRestore> Begin(ViewSet& views, std::span<const uint8_t> layout,
                                         base::EpochId through = kSinceThisEntry,
                                         const PipelineDefinition* captured_under = nullptr);

  // Names of the views that stay empty.
  const std::vector<std::string>& missing() const { return missing_; }

  // In the order in which they were captured. Errors: kCorruption.
  base::Result<void> Add(std::span<const uint8_t> piece);
  // After the last: what is there is the state of `after`, as far as nothing later is replayed.
  // Errors: as DerivedStreams::CheckRestored.
  base::Result<void> Finish(base::EpochId after, base::Timestamp clock);

 private:
  explicit ViewRestore(ViewSet& views) : views_(&views) {}
  base::Result<void> AddPage(columns::ByteReader in);
  base::Result<void> AddKeys(columns::ByteReader in);
  base::Result<void> AddDerived(columns::ByteReader in);
  base::Result<void> AddHeard(columns::ByteReader in);

  ViewSet* views_;
  std::vector<std::string> missing_;
  std::vector<std::optional<size_t>> view_numbers_;         // captured -> ours
  std::vector<std::optional<std::string>> entity_numbers_;  // captured -> ours
};

}  // namespace headrace::pipeline
