// A row that came as columns names all of them, so an object is there when
//   1. a column of it, or of an object inside, is not null; or
//   2. the object around it is there and requires it: absent, and there without a value, look
//   alike,
//      and what it requires itself is then missing either way.

#include "contract/shape_check.h"

#include <simdjson.h>

#include <algorithm>

#include "contract/shape_reasons.h"

namespace headrace::contract {
namespace {

using columns::Column;
using columns::ColumnBatch;
using simdjson::dom::element_type;

std::string_view Describe(element_type type) {
  switch (type) {
    case element_type::ARRAY: return "an array";
    case element_type::OBJECT: return "an object";
    case element_type::STRING: return "text";
    case element_type::BOOL: return "a bool";
    case element_type::NULL_VALUE: return "null";
    default: return "a number";
  }
}

}  // namespace

ShapeCheck::ShapeCheck(const EventShape& shape, const std::vector<FieldRules>& fields)
    : objects_(shape.objects.size()) {
  for (size_t i = 0; i < shape.objects.size(); ++i) {
    objects_[i].parent = shape.objects[i].parent;
    for (const Member& member : shape.objects[i].members) {
      if (member.kind == Member::Kind::kObject) {
        objects_[member.index].required = member.required;
        continue;
      }
      const FieldRules& rules = fields[member.index];
      for (size_t at = i; at != 0; at = shape.objects[at].parent)
        objects_[at].columns.push_back(member.index);
      if (member.kind != Member::Kind::kValue)
        texts_.push_back({member.index, rules.name, member.kind});
      if (member.required && !rules.required)
        needed_.push_back({member.index, rules.name, Wants(member.kind, rules.type), i});
    }
  }
}

bool ShapeCheck::IsThere(size_t object, const ColumnBatch& rows, size_t row) const {
  while (object != 0) {
    const Object& at = objects_[object];
    if (std::ranges::any_of(at.columns,
                            [&](size_t column) { return !rows.column(column).IsNull(row); }))
      return true;
    if (!at.required) return false;
    object = at.parent;
  }
  return true;
}

void ShapeCheck::CheckTexts(const ColumnBatch& rows,
                            std::map<uint32_t, ShapeFailure>& failures) const {
  if (texts_.empty()) return;
  simdjson::dom::parser parser;
  for (const Text& text : texts_) {
    const Column& column = rows.column(text.field);
    const auto wanted =
        text.kind == Member::Kind::kArrayText ? element_type::ARRAY : element_type::OBJECT;
    for (uint32_t row = 0; row < rows.rows(); ++row) {
      if (column.IsNull(row)) continue;
      const std::string_view json = column.Text(row);
      simdjson::dom::element element;
      if (const auto error = parser.parse(json.data(), json.size()).get(element);
          error != simdjson::SUCCESS) {
        failures.try_emplace(row, text.field, NotKept(text.name, error));
      } else if (element.type() != wanted) {
        failures.try_emplace(row, text.field,
                             WrongKind(text.name, Wants(text.kind, columns::Type::kString),
                                       Describe(element.type())));
      }
    }
  }
}

std::map<uint32_t, ShapeFailure> ShapeCheck::Failures(const ColumnBatch& rows) const {
  std::map<uint32_t, ShapeFailure> failures;
  CheckTexts(rows, failures);
  for (const Needed& needed : needed_) {
    const Column& column = rows.column(needed.field);
    if (!column.has_nulls()) continue;
    for (uint32_t row = 0; row < rows.rows(); ++row)
      if (column.IsNull(row) && IsThere(needed.object, rows, row))
        failures.try_emplace(row, needed.field, Missing(needed.name, needed.wants));
  }
  return failures;
}

}  // namespace headrace::contract
