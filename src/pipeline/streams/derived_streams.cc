// An epoch, in steps, for each derived stream in the order of the file (so that what it is made of
// is there):
// 1. the dimension's rows of the epoch become versions, or the other's meet the events that wait;
// 2. the source's rows get what is joined to them, columns, condition;
// 3. what was counted is told.
#include "pipeline/streams/derived_streams.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "pipeline/streams/known_at.h"
#include "pipeline/streams/unnest.h"

namespace headrace::pipeline {
namespace {

constexpr uint8_t kCountsPart = 1;
constexpr uint8_t kVersionsPart = 2;
constexpr uint8_t kWaitingPart = 3;
constexpr uint8_t kFirstPart = 4;
// A part's number: how many parts there are, above it; nothing there in captures of before, which
// had so many.
constexpr unsigned kPartsShift = 16;
constexpr uint32_t kPartBits = 0xffff;
constexpr size_t kPartsBefore = 16;

uint32_t PartNumber(size_t part, size_t parts) {
  return static_cast<uint32_t>(parts << kPartsShift | part);
}

// u32 streams, per stream {text identity, what `write` appends}: of those of which `has` is true.
template <typename Streams, typename Has, typename Write>
void EncodeOf(const Streams& streams, Has has, Write write, columns::ByteWriter& out) {
  out.U32(static_cast<uint32_t>(std::ranges::count_if(streams, has)));
  for (const auto& stream : streams) {
    if (!has(stream)) continue;
    out.Text(stream.identity);
    write(stream);
  }
}

std::vector<std::string> ExpressionTexts(const Derivation& derivation) {
  std::vector<std::string> texts;
  for (const Expression& column : derivation.columns) texts.push_back(column.text());
  if (derivation.where) texts.push_back(derivation.where->text());
  return texts;
}

std::string RuleText(const PipelineDefinition& definition, size_t stream) {
  const StreamDefinition& root = definition.streams[definition.RootOf(stream)];
  switch (root.known_at.kind) {
    case KnownAtRule::Kind::kVisible: return "visible";
    case KnownAtRule::Kind::kEventTime: return "event time";
    case KnownAtRule::Kind::kArrived: break;
  }
  return fmt::format("{} + {}", root.schema()->field(root.known_at.field).name,
                     root.known_at.offset.count());
}

// When rows that are joined become known, as far as what a join keeps depends on it; empty without
// a join. A version that is known at its event time is known to every event that it is valid for.
std::string ArrivalText(const PipelineDefinition& definition, size_t stream) {
  const Derivation& derivation = *definition.streams[stream].derivation;
  if (derivation.interval)
    return fmt::format("{}, {}", RuleText(definition, derivation.source),
                       RuleText(definition, derivation.interval->stream));
  if (!derivation.as_of) return {};
  const size_t root = definition.RootOf(derivation.as_of->stream);
  std::string text = RuleText(definition, root);
  if (definition.streams[root].known_at.kind == KnownAtRule::Kind::kArrived)
    text += ", " + RuleText(definition, derivation.source);
  return text;
}

std::vector<columns::Position> Numbered(base::EpochId epoch, size_t rows) {
  std::vector<columns::Position> positions;
  positions.reserve(rows);
  for (size_t row = 0; row < rows; ++row) positions.push_back(columns::Position::Of(epoch, row));
  return positions;
}

DerivedRows TakeRows(const DerivedRows& rows, const std::vector<uint32_t>& kept) {
  if (kept.size() == rows.from.size()) return rows;
  DerivedRows taken{rows.rows.Take(kept), {}};
  for (const uint32_t row : kept) taken.from.push_back(rows.from[row]);
  return taken;
}

}  // namespace

DerivedStreams::DerivedStreams(const PipelineDefinition& definition, base::MemoryBudget& budget,
                               const env::Clock* clock)
    : definition_(definition), budget_(budget), clock_(clock), moments_(definition.streams.size()) {
  NoteInForce(definition);
  for (size_t i = 0; i < definition.streams.size(); ++i) {
    const auto& derivation = definition.streams[i].derivation;
    if (derivation == nullptr) continue;
    Stream stream{.index = i,
                  .identity = definition.streams[i].name + "\n" + DerivationText(definition, i),
                  .counts = {CountsOf(*derivation), {}, {}, {}},
                  .versions = {},
                  .captured_watermark = base::Timestamp::Min(),
                  .waiting = {},
                  .first = {},
                  .event_keys = {},
                  .other_keys = {},
                  .dedupe_keys = {},
                  .kept = {},
                  .remembered = {},
                  .restored = false};
    keeps_ |= derivation->as_of || derivation->interval || derivation->dedupe;
    if (derivation->dedupe)
      stream.first = std::make_unique<FirstRows>(*derivation->dedupe,
                                                 definition.streams[i].timing.event_time_field,
                                                 definition.streams[i].timing.late);
    const StreamDefinition& source = definition.streams[derivation->source];
    if (derivation->as_of)
      stream.versions = std::make_unique<AsOfTable>(
          *derivation, *definition.streams[derivation->as_of->stream].schema());
    if (derivation->interval) {
      const StreamDefinition& other = definition.streams[derivation->interval->stream];
      stream.waiting = std::make_unique<IntervalTable>(*derivation, *source.schema(),
                                                       *other.schema(), source.timing.late,
                                                       other.timing.late, IntervalTable::Limits{});
    }
    if (clock_ != nullptr) LookForHotKeys(stream);
    streams_.push_back(std::move(stream));
  }
}

DerivedStreams::~DerivedStreams() {
  ReleaseMade();
  budget_.Force(base::MemoryAccount::kState, -static_cast<int64_t>(charged_bytes_));
}

void DerivedStreams::LookForHotKeys(Stream& stream) const {
  const Derivation& derivation = *definition_.streams[stream.index].derivation;
  if (derivation.as_of) stream.event_keys = std::make_unique<HotKeys>(derivation.as_of->key);
  if (derivation.interval) {
    stream.event_keys = std::make_unique<HotKeys>(derivation.interval->key);
    stream.other_keys = std::make_unique<HotKeys>(derivation.interval->other_key);
  }
  if (derivation.dedupe) stream.dedupe_keys = std::make_unique<HotKeys>(derivation.dedupe->by);
}

void DerivedStreams::NoteKeys(HotKeys* of, const columns::ColumnBatch& rows) const {
  if (of != nullptr && rows.rows() > 0) of->Note(rows, clock_->Now());
}

void DerivedStreams::ChargeMade(uint64_t bytes) {
  budget_.Force(base::MemoryAccount::kState, static_cast<int64_t>(bytes));
  made_bytes_ += bytes;
}

void DerivedStreams::ReleaseMade() {
  budget_.Force(base::MemoryAccount::kState, -static_cast<int64_t>(made_bytes_));
  made_bytes_ = 0;
}

void DerivedStreams::NoteMoment(size_t stream, base::EpochId epoch,
                                const columns::ColumnBatch& rows) {
  Moment& moment = moments_[stream];
  moment = {.positions = Numbered(epoch, rows.rows()), .known_at = {}};
  const StreamDefinition& of = definition_.streams[stream];
  if (keeps_ && rules_[stream].assumed() && rows.rows() > 0)
    moment.known_at = KnownAt(rules_[stream], of.timing.event_time_field, rows, {});
}

void DerivedStreams::NoteDerived(size_t stream, base::EpochId epoch, const Input& input,
                                 const std::vector<uint32_t>& from) {
  Moment& moment = moments_[stream];
  moment = {};
  if (!input.known_at.empty())
    for (const uint32_t row : from) moment.known_at.push_back(input.known_at[row]);
  if (!definition_.KeepsPositions(stream)) {
    moment.positions = Numbered(epoch, from.size());
    return;
  }
  for (const uint32_t row : from) moment.positions.push_back(input.positions[row]);
}

JoiningRows DerivedStreams::RowsOf(size_t stream,
                                   std::span<const columns::ColumnBatch> batches) const {
  const size_t time = definition_.streams[stream].timing.event_time_field;
  const columns::ColumnBatch& rows = batches[stream];
  return {.rows = rows,
          .times = rows.rows() == 0 ? std::span<const int64_t>() : rows.column(time).Int64s(),
          .positions = moments_[stream].positions,
          .known_at = moments_[stream].known_at};
}

DerivedStreams::Input DerivedStreams::WithVersions(Stream& stream,
                                                   std::span<const columns::ColumnBatch> batches,
                                                   AsOfCounts& counts) {
  const Derivation& derivation = *definition_.streams[stream.index].derivation;
  stream.versions->Insert(RowsOf(derivation.as_of->stream, batches), counts);
  const JoiningRows events = RowsOf(derivation.source, batches);
  DerivedRows joined = stream.versions->Join(events, counts);
  const base::Duration late = definition_.streams[derivation.source].timing.late;
  for (const int64_t time : events.times)
    stream.versions->SetWatermark(base::Timestamp{time} - late);
  Input input{std::move(joined.rows), {}, {}};
  for (const uint32_t row : joined.from) {
    if (!events.known_at.empty()) input.known_at.push_back(events.known_at[row]);
    input.positions.push_back(events.positions[row]);
  }
  return input;
}

DerivedStreams::Input DerivedStreams::InputOf(Stream& stream, base::EpochId epoch,
                                              std::span<const columns::ColumnBatch> batches,
                                              DerivedCounts& counts) {
  const Derivation& derivation = *definition_.streams[stream.index].derivation;
  if (derivation.as_of) return WithVersions(stream, batches, counts.as_of);
  if (!derivation.interval)
    return {batches[derivation.source], moments_[derivation.source].known_at,
            moments_[derivation.source].positions};
  auto made = stream.waiting->Apply(epoch, RowsOf(derivation.source, batches),
                                    RowsOf(derivation.interval->stream, batches), counts.interval);
  return {std::move(made.rows), std::move(made.known_at), {}};
}

void DerivedStreams::Apply(base::EpochId epoch, std::span<columns::ColumnBatch> batches) {
  if (empty()) return;
  ReleaseMade();
  for (size_t i = 0; i < batches.size(); ++i)
    if (!definition_.streams[i].derived()) NoteMoment(i, epoch, batches[i]);
  const bool captured = epoch <= captured_through_;
  for (Stream& stream : streams_) {
    if (!captured && stream.versions != nullptr)
      stream.versions->SetWatermark(stream.captured_watermark);
    const Derivation& derivation = *definition_.streams[stream.index].derivation;
    if (!captured) {
      NoteKeys(stream.event_keys.get(), batches[derivation.source]);
      if (derivation.interval)
        NoteKeys(stream.other_keys.get(), batches[derivation.interval->stream]);
    }
    DerivedCounts counts = stream.counts;
    const Input input = InputOf(stream, epoch, batches, counts);
    DerivedRows rows;
    if (input.rows.rows() > 0) {
      if (derivation.as_of || derivation.interval) ChargeMade(input.rows.ByteSize());
      if (derivation.unnest) ChargeMade(UnnestedBytesMax(derivation, input.rows));
      rows = Derive(derivation, input.rows, counts.rows);
    }
    if (!captured) NoteKeys(stream.dedupe_keys.get(), rows.rows);
    if (stream.first != nullptr)
      rows = TakeRows(rows, stream.first->Apply(epoch, rows.rows, counts.dedupe));
    NoteDerived(stream.index, epoch, input, rows.from);
    batches[stream.index] = std::move(rows.rows);
    if (captured) continue;
    const std::lock_guard lock(mutex_);
    stream.counts = std::move(counts);
  }
  // What joins keep may be of later epochs: what is made of these rows has them already.
  if (captured)
    for (const Stream& stream : streams_) batches[stream.index] = {};
}

void DerivedStreams::SettleCharges() {
  ReleaseMade();
  if (!keeps_) return;
  uint64_t bytes = 0;
  {
    const std::lock_guard lock(mutex_);
    for (Stream& stream : streams_) {
      if (stream.versions != nullptr)
        stream.kept = {stream.versions->keys(), stream.versions->versions(),
                       stream.versions->bytes()};
      if (stream.waiting != nullptr)
        stream.kept = {0, stream.waiting->waiting(), stream.waiting->bytes()};
      if (stream.first != nullptr)
        stream.remembered = {0, stream.first->remembered(), stream.first->bytes()};
      bytes += stream.kept.bytes + stream.remembered.bytes;
    }
  }
  bytes_.store(bytes, std::memory_order_relaxed);
  budget_.Force(base::MemoryAccount::kState,
                static_cast<int64_t>(bytes) - static_cast<int64_t>(charged_bytes_));
  charged_bytes_ = bytes;
}

std::vector<DerivedStreamStatus> DerivedStreams::status() const {
  using Join = DerivedStreamStatus::Join;
  std::vector<DerivedStreamStatus> all;
  const auto newest = [&](const std::unique_ptr<HotKeys>& of) {
    return of == nullptr ? std::vector<HotKey>() : of->Newest(clock_->Now());
  };
  const std::lock_guard lock(mutex_);
  for (const Stream& stream : streams_) {
    const StreamDefinition& definition = definition_.streams[stream.index];
    const Derivation& derivation = *definition.derivation;
    DerivedStreamStatus status{.name = definition.name,
                               .from = definition_.streams[derivation.source].name,
                               .counts = stream.counts,
                               .expressions = ExpressionTexts(derivation),
                               .join = Join::kNone,
                               .joined = {},
                               .kept = stream.kept,
                               .unnests = derivation.unnest.has_value(),
                               .dedupes = stream.first != nullptr,
                               .remembered = stream.remembered,
                               .hot_keys = newest(stream.event_keys),
                               .other_hot_keys = newest(stream.other_keys),
                               .dedupe_hot_keys = newest(stream.dedupe_keys)};
    if (derivation.as_of) {
      status.join = Join::kAsOf;
      status.joined = definition_.streams[derivation.as_of->stream].name;
    } else if (derivation.interval) {
      status.join = Join::kInterval;
      status.joined = definition_.streams[derivation.interval->stream].name;
    }
    all.push_back(std::move(status));
  }
  return all;
}

// Parts: u8 2, text identity, AsOfTable's bytes; u8 3, text identity, u32 PartNumber,
// IntervalTable's bytes; u8 4, text identity, u32 PartNumber, FirstRows' bytes; at the end u8 1,
// u32 streams, per stream counts, then u32 streams with an unnest, per stream text identity and its
// counts, u64 each in their order, then u32 streams with a dimension, per stream text identity and
// u64 events without texts.
bool DerivedStreams::Encode(Cursor& cursor, base::EpochId epoch, size_t bytes,
                            std::vector<uint8_t>& out) const {
  columns::ByteWriter writer(out);
  for (; cursor.stream < streams_.size(); ++cursor.stream, cursor.next = cursor.first = 0) {
    const Stream& stream = streams_[cursor.stream];
    if (stream.versions != nullptr && cursor.next < stream.versions->keys()) {
      writer.U8(kVersionsPart);
      writer.Text(stream.identity);
      cursor.next = stream.versions->Encode(cursor.next, out.size() + bytes, out);
      return true;
    }
    if (stream.waiting != nullptr && cursor.next < IntervalTable::kParts) {
      writer.U8(kWaitingPart);
      writer.Text(stream.identity);
      writer.U32(PartNumber(cursor.next, IntervalTable::kParts));
      stream.waiting->Encode(cursor.next++, epoch, out);
      return true;
    }
    if (stream.first != nullptr && cursor.first < FirstRows::kParts) {
      writer.U8(kFirstPart);
      writer.Text(stream.identity);
      writer.U32(PartNumber(cursor.first, FirstRows::kParts));
      stream.first->Encode(cursor.first++, epoch, out);
      return true;
    }
  }
  if (cursor.stream > streams_.size()) return false;
  ++cursor.stream;
  writer.U8(kCountsPart);
  writer.U32(static_cast<uint32_t>(streams_.size()));
  for (const Stream& stream : streams_) EncodeCounts(stream, writer);
  EncodeUnnestCounts(writer);
  EncodeWithoutTexts(writer);
  return true;
}

bool DerivedStreams::looks_at_what_is_in_force() const {
  return keeps_ && std::ranges::none_of(definition_.streams, [](const StreamDefinition& stream) {
           return stream.known_at.assumed();
         });
}

void DerivedStreams::NoteInForce(const PipelineDefinition& in_force) {
  rules_.clear();
  for (const StreamDefinition& stream : definition_.streams)
    rules_.push_back(stream.derived() ? stream.known_at : RuleUnder(in_force, stream));
}

// Where arrival is observed now, what was made of earlier rows stays as it is.
base::Result<void> DerivedStreams::NoteCaptured(const PipelineDefinition& captured) {
  for (const Stream& stream : streams_) {
    const std::string& name = definition_.streams[stream.index].name;
    const auto before = captured.StreamNamed(name);
    const bool was_made = before && captured.streams[*before].derived();
    if (!was_made || !definition_.streams[stream.index].known_at.assumed()) continue;
    if (ArrivalText(captured, *before) == ArrivalText(definition_, stream.index)) continue;
    return base::Fail(
        base::ErrorCode::kFailedPrecondition,
        fmt::format("stream {} joins rows whose arrival was assumed in another way, or observed, "
                    "when the state was captured: the log has to be read whole",
                    name));
  }
  NoteInForce(captured);
  return {};
}

base::Result<void> DerivedStreams::Restore(columns::ByteReader& in, base::EpochId epoch) {
  HR_TRY(const uint8_t kind, in.U8());
  if (kind == kCountsPart) {
    captured_through_ = epoch;
    HR_TRY(const uint32_t streams, in.U32());
    for (uint32_t i = 0; i < streams; ++i) HR_TRY_VOID(RestoreCounts(in));
    HR_TRY_VOID(RestoreUnnestCounts(in));
    HR_TRY_VOID(RestoreWithoutTexts(in));
    SettleCharges();
    return {};
  }
  HR_TRY(const std::string_view identity, in.Text());
  Stream* stream = Identified(identity);
  // A stream that the definition has no more, or makes in another way.
  if (stream == nullptr) return {};
  if (kind == kVersionsPart && stream->versions != nullptr) return stream->versions->Restore(in);
  HR_TRY(const uint32_t number, in.U32());
  const size_t part = number & kPartBits;
  const size_t parts = number >> kPartsShift == 0 ? kPartsBefore : number >> kPartsShift;
  if (kind == kWaitingPart && stream->waiting != nullptr)
    return stream->waiting->Restore(part, parts, in);
  if (kind == kFirstPart && stream->first != nullptr)
    return stream->first->Restore(part, parts, in);
  return base::Fail(base::ErrorCode::kCorruption, "what was captured is kept by no stream");
}

base::Result<void> DerivedStreams::CheckRestored() const {
  for (const Stream& stream : streams_) {
    const bool remembers =
        stream.versions != nullptr || stream.waiting != nullptr || stream.first != nullptr;
    if (remembers && !stream.restored)
      return base::Fail(
          base::ErrorCode::kFailedPrecondition,
          fmt::format("stream {} is new since the state was captured, or made in another way, and "
                      "its rows depend on others: the log has to be read whole",
                      definition_.streams[stream.index].name));
  }
  return {};
}

DerivedStreams::Stream* DerivedStreams::Identified(std::string_view identity) {
  const auto found = std::ranges::find(streams_, identity, &Stream::identity);
  return found == streams_.end() ? nullptr : &*found;
}

// text identity, u64 in, u64 out, u64 false, u64 null, u32 expressions, u64 failed each, u64
// matched, u64 unmatched, u64 null keys, u64 null keys of versions, i64 watermark, then u64 each
// the counts of interval and dedupe in their order.
void DerivedStreams::EncodeCounts(const Stream& stream, columns::ByteWriter& out) const {
  const DerivationCounts& rows = stream.counts.rows;
  out.Text(stream.identity);
  out.U64(rows.rows_in);
  out.U64(rows.rows_out);
  out.U64(rows.where_false);
  out.U64(rows.where_null);
  out.U32(static_cast<uint32_t>(rows.failed.size()));
  for (const uint64_t failed : rows.failed) out.U64(failed);
  const AsOfCounts& as_of = stream.counts.as_of;
  out.U64(as_of.matched);
  out.U64(as_of.unmatched);
  out.U64(as_of.null_keys);
  out.U64(as_of.version_null_keys);
  out.I64(stream.versions == nullptr
              ? 0
              : std::max(stream.versions->watermark(), stream.captured_watermark).us);
  const IntervalCounts& interval = stream.counts.interval;
  out.U64(interval.pairs);
  out.U64(interval.alone);
  out.U64(interval.given_up);
  out.U64(interval.null_keys);
  out.U64(interval.other_null_keys);
  const DedupeCounts& dedupe = stream.counts.dedupe;
  out.U64(dedupe.repeats);
  out.U64(dedupe.null_keys);
  out.U64(dedupe.forgotten);
}

base::Result<void> DerivedStreams::RestoreCounts(columns::ByteReader& in) {
  DerivedCounts counts;
  base::Timestamp watermark;
  HR_TRY(const std::string_view identity, in.Text());
  HR_TRY(counts.rows.rows_in, in.U64());
  HR_TRY(counts.rows.rows_out, in.U64());
  HR_TRY(counts.rows.where_false, in.U64());
  HR_TRY(counts.rows.where_null, in.U64());
  HR_TRY(const uint32_t expressions, in.U32());
  for (uint32_t i = 0; i < expressions; ++i) {
    HR_TRY(const uint64_t failed, in.U64());
    counts.rows.failed.push_back(failed);
  }
  HR_TRY(counts.as_of.matched, in.U64());
  HR_TRY(counts.as_of.unmatched, in.U64());
  HR_TRY(counts.as_of.null_keys, in.U64());
  HR_TRY(counts.as_of.version_null_keys, in.U64());
  HR_TRY(watermark.us, in.I64());
  HR_TRY(counts.interval.pairs, in.U64());
  HR_TRY(counts.interval.alone, in.U64());
  HR_TRY(counts.interval.given_up, in.U64());
  HR_TRY(counts.interval.null_keys, in.U64());
  HR_TRY(counts.interval.other_null_keys, in.U64());
  HR_TRY(counts.dedupe.repeats, in.U64());
  HR_TRY(counts.dedupe.null_keys, in.U64());
  HR_TRY(counts.dedupe.forgotten, in.U64());
  Stream* stream = Identified(identity);
  if (stream == nullptr || counts.rows.failed.size() != stream->counts.rows.failed.size())
    return {};
  stream->restored = true;
  if (stream->versions != nullptr) stream->captured_watermark = watermark;
  stream->counts = std::move(counts);
  return {};
}

void DerivedStreams::EncodeUnnestCounts(columns::ByteWriter& out) const {
  const auto unnests = [this](const Stream& stream) {
    return definition_.streams[stream.index].derivation->unnest.has_value();
  };
  const auto write = [&out](const Stream& stream) {
    const UnnestCounts& counts = stream.counts.rows.unnest;
    out.U64(counts.elements);
    out.U64(counts.empty);
    out.U64(counts.null_lists);
    out.U64(counts.not_lists);
    out.U64(counts.left_out);
  };
  EncodeOf(streams_, unnests, write, out);
}

// After RestoreCounts. Captures of before there was an unnest end there.
base::Result<void> DerivedStreams::RestoreUnnestCounts(columns::ByteReader& in) {
  if (in.remaining() == 0) return {};
  HR_TRY(const uint32_t streams, in.U32());
  for (uint32_t i = 0; i < streams; ++i) {
    UnnestCounts counts;
    HR_TRY(const std::string_view identity, in.Text());
    HR_TRY(counts.elements, in.U64());
    HR_TRY(counts.empty, in.U64());
    HR_TRY(counts.null_lists, in.U64());
    HR_TRY(counts.not_lists, in.U64());
    HR_TRY(counts.left_out, in.U64());
    if (Stream* stream = Identified(identity)) stream->counts.rows.unnest = counts;
  }
  return {};
}

void DerivedStreams::EncodeWithoutTexts(columns::ByteWriter& out) const {
  const auto has_versions = [](const Stream& stream) { return stream.versions != nullptr; };
  const auto write = [&out](const Stream& stream) { out.U64(stream.counts.as_of.without_texts); };
  EncodeOf(streams_, has_versions, write, out);
}

// After RestoreUnnestCounts. Captures of before texts had a limit end there.
base::Result<void> DerivedStreams::RestoreWithoutTexts(columns::ByteReader& in) {
  if (in.remaining() == 0) return {};
  HR_TRY(const uint32_t streams, in.U32());
  for (uint32_t i = 0; i < streams; ++i) {
    HR_TRY(const std::string_view identity, in.Text());
    HR_TRY(const uint64_t without_texts, in.U64());
    if (Stream* stream = Identified(identity)) stream->counts.as_of.without_texts = without_texts;
  }
  return {};
}

DerivedRows DeriveFromRoot(
    const PipelineDefinition& definition, size_t stream, const columns::ColumnBatch& root_rows,
    const std::function<void(size_t stream, const UnnestedSize& lists)>& tell) {
  const Derivation& derivation = *definition.streams[stream].derivation;
  const bool of_derived = definition.streams[derivation.source].derived();
  DerivedRows source{root_rows, {}};
  if (of_derived) source = DeriveFromRoot(definition, derivation.source, root_rows, tell);
  DerivationCounts counts = CountsOf(derivation);
  DerivedRows derived = Derive(derivation, source.rows, counts);
  if (derivation.unnest && tell) tell(stream, derived.unnested);
  if (of_derived)
    for (uint32_t& row : derived.from) row = source.from[row];
  return derived;
}

std::string DerivationText(const PipelineDefinition& definition, size_t stream) {
  const auto& derivation = definition.streams[stream].derivation;
  if (derivation == nullptr) return {};
  const StreamDefinition& source = definition.streams[derivation->source];
  std::string text = "of " + source.name;
  const auto add_text = [&](size_t of) {
    const std::string more = DerivationText(definition, of);
    if (!more.empty()) fmt::format_to(std::back_inserter(text), " ({})", more);
  };
  // What is kept of rows are the bytes of their columns.
  const auto add_fields = [&](size_t first) {
    const auto& fields = derivation->input->fields();
    for (size_t i = first; i < fields.size(); ++i)
      fmt::format_to(std::back_inserter(text), " {} {}", fields[i].name,
                     columns::NameOf(fields[i].type));
  };
  // A whole number is kept as the same bytes whatever its width, and not as those of a float.
  const auto add_keys = [&](const std::vector<size_t>& keys, const columns::Schema& schema) {
    for (const size_t field : keys)
      fmt::format_to(std::back_inserter(text), " {}{}", schema.field(field).name,
                     columns::IsFloating(schema.field(field).type) ? " float" : "");
  };
  add_text(derivation->source);
  if (const auto& as_of = derivation->as_of) {
    fmt::format_to(std::back_inserter(text), " as of {} {}", as_of->kind == JoinKind::kLeft ? 1 : 0,
                   definition.streams[as_of->stream].name);
    add_text(as_of->stream);
    add_keys(as_of->key, *source.schema());
    fmt::format_to(std::back_inserter(text), " late {}", source.timing.late.count());
    add_fields(source.schema()->size());
  }
  if (const auto& interval = derivation->interval) {
    const StreamDefinition& other = definition.streams[interval->stream];
    fmt::format_to(std::back_inserter(text), " within {} to {} {} {}", interval->from.count(),
                   interval->to.count(), interval->kind == JoinKind::kLeft ? 1 : 0, other.name);
    add_text(interval->stream);
    add_keys(interval->key, *source.schema());
    fmt::format_to(std::back_inserter(text), " late {} {}", source.timing.late.count(),
                   other.timing.late.count());
    add_fields(0);
  }
  if (const auto& unnest = derivation->unnest)
    fmt::format_to(std::back_inserter(text), " unnest {} at most {} {} {} {} {}",
                   derivation->input->field(unnest->list).name, unnest->elements_max,
                   unnest->keeps_empty ? 1 : 0, unnest->element == Unnest::Element::kText ? 1 : 0,
                   derivation->unnested->field(unnest->list).name,
                   derivation->unnested->fields().back().name);
  const auto add = [&](std::string_view what, const Expression& expression,
                       const columns::Schema& inputs) {
    fmt::format_to(std::back_inserter(text), " {} {}", what, expression.text());
    if (!expression.semantics().empty())
      fmt::format_to(std::back_inserter(text), " by {}", expression.semantics());
    text += NarrowInputs(expression, inputs);
  };
  for (size_t i = 0; i < derivation->columns.size(); ++i)
    add(derivation->wide->field(derivation->unnested->size() + i).name + " =",
        derivation->columns[i], *derivation->unnested);
  if (derivation->where) add("where", *derivation->where, *derivation->wide);
  if (const auto& dedupe = derivation->dedupe) {
    fmt::format_to(std::back_inserter(text), " first within {} late {} by", dedupe->within.count(),
                   source.timing.late.count());
    add_keys(dedupe->by, *derivation->schema);
  }
  return text;
}

}  // namespace headrace::pipeline
