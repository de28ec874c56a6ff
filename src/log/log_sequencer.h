#pragma once
// The implementation of Sequencer; private to this room.
//
// One batch's way: Submit charges it to the queue and posts it; Pump admits it into the gathering
// epoch when the disk has room; when no epoch is being synced, the gathering one is sealed (one
// batch a stream), encoded, written and synced; OnSynced hands it to the applier, answers its
// waiters, and pumps again. What came in during the sync is in the mailbox before the sync's own
// message, so it makes up the next epoch: that is the group commit.

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "log/admission.h"
#include "log/answer_copy.h"
#include "log/catalogue.h"
#include "log/durable_mark.h"
#include "log/log_clock.h"
#include "log/pending_epoch.h"
#include "log/recovery.h"
#include "log/retention.h"
#include "log/segment_store.h"
#include "log/sequencer.h"
#include "log/state_capture.h"

namespace headrace::log {

class LogSequencer final : public Sequencer {
 public:
  using RecoveredCallback = std::function<base::Result<void>(const Epoch&)>;

  LogSequencer(env::Environment& environment, base::MemoryBudget& budget, std::string folder,
               LogOptions options);
  ~LogSequencer() override;

  // The second half of construction. Once.
  base::Result<void> Recover(const ResumePoint& resume, const RecoveredCallback& on_recovered);

  base::Result<base::StreamId> AddStream(const std::string& name, columns::SchemaRef schema,
                                         StreamTiming timing) override;
  void Start(DurableCallback on_durable) override;
  void Submit(columns::EventBatch batch, AckCallback done) override;
  bool WouldFollow(const columns::EventBatch& batch, const StreamTiming& timing,
                   base::EpochId epoch) const override;
  void Append(ControlEntry entry, ControlCallback done) override;
  void AppendEvolving(std::vector<StreamSpec> streams, ControlEntry entry,
                      ControlCallback done) override;
  void MarkVisible(base::EpochId epoch, base::Timestamp at) override;
  void CaptureState(CaptureCallback done) override;
  void Retain(base::EpochId from) override;
  void Hold(std::move_only_function<void(base::EpochId)> done) override;
  void LetGo() override;
  uint64_t LastSequence(base::StreamId stream, const std::string& producer) const override;
  LogStatus status() const override;
  const base::Histogram& sync_us() const override { return sync_us_; }
  const base::Histogram& durable_us() const override { return durable_us_; }
  void Stop() override;

 private:
  struct Stream {
    StreamEntry entry;
    StreamTiming timing;
  };
  // Sealed, and being written or waiting for room.
  struct InFlight {
    PendingEpoch waiters;
    EpochRef epoch;
    uint64_t bytes_max = 0;
    uint64_t bytes = 0;
    uint64_t checksum = 0;
    bool written = false;
    std::optional<base::Error> waits;  // for space; RetryLater's timer tries again
  };
  enum class Step : uint8_t { kTaken, kWait };
  // One capture on its way: asked for; begun right after a seal; frozen right after another;
  // settled when the epoch is durable; handed out when its bytes are whole and, under `os`, synced.
  struct Capture {
    CaptureCallback done;
    uint64_t number = 0;
    std::vector<uint8_t> bytes;
    std::unique_ptr<AnswerCopy> answers;  // null before it is begun
    std::optional<CaptureHead> head;      // once frozen
    std::vector<Watermark> newest;
    bool settled = false;
    bool syncing = false;
    std::vector<base::MemoryCharge> charges;
    uint64_t charged_bytes = 0;
  };

  // Any thread.
  base::Result<void> Charge(Submission& submission);
  // False when stopped: `task` is then untouched.
  bool PostFromOutside(env::Task& task);
  base::Result<void> SyncAtEnd();

  // Before Start, on the caller's thread.
  base::Result<RecoverFrom> LearnCaptured(const ResumePoint& resume);
  base::Result<void> LearnStreams(const Epoch& epoch);
  void LearnRecovered(const Epoch& epoch);
  void PutStream(StreamEntry entry, StreamTiming timing);
  // What the log would know of the stream, and whether that is something new.
  base::Result<StreamEntry> Successor(const StreamSpec& spec, SchemaChange& change) const;

