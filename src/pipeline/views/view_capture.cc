#include "pipeline/views/view_capture.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <limits>
#include <utility>

#include "columns/batch_codec.h"
#include "pipeline/views/view_layout.h"
#include "pipeline/views/view_parts.h"
#include "pipeline/views/view_set_impl.h"

namespace headrace::pipeline {
namespace {

// Of derived streams at a time: the applier waits for it.
constexpr size_t kDerivedPieceBytes = 64 << 10;
constexpr size_t kSlotsPerLook = 4096;  // of a key index, between two looks at the piece's size

// A part's head: u8 kind, u32 bytes that follow, u32 view or entity. Size and count are known at
// the end.
class Part {
 public:
  Part(uint8_t kind, size_t of, std::vector<uint8_t>& out) : out_(out), writer_(out) {
    writer_.U8(kind);
    size_at_ = out.size();
    writer_.U32(0);
    writer_.U32(static_cast<uint32_t>(of));
  }
  Part(const Part&) = delete;
  ~Part() {
    Put(size_at_, static_cast<uint32_t>(out_.size() - size_at_ - sizeof(uint32_t)));
    Put(count_at_, count_);
  }
  columns::ByteWriter& writer() { return writer_; }
  void BeginKeys() {
    count_at_ = out_.size();
    writer_.U32(0);
  }
  void CountKey() { ++count_; }

 private:
  void Put(size_t at, uint32_t value) { std::memcpy(out_.data() + at, &value, sizeof(value)); }

  std::vector<uint8_t>& out_;
  columns::ByteWriter writer_;
  size_t size_at_ = 0;
  size_t count_at_ = 0;
  uint32_t count_ = 0;
};

}  // namespace

struct ViewCapture::Page {
  struct Key {
    uint8_t number;  // in the page
    RowImage image;
  };
  Pin hold;
  std::vector<Key> keys;
  size_t next = 0;
  RowStore::EncodeCursor cursor;
};

// As long as it lives no key is removed.
class ViewCapture::KeyWalk {
 public:
  explicit KeyWalk(ViewSet::Impl& views) : walks_(views.key_walks) {
    const std::lock_guard lock(walks_.mutex);
    ++walks_.under_way;
  }
  ~KeyWalk() {
    const std::lock_guard lock(walks_.mutex);
    --walks_.under_way;
  }
  KeyWalk(const KeyWalk&) = delete;

