#pragma once
// The bytes of a StateCapture: what the log's own state was after an epoch.
// docs/internals/log-format.md has the layout. They carry no checksum of their own: whoever stores
// them guards them; damage that is met all the same is kCorruption.

#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "columns/batch_codec.h"
#include "log/admission.h"
#include "log/catalogue.h"

namespace headrace::log {

// The part of fixed length, filled in at the end.
struct CaptureHead {
  base::LogId log;
  base::EpochId epoch;           // whose decisions it holds, all and no other
  uint64_t record_checksum = 0;  // of that epoch's record; 0 for epoch 0
  base::Timestamp clock = base::Timestamp::Min();
  uint64_t rows_accepted = 0;
  uint64_t rows_refused = 0;
  AnswerForm answers = AnswerForm::kProducersOfStreams;
};

// The order of writing: BeginCapture, then what an AnswerCopy writes, then EndCapture.
void BeginCapture(std::span<const StreamEntry> streams, std::vector<uint8_t>& bytes);
void EndCapture(const CaptureHead& head, std::span<const Watermark> newest,
                std::vector<uint8_t>& bytes);

// Errors: kCorruption; kUnsupported for a newer version's.
base::Result<CaptureHead> ReadCaptureHead(std::span<const uint8_t> bytes);

// The streams that the log knew, in the order of ids: for whoever must know them before recovery
// hands the first epoch on. Errors: as above.
base::Result<std::vector<StreamEntry>> StreamsOf(std::span<const uint8_t> bytes);

// Reads a capture into an empty admission state; the streams are added to `catalogue`. After an
// error neither is of use. Errors: as above.
base::Result<CaptureHead> RestoreCapture(std::span<const uint8_t> bytes, Admission& admission,
                                         Catalogue& catalogue);

}  // namespace headrace::log
