#include "columns/batch_codec.h"

#include <bit>
#include <cstring>

#include <fmt/core.h>

namespace headrace::columns {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;

static_assert(std::endian::native == std::endian::little, "the log's bytes are little-endian");

constexpr uint8_t kHasValidity = 1;
constexpr size_t kAlignment = 8;

std::unexpected<base::Error> Corrupt(std::string what) {
  return Fail(ErrorCode::kCorruption, std::move(what));
}

void EncodeBuffer(const uint8_t* data, size_t size, ByteWriter& out) {
  out.U64(size);
  out.Pad(kAlignment);
  out.Bytes({data, size});
  out.Pad(kAlignment);
}

// Offsets rebased to begin at 0, as text columns from outside may not.
void EncodeText(const Column& column, ByteWriter& out) {
  const auto offsets = column.offsets().as<int32_t>().first(column.length() + 1);
  const int32_t begin = offsets[0];
  if (begin == 0) {
    EncodeBuffer(column.offsets().data(), offsets.size_bytes(), out);
  } else {
    std::vector<int32_t> rebased(offsets.begin(), offsets.end());
    for (int32_t& offset : rebased) offset -= begin;
    EncodeBuffer(reinterpret_cast<const uint8_t*>(rebased.data()), rebased.size() * sizeof(int32_t),
                 out);
  }
  EncodeBuffer(column.values().data() + begin, static_cast<size_t>(offsets.back() - begin), out);
}

size_t FixedBytes(Type type, size_t rows) {
  return type == Type::kBool ? (rows + 7) / 8 : rows * RowOf(type).width;
}

Result<Buffer> DecodeBuffer(ByteReader& in, size_t expected,
                            const std::shared_ptr<const void>& owner) {
  HR_TRY(const uint64_t size, in.U64());
  if (size != expected)
    return Corrupt(fmt::format("a buffer has {} bytes where {} belong", size, expected));
  HR_TRY_VOID(in.SkipPad(kAlignment));
  HR_TRY(const auto bytes, in.Bytes(size));
  HR_TRY_VOID(in.SkipPad(kAlignment));
  const bool aligned = reinterpret_cast<uintptr_t>(bytes.data()) % kAlignment == 0;
  if (aligned && owner != nullptr) return Buffer(owner, bytes.data(), bytes.size());
  return Buffer::Own({bytes.begin(), bytes.end()});
}

Result<void> CheckOffsets(std::span<const int32_t> offsets) {
  if (offsets.front() != 0) return Corrupt("text offsets do not begin at 0");
  for (size_t i = 1; i < offsets.size(); ++i)
    if (offsets[i] < offsets[i - 1]) return Corrupt("text offsets go back");
  return {};
}

Result<Column> DecodeColumn(ByteReader& in, const Field& field, size_t rows,
                            const std::shared_ptr<const void>& owner) {
  HR_TRY(const uint8_t type, in.U8());
  HR_TRY(const uint8_t flags, in.U8());
  if (type != static_cast<uint8_t>(field.type))
    return Corrupt(fmt::format("field {} has type number {}, its schema says {}", field.id, type,
                               NameOf(field.type)));
  if ((flags & ~kHasValidity) != 0) return Corrupt(fmt::format("unknown column flags {}", flags));
  Buffer validity;
  if ((flags & kHasValidity) != 0) {
    HR_TRY(validity, DecodeBuffer(in, (rows + 7) / 8, owner));
  }
  if (!IsVariable(field.type)) {
    HR_TRY(Buffer values, DecodeBuffer(in, FixedBytes(field.type, rows), owner));
    return Column(field.type, rows, std::move(values), std::move(validity));
  }
  HR_TRY(Buffer offsets, DecodeBuffer(in, (rows + 1) * sizeof(int32_t), owner));
  HR_TRY_VOID(CheckOffsets(offsets.as<int32_t>()));
  HR_TRY(Buffer values, DecodeBuffer(in, static_cast<size_t>(offsets.as<int32_t>().back()), owner));
  return Column(field.type, rows, std::move(values), std::move(validity), std::move(offsets));
}

const Field* FieldWithId(const Schema& schema, uint32_t id, size_t& index) {
  for (index = 0; index < schema.size(); ++index)
    if (schema.field(index).id == id) return &schema.field(index);
  return nullptr;
}

// A field that the schema has and the batch lacks (added later): all null.
Column AllNull(Type type, size_t rows) {
  Buffer validity = Buffer::Own(std::vector<uint8_t>((rows + 7) / 8, 0));
  if (IsVariable(type))
    return {type, rows, Buffer(), std::move(validity),
            Buffer::OwnValues(std::vector<int32_t>(rows + 1, 0))};
  return {type, rows, Buffer::Own(std::vector<uint8_t>(FixedBytes(type, rows), 0)),
          std::move(validity)};
}

}  // namespace

void ByteWriter::Raw(const void* data, size_t size) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  out_.insert(out_.end(), bytes, bytes + size);
}

