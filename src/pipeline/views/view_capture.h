#pragma once
// Copies the online state out while it moves, in pieces of about a MiB.
//
// A capture is a reader like any other. For each page (256 keys of a view) it pins the visible
// step, copies the headers of the keys, and turns its pin into a hold of memory, so that the
// applier never waits for it; the rows are then written at leisure. The page carries the epoch of
// its step. Pages are of different epochs: ViewRestore makes one state of them again by replaying
// the log from the earliest, and leaving out of each page what it has already.
//
// What is kept of derived streams comes first: every page is then of an epoch that has it. Views
// come next, their keys last, so that every captured row has its key. To the views that readers see
// come those that a change took away and that are still kept up, unless they can be built of a
// table: a start after a change back finds their rows nowhere else.
//
// piece := part...
// part  := u8 1, u32 bytes, u32 view, u32 page, u64 epoch, u32 keys, per key {u8 number in the
// page,
//          RowStore's bytes}; a large key goes on in the next piece, under the same page and epoch
//        | u8 2, u32 bytes, u32 entity, u32 keys, per key {u32 number, text}
//        | u8 3, u32 bytes, u64 epoch, a part of DerivedStreams; only where there are derived
//        streams
//        | u8 4, u32 bytes, u32 streams, per stream {text, i64 when it was last heard of, us};
//        first

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "pipeline/views/view_set.h"

namespace headrace::pipeline {

struct KeptKeys;
struct KeptView;

// One thread at a time, any thread. Between calls of Next it may keep memory from being freed that
// the applier has done with: finish it, or let it go.
class ViewCapture {
 public:
  static constexpr size_t kPieceBytes = 1 << 20;

  // `views` outlives it; `piece_bytes`: about the size of a piece.
  explicit ViewCapture(ViewSet& views, size_t piece_bytes = kPieceBytes);
  ~ViewCapture();
  ViewCapture(const ViewCapture&) = delete;

  // What the pieces are of: the views and entities as their rows and keys are kept. ViewRestore
  // reads it first.
  std::vector<uint8_t> Layout() const;
  // Appends the next piece to `out`. False, and nothing appended, at the end. Errors: as
  // ViewSet::PinNewest; then it may be called again. kConflict when the definition was changed, or
  // a view that was kept up let go, since the capture began: begin anew, a moment later.
  base::Result<bool> Next(std::vector<uint8_t>& out);

  // Whether what is captured is what readers see: no change came in between.
  bool IsCurrent() const { return views_.IsVisible(*definition_); }

  // The earliest and the latest epoch of a page so far, and the log clock of the earliest. Whoever
  // restores must replay the epochs after the earliest.
  base::EpochId after() const { return after_; }
  base::EpochId through() const { return through_; }
  base::Timestamp after_clock() const { return after_clock_; }

 private:
  class KeyWalk;
  struct Page;
  struct Keys;
  base::Result<bool> WriteSome(std::vector<uint8_t>& out, size_t until);
  base::Result<bool> WriteHeard(std::vector<uint8_t>& out);
  base::Result<bool> WriteDerived(std::vector<uint8_t>& out);
  base::Result<bool> TakePage();
  void WritePage(std::vector<uint8_t>& out, size_t until);
  base::Result<bool> WriteKeys(std::vector<uint8_t>& out, size_t until);
  void NoteEpoch(const Pin& pin);

  base::Result<Pin> PinSame();

  base::Result<Pin> PinFor(size_t view);
  base::Result<void> CheckKeptUp(size_t view) const;
  void TakeTable();

  ViewSet& views_;
  std::shared_ptr<const ViewTable> table_;        // what is captured
  PipelineRef definition_;                        // its
  std::vector<std::shared_ptr<KeptView>> taken_;  // its views, then those that are kept up
  // Of those, by entity.
  std::map<std::string, std::shared_ptr<KeptKeys>> keys_of_;
  const size_t piece_bytes_;
  bool heard_done_ = false;
  DerivedStreams::Cursor derived_;
  bool derived_done_ = false;
  size_t view_ = 0;
  uint32_t page_number_ = 0;
  size_t entity_ = 0;
  std::unique_ptr<Page> page_;  // being written
  std::unique_ptr<Keys> keys_;  // being written
  bool begun_ = false;
  base::EpochId after_;
  base::EpochId through_;
  base::Timestamp after_clock_;
};

}  // namespace headrace::pipeline
