#pragma once
// DoGet that follows a view: for the epochs after one that the client names, the keys whose rows
// changed, with their features. Why so: docs/adr/0032-changes-of-a-view-are-told-from-the-log.md.
// In rounds:
//
//   1. wait until an epoch behind the last one is visible, or until it is time for a marker;
//   2. take the keys of the epochs up to the visible one: from memory, or from the log when the
//      client fell behind. So nothing is queued for a client, however slow: what changed several
//      times meanwhile is sent once, as it is now;
//   3. read their features, a piece of keys from one snapshot at a time, which is of the last of
//      these epochs or a later one, and never an older one than the piece before. When the snapshot
//      is taken away before it is read, the next one is read of half as many; pieces grow again as
//      they are read in time;
//   4. say through which epoch everything is told. A round without keys is an empty batch, and so
//      is one, when it is time for a marker, whose next piece could not be read yet.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/memory_budget.h"
#include "base/result.h"
#include "ingest/flight/flight_reads.h"
#include "log/reader.h"
#include "serving/flight/changed_keys.h"
#include "serving/flight/key_reads.h"
#include "serving/flight/recent_epochs.h"

namespace headrace::serving {

// A value.
struct ChangesRequest {
  static constexpr size_t kBytesMax = 64U << 10;

  std::string view;
  std::optional<base::EpochId> from_epoch;   // changes of later ones; nothing: from now on
  std::optional<base::EpochId> until_epoch;  // the call ends when all up to it is told
  std::string log;                           // that from_epoch is of; empty: unsaid
  std::vector<std::string> features;         // of the view; empty: all
  std::chrono::milliseconds marker_every{1000};
};
// {"changes":"card","from_epoch":n,"until_epoch":n,"log":"..","features":[".."],"marker_ms":n};
// only `changes` must be there. Errors: kInvalidInput; an unknown member is.
base::Result<ChangesRequest> ParseChangesRequest(std::string_view json);

// What subscriptions read; all outlive them.
struct ChangeSources {
  FlightSources serving;
  log::LogReader* log = nullptr;
  RecentEpochs* recent = nullptr;
  std::function<base::EpochId()> visible;
  std::function<base::Result<base::StreamId>(const std::string&)> stream_named;
};

// One call, on its own thread.
class ViewChanges final : public ingest::FlightRows {
 public:
  // Named limits.
  static constexpr size_t kPieceKeysMax = 512;            // read from one snapshot
  static constexpr uint64_t kRoundBytesMax = 4ULL << 20;  // of keys of a round, which then ends
                                                          // with the epoch at hand
  static constexpr uint64_t kChargeBytes =
      2 * kRoundBytesMax + RecentEpochs::kBytesMax;              // of a call
  static constexpr std::chrono::milliseconds kAheadMax{10'000};  // until from_epoch is visible
  static constexpr std::chrono::milliseconds kMarkerLeast{50};
  static constexpr std::chrono::milliseconds kMarkerMost{60'000};

  // Errors: kNotFound (view), kUnauthorized, kUnsupported (a view over a join); kInvalidInput for a
  // request that is none, another log, an epoch that is not there yet; kFailedPrecondition when the
  // rows after from_epoch were let go, with the first that can be had; kResourceExhausted.
  static base::Result<std::unique_ptr<ViewChanges>> Open(const ChangeSources& sources,
                                                         std::string_view ticket,
                                                         ingest::FlightCaller caller);

  std::shared_ptr<arrow::Schema> schema() const override { return layout_.schema(); }
  // Errors: also kUnavailable: the definition changed, the engine stops.
  base::Result<std::optional<ingest::FlightBatch>> Next() override;
  std::string Summary() const override;

 private:
  ViewChanges(const ChangeSources& sources, ChangesRequest request, FeatureQuery query,
              FeatureLayout layout, ChangedKeys changed, pipeline::PipelineRef definition,
              ingest::FlightCaller caller);
  base::Result<void> CheckBegin() const;
  base::Result<void> BeginRound();
  base::Result<void> TakeKeys(base::EpochId visible);
  base::Result<ingest::FlightBatch> NextPiece();
  struct Piece {
    columns::ColumnBatch keys;
    FeatureAnswer answer;
  };
  // As many keys as can be read before the snapshot is taken away; none, for a marker.
  base::Result<Piece> ReadPiece();
  base::Result<Piece> ReadKeys(size_t count) const;
  base::EpochId told() const { return begin_piece_ < keys_.keys().size() ? after_ : through_; }

  const ChangeSources sources_;
  const ChangesRequest request_;
  const FeatureQuery query_;  // without inputs
  const FeatureLayout layout_;
  const ChangedKeys changed_;
  const pipeline::PipelineRef definition_;
  const ingest::FlightCaller caller_;
  const RecentEpochs::Follower follower_;
  base::MemoryCharge charge_;
  std::string log_;
  base::EpochId after_;    // told before this round
  base::EpochId through_;  // will be told with its last piece
  KeyList keys_;           // of the round
  size_t begin_piece_ = 0;
  size_t piece_keys_max_ = kPieceKeysMax;  // of the next piece
};

}  // namespace headrace::serving
