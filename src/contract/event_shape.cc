#include "contract/event_shape.h"

#include <algorithm>

namespace headrace::contract {

const Member* ObjectShape::Find(std::string_view member) const {
  const auto found = std::find_if(members.begin(), members.end(),
                                  [&](const Member& m) { return m.name == member; });
  return found == members.end() ? nullptr : &*found;
}

EventShape FlatShape(const columns::Schema& schema) {
  EventShape shape;
  ObjectShape& event = shape.objects.emplace_back();
  for (size_t i = 0; i < schema.size(); ++i) {
    const columns::Field& field = schema.field(i);
    event.members.push_back({.name = field.name,
                             .kind = Member::Kind::kValue,
                             .index = i,
                             .required = field.nullable == columns::Nullable::kNo});
  }
  return shape;
}

}  // namespace headrace::contract
