#include "tables/delta/deletion_vector.h"

#include <fmt/format.h>

#include <array>
#include <span>
#include <string_view>
#include <utility>

#include "tables/delta/table_path.h"

namespace headrace::tables::delta {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::ByteReader;

constexpr uint32_t kMagic = 1681511377;
constexpr uint32_t kNoRunsCookie = 12346;
constexpr uint32_t kRunsCookie = 12347;
constexpr uint32_t kOffsetsFrom = 4;  // containers; with runs, fewer have no offsets
constexpr uint32_t kArrayMax = 4096;  // values; beyond, a container is a bitset
constexpr uint32_t kBitsetBytes = 8192;
constexpr size_t kUuidCharacters = 20;
constexpr uint64_t kVectorBytesMax = 1ULL << 30;

std::unexpected<base::Error> Broken(const char* why) {
  return Fail(ErrorCode::kCorruption, fmt::format("broken deletion vector: {}", why));
}

uint32_t BigEndian32(std::span<const uint8_t> bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

uint32_t Crc32(std::span<const uint8_t> bytes) {
  static const auto kTable = [] {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0xEDB88320U : 0);
      table[i] = value;
    }
    return table;
  }();
  uint32_t crc = ~0U;
  for (const uint8_t byte : bytes) crc = (crc >> 8) ^ kTable[(crc ^ byte) & 0xFF];
  return ~crc;
}

Result<uint16_t> U16(ByteReader& in) {
  HR_TRY(const uint8_t low, in.U8());
  HR_TRY(const uint8_t high, in.U8());
  return static_cast<uint16_t>(low | high << 8);
}

// "<prefix><20 characters>" of a vector in a file of the table.
Result<std::string> PathOfUuid(std::string_view text) {
  if (text.size() < kUuidCharacters) return Broken("no file's name");
  const std::string prefix(text.substr(0, text.size() - kUuidCharacters));
  HR_TRY(const auto uuid, DecodeZ85(text.substr(text.size() - kUuidCharacters)));
  std::string hex = fmt::format("{:02x}", fmt::join(uuid, ""));
  for (const size_t at : {20, 16, 12, 8}) hex.insert(at, 1, '-');
  return (prefix.empty() ? "" : prefix + "/") + "deletion_vector_" + hex + ".bin";
}

Result<std::vector<uint8_t>> ReadFromFile(env::Files& files, const std::string& path,
                                          const DeletionVector& vector) {
  HR_TRY(const auto file, files.OpenForReading(path));
  const auto offset = static_cast<uint64_t>(vector.offset.value_or(1));
  const auto bytes = static_cast<uint64_t>(vector.bytes);
  if (file->size() < 8 || bytes > kVectorBytesMax || offset > file->size() - 8 ||
      bytes > file->size() - 8 - offset)
    return Broken("its place is beyond the file's end");
  std::vector<uint8_t> stored(bytes + 8);
  HR_TRY_VOID(file->ReadAt(offset, stored));
  const std::span all(stored);
  if (BigEndian32(all.first(4)) != bytes) return Broken("another length than the log says");
  const auto bitmap = all.subspan(4, bytes);
  if (BigEndian32(all.last(4)) != Crc32(bitmap)) return Broken("its checksum does not match");
  return std::vector<uint8_t>(bitmap.begin(), bitmap.end());
}

Result<std::vector<uint8_t>> ReadBytes(env::Files& files, const std::string& folder,
                                       const DeletionVector& vector) {
  if (vector.bytes < 0 || vector.offset.value_or(0) < 0) return Broken("a negative length");
  if (vector.storage == "i") {
    HR_TRY(auto bytes, DecodeZ85(vector.path_or_inline));
    if (bytes.size() < static_cast<size_t>(vector.bytes)) return Broken("it is too short");
    bytes.resize(static_cast<size_t>(vector.bytes));
    return bytes;
  }
  if (vector.storage == "u") {
    HR_TRY(const std::string name, PathOfUuid(vector.path_or_inline));
    HR_TRY(const std::string path, PathInTable(files, folder, name));
    return ReadFromFile(files, path, vector);
  }
  if (vector.storage == "p") {
    HR_TRY(const std::string path, WholePathInTable(files, folder, vector.path_or_inline));
    return ReadFromFile(files, path, vector);
  }
  return Broken("another kind of storage");
}

}  // namespace

Result<std::vector<uint8_t>> DecodeZ85(std::string_view text) {
  constexpr std::string_view kAlphabet =
      "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
  if (text.size() % 5 != 0) return Broken("text of a wrong length");
  std::vector<uint8_t> bytes;
  for (size_t begin = 0; begin < text.size(); begin += 5) {
    uint64_t value = 0;
    for (const char c : text.substr(begin, 5)) {
      const size_t digit = kAlphabet.find(c);
      if (digit == std::string_view::npos) return Broken("a character that is none of Z85");
      value = value * 85 + digit;
    }
    if (value > 0xFFFFFFFF) return Broken("five characters too large for four bytes");
    for (int shift = 24; shift >= 0; shift -= 8)
      bytes.push_back(static_cast<uint8_t>(value >> shift));
  }
  return bytes;
}

