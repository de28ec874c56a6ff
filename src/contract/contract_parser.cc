#include "contract/contract_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "contract/rule_parser.h"
#include "contract/yaml_reading.h"

namespace headrace::contract {
namespace {

using columns::Type;

constexpr size_t kFieldsMax = 1000;
constexpr size_t kNameBytesMax = 128;

constexpr std::array<std::string_view, 23> kRootKeys = {"apiVersion",
                                                        "kind",
                                                        "id",
                                                        "name",
                                                        "version",
                                                        "status",
                                                        "tenant",
                                                        "domain",
                                                        "dataProduct",
                                                        "description",
                                                        "tags",
                                                        "schema",
                                                        "servers",
                                                        "support",
                                                        "price",
                                                        "team",
                                                        "roles",
                                                        "slaDefaultElement",
                                                        "slaProperties",
                                                        "authoritativeDefinitions",
                                                        "customProperties",
                                                        "contractCreatedTs",
                                                        "context"};

constexpr std::array<std::string_view, 18> kObjectKeys = {"id",
                                                          "name",
                                                          "physicalName",
                                                          "physicalType",
                                                          "logicalType",
                                                          "logicalTypeOptions",
                                                          "businessName",
                                                          "description",
                                                          "dataGranularityDescription",
                                                          "properties",
                                                          "quality",
                                                          "tags",
                                                          "relationships",
                                                          "authoritativeDefinitions",
                                                          "customProperties",
                                                          "context",
                                                          "deprecated",
                                                          "synonyms"};

constexpr std::array<std::string_view, 32> kPropertyKeys = {"id",
                                                            "name",
                                                            "physicalName",
                                                            "physicalType",
                                                            "logicalType",
                                                            "logicalTypeOptions",
                                                            "businessName",
                                                            "description",
                                                            "required",
                                                            "unique",
                                                            "primaryKey",
                                                            "primaryKeyPosition",
                                                            "partitioned",
                                                            "partitionKeyPosition",
                                                            "classification",
                                                            "encryptedName",
                                                            "transformSourceObjects",
                                                            "transformLogic",
                                                            "transformDescription",
                                                            "examples",
                                                            "enum",
                                                            "items",
                                                            "properties",
                                                            "criticalDataElement",
                                                            "relationships",
                                                            "quality",
                                                            "tags",
                                                            "authoritativeDefinitions",
                                                            "customProperties",
                                                            "deprecated",
                                                            "synonyms",
                                                            "semanticType"};

constexpr std::array<std::string_view, 3> kReservedNames = {"_epoch", "_row", "_known_at"};

struct LogicalType {
  std::string_view name;
  std::optional<Type> type;  // nothing: the standard has it, this version does not
};
constexpr std::array<LogicalType, 11> kLogicalTypes = {{{"string", Type::kString},
                                                        {"integer", Type::kInt64},
                                                        {"number", Type::kFloat64},
                                                        {"boolean", Type::kBool},
                                                        {"date", Type::kDate},
                                                        {"timestamp", Type::kTimestamp},
                                                        {"time", std::nullopt},
                                                        {"object", std::nullopt},
                                                        {"array", std::nullopt},
                                                        {"map", std::nullopt},
                                                        {"vector", std::nullopt}}};

// Which of our types refine a logical type.
bool Refines(Type physical, std::string_view logical) {
  switch (physical) {
    case Type::kString:
    case Type::kBytes: return logical == "string";
    case Type::kInt32:
    case Type::kInt64: return logical == "integer";
    case Type::kFloat32:
    case Type::kFloat64: return logical == "number";
    case Type::kBool: return logical == "boolean";
    case Type::kDate: return logical == "date";
    case Type::kTimestamp:
    case Type::kTimestampNtz: return logical == "timestamp";
  }
  return false;
}

std::string TextOf(const YamlNode* node) {
  return node != nullptr && node->is_scalar() ? node->text : std::string();
}

columns::JsonColumns JsonColumnsOf(const EventShape& shape, const columns::Schema& schema) {
  std::vector<std::string> names;
  for (const ObjectShape& object : shape.objects)
    for (const Member& member : object.members)
      if (member.kind == Member::Kind::kArrayText || member.kind == Member::Kind::kObjectText)
        names.push_back(schema.field(member.index).name);
  if (names.empty()) return nullptr;
  return std::make_shared<const std::vector<std::string>>(std::move(names));
}

// `format: i32`, `timezone: false`: options that narrow the logical type when no physicalType does.
Type NarrowedByOptions(const YamlNode& property, Type type) {
  const YamlNode* options = property.Find("logicalTypeOptions");
  if (options == nullptr) return type;
  const std::string format = TextOf(options->Find("format"));
  if (type == Type::kInt64 && format == "i32") return Type::kInt32;
  if (type == Type::kFloat64 && format == "f32") return Type::kFloat32;
  if (type == Type::kTimestamp && TextOf(options->Find("timezone")) == "false")
    return Type::kTimestampNtz;
  return type;
}

}  // namespace

ParsedContract Contract::Parse(std::string_view file_name, std::string_view text,
                               std::string_view object) {
  return ContractParser(file_name, text).Parse(object);
}

ParsedContract ContractParser::Parse(std::string_view object) {
  const auto root = ParseYaml(text_, report_);
  auto impl = std::make_shared<Contract::Impl>();
  if (root && ExpectMap(*root, "a contract", report_)) {
    Root(*root, *impl);
    if (const YamlNode* found = FindObject(*root, object)) Object(*found, *impl);
  }
  const bool failed = report_.has_errors();
  ParsedContract result{nullptr, report_.Take()};
  if (failed) return result;
  impl->text = text_;
  impl->schema = std::make_shared<const columns::Schema>(std::move(fields_));
  impl->shape_check = ShapeCheck(impl->shape, impl->fields);
  impl->json_columns = JsonColumnsOf(impl->shape, *impl->schema);
  std::shared_ptr<Contract> contract(new Contract());
  contract->impl_ = std::move(impl);
  result.contract = std::move(contract);
  return result;
}

void ContractParser::Root(const YamlNode& root, Contract::Impl& impl) {
  ExpectKeys(root, kRootKeys, "contract", report_);
  if (const YamlNode* node = Require(root, "apiVersion", "contract", report_)) {
    const std::string version = TextOf(node);
    if (!version.starts_with("v3.1.") && !version.starts_with("v3.2."))
      report_.Error(DiagnosticCode::kContractVersion, node->place,
                    fmt::format("apiVersion `{}` is not read here", version),
                    "v3.1.0 and v3.2.0 are");
  }
  if (const YamlNode* node = Require(root, "kind", "contract", report_);
      node != nullptr && TextOf(node) != "DataContract")
    report_.Error(DiagnosticCode::kContractVersion, node->place, "kind must be DataContract");
  if (const YamlNode* node = Require(root, "id", "contract", report_))
    impl.id = ReadText(*node, "`id`", report_).value_or("");
  if (const YamlNode* node = Require(root, "version", "contract", report_))
    impl.version = ReadText(*node, "`version`", report_).value_or("");
  if (const YamlNode* node = root.Find("description"); node != nullptr && node->is_map())
    impl.description = TextOf(node->Find("purpose"));
  if (const YamlNode* node = root.Find("team"); node != nullptr && node->is_map())
    impl.owner = TextOf(node->Find("name"));
}

const YamlNode* ContractParser::FindObject(const YamlNode& root, std::string_view object) {
  const YamlNode* schema = Require(root, "schema", "contract", report_);
  if (schema == nullptr || !ExpectList(*schema, "`schema`", report_)) return nullptr;
  std::vector<std::string> names;
  for (const YamlNode& item : schema->items) {
    if (!ExpectMap(item, "an object of `schema`", report_)) return nullptr;
    names.push_back(TextOf(item.Find("name")));
    if (object.empty() || names.back() == object) return &item;
  }
  report_.Error(DiagnosticCode::kContractObject, schema->place,
                object.empty() ? "`schema` has no object"
                               : fmt::format("`schema` has no object `{}`", object),
                DidYouMean(object, names));
  return nullptr;
}

void ContractParser::Object(const YamlNode& object, Contract::Impl& impl) {
  ExpectKeys(object, kObjectKeys, "schema object", report_);
  Require(object, "name", "schema object", report_);
  if (const YamlNode* type = object.Find("logicalType");
      type != nullptr && TextOf(type) != "object")
    report_.Error(DiagnosticCode::kContractObject, type->place,
                  "a schema object has logicalType object");
  if (const YamlNode* quality = object.Find("quality"); quality != nullptr && !quality->is_null())
    report_.Warning(DiagnosticCode::kRuleNotEnforced, quality->place,
                    "quality of the whole object is not enforced at ingest",
                    "events are checked one by one");
  if (const YamlNode* options = object.Find("logicalTypeOptions"))
    report_.Warning(DiagnosticCode::kRuleNotEnforced, options->place,
                    "`logicalTypeOptions` of an object is not enforced at ingest",
                    "say `required: true` at each property that is");
  const YamlNode* properties = Require(object, "properties", "schema object", report_);
  if (properties == nullptr || !ExpectList(*properties, "`properties`", report_)) return;
  if (properties->items.empty() || properties->items.size() > kFieldsMax) {
    report_.Error(DiagnosticCode::kContractObject, properties->place,
                  fmt::format("an event has 1 to {} fields, here are {}", kFieldsMax,
                              properties->items.size()));
    return;
  }
  impl.shape.objects.emplace_back();
  Properties(*properties, {}, impl);
  if (fields_.size() > kFieldsMax)
    report_.Error(DiagnosticCode::kContractObject, properties->place,
                  fmt::format("an event has 1 to {} fields, here are {} with those of the objects"
                              " inside it",
                              kFieldsMax, fields_.size()));
}

void ContractParser::Properties(const YamlNode& list, const Around& around, Contract::Impl& impl) {
  for (const YamlNode& property : list.items)
    if (ExpectMap(property, "a property", report_)) Property(property, around, impl);
}

ContractParser::Name ContractParser::PropertyName(const YamlNode& property,
                                                  const std::string& object) {
  const YamlNode* node = Require(property, "name", "property", report_);
  if (node == nullptr) return {};
  const auto name = ReadText(*node, "`name`", report_);
  if (!name) return {};
  std::string column = object.empty() ? *name : fmt::format("{}_{}", object, *name);
  if (name->empty() || column.size() > kNameBytesMax) {
    report_.Error(DiagnosticCode::kBadName, node->place,
                  fmt::format("a field's name has 1 to {} bytes{}", kNameBytesMax,
                              object.empty() ? "" : ", with the names of the objects around it"));
    return {};
  }
  if (std::find(kReservedNames.begin(), kReservedNames.end(), column) != kReservedNames.end()) {
    report_.Error(DiagnosticCode::kReservedName, node->place,
                  fmt::format("`{}` is a column that Headrace adds to tables", column));
    return {};
  }
  if (!names_.insert(column).second) {
    report_.Error(DiagnosticCode::kDuplicateField, node->place,
                  fmt::format("field {} is there twice", column),
                  object.empty() ? "" : "an object's field has the object's name in front");
    return {};
  }
  return {*name, std::move(column)};
}

std::optional<Type> ContractParser::PropertyType(const YamlNode& property,
                                                 const std::string& name) {
  const YamlNode* logical = property.Find("logicalType");
  const YamlNode* physical = property.Find("physicalType");
  const auto ours = columns::TypeNamed(TextOf(physical));
  if (logical == nullptr) {
    if (ours) return ours;
    report_.Error(DiagnosticCode::kMissingKey, property.place,
                  fmt::format("field {}: `logicalType` is missing", name));
    return std::nullopt;
  }
  const std::string text = TextOf(logical);
  const auto* row = std::find_if(kLogicalTypes.begin(), kLogicalTypes.end(),
                                 [&](const auto& t) { return t.name == text; });
  if (row == kLogicalTypes.end()) {
    report_.Error(DiagnosticCode::kUnknownType, logical->place,
                  fmt::format("field {}: no logicalType `{}`", name, text),
                  "one of: string, integer, number, boolean, date, timestamp");
    return std::nullopt;
  }
  if (!row->type) {
    report_.Error(DiagnosticCode::kTypeNotHere, logical->place,
                  fmt::format("field {}: logicalType {} is not in this version", name, text),
                  text == "object"                   ? "give its `properties`, which become fields;"
                                                       " or keep it as text with physicalType: json"
                  : text == "array" || text == "map" ? "physicalType: json keeps it as JSON text"
                                                     : "carry it as a string");
    return std::nullopt;
  }
  const Type by_options = NarrowedByOptions(property, *row->type);
  if (!ours) return by_options;  // another system's name for its column: not ours to judge
  if (by_options != *row->type && by_options != *ours) {
    report_.Error(DiagnosticCode::kTypeContradiction, physical->place,
                  fmt::format("field {}: physicalType {} contradicts its logicalTypeOptions, which "
                              "say {}",
                              name, columns::NameOf(*ours), columns::NameOf(by_options)));
    return std::nullopt;
  }
  if (Refines(*ours, text)) return ours;
  report_.Error(DiagnosticCode::kTypeContradiction, physical->place,
                fmt::format("field {}: physicalType {} contradicts logicalType {}", name,
                            columns::NameOf(*ours), text));
  return std::nullopt;
}

std::optional<Type> ContractParser::ColumnType(const YamlNode& property, const std::string& name,
                                               Member::Kind& kind) {
  const std::string logical = TextOf(property.Find("logicalType"));
  const bool list = logical == "array";
  if ((list || logical == "object" || logical == "map") &&
      TextOf(property.Find("physicalType")) == "json") {
    kind = list ? Member::Kind::kArrayText : Member::Kind::kObjectText;
    return Type::kString;
  }
  return PropertyType(property, name);
}

void ContractParser::WarnOfRulesNotEnforced(const YamlNode& property, const std::string& name,
                                            Member::Kind kind) {
  const auto warn = [&](std::string_view key) {
    if (const YamlNode* node = property.Find(key))
      report_.Warning(DiagnosticCode::kRuleNotEnforced, node->place,
                      fmt::format("field {}: `{}` is not enforced at ingest", name, key));
  };
  const YamlNode* unique = property.Find("unique");
  const YamlNode* primary = property.Find("primaryKey");
  if (unique != nullptr && ReadBool(*unique, "`unique`", report_).value_or(false) &&
      !(primary != nullptr && ReadBool(*primary, "`primaryKey`", report_).value_or(false)))
    warn("unique");
  if (kind == Member::Kind::kValue) return;
  for (const std::string_view key : {"logicalTypeOptions", "enum", "items", "quality"}) warn(key);
  if (kind != Member::Kind::kObject) warn("properties");
}

void ContractParser::NestedObject(const YamlNode& properties, const std::string& name,
                                  const Around& inside, Contract::Impl& impl) {
  if (!ExpectList(properties, fmt::format("field {}: `properties`", name), report_)) return;
  if (properties.items.empty())
    report_.Error(DiagnosticCode::kContractObject, properties.place,
                  fmt::format("field {}: an object without properties", name));
  Properties(properties, inside, impl);
}

void ContractParser::Property(const YamlNode& property, const Around& around,
                              Contract::Impl& impl) {
  const auto [own, name] = PropertyName(property, impl.shape.objects[around.object].name);
  if (name.empty()) return;
  ExpectKeys(property, kPropertyKeys, fmt::format("field {}", name), report_);
  if (const YamlNode* role = property.Find("semanticType"); TextOf(role) == "measure") {
    report_.Error(DiagnosticCode::kTypeNotHere, role->place,
                  fmt::format("field {}: a measure is computed, no event brings it", name),
                  "make it a feature of a view");
    return;
  }
  Member member;
  member.name = own;
  FieldRules rules;
  rules.name = name;
  if (const YamlNode* node = property.Find("required"))
    rules.required = ReadBool(*node, "`required`", report_).value_or(false);
  rules.restricted = around.restricted || TextOf(property.Find("classification")) == "restricted";

  const YamlNode* properties = property.Find("properties");
  const bool text = TextOf(property.Find("physicalType")) == "json";
  if (properties != nullptr && !text && TextOf(property.Find("logicalType")) == "object") {
    member.kind = Member::Kind::kObject;
    member.index = impl.shape.objects.size();
    member.required = rules.required;
    impl.shape.objects[around.object].members.push_back(std::move(member));
    impl.shape.objects.push_back({name, around.object, rules.restricted, {}});
    WarnOfRulesNotEnforced(property, name, Member::Kind::kObject);
    return NestedObject(
        *properties, name,
        {impl.shape.objects.size() - 1, around.required && rules.required, rules.restricted}, impl);
  }
  const auto type = ColumnType(property, name, member.kind);
  if (!type) return;
  rules.type = *type;
  WarnOfRulesNotEnforced(property, name, member.kind);
  if (member.kind == Member::Kind::kValue) ParseRules(property, rules, report_);
  member.index = fields_.size();
  member.required = rules.required;
  member.restricted = rules.restricted;
  impl.shape.objects[around.object].members.push_back(std::move(member));
  // What an object that may be missing requires of its fields is ShapeCheck's.
  rules.required = rules.required && around.required;
  fields_.push_back({static_cast<uint32_t>(fields_.size() + 1), name, *type,
                     rules.required ? columns::Nullable::kNo : columns::Nullable::kYes});
  impl.fields.push_back(std::move(rules));
}

}  // namespace headrace::contract
