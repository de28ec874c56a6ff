#include "columns/schema_evolution.h"

#include <fmt/format.h>

namespace headrace::columns {
namespace {

std::string Retyped(const Field& before, const Field& after) {
  const std::string what = fmt::format("field `{}` was {} and is {} now", after.name,
                                       NameOf(before.type), NameOf(after.type));
  if (IsWidening(before.type, after.type))
    return what +
           ": a wider type needs Delta's `typeWidening`, which delta-rs and Polars do not "
           "read; add a field of the wider type beside it, under a name of its own";
  return what + ": add a field of that type beside it, under a name of its own";
}

}  // namespace

bool IsWidening(Type from, Type to) {
  if (from == Type::kInt32) return to == Type::kInt64 || to == Type::kFloat64;
  if (from == Type::kFloat32) return to == Type::kFloat64;
  return from == Type::kDate && to == Type::kTimestampNtz;
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
    if (was.type != field.type) {
      evolution.refused.push_back(Retyped(was, field));
    } else if (was.nullable == Nullable::kNo && field.nullable == Nullable::kYes) {
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
