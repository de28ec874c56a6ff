#pragma once
// Captures of a view set that are taken piece by piece while it moves, and view sets made of them.

#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "log/epoch.h"
#include "pipeline/views/view_capture.h"
#include "pipeline/views/view_restore.h"

namespace headrace::pipeline::fixture {

struct Captured {
  std::vector<uint8_t> layout;
  std::vector<std::vector<uint8_t>> pieces;
  base::EpochId after;
  base::EpochId through;
  base::Timestamp after_clock;
};

// What to do when too many are reading for another pin.
enum class WhenFull : uint8_t { kFail, kAskAgain };

// Takes a capture; `between` runs after each piece.
inline Captured CaptureAll(ViewSet& views, size_t piece_bytes, const std::function<void()>& between,
                           WhenFull when_full = WhenFull::kFail) {
  ViewCapture capture(views, piece_bytes);
  Captured captured{
      .layout = capture.Layout(), .pieces = {}, .after = {}, .through = {}, .after_clock = {}};
  while (true) {
    std::vector<uint8_t> piece;
    const auto more = capture.Next(piece);
    const bool is_full = !more && more.error().code() == base::ErrorCode::kResourceExhausted;
    if (is_full && when_full == WhenFull::kAskAgain) continue;
    HR_CHECK(more.has_value(), more.error().ToString());
    if (!*more) break;
    captured.pieces.push_back(std::move(piece));
    between();
  }
  captured.after = capture.after();
  captured.through = capture.through();
  captured.after_clock = capture.after_clock();
  return captured;
}

// Brings an empty view set to the capture and then through those of `epochs` that came after its
// earliest page.
inline void Restore(ViewSet& views, const Captured& captured,
                    std::span<const log::EpochRef> epochs) {
  auto restore = ViewRestore::Begin(views, captured.layout);
  HR_CHECK(restore.has_value(), restore.error().ToString());
  for (const auto& piece : captured.pieces) {
    const auto added = restore->Add(piece);
    HR_CHECK(added.has_value(), added.error().ToString());
  }
  const auto finished = restore->Finish(captured.after, captured.after_clock);
  HR_CHECK(finished.has_value(), finished.error().ToString());
  for (const log::EpochRef& epoch : epochs)
    if (epoch->id > captured.after) views.Apply({{epoch}});
}

}  // namespace headrace::pipeline::fixture
