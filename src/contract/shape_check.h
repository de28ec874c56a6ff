#pragma once
// What an event's shape wants and no column says alone: that kept texts are JSON, and that an
// object which is there has what it requires. The reader of JSON sees both as it reads; rows that
// come as columns (Flight, tables of others) are checked here.

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "columns/batch.h"
#include "contract/event_shape.h"
#include "contract/field_rules.h"

namespace headrace::contract {

struct ShapeFailure {
  size_t field = 0;  // of the schema
  RuleFailure failure;
};

// Immutable; any thread may check with it.
class ShapeCheck {
 public:
  ShapeCheck() = default;
  // `fields` are the rules of the shape's columns: what they require in every event they check.
  ShapeCheck(const EventShape& shape, const std::vector<FieldRules>& fields);

  // The first failure of each row that has one, by row. `rows` has a column for each field.
  std::map<uint32_t, ShapeFailure> Failures(const columns::ColumnBatch& rows) const;

 private:
  struct Text {
    size_t field = 0;
    std::string name;
    Member::Kind kind = Member::Kind::kArrayText;
  };
  struct Object {
    size_t parent = 0;
    bool required = false;        // where the one around it is there
    std::vector<size_t> columns;  // its own and those of the objects inside
  };
  // A column that may be null only where its object is not there.
  struct Needed {
    size_t field = 0;
    std::string name;
    std::string wants;
    size_t object = 0;
  };
  void CheckTexts(const columns::ColumnBatch& rows,
                  std::map<uint32_t, ShapeFailure>& failures) const;
  bool IsThere(size_t object, const columns::ColumnBatch& rows, size_t row) const;

  std::vector<Text> texts_;
  std::vector<Object> objects_;  // as in the shape
  std::vector<Needed> needed_;
};

}  // namespace headrace::contract
