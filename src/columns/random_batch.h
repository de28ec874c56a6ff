#pragma once
// Random batches of every type for property tests; made of a seed, so a failure replays.

#include <random>

#include "columns/batch_builder.h"

namespace headrace::columns {

// One nullable field of each type, ids 1, 2, 3 ...
inline SchemaRef SchemaOfAllTypes() {
  std::vector<Field> fields;
  for (const TypeRow& row : TypeTable())
    fields.push_back({static_cast<uint32_t>(fields.size() + 1), std::string(row.name), row.type,
                      Nullable::kYes});
  return std::make_shared<const Schema>(std::move(fields));
}

inline Value RandomValue(Type type, std::mt19937_64& random) {
  const auto bits = static_cast<int64_t>(random());
  switch (type) {
    case Type::kBool: return Value::Bool((bits & 1) != 0);
    case Type::kInt32:
    case Type::kDate: return Value(type, int64_t{static_cast<int32_t>(bits)});
    case Type::kFloat32: return Value(type, double{static_cast<float>(bits) / 3});
    case Type::kFloat64: return Value(type, static_cast<double>(bits) / 7);
    case Type::kString:
    case Type::kBytes: {
      std::string text;
      for (int64_t i = bits & 15; i > 0; --i)
        text += static_cast<char>(type == Type::kString ? 'a' + random() % 26 : random() % 4);
      return Value(type, std::move(text));
    }
    default: return Value(type, bits);
  }
}

// `null_share` in [0, 1].
inline ColumnBatch RandomBatch(const SchemaRef& schema, size_t rows, double null_share,
                               std::mt19937_64& random) {
  BatchBuilder builder(schema);
  std::bernoulli_distribution null(null_share);
  for (size_t row = 0; row < rows; ++row) {
    for (size_t i = 0; i < schema->size(); ++i) {
      if (null(random)) {
        builder.column(i).AppendNull();
      } else {
        builder.column(i).AppendValue(RandomValue(schema->field(i).type, random));
      }
    }
  }
  return builder.Finish();
}

// Row-by-row equality, bit for bit.
inline bool SameRows(const ColumnBatch& a, const ColumnBatch& b) {
  if (a.rows() != b.rows() || a.columns().size() != b.columns().size()) return false;
  for (size_t i = 0; i < a.columns().size(); ++i)
    for (size_t row = 0; row < a.rows(); ++row)
      if (!a.column(i).At(row).SameBits(b.column(i).At(row))) return false;
  return true;
}

}  // namespace headrace::columns
