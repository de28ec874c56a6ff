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
  // Where a property stands: in the event itself, or in an object inside it.
  struct Around {
    size_t object = 0;     // of the shape's objects
    bool required = true;  // it is in every event
    bool restricted = false;
  };
  void Properties(const YamlNode& list, const Around& around, Contract::Impl& impl);
  void Property(const YamlNode& property, const Around& around, Contract::Impl& impl);
  void NestedObject(const YamlNode& properties, const std::string& name, const Around& inside,
                    Contract::Impl& impl);
  // The type of the property's column, and whether it holds JSON text; nothing when it has none.
  std::optional<columns::Type> ColumnType(const YamlNode& property, const std::string& name,
                                          Member::Kind& kind);
  void WarnOfRulesNotEnforced(const YamlNode& property, const std::string& name, Member::Kind kind);
  // The property's name, and the name of its column; empty when there is none that can stand.
  struct Name {
    std::string own;
    std::string column;
  };
  Name PropertyName(const YamlNode& property, const std::string& object);
  std::optional<columns::Type> PropertyType(const YamlNode& property, const std::string& name);

  DiagnosticReport report_;
  std::string_view text_;
  std::vector<columns::Field> fields_;
  std::set<std::string> names_;
};

}  // namespace headrace::contract
