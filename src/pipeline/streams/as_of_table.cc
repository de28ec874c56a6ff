#include "pipeline/streams/as_of_table.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <iterator>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/hash.h"
#include "columns/batch_builder.h"
#include "columns/conform.h"
#include "columns/key.h"

namespace headrace::pipeline {
namespace {

using columns::Column;
using columns::ColumnBatch;

struct KeyHash {
  using is_avalanching = void;
  size_t operator()(std::string_view key) const { return base::Hash64(key); }
};

// What a key takes beside its bytes and versions: an entry of the index, its place in the list.
constexpr uint64_t kKeyBytes = 144;

}  // namespace

// A key's, by (time, position), in blocks: one more moves those of its block alone, and a look at a
// block says when it has none that an event may get.
class AsOfTable::Versions {
 public:
  size_t size() const { return size_; }

  // False, and nothing done, when it is there.
  bool Insert(Version version) {
    const Place place = PlaceOf(version);
    if (At(BlockOf(place)).versions.size() == kBlock) Split(BlockOf(place), place);
    Block& block = At(BlockOf(place));
    const auto at = std::ranges::upper_bound(block.versions, place, {}, &PlaceOf);
    if (at != block.versions.begin() && std::prev(at)->position == version.position) return false;
    block.Note(version);
    block.versions.insert(at, std::move(version));
    ++size_;
    return true;
  }

  // The last one up to `time` of those in epochs up to `epoch` that were known at `known_at`.
  const Version* Newest(int64_t time, base::EpochId epoch, int64_t known_at) const {
    if (size_ == 0) return nullptr;
    const auto is_known = [&](uint64_t position, int64_t known) {
      return columns::Position{position}.epoch() <= epoch && known <= known_at;
    };
    for (size_t number = BlockOf({time, kLastPosition}) + 1; number-- > 0;) {
      const Block& block = At(number);
      if (!is_known(block.position_min, block.known_at_min)) continue;
      auto at = std::ranges::upper_bound(block.versions, time, {}, &Version::time);
      while (at != block.versions.begin())
        if (--at; is_known(at->position, at->known_at)) return &*at;
    }
    return nullptr;
  }

  // Takes away those before `first`, which is one of them; the bytes of their values.
  uint64_t DropBefore(const Version* first) {
    const size_t number = BlockOf(PlaceOf(*first));
    std::vector<Version>& of_first = At(number).versions;
    const std::span<Version> before(of_first.data(), first);
    uint64_t bytes = 0;
    const auto drop = [&](std::span<const Version> versions) {
      for (const Version& version : versions) bytes += version.values.size();
      size_ -= versions.size();
    };
    for (size_t i = 0; i < number; ++i) drop(At(i).versions);
    drop(before);
    if (!before.empty()) At(number) = Block::Of(std::span(of_first).subspan(before.size()));
    older_.erase(older_.begin(), older_.begin() + static_cast<ptrdiff_t>(number));
    return bytes;
  }

  template <typename F>
  void ForEach(F f) const {
    for (size_t i = 0; i <= older_.size(); ++i)
      for (const Version& version : At(i).versions) f(version);
  }

 private:
  static constexpr size_t kBlock = 512;
  static constexpr uint64_t kLastPosition = std::numeric_limits<uint64_t>::max();
  using Place = std::pair<int64_t, uint64_t>;
  static Place PlaceOf(const Version& version) { return {version.time, version.position}; }

  struct Block {
    std::vector<Version> versions;
    uint64_t position_min = kLastPosition;
    int64_t known_at_min = kKnowsAll;

    void Note(const Version& version) {
      position_min = std::min(position_min, version.position);
      known_at_min = std::min(known_at_min, version.known_at);
    }
    static Block Of(std::span<Version> versions) {
      Block block;
      block.versions.assign(std::move_iterator(versions.begin()),
                            std::move_iterator(versions.end()));
      for (const Version& version : block.versions) block.Note(version);
      return block;
    }
  };

  Block& At(size_t number) { return number < older_.size() ? older_[number] : newest_; }
  const Block& At(size_t number) const { return number < older_.size() ? older_[number] : newest_; }

  // The last block that begins at or before `place`; the first one when none does.
  size_t BlockOf(Place place) const {
    if (older_.empty() || PlaceOf(newest_.versions.front()) <= place) return older_.size();
    const auto behind = std::ranges::upper_bound(
        older_, place, {}, [](const Block& block) { return PlaceOf(block.versions.front()); });
    return behind == older_.begin() ? 0 : static_cast<size_t>(behind - older_.begin()) - 1;
  }

