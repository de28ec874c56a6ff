#pragma once
// Named, typed fields with ids that are never reused.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "columns/type.h"

namespace headrace::columns {

enum class Nullable : uint8_t { kNo, kYes };

struct Field {
  uint32_t id = 0;  // given by the stream's contract order at first, kept for ever
  std::string name;
  Type type = Type::kInt64;
  Nullable nullable = Nullable::kYes;
  bool operator==(const Field&) const = default;
};

// An ordered list of fields. Immutable once shared (SchemaRef); any thread may read it.
class Schema {
 public:
  Schema() = default;
  explicit Schema(std::vector<Field> fields) : fields_(std::move(fields)) {}

  const std::vector<Field>& fields() const { return fields_; }
  const Field& field(size_t index) const { return fields_[index]; }
  size_t size() const { return fields_.size(); }
  // Nothing when there is no such field.
  std::optional<size_t> IndexOf(std::string_view name) const;
  bool operator==(const Schema&) const = default;

 private:
  std::vector<Field> fields_;
};

using SchemaRef = std::shared_ptr<const Schema>;

}  // namespace headrace::columns