// Of one of the 32-bit bitmaps of which a 64-bit one consists.
Result<std::vector<DeletedRows::Container>> DeletedRows::ReadHeader(ByteReader& in, uint64_t high) {
  HR_TRY(const uint32_t cookie, in.U32());
  uint32_t count = 0;
  std::vector<uint8_t> runs;
  if ((cookie & 0xFFFF) == kRunsCookie) {
    count = (cookie >> 16) + 1;
    for (uint32_t i = 0; i < (count + 7) / 8; ++i) {
      HR_TRY(const uint8_t flags, in.U8());
      runs.push_back(flags);
    }
  } else if (cookie == kNoRunsCookie) {
    HR_TRY(count, in.U32());
  } else {
    return Broken("another kind of bitmap");
  }
  if (count > 1 << 16) return Broken("too many containers");
  std::vector<Container> containers;
  for (uint32_t i = 0; i < count; ++i) {
    HR_TRY(const uint16_t key, U16(in));
    HR_TRY(const uint16_t less_one, U16(in));
    containers.push_back({.base = high | uint64_t{key} << 16,
                          .count = less_one + 1U,
                          .runs = !runs.empty() && (runs[i / 8] >> (i % 8) & 1) != 0});
  }
  const bool offsets = runs.empty() || count >= kOffsetsFrom;
  for (uint32_t i = 0; offsets && i < count; ++i)
    if (const auto offset = in.U32(); !offset) return Fail(offset.error());
  return containers;
}

Result<void> DeletedRows::ReadRanges(ByteReader& in, const Container& container,
                                     std::vector<Range>& ranges) {
  ranges.clear();
  const auto take = [&](uint32_t first, uint32_t last) {
    const Range range{.first = container.base | first, .last = container.base | last};
    if (!ranges.empty() && ranges.back().last + 1 == range.first) {
      ranges.back().last = range.last;
    } else {
      ranges.push_back(range);
    }
  };
  if (container.runs) {
    HR_TRY(const uint16_t runs, U16(in));
    for (uint16_t i = 0; i < runs; ++i) {
      HR_TRY(const uint16_t first, U16(in));
      HR_TRY(const uint16_t more, U16(in));
      if (first + uint32_t{more} > 0xFFFF) return Broken("a run beyond its container");
      take(first, first + uint32_t{more});
    }
  } else if (container.count > kArrayMax) {
    for (uint32_t i = 0; i < kBitsetBytes; ++i) {
      HR_TRY(const uint8_t bits, in.U8());
      for (uint32_t bit = 0; bit < 8; ++bit)
        if ((bits >> bit & 1) != 0) take(i * 8 + bit, i * 8 + bit);
    }
  } else {
    for (uint32_t i = 0; i < container.count; ++i) {
      HR_TRY(const uint16_t value, U16(in));
      take(value, value);
    }
  }
  return {};
}

Result<DeletedRows> DeletedRows::Decode(std::vector<uint8_t> bytes, uint64_t cardinality) {
  DeletedRows rows;
  rows.bytes_ = std::move(bytes);
  ByteReader in(rows.bytes_);
  HR_TRY(const uint32_t magic, in.U32());
  if (magic != kMagic) return Broken("another magic number");
  HR_TRY(const uint64_t bitmaps, in.U64());
  for (uint64_t i = 0; i < bitmaps; ++i) {
    HR_TRY(const uint32_t key, in.U32());
    if (key > 0x7FFFFFFF) return Broken("a row number too large");
    HR_TRY(const std::vector<Container> containers, ReadHeader(in, uint64_t{key} << 32));
    for (Container container : containers) {
      container.offset = in.position();
      HR_TRY_VOID(ReadRanges(in, container, rows.ranges_));
      for (const Range& range : rows.ranges_) {
        if (range.first < rows.end_) return Broken("its rows are not in order");
        rows.end_ = range.last + 1;
        rows.count_ += rows.end_ - range.first;
        if (rows.count_ > cardinality) return Broken("more rows than it says");
      }
      rows.containers_.push_back(container);
    }
  }
  if (rows.count_ != cardinality) return Broken("fewer rows than it says");
  rows.ranges_.clear();
  return rows;
}

std::optional<DeletedRows::Range> DeletedRows::Next() {
  while (next_range_ == ranges_.size()) {
    if (next_container_ == containers_.size()) return std::nullopt;
    const Container& container = containers_[next_container_++];
    ByteReader in(std::span<const uint8_t>(bytes_).subspan(container.offset));
    HR_CHECK(ReadRanges(in, container, ranges_), "a checked deletion vector can't be read");
    next_range_ = 0;
  }
  return ranges_[next_range_++];
}

Result<DeletedRows> ReadDeletionVector(env::Files& files, const std::string& folder,
                                       const DeletionVector& vector, uint64_t rows) {
  if (vector.cardinality < 0 || static_cast<uint64_t>(vector.cardinality) > rows)
    return Broken("more rows than the file has");
  HR_TRY(auto bytes, ReadBytes(files, folder, vector));
  auto deleted = DeletedRows::Decode(std::move(bytes), static_cast<uint64_t>(vector.cardinality));
  if (!deleted) return Broken(deleted.error().message().c_str());
  if (deleted->end() > rows) return Broken("a row beyond the file's end");
  return deleted;
}

}  // namespace headrace::tables::delta
