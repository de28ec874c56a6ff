#include "columns/schema_evolution.h"

#include <fmt/format.h>

namespace headrace::columns {
namespace {

std::string Retyped(const Field& before, const Field& after) {
  return fmt::format(
      "field `{}` was {} and is {} now: add a field of that type beside it, under a name of its "
      "own",
      after.name, NameOf(before.type), NameOf(after.type));
}

}  // namespace

bool IsWidening(Type from, Type to) {
  if (from == Type::kInt32) return to == Type::kInt64 || to == Type::kFloat64;
  return from == Type::kFloat32 && to == Type::kFloat64;
}

bool IsNarrow(Type type) { return type == Type::kInt32 || type == Type::kFloat32; }

SchemaRef AsWideAs(const SchemaRef& schema, const Schema& other) {
  std::vector<Field> fields = schema->fields();
  bool wider = false;
  for (Field& field : fields) {
    const auto index = other.IndexOf(field.name);
    if (!index || !IsWidening(field.type, other.field(*index).type)) continue;
    field.type = other.field(*index).type;
    wider = true;
  }
  return wider ? std::make_shared<const Schema>(std::move(fields)) : schema;
}

SchemaEvolution EvolutionOf(const Schema& before, const Schema& after) {
  SchemaEvolution evolution;
  for (const Field& field : before.fields())
    if (!after.IndexOf(field.name))
      evolution.refused.push_back(
          fmt::format("field `{}` is gone: rows in the log and its table have it, and a replay "
                      "reads them; leave it in the contract, optional if it is not sent any more "
                      "(a new name is a new field beside it)",
                      field.name));
  size_t last = 0;
  for (const Field& field : after.fields()) {
    const auto index = before.IndexOf(field.name);
    if (!index) {
      evolution.added.push_back(field.name);
      if (field.nullable == Nullable::kNo)
        evolution.refused.push_back(fmt::format(
            "field `{}` is new and required, and rows of before do not have it: make it optional",
            field.name));
      continue;
    }
    evolution.reordered |= *index < last;
    last = *index;
    const Field& was = before.field(*index);
    if (IsWidening(was.type, field.type)) {
      evolution.widened.push_back({field.name, was.type, field.type});
    } else if (was.type != field.type) {
      evolution.refused.push_back(Retyped(was, field));
      continue;
    }
    if (was.nullable == Nullable::kNo && field.nullable == Nullable::kYes) {
      evolution.relaxed.push_back(field.name);
    } else if (was.nullable == Nullable::kYes && field.nullable == Nullable::kNo) {
      evolution.refused.push_back(fmt::format(
          "field `{}` may be missing in rows of before and is required now: leave it optional, "
          "and let views leave such rows out (`where: {} is not null`)",
          field.name, field.name));
    }
  }
  return evolution;
}

}  // namespace headrace::columns
