// A row is read in three steps:
//   1. simdjson finds the structure of the whole row and checks its UTF-8;
//   2. each field, in the order of the text and into the objects inside, is converted into a cell
//   of its type; the first problem ends the row;
//   3. what was not there becomes null, or is a problem where it is required;
//   4. when all is well, the cells are appended to the builders.
// A row with a problem therefore leaves no trace in the batch.

#include "ingest/http/json_row_reader.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <cmath>
#include <unordered_map>

#include "base/base64.h"
#include "base/time.h"
#include "contract/diagnostic.h"
#include "contract/shape_reasons.h"

namespace headrace::ingest {
namespace {

namespace ondemand = simdjson::ondemand;
using columns::Field;
using columns::Type;
using contract::Member;
using contract::ObjectShape;
using contract::Wants;

constexpr size_t kQuotedMax = 40;  // bytes of a bad value repeated in a reason

struct Cell {
  enum class Kind : uint8_t { kNull, kBool, kInt, kDouble, kText };
  Kind kind = Kind::kNull;
  bool boolean = false;
  int64_t integer = 0;
  double floating = 0;
  std::string_view text;  // in simdjson's buffer until the next row, or in `owned`
  std::string owned;
  uint64_t row = 0;  // the number of the row that set it
};

std::string_view Describe(ondemand::json_type type) {
  switch (type) {
    case ondemand::json_type::array: return "an array";
    case ondemand::json_type::object: return "an object";
    case ondemand::json_type::number: return "a number";
    case ondemand::json_type::string: return "text";
    case ondemand::json_type::boolean: return "a bool";
    case ondemand::json_type::null: return "null";
  }
  return "something else";
}

std::string Quote(std::string_view raw) {
  const size_t last = raw.find_last_not_of(" \t\r\n");
  raw = raw.substr(0, last == std::string_view::npos ? 0 : last + 1);
  if (raw.size() <= kQuotedMax) return std::string(raw);
  size_t cut = kQuotedMax;
  while (cut > 0 && (static_cast<uint8_t>(raw[cut]) & 0xC0) == 0x80)
    --cut;  // not inside a character
  return std::string(raw.substr(0, cut)) + "...";
}

RowProblem Problem(const std::string& name, contract::RuleFailure failure) {
  return {name, std::string(failure.rule), std::move(failure.reason)};
}

RowProblem WrongKind(const std::string& name, std::string_view wants, ondemand::json_type got) {
  return Problem(name, contract::WrongKind(name, wants, Describe(got)));
}

RowProblem WrongKind(const Field& field, ondemand::json_type got) {
  return WrongKind(field.name, Wants(field.type), got);
}

RowProblem NullButRequired(const std::string& name, std::string_view wants) {
  return {name, "required", fmt::format("`{}` is null, but must be {}", name, wants)};
}

RowProblem Missing(const std::string& name, std::string_view wants) {
  return Problem(name, contract::Missing(name, wants));
}

RowProblem GivenTwice(const std::string& name) {
  return {name, "json", fmt::format("`{}` is given twice", name)};
}

simdjson::simdjson_result<std::string_view> RawText(ondemand::value& value, bool list) {
  ondemand::array array;
  ondemand::object object;
  if (list) {
    if (const auto error = value.get_array().get(array); error != simdjson::SUCCESS) return error;
    return array.raw_json();
  }
  if (const auto error = value.get_object().get(object); error != simdjson::SUCCESS) return error;
  return object.raw_json();
}

bool IsNull(ondemand::value& value) {
  bool null = false;
  return value.is_null().get(null) == simdjson::SUCCESS && null;
}

RowProblem WrongValue(const Field& field, const Member& member, std::string_view raw) {
  return {field.name, "type",
          fmt::format("`{}` wants {}, but got {}", field.name, Wants(field.type),
                      member.restricted ? "***" : Quote(raw))};
}

RowProblem NotJson(simdjson::error_code error) {
  return {"", "json", fmt::format("the row is no JSON object: {}", contract::WhyNotJson(error))};
}

bool HasZone(std::string_view time) {
  return time.size() > 10 && time.find_first_of("Zz+-", 10) != std::string_view::npos;
}

// The special floating values, which JSON has no numbers for.
std::optional<double> NamedDouble(std::string_view text) {
  if (text == "NaN") return std::nan("");
  if (text == "Infinity") return HUGE_VAL;
  if (text == "-Infinity") return -HUGE_VAL;
  return std::nullopt;
}

// Text -> the cell of a field whose type travels as text; false when the text does not read so.
bool ReadText(const Field& field, std::string_view text, Cell& cell) {
  switch (field.type) {
    case Type::kString:
      cell.kind = Cell::Kind::kText;
      cell.text = text;
      return true;
    case Type::kBytes: {
      auto bytes = base::DecodeBase64(text);
      if (!bytes) return false;
      cell.kind = Cell::Kind::kText;
      cell.owned = std::move(*bytes);
      cell.text = cell.owned;
      return true;
    }
    case Type::kDate:
    case Type::kTimestamp:
    case Type::kTimestampNtz: {
      if (field.type == Type::kDate && text.size() != 10) return false;
      if (field.type == Type::kTimestampNtz && HasZone(text)) return false;
      const auto time = base::ParseTimestamp(text);
      if (!time) return false;
      cell.kind = Cell::Kind::kInt;
      cell.integer = field.type == Type::kDate ? time->us / 86'400'000'000 : time->us;
      return true;
    }
    case Type::kFloat32:
    case Type::kFloat64: {
      const auto named = NamedDouble(text);
      if (!named) return false;
      cell.kind = Cell::Kind::kDouble;
      cell.floating = *named;
      return true;
    }
    default: return false;
  }
}

bool FitsInteger(Type type, int64_t v) {
  return type == Type::kInt64 || (v >= INT32_MIN && v <= INT32_MAX);
}

}  // namespace

struct JsonRowReader::Impl {
  // An object of the shape, and what of it this row has.
  struct Object {
    explicit Object(const ObjectShape& s) : shape(&s) {
      for (size_t i = 0; i < s.members.size(); ++i) index_of.emplace(s.members[i].name, i);
    }
    const ObjectShape* shape;
    std::unordered_map<std::string_view, size_t> index_of;  // of its members
    uint64_t row = 0;    // the number of the row that had it, null or not
    uint64_t named = 0;  // and of the row that named a column of it without a value
    bool null = false;   // in that row
  };
  // A column of an object inside the event, named by the event itself.
  struct Flattened {
    size_t object = 0;
    size_t member = 0;
  };

