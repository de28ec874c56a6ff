#include "columns/key.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace headrace::columns {
namespace {

constexpr char kNullTag = 0;
constexpr char kPresentTag = 1;
constexpr uint64_t kSignBit = 1ULL << 63;

// With the tag of a value before it.
void AppendBigEndian(KeyBytes& out, uint64_t v) {
  v = __builtin_bswap64(v);
  // Straight into its place: put together elsewhere, it would be loaded across two stores.
  const size_t at = out.size();
  const size_t end = at + 1 + sizeof(v);
  out.resize_and_overwrite(end, [&](char* bytes, size_t /*room: it may be more*/) {
    bytes[at] = kPresentTag;
    std::memcpy(bytes + at + 1, &v, sizeof(v));
    return end;
  });
}

void AppendInt(KeyBytes& out, int64_t v) {
  AppendBigEndian(out, static_cast<uint64_t>(v) ^ kSignBit);
}

void AppendBool(KeyBytes& out, bool v) {
  out += kPresentTag;
  out += static_cast<char>(v ? 1 : 0);
}

void AppendDouble(KeyBytes& out, double v) {
  if (std::isnan(v)) v = std::numeric_limits<double>::quiet_NaN();
  if (v == 0) v = 0.0;
  const auto bits = std::bit_cast<uint64_t>(v);
  AppendBigEndian(out, (bits & kSignBit) != 0 ? ~bits : bits ^ kSignBit);
}

void AppendText(KeyBytes& out, std::string_view text) {
  out += kPresentTag;
  // Text without a zero byte, nearly all of it, is copied in one piece.
  while (true) {
    const size_t zero = text.find('\0');
    out.append(text.substr(0, zero));
    if (zero == std::string_view::npos) break;
    out.append("\0\xFF", 2);
    text.remove_prefix(zero + 1);
  }
  out.append("\0\0", 2);
}

base::Result<uint64_t> TakeBigEndian(std::string_view& key) {
  if (key.size() < 8) return base::Fail(base::ErrorCode::kCorruption, "a key ends inside a number");
  uint64_t v = 0;
  for (int i = 0; i < 8; ++i) v = v << 8 | static_cast<uint8_t>(key[i]);
  key.remove_prefix(8);
  return v;
}

base::Result<std::string> TakeText(std::string_view& key) {
  std::string text;
  while (true) {
    const size_t zero = key.find('\0');
    if (zero == std::string_view::npos || zero + 1 >= key.size())
      return base::Fail(base::ErrorCode::kCorruption, "a key ends inside a text");
    text.append(key.substr(0, zero));
    const char next = key[zero + 1];
    key.remove_prefix(zero + 2);
    if (next == '\0') return text;
    if (next != '\xFF')
      return base::Fail(base::ErrorCode::kCorruption, "a key has a stray zero byte");
    text += '\0';
  }
}

base::Result<Value> TakeValue(Type type, std::string_view& key) {
  if (key.empty() || key[0] > kPresentTag)
    return base::Fail(base::ErrorCode::kCorruption, "a key lacks a tag");
  const char tag = key[0];
  key.remove_prefix(1);
  if (tag == kNullTag) return Value::Null(type);
  if (type == Type::kBool) {
    if (key.empty()) return base::Fail(base::ErrorCode::kCorruption, "a key ends inside a bool");
    const bool v = key[0] != 0;
    key.remove_prefix(1);
    return Value::Bool(v);
  }
  if (IsVariable(type)) {
    HR_TRY(std::string text, TakeText(key));
    return Value(type, std::move(text));
  }
  HR_TRY(const uint64_t bits, TakeBigEndian(key));
  if (!IsFloating(type)) return Value(type, static_cast<int64_t>(bits ^ kSignBit));
  return Value(type, std::bit_cast<double>((bits & kSignBit) != 0 ? bits ^ kSignBit : ~bits));
}

}  // namespace

void AppendKeyValue(KeyBytes& out, const Value& value) {
  if (value.is_null()) {
    out += kNullTag;
    return;
  }
  if (value.type() == Type::kBool) {
    AppendBool(out, value.as_bool());
  } else if (IsFloating(value.type())) {
    AppendDouble(out, value.as_double());
  } else if (IsVariable(value.type())) {
    AppendText(out, value.as_text());
  } else {
    AppendInt(out, value.as_int());
  }
}

void AppendKeyColumn(KeyBytes& out, const Column& column, size_t row) {
  if (column.IsNull(row)) {
    out += kNullTag;
    return;
  }
  switch (column.type()) {
    case Type::kBool: AppendBool(out, column.Bool(row)); return;
    case Type::kInt32:
    case Type::kDate: AppendInt(out, column.Int32s()[row]); return;
    case Type::kInt64:
    case Type::kTimestamp:
    case Type::kTimestampNtz: AppendInt(out, column.Int64s()[row]); return;
    case Type::kFloat32: AppendDouble(out, column.Float32s()[row]); return;
    case Type::kFloat64: AppendDouble(out, column.Float64s()[row]); return;
    case Type::kString:
    case Type::kBytes: AppendText(out, column.Text(row)); return;
  }
}

void KeyOfRow(const ColumnBatch& batch, std::span<const size_t> columns, size_t row,
              KeyBytes& out) {
  out.clear();
  for (const size_t column : columns) AppendKeyColumn(out, batch.column(column), row);
}

base::Result<std::vector<Value>> DecodeKey(std::span<const Type> types, std::string_view key) {
  std::vector<Value> values;
  for (const Type type : types) {
    HR_TRY(Value value, TakeValue(type, key));
    values.push_back(std::move(value));
  }
  if (!key.empty()) return base::Fail(base::ErrorCode::kCorruption, "a key has bytes left over");
  return values;
}

}  // namespace headrace::columns
