#pragma once
// Reads the rules of one ODCS property (logicalTypeOptions, enum, quality) into FieldRules.

#include "contract/field_rules.h"
#include "contract/yaml_document.h"

namespace headrace::contract {

// `rules` has name, type, required and restricted already. Unknown rules, rules that do not apply
// to the type, and rules that no value can keep are reported; rules about many rows are warnings.
void ParseRules(const YamlNode& property, FieldRules& rules, DiagnosticReport& report);

}  // namespace headrace::contract