  // On the executor: taking in.
  void TakeBatch(Submission submission);
  void TakeControl(ControlWaiter waiter);
  void Pump();
  Step AdmitFront();
  Step AdmitControlFront();
  // Whether an epoch may begin with new schemas now; also where that is refused anyway.
  bool MayEvolve(const std::vector<StreamSpec>& streams) const;
  base::Result<void> EvolveStreams(const std::vector<StreamSpec>& streams);
  base::Result<const Stream*> CheckBatch(columns::EventBatch& batch) const;
  bool FitsPending(const Submission& submission, uint64_t bytes) const;
  // Why nothing is taken, whatever its size.
  std::optional<base::Error> Closed() const;
  // Of those rows of the batch that would not pass: as texts, with the names of all columns.
  uint64_t BytesAsTexts(const columns::EventBatch& batch, const Stream& stream);
  base::Result<void> ChargeTexts(Submission& submission, uint64_t texts);
  // kTaken with nothing: there is room now.
  std::optional<base::Error> RefusalForRoom(uint64_t bytes, SegmentStore::Use use, Step& step);
  ClockReading ClockNow();
  void AdmitBatch(Submission submission, const Stream& stream);
  void AnswerRepeat(Submission submission, const StoredAnswer& answer);

  // On the executor: writing.
  // Wall time without its steps, under either clock: by it keys are forgotten and epochs stamped.
  base::Timestamp ReadClock();
  void Seal();
  void WriteInFlight();
  base::Result<void> WriteRecord();
  void EncodeRecord();
  void RetryLater(const base::Error& error);
  void TryInFlightAgain();
  void OnSynced(const base::Result<void>& synced);
  void SetMark(base::EpochId epoch);
  void PublishDurable(const InFlight& done);
  void AnswerWaiters(PendingEpoch& waiters, const base::Error* error);
  void AnswerBatch(BatchWaiter& waiter);
  void RefuseBatch(Submission submission, base::Error error);
  void RefuseAll(const base::Error& error);
  void BecomeReadOnly(const base::Error& error);
  void Drain();
  void SettleCharges(const Submission& submission);

  void OnLetGo(uint64_t freed_bytes);
  void PublishRetention();

  // On the executor: capturing.
  void TakeCapture(CaptureCallback done);
  void OnSealed();
  void BeginCapture();
  void FreezeCapture();
  void SettleCapture(const Epoch* epoch);
  void PostCaptureSlice();
  void CaptureSlice();
  base::Result<void> ChargeCapture();
  void HandOutCapture();
  void EndCapture(base::Result<void> outcome);

  void ChargeAdmissionState();

  env::Environment& environment_;
  base::MemoryBudget& budget_;
  const std::string folder_;
  const LogOptions options_;
  std::unique_ptr<env::FileLock> lock_;
  base::LogId log_;

  // Guards what any thread may ask.
  mutable std::mutex state_mutex_;
  LogStatus status_;
  base::EpochId visible_through_;
  base::Timestamp visible_at_ = base::Timestamp::Min();
  Admission admission_;  // written on the executor only

  std::mutex post_mutex_;
  bool started_posting_ = false;
  bool stopped_ = false;
  std::vector<env::Task> before_start_;
  std::atomic<uint64_t> queued_bytes_{0};
  base::Histogram sync_us_;
  base::Histogram durable_us_;

  // On the executor (or before Start).
  Catalogue catalogue_;
  uint64_t preface_bytes_ = 0;                  // at most what the catalogue takes in a record
  std::vector<std::optional<Stream>> streams_;  // by id
  std::unique_ptr<LogClock> clock_;
  std::optional<DurableMark> mark_;
  DurableCallback on_durable_;
  bool started_ = false;
  bool draining_ = false;
  bool retry_is_posted_ = false;
  std::optional<base::Error> read_only_;
  std::deque<Submission> waiting_;
  std::deque<ControlWaiter> waiting_controls_;
  PendingEpoch pending_{base::EpochId{1}};
  std::optional<InFlight> in_flight_;
  std::unique_ptr<Capture> capture_;
  uint64_t captures_ = 0;
  // Bytes of the record in flight. Its memory is used again, unless it was unusually long.
  std::vector<uint8_t> record_;
  base::EpochId durable_;
  uint64_t last_checksum_ = 0;
  uint64_t log_bytes_ = 0;      // records written, the one in flight included
  uint64_t bytes_written_ = 0;  // likewise, since the start
  uint64_t admission_bytes_charged_ = 0;

  env::Executor* self_ = nullptr;  // the executor, also while its destructor drains it
  std::unique_ptr<SegmentStore> segments_;
  std::unique_ptr<Retention> retention_;
  std::unique_ptr<env::Executor> executor_;
};

}  // namespace headrace::log
