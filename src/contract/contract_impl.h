#pragma once
// What a Contract holds; only contract.cc and the parser look inside.

#include <string>
#include <vector>

#include "contract/contract.h"
#include "contract/field_rules.h"
#include "contract/shape_check.h"

namespace headrace::contract {

struct Contract::Impl {
  std::string id;
  std::string version;
  std::string owner;        // the team's name, or empty
  std::string description;  // its purpose, or empty
  std::string text;
  columns::SchemaRef schema;
  EventShape shape;
  std::vector<FieldRules> fields;  // one for each field of the schema, in its order
  ShapeCheck shape_check;
  columns::JsonColumns json_columns;
};

}  // namespace headrace::contract
