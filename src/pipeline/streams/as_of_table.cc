#include "pipeline/streams/as_of_table.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <utility>

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
constexpr uint64_t kKeyBytes = 96;

}  // namespace

struct AsOfTable::Key {
  std::string bytes;
  std::vector<Version> versions;  // by (time, position)
  size_t look_at = 8;             // so many versions, and hidden ones are looked for
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

AsOfTable::AsOfTable(const Derivation& derivation, const columns::Schema& dimension)
    : join_(*derivation.as_of),
      input_(derivation.input),
      layout_(dimension, join_.fields),
      wanted_(WantedColumns(derivation)),
      keys_(std::make_unique<Keys>()) {}

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
  const auto earlier = [](const Version& a, const Version& b) {
    return a.time != b.time ? a.time < b.time : a.position < b.position;
  };
  const auto at = std::ranges::upper_bound(key.versions, version, earlier);
  if (at != key.versions.begin() && std::prev(at)->position == version.position) return;
  bytes_ += sizeof(Version) + version.values.size();
  ++versions_;
  key.versions.insert(at, std::move(version));
  if (key.versions.size() < key.look_at) return;
  DropHidden(key);
  key.look_at = std::max<size_t>(8, 2 * key.versions.size());
}

// Every event that may still come finds the newest version at or before the watermark, or a later
// one.
void AsOfTable::DropHidden(Key& key) {
  size_t hidden = 0;
  for (size_t i = key.versions.size(); i-- > 0;) {
    const Version& version = key.versions[i];
    if (version.time > watermark_.us || version.known_at > watermark_.us) continue;
    hidden = i;
    break;
  }
  for (size_t i = 0; i < hidden; ++i) bytes_ -= sizeof(Version) + key.versions[i].values.size();
  versions_ -= hidden;
  key.versions.erase(key.versions.begin(), key.versions.begin() + static_cast<ptrdiff_t>(hidden));
}

const AsOfTable::Version* AsOfTable::Find(std::string_view key, int64_t time, base::EpochId epoch,
                                          int64_t known_at) const {
  const auto number = keys_->numbers.find(key);
  if (number == keys_->numbers.end()) return nullptr;
  const std::vector<Version>& versions = keys_->by_number[number->second].versions;
  auto at = std::ranges::upper_bound(versions, time, {}, &Version::time);
  while (at != versions.begin()) {
    --at;
    if (columns::Position{at->position}.epoch() <= epoch && at->known_at <= known_at) return &*at;
  }
  return nullptr;
}

DerivedRows AsOfTable::Join(const JoiningRows& events, AsOfCounts& counts) const {
  if (events.rows.rows() == 0) return {};  // such a batch may have no columns
  std::vector<uint32_t> from;
  std::vector<const Version*> found;
  columns::KeyBytes bytes;
  for (uint32_t row = 0; row < events.rows.rows(); ++row) {
    const Version* version = nullptr;
    if (AnyNull(events.rows, join_.key, row)) {
      ++counts.null_keys;
    } else {
      columns::KeyOfRow(events.rows, join_.key, row, bytes);
      const int64_t known_at =
          events.known_at.empty() ? kKnowsAll : std::max(events.times[row], events.known_at[row]);
      version = Find(bytes, events.times[row], events.positions[row].epoch(), known_at);
      ++(version != nullptr ? counts.matched : counts.unmatched);
    }
    if (version == nullptr && join_.kind == JoinKind::kInner) continue;
    from.push_back(row);
    found.push_back(version);
  }
  const ColumnBatch kept = from.size() == events.rows.rows() ? events.rows : events.rows.Take(from);
  std::vector<Column> columns = kept.columns();
  const size_t own = columns.size();
  for (size_t i = 0; i < join_.fields.size(); ++i)
    columns.push_back(wanted_[own + i] ? JoinedColumn(i, found)
                                       : columns::AllNullColumn(layout_.type(i), found.size()));
  return {ColumnBatch(input_, from.size(), std::move(columns)), std::move(from)};
}

Column AsOfTable::JoinedColumn(size_t field, std::span<const Version* const> found) const {
  columns::ColumnBuilder builder(layout_.type(field));
  for (const Version* version : found) {
    if (version == nullptr) {
      builder.AppendNull();
    } else {
      layout_.AppendTo(builder, version->values, field);
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
    for (const Version& version : key.versions) {
      writer.I64(version.time);
      writer.U64(version.position);
      writer.I64(version.known_at);
      writer.Text(version.values);
    }
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
