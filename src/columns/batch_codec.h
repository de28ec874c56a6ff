#pragma once
// A batch's bytes in log and snapshot: Arrow's buffers in our own framing, schema by id.
// docs/internals/log-format.md has the layout.

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "columns/batch.h"

namespace headrace::columns {

// Little-endian writing into a growing vector.
class ByteWriter {
 public:
  explicit ByteWriter(std::vector<uint8_t>& out) : out_(out) {}
  void U8(uint8_t v) { out_.push_back(v); }
  void U32(uint32_t v) { Raw(&v, sizeof(v)); }
  void U64(uint64_t v) { Raw(&v, sizeof(v)); }
  void I64(int64_t v) { Raw(&v, sizeof(v)); }
  // Length as u32, then the bytes.
  void Text(std::string_view v);
  void Bytes(std::span<const uint8_t> v) { Raw(v.data(), v.size()); }
  // Zeros up to a multiple of `alignment` of the whole vector's size.
  void Pad(size_t alignment);
  size_t size() const { return out_.size(); }
  std::vector<uint8_t>& out() { return out_; }

 private:
  void Raw(const void* data, size_t size);
  std::vector<uint8_t>& out_;
};

// Little-endian reading with bounds: a short or lying input is kCorruption, never undefined
// behaviour.
class ByteReader {
 public:
  // `owner` keeps `bytes` alive in the buffers that are handed out.
  explicit ByteReader(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  base::Result<uint8_t> U8();
  base::Result<uint32_t> U32();
  base::Result<uint64_t> U64();
  base::Result<int64_t> I64();
  base::Result<std::string_view> Text();
  base::Result<std::span<const uint8_t>> Bytes(size_t size);
  // Skips zeros up to a multiple of `alignment` from the start.
  base::Result<void> SkipPad(size_t alignment);
  size_t position() const { return position_; }
  size_t remaining() const { return bytes_.size() - position_; }

 private:
  std::span<const uint8_t> bytes_;
  size_t position_ = 0;
};

// Appends the batch: u32 rows, u32 columns, per column {u32 field id, u8 type, u8 flags, buffers
// each u64 length + bytes padded to 8}.
void EncodeBatch(const ColumnBatch& batch, ByteWriter& out);

// Reads what EncodeBatch wrote. Buffers point into `owner`'s bytes (no copy) where they are
// aligned. Fields are matched to `schema` by id. Errors: kCorruption for lying lengths, offsets
// that go back or past the values, unknown ids or types.
base::Result<ColumnBatch> DecodeBatch(ByteReader& in, const SchemaRef& schema,
                                      const std::shared_ptr<const void>& owner);

// A schema: u32 fields, per field {u32 id, text name, u8 type, u8 nullable}.
void EncodeSchema(const Schema& schema, ByteWriter& out);
base::Result<SchemaRef> DecodeSchema(ByteReader& in);

}  // namespace headrace::columns
