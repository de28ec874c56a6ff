#pragma once
// Reads an ODCS document into a Contract.

#include <set>
#include <string>
#include <string_view>

#include "contract/contract_impl.h"
#include "contract/yaml_document.h"

namespace headrace::contract {

// Used once, by Contract::Parse.
class ContractParser {
 public:
  ContractParser(std::string_view file, std::string_view text) : report_(file), text_(text) {}
  ParsedContract Parse(std::string_view object);

 private:
  void Root(const YamlNode& root, Contract::Impl& impl);
  const YamlNode* FindObject(const YamlNode& root, std::string_view object);
  void Object(const YamlNode& object, Contract::Impl& impl);
  void Property(const YamlNode& property, Contract::Impl& impl);
  std::string PropertyName(const YamlNode& property);
  std::optional<columns::Type> PropertyType(const YamlNode& property, const std::string& name);

  DiagnosticReport report_;
  std::string_view text_;
  std::vector<columns::Field> fields_;
  std::set<std::string> names_;
};

}  // namespace headrace::contract