void ByteWriter::Text(std::string_view v) {
  U32(static_cast<uint32_t>(v.size()));
  Raw(v.data(), v.size());
}

void ByteWriter::Pad(size_t alignment) {
  out_.resize((out_.size() + alignment - 1) / alignment * alignment, 0);
}

Result<std::span<const uint8_t>> ByteReader::Bytes(size_t size) {
  if (size > remaining())
    return Corrupt(fmt::format("{} bytes are missing at byte {}", size - remaining(), position_));
  const auto bytes = bytes_.subspan(position_, size);
  position_ += size;
  return bytes;
}

namespace {
template <typename T>
Result<T> ReadRaw(ByteReader& in) {
  HR_TRY(const auto bytes, in.Bytes(sizeof(T)));
  T v;
  std::memcpy(&v, bytes.data(), sizeof(T));
  return v;
}
}  // namespace

Result<uint8_t> ByteReader::U8() { return ReadRaw<uint8_t>(*this); }
Result<uint32_t> ByteReader::U32() { return ReadRaw<uint32_t>(*this); }
Result<uint64_t> ByteReader::U64() { return ReadRaw<uint64_t>(*this); }
Result<int64_t> ByteReader::I64() { return ReadRaw<int64_t>(*this); }

Result<std::string_view> ByteReader::Text() {
  HR_TRY(const uint32_t size, U32());
  HR_TRY(const auto bytes, Bytes(size));
  return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

Result<void> ByteReader::SkipPad(size_t alignment) {
  const size_t pad = (alignment - position_ % alignment) % alignment;
  HR_TRY(const auto bytes, Bytes(pad));
  for (const uint8_t byte : bytes)
    if (byte != 0) return Corrupt("padding is not zero");
  return {};
}

void EncodeBatch(const ColumnBatch& batch, ByteWriter& out) {
  out.U32(static_cast<uint32_t>(batch.rows()));
  out.U32(static_cast<uint32_t>(batch.columns().size()));
  for (size_t i = 0; i < batch.columns().size(); ++i) {
    const Column& column = batch.column(i);
    HR_CHECK(!IsList(column.type()), "a list is in no event");
    out.U32(batch.schema()->field(i).id);
    out.U8(static_cast<uint8_t>(column.type()));
    out.U8(column.has_nulls() ? kHasValidity : 0);
    if (column.has_nulls()) EncodeBuffer(column.validity().data(), (batch.rows() + 7) / 8, out);
    if (IsVariable(column.type())) {
      EncodeText(column, out);
    } else {
      EncodeBuffer(column.values().data(), FixedBytes(column.type(), batch.rows()), out);
    }
  }
}

Result<ColumnBatch> DecodeBatch(ByteReader& in, const SchemaRef& schema,
                                const std::shared_ptr<const void>& owner) {
  HR_TRY(const uint32_t rows, in.U32());
  HR_TRY(const uint32_t count, in.U32());
  if (rows > (1U << 24) || count > schema->size())
    return Corrupt(fmt::format("a batch claims {} rows in {} columns", rows, count));
  std::vector<Column> columns(schema->size());
  std::vector<uint8_t> seen(schema->size(), 0);
  for (uint32_t i = 0; i < count; ++i) {
    HR_TRY(const uint32_t id, in.U32());
    size_t index = 0;
    const Field* field = FieldWithId(*schema, id, index);
    if (field == nullptr || seen[index] != 0)
      return Corrupt(fmt::format("field id {} is unknown or doubled", id));
    HR_TRY(columns[index], DecodeColumn(in, *field, rows, owner));
    seen[index] = 1;
  }
  for (size_t i = 0; i < columns.size(); ++i)
    if (seen[i] == 0) columns[i] = AllNull(schema->field(i).type, rows);
  return ColumnBatch(schema, rows, std::move(columns));
}

void EncodeSchema(const Schema& schema, ByteWriter& out) {
  out.U32(static_cast<uint32_t>(schema.size()));
  for (const Field& field : schema.fields()) {
    out.U32(field.id);
    out.Text(field.name);
    out.U8(static_cast<uint8_t>(field.type));
    out.U8(static_cast<uint8_t>(field.nullable));
  }
}

Result<SchemaRef> DecodeSchema(ByteReader& in) {
  HR_TRY(const uint32_t count, in.U32());
  std::vector<Field> fields;
  for (uint32_t i = 0; i < count; ++i) {
    Field field;
    HR_TRY(field.id, in.U32());
    HR_TRY(const std::string_view name, in.Text());
    HR_TRY(const uint8_t type, in.U8());
    HR_TRY(const uint8_t nullable, in.U8());
    if (type < 1 || type > TypeTable().size() || nullable > 1)
      return Corrupt(fmt::format("no field type has number {}", type));
    field.name = name;
    field.type = static_cast<Type>(type);
    field.nullable = static_cast<Nullable>(nullable);
    fields.push_back(std::move(field));
  }
  return std::make_shared<const Schema>(std::move(fields));
}

}  // namespace headrace::columns