 private:
  ViewSet::Impl::KeyWalks& walks_;
};

struct ViewCapture::Keys {
  std::unique_ptr<KeyWalk> stay;
  Pin hold;
  EntityIndex::Walk walk;
};

ViewCapture::ViewCapture(ViewSet& views, size_t piece_bytes)
    : views_(views), piece_bytes_(piece_bytes) {
  TakeTable();
}

ViewCapture::~ViewCapture() = default;

void ViewCapture::TakeTable() {
  {
    const std::lock_guard lock(views_.impl_->table_mutex);
    table_ = views_.impl_->table;
    taken_ = table_->views;
    taken_.insert(taken_.end(), views_.impl_->spare.begin(), views_.impl_->spare.end());
  }
  definition_ = table_->definition;
  for (const auto& kept : taken_) keys_of_.emplace(kept->view.definition().entity, kept->keys);
}

std::vector<uint8_t> ViewCapture::Layout() const {
  ViewLayout layout;
  for (const auto& kept : taken_)
    layout.views.push_back(LayoutOf(*kept->of, kept->view.definition(), kept->since));
  for (const auto& [entity, keys] : keys_of_) layout.entities.push_back(entity);
  return EncodeLayout(layout);
}

base::Result<Pin> ViewCapture::PinSame() {
  HR_TRY(Pin pin, views_.PinNewest());
  if (pin.definition() != definition_)
    return base::Fail(base::ErrorCode::kConflict,
                      "the definition was changed while the state was captured");
  return pin;
}

// One that is kept up takes the rows of the pinned step if it is still there afterwards.
base::Result<Pin> ViewCapture::PinFor(size_t view) {
  HR_TRY(Pin pin, PinSame());
  HR_TRY_VOID(CheckKeptUp(view));
  return pin;
}

base::Result<void> ViewCapture::CheckKeptUp(size_t view) const {
  if (view < table_->views.size() || views_.impl_->IsSpare(taken_[view])) return {};
  return base::Fail(base::ErrorCode::kConflict,
                    "a view that was kept up was let go while the state was captured");
}

void ViewCapture::NoteEpoch(const Pin& pin) {
  if (!std::exchange(begun_, true)) {
    after_ = pin.epoch();
    after_clock_ = pin.clock();
  }
  through_ = pin.epoch();
}

// Of the pinned step: a replay from there notes what was heard since.
base::Result<bool> ViewCapture::WriteHeard(std::vector<uint8_t>& out) {
  if (heard_done_) return false;
  ViewSet::Impl& impl = *views_.impl_;
  std::vector<uint8_t> part;
  columns::ByteWriter body(part);
  HR_TRY(const Pin pin, PinSame());
  const auto& of_step =
      impl.step_epochs[impl.pins.StepOfSlot(pin.slot_) % ViewSet::Impl::kStepEpochs];
  body.U32(static_cast<uint32_t>(impl.streams.size()));
  for (size_t stream = 0; stream < impl.streams.size(); ++stream) {
    body.Text(impl.streams[stream].name);
    body.I64(of_step.heard_us[stream].load(std::memory_order_relaxed));
  }
  if (pin.revoked())
    return base::Fail(base::ErrorCode::kUnavailable, "the version was taken away: retry");
  NoteEpoch(pin);
  heard_done_ = true;
  columns::ByteWriter writer(out);
  writer.U8(kHeardPart);
  writer.U32(static_cast<uint32_t>(part.size()));
  writer.Bytes(part);
  return true;
}

// False: what is derived is done.
base::Result<bool> ViewCapture::WriteDerived(std::vector<uint8_t>& out) {
  ViewSet::Impl& impl = *views_.impl_;
  if (impl.derived.empty() || derived_done_) return false;
  const std::lock_guard lock(impl.derived_mutex);  // what is derived is then that of the pin
  HR_TRY(const Pin pin, PinSame());
  std::vector<uint8_t> part;
  columns::ByteWriter(part).U64(pin.epoch().value);
  derived_done_ =
      !impl.derived.Encode(derived_, pin.epoch(), std::min(kDerivedPieceBytes, piece_bytes_), part);
  if (derived_done_) return false;
  if (part.size() > std::numeric_limits<uint32_t>::max())
    return base::Fail(
        base::ErrorCode::kResourceExhausted,
        "rows of one key, and of those beside it, that wait in a join take over 4 GiB: "
        "a snapshot can't hold them");
  NoteEpoch(pin);
  columns::ByteWriter writer(out);
  writer.U8(kDerivedPart);
  writer.U32(static_cast<uint32_t>(part.size()));
  writer.Bytes(part);
  return true;
}

// The headers of the next page that has keys. False: the views are done.
base::Result<bool> ViewCapture::TakePage() {
  ViewSet::Impl& impl = *views_.impl_;
  while (view_ < taken_.size()) {
    HR_TRY(Pin pin, PinFor(view_));
    const KeptView& kept = *taken_[view_];
    const uint32_t begin = page_number_ * RowStore::kPageRows;
    const uint32_t numbers = kept.keys->index.size();
    if (begin >= numbers) {
      ++view_;
      page_number_ = 0;
      continue;
    }
    auto page = std::make_unique<Page>(Page{.hold = std::move(pin), .keys = {}, .cursor = {}});
    const Step step = impl.pins.StepOfSlot(page->hold.slot_);
    const uint32_t end = std::min(numbers, begin + RowStore::kPageRows);
    for (uint32_t number = begin; number < end; ++number)
      if (const auto image = kept.view.store().Find(number, step))
        page->keys.push_back({static_cast<uint8_t>(number - begin), *image});
    // Taken away in the middle of it: some headers may be of a later step.
    if (!page->hold.TurnIntoHold()) continue;
    NoteEpoch(page->hold);
    ++page_number_;
    if (page->keys.empty()) continue;
    page_ = std::move(page);
    return true;
  }
  return false;
}

void ViewCapture::WritePage(std::vector<uint8_t>& out, size_t until) {
  const RowStore& store = taken_[view_]->view.store();
  Part part(kRowsPart, view_, out);
  part.writer().U32(page_number_ - 1);
  part.writer().U64(page_->hold.epoch().value);
  part.BeginKeys();
  while (page_->next < page_->keys.size() && out.size() < until) {
    const Page::Key& key = page_->keys[page_->next];
    part.writer().U8(key.number);
    part.CountKey();
    if (!store.EncodeKey(key.image, page_->cursor, until - out.size(), out)) continue;
    ++page_->next;
    page_->cursor = {};
  }
  if (page_->next == page_->keys.size()) page_.reset();
}

// False: the keys of every entity are done.
base::Result<bool> ViewCapture::WriteKeys(std::vector<uint8_t>& out, size_t until) {
  if (entity_ == keys_of_.size()) return false;
  const EntityIndex& index =
      std::next(keys_of_.begin(), static_cast<ptrdiff_t>(entity_))->second->index;
  if (keys_ == nullptr) {
    auto stay = std::make_unique<KeyWalk>(*views_.impl_);
    HR_TRY(Pin pin, PinSame());
    // Of a view that was let go before, keys may be gone whose rows are written.
    for (size_t view = 0; view < taken_.size(); ++view) HR_TRY_VOID(CheckKeptUp(view));
    pin.TurnIntoHold();  // a table is whole, of whichever step
    NoteEpoch(pin);
    keys_ =
        std::make_unique<Keys>(Keys{.stay = std::move(stay), .hold = std::move(pin), .walk = {}});
  }
  Part part(kKeysPart, entity_, out);
  part.BeginKeys();
  bool more = true;
  while (more && out.size() < until) {
    more = index.VisitKeys(keys_->walk, kSlotsPerLook, [&](uint32_t number, std::string_view key) {
      part.writer().U32(number);
      part.writer().Text(key);
      part.CountKey();
    });
  }
  if (!more) {
    keys_.reset();
    ++entity_;
  }
  return true;
}

base::Result<bool> ViewCapture::Next(std::vector<uint8_t>& out) {
  const size_t begin = out.size();
  const size_t until = begin + piece_bytes_;
  // A page that is begun is held, with all memory that is retired meanwhile, until it is written:
  // if there is room, before whatever the caller waits for between two pieces.
  const size_t begun_until = begin + piece_bytes_ / 2;
  while (out.size() < (page_ != nullptr ? until : begun_until)) {
    const auto wrote = WriteSome(out, until);
    // What is written is not written again: the error comes with the next piece.
    if (!wrote && out.size() > begin) return true;
    if (!wrote) return base::Fail(wrote.error());
    if (!*wrote) break;
  }
  return out.size() > begin;
}

// False: all is written.
base::Result<bool> ViewCapture::WriteSome(std::vector<uint8_t>& out, size_t until) {
  HR_TRY(const bool wrote_heard, WriteHeard(out));
  if (wrote_heard) return true;
  HR_TRY(const bool wrote_derived, WriteDerived(out));
  if (wrote_derived) return true;
  if (page_ == nullptr && keys_ == nullptr) HR_TRY_VOID(TakePage());
  if (page_ == nullptr) return WriteKeys(out, until);
  WritePage(out, until);
  return true;
}

}  // namespace headrace::pipeline
