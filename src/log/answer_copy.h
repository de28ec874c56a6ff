#pragma once
// A copy of an AnswerBook in bytes, taken in slices while the book goes on.
//
// 1. It begins right after an epoch was sealed. The base: producers that were not answered since
//    then, the one idle longest first, then the keys of that moment, the oldest first.
// 2. Meanwhile every new answer is noted, in order: the first of a producer since the beginning
// with
//    all the answers that are kept of it, each later one alone.
// 3. Once the base is written, it is frozen right after an epoch was sealed: what it holds is
// exactly
//    what the book held then. Notes are values, so they are written in slices too.
// 4. Base and notes in this order give every producer its last answers and its place in the order
// of
//    idleness, as a later record of the same name moves it behind the others. What the book forgot
//    on the way are the oldest, so the numbers at the end say how many of them to drop.
//
// docs/internals/log-format.md has the bytes.

#include <cstdint>
#include <deque>
#include <list>
#include <string>
#include <vector>

#include "columns/batch_codec.h"
#include "log/answer_book.h"

namespace headrace::log {

// Not thread-safe. The book outlives it and has one at a time.
class AnswerCopy {
 public:
  // Kinds of records. Of the form kWithRefusedCount.
  static constexpr uint8_t kEnd = 0;  // u64 producers, u64 keys
  static constexpr uint8_t kProducer =
      1;  // text stream and name, u64 last sequence, u32 count, answers
  static constexpr uint8_t kAnswer = 2;  // text name, u64 its sequence, answer
  static constexpr uint8_t kKey = 3;     // i64 sealed at, text stream and key, answer

  // Begins, right after AnswerBook::EndEpoch (or Load) and before the next Put.
  explicit AnswerCopy(AnswerBook& book);
  ~AnswerCopy();
  AnswerCopy(const AnswerCopy&) = delete;
  AnswerCopy& operator=(const AnswerCopy&) = delete;

  // Writes one record, when there is one to write now.
  void WriteNext(columns::ByteWriter& out);
  // Nothing is to be written before Freeze.
  bool BaseIsWritten() const;
  // Right after EndEpoch: answers from now on are not part of the copy. Only when BaseIsWritten.
  void Freeze();
  bool frozen() const { return frozen_; }
  // Everything is written, the end included.
  bool IsWhole() const { return whole_; }
  // About what the notes that are not written yet hold in memory.
  uint64_t note_bytes() const { return note_bytes_; }

  // From the book.
  void BeforeMove(std::list<AnswerBook::Producer>::iterator producer);
  void Note(AnswerBook::Producer& producer);
  void Note(const std::string& key, const AnswerBook::Kept& answer);
  void EndEpoch(base::Timestamp sealed_at);

 private:
  struct NoteOf {
    uint8_t kind = kEnd;
    std::string name;
    uint64_t sequence = 0;
    base::Timestamp at;
    std::vector<StoredAnswer> answers;
    uint64_t bytes = 0;
  };
  void AddAnswer(const AnswerBook::Kept& answer, NoteOf& note) const;
  void AddNote(NoteOf note);
  bool ProducersAreWritten() const;
  bool KeysAreWritten() const;
  void WriteProducer(columns::ByteWriter& out);
  void WriteKey(columns::ByteWriter& out);
  void WriteNote(columns::ByteWriter& out);

  AnswerBook* book_;  // null once frozen
  uint64_t number_ = 0;
  std::list<AnswerBook::Producer>::iterator next_producer_;
  uint64_t next_key_ = 0;
  uint64_t keys_end_ = 0;
  std::deque<NoteOf> notes_;
  size_t notes_unsealed_ = 0;  // the last so many wait for their epoch's time
  uint64_t note_bytes_ = 0;
  bool frozen_ = false;
  bool whole_ = false;
  uint64_t producers_at_end_ = 0;
  uint64_t keys_at_end_ = 0;
};

}  // namespace headrace::log