  // Makes two of a block; where versions come in order the earlier one stays full.
  void Split(size_t number, Place next) {
    const std::span<Version> all(At(number).versions);
    const bool in_order = number == older_.size() && PlaceOf(all.back()) < next;
    const size_t first = in_order ? kBlock - 1 : kBlock / 2;
    Block earlier = Block::Of(all.first(first));
    At(number) = Block::Of(all.subspan(first));
    older_.insert(older_.begin() + static_cast<ptrdiff_t>(number), std::move(earlier));
  }

  std::vector<Block> older_;  // none of them empty; then nor is the newest
  Block newest_;
  size_t size_ = 0;
};

struct AsOfTable::Key {
  std::string bytes;
  Versions versions;
  size_t look_at = 8;  // so many versions, and hidden ones are looked for
};

struct AsOfTable::Keys {
  std::deque<Key> by_number;  // never moved: the index refers to their bytes
  boost::unordered_flat_map<std::string_view, uint32_t, KeyHash> numbers;

  Key& At(std::string_view bytes) {
    if (const auto found = numbers.find(bytes); found != numbers.end())
      return by_number[found->second];
    Key& key = by_number.emplace_back();
    key.bytes = bytes;
    numbers.emplace(key.bytes, static_cast<uint32_t>(by_number.size() - 1));
    return key;
  }
};

AsOfTable::AsOfTable(const Derivation& derivation, const columns::Schema& dimension,
                     uint64_t text_max)
    : join_(*derivation.as_of),
      input_(derivation.input),
      layout_(dimension, join_.fields),
      wanted_(WantedColumns(derivation)),
      text_max_(text_max),
      keys_(std::make_unique<Keys>()) {
  const size_t own = input_->size() - join_.fields.size();
  for (const size_t field : WantedTexts(derivation))
    if (field >= own) texts_.push_back(field - own);
}

AsOfTable::~AsOfTable() = default;

size_t AsOfTable::keys() const { return keys_->by_number.size(); }

void AsOfTable::Insert(const JoiningRows& versions, AsOfCounts& counts) {
  columns::KeyBytes bytes;
  for (size_t row = 0; row < versions.rows.rows(); ++row) {
    if (AnyNull(versions.rows, join_.dimension_key, row)) {
      ++counts.version_null_keys;
      continue;
    }
    columns::KeyOfRow(versions.rows, join_.dimension_key, row, bytes);
    const size_t before = keys();
    Key& key = keys_->At(bytes);
    if (keys() != before) bytes_ += kKeyBytes + key.bytes.size();
    Put(key, {versions.times[row], versions.positions[row].packed,
              versions.known_at.empty() ? kAlwaysKnown : versions.known_at[row],
              layout_.Store(versions.rows, row)});
  }
}

void AsOfTable::Put(Key& key, Version version) {
  const uint64_t bytes = sizeof(Version) + version.values.size();
  longest_text_ = std::max(longest_text_, layout_.TextBytes(version.values, texts_));
  if (!key.versions.Insert(std::move(version))) return;
  bytes_ += bytes;
  ++versions_;
  if (key.versions.size() < key.look_at) return;
  DropHidden(key);
  key.look_at = std::max<size_t>(8, 2 * key.versions.size());
}

// Every event that may still come finds the newest version that is known at the watermark and at or
// before it, or a later one.
void AsOfTable::DropHidden(Key& key) {
  constexpr base::EpochId kAny{std::numeric_limits<uint64_t>::max()};
  const Version* hides = key.versions.Newest(watermark_.us, kAny, watermark_.us);
  if (hides == nullptr) return;
  const size_t before = key.versions.size();
  bytes_ -= key.versions.DropBefore(hides);
  const size_t gone = before - key.versions.size();
  bytes_ -= gone * sizeof(Version);
  versions_ -= gone;
}

const AsOfTable::Version* AsOfTable::Find(std::string_view key, int64_t time, base::EpochId epoch,
                                          int64_t known_at) const {
  const auto number = keys_->numbers.find(key);
  if (number == keys_->numbers.end()) return nullptr;
  return keys_->by_number[number->second].versions.Newest(time, epoch, known_at);
}

DerivedRows AsOfTable::Join(const JoiningRows& events, AsOfCounts& counts) const {
  if (events.rows.rows() == 0) return {};  // such a batch may have no columns
  std::vector<Match> matches = Matches(events, counts);
  std::vector<uint32_t> from;
  for (uint32_t row = 0; row < matches.size(); ++row)
    if (matches[row].version != nullptr || join_.kind == JoinKind::kLeft) from.push_back(row);
  const bool all = from.size() == matches.size();
  if (!all) std::erase_if(matches, [](const Match& match) { return match.version == nullptr; });
  const ColumnBatch kept = all ? events.rows : events.rows.Take(from);
  std::vector<Column> columns = kept.columns();
  const size_t own = columns.size();
  for (size_t i = 0; i < join_.fields.size(); ++i)
    columns.push_back(wanted_[own + i] ? JoinedColumn(i, matches)
                                       : columns::AllNullColumn(layout_.type(i), matches.size()));
  return {ColumnBatch(input_, from.size(), std::move(columns)), std::move(from)};
}

std::vector<AsOfTable::Match> AsOfTable::Matches(const JoiningRows& events,
                                                 AsOfCounts& counts) const {
  std::vector<Match> matches(events.rows.rows());
  columns::KeyBytes bytes;
  for (size_t row = 0; row < matches.size(); ++row) {
    if (AnyNull(events.rows, join_.key, row)) {
      ++counts.null_keys;
      continue;
    }
    columns::KeyOfRow(events.rows, join_.key, row, bytes);
    const int64_t known_at =
        events.known_at.empty() ? kKnowsAll : std::max(events.times[row], events.known_at[row]);
    matches[row].version = Find(bytes, events.times[row], events.positions[row].epoch(), known_at);
    ++(matches[row].version != nullptr ? counts.matched : counts.unmatched);
  }
  if (MayFill(matches.size())) MakeRoom(events, matches, counts);
  return matches;
}

void AsOfTable::MakeRoom(const JoiningRows& events, std::span<Match> matches,
                         AsOfCounts& counts) const {
  base::EpochId epoch;
  uint64_t room = text_max_;
  for (size_t row = 0; row < matches.size(); ++row) {
    if (events.positions[row].epoch() != std::exchange(epoch, events.positions[row].epoch()))
      room = text_max_;
    if (matches[row].version == nullptr) continue;
    const uint64_t text = layout_.TextBytes(matches[row].version->values, texts_);
    matches[row].with_texts = text <= room;
    if (text <= room) {
      room -= text;
    } else {
      room = 0;
      ++counts.without_texts;
    }
  }
}

Column AsOfTable::JoinedColumn(size_t field, std::span<const Match> matches) const {
  columns::ColumnBuilder builder(layout_.type(field));
  const bool is_text = columns::IsVariable(layout_.type(field));
  for (const Match& match : matches) {
    if (match.version == nullptr || (is_text && !match.with_texts)) {
      builder.AppendNull();
    } else {
      layout_.AppendTo(builder, match.version->values, field);
    }
  }
  return builder.Finish();
}

size_t AsOfTable::Encode(size_t first, size_t until, std::vector<uint8_t>& out) const {
  columns::ByteWriter writer(out);
  const size_t count_at = out.size();
  uint32_t count = 0;
  writer.U32(count);
  size_t number = first;
  for (; number < keys() && out.size() < until; ++number, ++count) {
    const Key& key = keys_->by_number[number];
    writer.Text(key.bytes);
    writer.U32(static_cast<uint32_t>(key.versions.size()));
    key.versions.ForEach([&](const Version& version) {
      writer.I64(version.time);
      writer.U64(version.position);
      writer.I64(version.known_at);
      writer.Text(version.values);
    });
  }
  std::memcpy(out.data() + count_at, &count, sizeof(count));
  return number;
}

base::Result<void> AsOfTable::Restore(columns::ByteReader& in) {
  HR_TRY(const uint32_t count, in.U32());
  for (uint32_t i = 0; i < count; ++i) {
    HR_TRY(const std::string_view bytes, in.Text());
    HR_TRY(const uint32_t versions, in.U32());
    const size_t before = keys();
    Key& key = keys_->At(bytes);
    if (keys() != before) bytes_ += kKeyBytes + key.bytes.size();
    for (uint32_t v = 0; v < versions; ++v) {
      Version version{};
      HR_TRY(version.time, in.I64());
      HR_TRY(version.position, in.U64());
      HR_TRY(version.known_at, in.I64());
      HR_TRY(const std::string_view values, in.Text());
      if (values.size() < layout_.bytes_min())
        return base::Fail(base::ErrorCode::kCorruption, "a captured version lacks values");
      version.values = values;
      Put(key, std::move(version));
    }
  }
  return {};
}

}  // namespace headrace::pipeline
