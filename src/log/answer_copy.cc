#include "log/answer_copy.h"

#include <algorithm>

#include "base/result.h"

namespace headrace::log {

using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::ByteReader;
using columns::ByteWriter;
using columns::RejectedRow;

namespace {

constexpr uint64_t kNoteBytes = 160;

void WriteAnswer(const StoredAnswer& answer, ByteWriter& out) {
  out.U64(answer.epoch.value);
  out.U32(answer.accepted);
  out.U32(answer.first_row);
  out.I64(answer.first_time.us);
  out.U32(answer.refused_rows);
  out.U32(answer.refused ? static_cast<uint32_t>(answer.refused->size()) : 0);
  if (!answer.refused) return;
  for (const RejectedRow& row : *answer.refused) {
    out.U32(row.row);
    out.Text(row.field);
    out.Text(row.rule);
    out.Text(row.reason);
  }
}

Result<StoredAnswer> ReadAnswer(ByteReader& in, AnswerForm form) {
  StoredAnswer answer;
  HR_TRY(answer.epoch.value, in.U64());
  HR_TRY(answer.accepted, in.U32());
  if (form >= AnswerForm::kWithFirstRow) {
    HR_TRY(answer.first_row, in.U32());
    HR_TRY(answer.first_time.us, in.I64());
  }
  if (form >= AnswerForm::kWithRefusedCount) {
    HR_TRY(answer.refused_rows, in.U32());
  }
  HR_TRY(const uint32_t count, in.U32());
  answer.refused_rows = std::max(answer.refused_rows, count);
  std::vector<RejectedRow> refused;
  for (uint32_t i = 0; i < count; ++i) {
    RejectedRow row;
    HR_TRY(row.row, in.U32());
    HR_TRY(row.field, in.Text());
    HR_TRY(row.rule, in.Text());
    HR_TRY(row.reason, in.Text());
    refused.push_back(std::move(row));
  }
  answer.refused = WithoutPayloads(refused);
  return answer;
}

}  // namespace

AnswerCopy::AnswerCopy(AnswerBook& book)
    : book_(&book),
      number_(++book.copies_),
      next_producer_(book.producers_.begin()),
      next_key_(book.first_key_number_),
      keys_end_(book.first_key_number_ + book.keys_in_order_.size()) {
  HR_CHECK(book.copy_ == nullptr, "a book is copied twice at once");
  HR_CHECK(book.keys_unsealed_ == 0, "a copy begins inside an epoch");
  book.copy_ = this;
}

AnswerCopy::~AnswerCopy() {
  if (book_ != nullptr) book_->copy_ = nullptr;
}

// What the list has from the first noted producer on is in the notes.
bool AnswerCopy::ProducersAreWritten() const {
  return next_producer_ == book_->producers_.end() || next_producer_->in_copy == number_;
}

bool AnswerCopy::KeysAreWritten() const {
  return std::max(next_key_, book_->first_key_number_) >= keys_end_;
}

bool AnswerCopy::BaseIsWritten() const {
  return frozen_ || (ProducersAreWritten() && KeysAreWritten());
}

void AnswerCopy::BeforeMove(std::list<AnswerBook::Producer>::iterator producer) {
  if (producer == next_producer_) ++next_producer_;
}

// Its refused rows are held by the note, whatever the book drops.
void AnswerCopy::AddAnswer(const AnswerBook::Kept& answer, NoteOf& note) const {
  note.answers.push_back(book_->Told(answer));
  note.bytes += sizeof(StoredAnswer) + book_->ListBytes(answer);
}

void AnswerCopy::AddNote(NoteOf note) {
  note.bytes += kNoteBytes + note.name.size();
  note_bytes_ += note.bytes;
  notes_.push_back(std::move(note));
  ++notes_unsealed_;
}

void AnswerCopy::Note(AnswerBook::Producer& producer) {
  NoteOf note{.name = producer.name, .sequence = producer.last_sequence};
  if (producer.in_copy == number_) {
    note.kind = kAnswer;
    AddAnswer(producer.answers.back(), note);
  } else {
    note.kind = kProducer;
    for (const auto& answer : producer.answers) AddAnswer(answer, note);
    producer.in_copy = number_;
  }
  AddNote(std::move(note));
}

void AnswerCopy::Note(const std::string& key, const AnswerBook::Kept& answer) {
  NoteOf note{.kind = kKey, .name = key};
  AddAnswer(answer, note);
  AddNote(std::move(note));
}

void AnswerCopy::EndEpoch(base::Timestamp sealed_at) {
  for (auto note = notes_.rbegin(); notes_unsealed_ > 0; ++note, --notes_unsealed_)
    note->at = sealed_at;
}

void AnswerCopy::Freeze() {
  HR_CHECK(BaseIsWritten() && notes_unsealed_ == 0, "a copy is frozen inside an epoch");
  producers_at_end_ = book_->producers_.size();
  keys_at_end_ = book_->by_key_.size();
  book_->copy_ = nullptr;
  book_ = nullptr;
  frozen_ = true;
}

void AnswerCopy::WriteNext(ByteWriter& out) {
  if (!frozen_) {
    if (!ProducersAreWritten()) return WriteProducer(out);
    if (!KeysAreWritten()) return WriteKey(out);
    return;
  }
  if (!notes_.empty()) return WriteNote(out);
  if (std::exchange(whole_, true)) return;
  out.U8(kEnd);
  out.U64(producers_at_end_);
  out.U64(keys_at_end_);
}

void AnswerCopy::WriteProducer(ByteWriter& out) {
  AnswerBook::Producer& producer = *next_producer_++;
  producer.in_copy = number_;
  out.U8(kProducer);
  out.Text(producer.name);
  out.U64(producer.last_sequence);
  out.U32(static_cast<uint32_t>(producer.answers.size()));
  for (const auto& answer : producer.answers) WriteAnswer(book_->Told(answer), out);
}

void AnswerCopy::WriteKey(ByteWriter& out) {
  next_key_ = std::max(next_key_, book_->first_key_number_);
  const auto& place = book_->keys_in_order_[next_key_ - book_->first_key_number_];
  const auto found = book_->by_key_.find(place.key);
  if (found != book_->by_key_.end() && found->second.number == next_key_) {
    out.U8(kKey);
    out.I64(place.at.us);
    out.Text(place.key);
    WriteAnswer(book_->Told(found->second.answer), out);
  }
  ++next_key_;
}

void AnswerCopy::WriteNote(ByteWriter& out) {
  const NoteOf& note = notes_.front();
  out.U8(note.kind);
  if (note.kind == kKey) out.I64(note.at.us);
  out.Text(note.name);
  if (note.kind != kKey) out.U64(note.sequence);
  if (note.kind == kProducer) out.U32(static_cast<uint32_t>(note.answers.size()));
  for (const StoredAnswer& answer : note.answers) WriteAnswer(answer, out);
  note_bytes_ -= note.bytes;
  notes_.pop_front();
}

Result<void> AnswerBook::LoadRecord(uint8_t kind, ByteReader& in, AnswerForm form) {
  base::Timestamp at;
  if (kind == AnswerCopy::kKey) {
    HR_TRY(at.us, in.I64());
  }
  HR_TRY(const std::string_view text, in.Text());
  std::string name(text);
  if (kind == AnswerCopy::kKey) {
    HR_TRY(StoredAnswer answer, ReadAnswer(in, form));
    PutKey(name, std::move(answer));
    keys_in_order_.back().at = at;
    keys_unsealed_ = 0;
    return {};
  }
  if (name.empty()) return Fail(ErrorCode::kCorruption, "a producer without a name");
  if (form < AnswerForm::kProducersOfStreams) name.insert(0, 1, '/');
  if (!name.contains('/')) return Fail(ErrorCode::kCorruption, "a producer without its stream");
  HR_TRY(const uint64_t sequence, in.U64());
  uint32_t count = 1;
  if (kind == AnswerCopy::kProducer) {
    HR_TRY(count, in.U32());
  } else if (!by_name_.contains(name)) {
    return Fail(ErrorCode::kCorruption, "an answer of a producer that was not named before");
  }
  if (count == 0 || sequence < count)
    return Fail(ErrorCode::kCorruption, "a producer without a sequence or an answer");
  Adopt(name);
  Producer& producer = Touch(name);
  if (kind == AnswerCopy::kProducer) DropAnswers(producer);
  producer.last_sequence = sequence;
  for (uint32_t i = 0; i < count; ++i) {
    HR_TRY(StoredAnswer answer, ReadAnswer(in, form));
    const base::EpochId epoch = answer.epoch;
    Append(producer, std::move(answer), epoch);
  }
  return {};
}

Result<void> AnswerBook::Load(ByteReader& in, AnswerForm form) {
  HR_CHECK(producers_.empty() && keys_in_order_.empty(), "a book is loaded twice");
  while (true) {
    HR_TRY(const uint8_t kind, in.U8());
    if (kind > AnswerCopy::kKey)
      return Fail(ErrorCode::kCorruption, "an unknown record in the answers of a capture");
    if (kind != AnswerCopy::kEnd) {
      HR_TRY_VOID(LoadRecord(kind, in, form));
      continue;
    }
    HR_TRY(const uint64_t producers, in.U64());
    HR_TRY(const uint64_t keys, in.U64());
    if (producers > producers_.size() || keys > keys_in_order_.size())
      return Fail(ErrorCode::kCorruption, "a capture has fewer answers than it says");
    // First what the book had forgotten by then, then what today's limits don't allow.
    RetireProducers(std::min<size_t>(producers - std::min<size_t>(producers, sources_),
                                     options_.producers_max));
    RetireKeys(std::min<size_t>(keys, options_.idempotency_keys_max));
    return {};
  }
}

}  // namespace headrace::log
