#pragma once
// How an event's JSON leads to the columns of its schema. Objects inside an event are flattened on
// the way in: `{"device": {"os": "ios"}}` fills the column `device_os`. Lists, and objects without
// stated properties, may be kept as JSON text in one column.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "columns/schema.h"

namespace headrace::contract {

// One name inside an object.
struct Member {
  enum class Kind : uint8_t {
    kValue,       // a column of its type
    kArrayText,   // a list, kept as JSON text
    kObjectText,  // an object, kept as JSON text
    kObject,      // an object with members of its own
  };
  std::string name;  // as senders write it
  Kind kind = Kind::kValue;
  size_t index = 0;         // kObject: of EventShape::objects; otherwise of the schema's fields
  bool required = false;    // when the object around it is there
  bool restricted = false;  // its values are not shown in reasons
};

struct ObjectShape {
  std::string name;         // the names that lead to it, joined by `_`; empty: the event itself
  size_t parent = 0;        // the object around it; the event's is itself
  bool restricted = false;  // all of it is; a restricted column alone says so itself
  std::vector<Member> members;

  const Member* Find(std::string_view member) const;  // null: no such member
};

// A value; any thread may read it. The event itself is first, an object is behind the one around
// it.
struct EventShape {
  std::vector<ObjectShape> objects;
};

// An event with a member for each field of the schema, and nothing inside.
EventShape FlatShape(const columns::Schema& schema);

}  // namespace headrace::contract