  Impl(columns::SchemaRef s, const contract::EventShape& shape)
      : schema(std::move(s)), cells(schema->size()) {
    for (size_t i = 0; i < shape.objects.size(); ++i) {
      const ObjectShape& object = objects.emplace_back(shape.objects[i]).shape[0];
      if (i == 0) continue;
      for (size_t m = 0; m < object.members.size(); ++m)
        if (object.members[m].kind != Member::Kind::kObject)
          flattened.emplace(schema->field(object.members[m].index).name, Flattened{i, m});
    }
  }

  columns::SchemaRef schema;
  std::vector<Object> objects;  // as in the shape
  std::unordered_map<std::string_view, Flattened> flattened;
  std::vector<Cell> cells;
  ondemand::parser parser;
  simdjson::dom::parser text_parser;
  std::string padded;  // copy of a row with too few readable bytes behind it
  uint64_t row_number = 0;

  std::optional<RowProblem> ReadRow(std::string_view row, size_t readable_after);
  std::optional<RowProblem> ReadMembers(ondemand::object json, size_t object);
  std::optional<RowProblem> ReadMember(ondemand::field json, size_t object, size_t& expected);
  std::optional<RowProblem> ReadFlattened(std::string_view name, ondemand::value value);
  std::optional<RowProblem> ReadObject(const Member& member, ondemand::value value);
  std::optional<RowProblem> ReadColumn(const Member& member, ondemand::value value);
  std::optional<RowProblem> ReadValue(const Field& field, const Member& member,
                                      ondemand::value value, Cell& cell);
  std::optional<RowProblem> ReadNumber(const Field& field, const Member& member,
                                       ondemand::value value, Cell& cell);
  std::optional<RowProblem> ReadString(const Field& field, const Member& member,
                                       ondemand::value value, Cell& cell);
  std::optional<RowProblem> ReadJsonText(const Field& field, const Member& member,
                                         ondemand::value value, Cell& cell);
  std::optional<RowProblem> FillMissing();
  std::optional<RowProblem> FillMissing(const Object& object);
  std::optional<RowProblem> FillMissing(const Member& member, Object& inner);
  void Commit(columns::BatchBuilder& out) const;
  RowProblem Unknown(std::string_view name, const ObjectShape& object) const;
};

RowProblem JsonRowReader::Impl::Unknown(std::string_view name, const ObjectShape& object) const {
  std::vector<std::string> names;
  for (const Member& member : object.members) names.push_back(member.name);
  std::string reason =
      object.name.empty()
          ? fmt::format("the contract has no field `{}`: ", Quote(name))
          : fmt::format("the contract has no field `{}` in `{}`: ", Quote(name), object.name);
  const auto near = contract::NearestNames(name.substr(0, kQuotedMax), names);
  reason += near.empty() ? "leave it out, or add it to the contract"
                         : fmt::format("did you mean `{}`?", near.front());
  return {object.name.empty() ? Quote(name) : fmt::format("{}_{}", object.name, Quote(name)),
          "unknown_field", std::move(reason)};
}

std::optional<RowProblem> JsonRowReader::Impl::ReadNumber(const Field& field, const Member& member,
                                                          ondemand::value value, Cell& cell) {
  const auto raw = std::string_view(value.raw_json_token());
  if (columns::IsInteger(field.type)) {
    if (value.get_int64().get(cell.integer) != simdjson::SUCCESS ||
        !FitsInteger(field.type, cell.integer))
      return WrongValue(field, member, raw);
    cell.kind = Cell::Kind::kInt;
    return std::nullopt;
  }
  if (!columns::IsFloating(field.type)) return WrongValue(field, member, raw);
  if (value.get_double().get(cell.floating) != simdjson::SUCCESS)
    return WrongValue(field, member, raw);
  // The largest is written a little larger than it is.
  if (field.type == Type::kFloat32 && std::isinf(static_cast<float>(cell.floating)))
    return WrongValue(field, member, raw);
  cell.kind = Cell::Kind::kDouble;
  return std::nullopt;
}

std::optional<RowProblem> JsonRowReader::Impl::ReadString(const Field& field, const Member& member,
                                                          ondemand::value value, Cell& cell) {
  const auto raw = std::string_view(value.raw_json_token());
  std::string_view text;
  if (const auto error = value.get_string().get(text); error != simdjson::SUCCESS)
    return NotJson(error);
  if (!ReadText(field, text, cell)) return WrongValue(field, member, raw);
  return std::nullopt;
}

std::optional<RowProblem> JsonRowReader::Impl::ReadValue(const Field& field, const Member& member,
                                                         ondemand::value value, Cell& cell) {
  ondemand::json_type kind{};
  if (const auto error = value.type().get(kind); error != simdjson::SUCCESS) return NotJson(error);
  switch (kind) {
    case ondemand::json_type::number: return ReadNumber(field, member, value, cell);
    case ondemand::json_type::string: return ReadString(field, member, value, cell);
    case ondemand::json_type::boolean: {
      if (field.type != Type::kBool) return WrongKind(field, kind);
      if (const auto error = value.get_bool().get(cell.boolean); error != simdjson::SUCCESS)
        return NotJson(error);
      cell.kind = Cell::Kind::kBool;
      return std::nullopt;
    }
    case ondemand::json_type::null: {
      if (!IsNull(value)) return WrongValue(field, member, "nothing");
      cell.kind = Cell::Kind::kNull;
      if (!member.required) return std::nullopt;
      return NullButRequired(field.name, Wants(field.type));
    }
    default: return WrongKind(field, kind);
  }
}

std::optional<RowProblem> JsonRowReader::Impl::ReadJsonText(const Field& field,
                                                            const Member& member,
                                                            ondemand::value value, Cell& cell) {
  ondemand::json_type kind{};
  if (const auto error = value.type().get(kind); error != simdjson::SUCCESS) return NotJson(error);
  const bool list = member.kind == Member::Kind::kArrayText;
  const std::string wants = contract::Wants(member.kind, field.type);
  if (kind == ondemand::json_type::null && IsNull(value)) {
    cell.kind = Cell::Kind::kNull;
    if (!member.required) return std::nullopt;
    return NullButRequired(field.name, wants);
  }
  if (kind != (list ? ondemand::json_type::array : ondemand::json_type::object))
    return WrongKind(field.name, wants, kind);
  std::string_view raw;
  if (const auto bad = RawText(value, list).get(raw); bad != simdjson::SUCCESS) return NotJson(bad);
  // Stepping over a value does not check what is inside.
  simdjson::dom::element checked;
  if (const auto bad = text_parser.parse(raw.data(), raw.size()).get(checked);
      bad != simdjson::SUCCESS)
    return Problem(field.name, contract::NotKept(field.name, bad));
  cell.owned.resize(raw.size());
  size_t size = 0;
  if (const auto bad = simdjson::minify(raw.data(), raw.size(), cell.owned.data(), size);
      bad != simdjson::SUCCESS)
    return NotJson(bad);
  cell.owned.resize(size);
  cell.kind = Cell::Kind::kText;
  cell.text = cell.owned;
  return std::nullopt;
}

std::optional<RowProblem> JsonRowReader::Impl::ReadColumn(const Member& member,
                                                          ondemand::value value) {
  Cell& cell = cells[member.index];
  const Field& field = schema->field(member.index);
  if (cell.row == row_number) return GivenTwice(field.name);
  cell.row = row_number;
  if (member.kind == Member::Kind::kValue) return ReadValue(field, member, value, cell);
  return ReadJsonText(field, member, value, cell);
}

std::optional<RowProblem> JsonRowReader::Impl::ReadObject(const Member& member,
                                                          ondemand::value value) {
  Object& object = objects[member.index];
  const std::string& name = object.shape->name;
  if (object.row == row_number) return GivenTwice(name);
  object.row = row_number;
  ondemand::json_type kind{};
  if (const auto error = value.type().get(kind); error != simdjson::SUCCESS) return NotJson(error);
  object.null = kind == ondemand::json_type::null && IsNull(value);
  if (object.null) {
    if (!member.required) return std::nullopt;
    return NullButRequired(name, "an object");
  }
  ondemand::object json;
  if (kind != ondemand::json_type::object) return WrongKind(name, "an object", kind);
  if (const auto error = value.get_object().get(json); error != simdjson::SUCCESS)
    return NotJson(error);
  return ReadMembers(json, member.index);
}

std::optional<RowProblem> JsonRowReader::Impl::ReadMembers(ondemand::object json, size_t object) {
  size_t expected = 0;
  for (auto field : json) {
    if (field.error() != simdjson::SUCCESS) return NotJson(field.error());
    if (auto problem = ReadMember(field.value_unsafe(), object, expected)) return problem;
  }
  return std::nullopt;
}

std::optional<RowProblem> JsonRowReader::Impl::ReadMember(ondemand::field json, size_t object,
                                                          size_t& expected) {
  std::string_view name;
  if (const auto error = json.unescaped_key().get(name); error != simdjson::SUCCESS)
    return NotJson(error);
  const ObjectShape& shape = *objects[object].shape;
  // Senders keep an order: the member behind the last one is tried first.
  size_t index = expected;
  if (index >= shape.members.size() || shape.members[index].name != name) {
    const auto found = objects[object].index_of.find(name);
    if (found == objects[object].index_of.end())
      return object == 0 ? ReadFlattened(name, json.value()) : Unknown(name, shape);
    index = found->second;
  }
  expected = index + 1;
  const Member& member = shape.members[index];
  return member.kind == Member::Kind::kObject ? ReadObject(member, json.value())
                                              : ReadColumn(member, json.value());
}

std::optional<RowProblem> JsonRowReader::Impl::ReadFlattened(std::string_view name,
                                                             ondemand::value value) {
  const auto found = flattened.find(name);
  if (found == flattened.end()) return Unknown(name, *objects[0].shape);
  const Member& member = objects[found->second.object].shape->members[found->second.member];
  // A null does not say that the object around it is there: rows written by columns have all of
  // them.
  if (IsNull(value)) {
    for (size_t at = found->second.object; at != 0; at = objects[at].shape->parent)
      objects[at].named = row_number;
    Cell& cell = cells[member.index];
    if (cell.row == row_number) return GivenTwice(schema->field(member.index).name);
    cell.row = row_number;
    cell.kind = Cell::Kind::kNull;
    return std::nullopt;
  }
  for (size_t at = found->second.object; at != 0; at = objects[at].shape->parent) {
    objects[at].row = row_number;
    objects[at].null = false;
  }
  return ReadColumn(member, value);
}

// An object that is required: one whose columns are named is there, with or without values.
std::optional<RowProblem> JsonRowReader::Impl::FillMissing(const Member& member, Object& inner) {
  if (inner.row == row_number) return std::nullopt;
  if (inner.named != row_number) return Missing(inner.shape->name, Wants(member.kind, {}));
  inner.row = row_number;
  inner.null = false;
  return std::nullopt;
}

std::optional<RowProblem> JsonRowReader::Impl::FillMissing(const Object& object) {
  const bool there = object.row == row_number && !object.null;
  for (const Member& member : object.shape->members) {
    if (member.kind == Member::Kind::kObject) {
      if (!there || !member.required) continue;
      if (auto problem = FillMissing(member, objects[member.index])) return problem;
      continue;
    }
    Cell& cell = cells[member.index];
    const Field& field = schema->field(member.index);
    const bool given = cell.row == row_number;
    if (!given) cell.kind = Cell::Kind::kNull;
    if (!there || !member.required || cell.kind != Cell::Kind::kNull) continue;
    return Missing(field.name, contract::Wants(member.kind, field.type));
  }
  return std::nullopt;
}

std::optional<RowProblem> JsonRowReader::Impl::FillMissing() {
  for (const Object& object : objects)
    if (auto problem = FillMissing(object)) return problem;
  return std::nullopt;
}

std::optional<RowProblem> JsonRowReader::Impl::ReadRow(std::string_view row,
                                                       size_t readable_after) {
  ++row_number;
  if (readable_after < simdjson::SIMDJSON_PADDING) {
    padded.assign(row);
    padded.append(simdjson::SIMDJSON_PADDING, ' ');
    row = std::string_view(padded).substr(0, row.size());
  }
  ondemand::document document;
  const simdjson::padded_string_view view(row.data(), row.size(),
                                          row.size() + simdjson::SIMDJSON_PADDING);
  if (const auto error = parser.iterate(view).get(document); error != simdjson::SUCCESS)
    return NotJson(error);
  ondemand::object object;
  if (const auto error = document.get_object().get(object); error != simdjson::SUCCESS)
    return NotJson(error);

  objects[0].row = row_number;
  if (auto problem = ReadMembers(object, 0)) return problem;
  if (document.current_location().error() != simdjson::OUT_OF_BOUNDS)
    return RowProblem{"", "json",
                      "something follows the row's JSON object: send one object a line"};
  return FillMissing();
}

void JsonRowReader::Impl::Commit(columns::BatchBuilder& out) const {
  for (size_t i = 0; i < cells.size(); ++i) {
    const Cell& cell = cells[i];
    columns::ColumnBuilder& column = out.column(i);
    switch (cell.kind) {
      case Cell::Kind::kNull: column.AppendNull(); break;
      case Cell::Kind::kBool: column.AppendBool(cell.boolean); break;
      case Cell::Kind::kInt: column.AppendInt(cell.integer); break;
      case Cell::Kind::kDouble: column.AppendDouble(cell.floating); break;
      case Cell::Kind::kText: column.AppendText(cell.text); break;
    }
  }
}

JsonRowReader::JsonRowReader(columns::SchemaRef schema, const contract::EventShape& shape)
    : impl_(std::make_unique<Impl>(std::move(schema), shape)) {}
JsonRowReader::~JsonRowReader() = default;

std::optional<RowProblem> JsonRowReader::Append(std::string_view row, size_t readable_after,
                                                columns::BatchBuilder& out) {
  if (auto problem = impl_->ReadRow(row, readable_after)) return problem;
  impl_->Commit(out);
  return std::nullopt;
}

}  // namespace headrace::ingest
