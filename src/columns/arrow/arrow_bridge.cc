#include "columns/arrow/arrow_bridge.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include <set>
#include <utility>

#include "columns/arrow/arrow_column.h"
#include "columns/conform.h"

namespace headrace::columns {
namespace {

using base::ErrorCode;
using base::Fail;

std::shared_ptr<arrow::DataType> ArrowType(Type type) {
  if (IsList(type)) return arrow::list(arrow::field("element", ArrowType(ElementOf(type))));
  switch (type) {
    case Type::kBool: return arrow::boolean();
    case Type::kInt32: return arrow::int32();
    case Type::kInt64: return arrow::int64();
    case Type::kFloat32: return arrow::float32();
    case Type::kFloat64: return arrow::float64();
    case Type::kString: return arrow::utf8();
    case Type::kBytes: return arrow::binary();
    case Type::kDate: return arrow::date32();
    case Type::kTimestamp: return arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
    case Type::kTimestampNtz: return arrow::timestamp(arrow::TimeUnit::MICRO);
  }
  HR_CHECK(false, "unknown column type");
}

// The column type that holds every value of an Arrow type; nothing when none does.
std::optional<Type> TypeFor(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::BOOL: return Type::kBool;
    case arrow::Type::INT8:
    case arrow::Type::INT16:
    case arrow::Type::INT32:
    case arrow::Type::UINT8:
    case arrow::Type::UINT16: return Type::kInt32;
    case arrow::Type::INT64:
    case arrow::Type::UINT32: return Type::kInt64;
    case arrow::Type::FLOAT: return Type::kFloat32;
    case arrow::Type::DOUBLE: return Type::kFloat64;
    case arrow::Type::STRING:
    case arrow::Type::STRING_VIEW:
    case arrow::Type::LARGE_STRING: return Type::kString;
    case arrow::Type::BINARY:
    case arrow::Type::BINARY_VIEW:
    case arrow::Type::LARGE_BINARY:
    case arrow::Type::FIXED_SIZE_BINARY: return Type::kBytes;
    case arrow::Type::DATE32:
    case arrow::Type::DATE64: return Type::kDate;
    case arrow::Type::TIMESTAMP:
      return static_cast<const arrow::TimestampType&>(type).timezone().empty() ? Type::kTimestampNtz
                                                                               : Type::kTimestamp;
    case arrow::Type::DICTIONARY:
      return TypeFor(*static_cast<const arrow::DictionaryType&>(type).value_type());
    case arrow::Type::LIST: {
      const auto element = TypeFor(*static_cast<const arrow::ListType&>(type).value_type());
      if (!element || IsList(*element)) return std::nullopt;
      return ListOf(*element);
    }
    default: return std::nullopt;
  }
}

// Every column has a field, once.
base::Result<void> CheckNames(const arrow::RecordBatch& batch, const Schema& schema) {
  std::set<std::string_view> seen;
  for (int i = 0; i < batch.num_columns(); ++i) {
    const std::string& name = batch.schema()->field(i)->name();
    if (!schema.IndexOf(name)) {
      return Fail(base::Error(ErrorCode::kInvalidInput,
                              fmt::format("unexpected column `{}`: leave it out", name))
                      .With("column", name));
    }
    if (!seen.insert(name).second) {
      return Fail(
          base::Error(ErrorCode::kInvalidInput, fmt::format("column `{}` appears twice", name))
              .With("column", name));
    }
  }
  return {};
}

// An Arrow buffer over bytes of ours.
class SharedBuffer final : public arrow::Buffer {
 public:
  explicit SharedBuffer(columns::Buffer bytes)
      : arrow::Buffer(bytes.data(), static_cast<int64_t>(bytes.size())), bytes_(std::move(bytes)) {}

 private:
  columns::Buffer bytes_;
};

alignas(8) constexpr uint8_t kZeros[8] = {};  // also the one offset of a text column without rows

// Never a null pointer, as Arrow takes that for a missing buffer.
std::shared_ptr<arrow::Buffer> Share(const Buffer& bytes) {
  return std::make_shared<SharedBuffer>(bytes.data() == nullptr ? Buffer(nullptr, kZeros, 0)
                                                                : bytes);
}

std::shared_ptr<arrow::ArrayData> ToArrowColumn(const Column& column) {
  const auto length = static_cast<int64_t>(column.length());
  std::vector<std::shared_ptr<arrow::Buffer>> buffers;
  buffers.push_back(column.has_nulls() ? Share(column.validity()) : nullptr);
  if (IsList(column.type())) {
    buffers.push_back(Share(column.offsets()));
    return arrow::ArrayData::Make(ArrowType(column.type()), length, std::move(buffers),
                                  {ToArrowColumn(column.elements())},
                                  column.has_nulls() ? arrow::kUnknownNullCount : 0);
  }
  if (IsVariable(column.type())) {
    buffers.push_back(Share(column.offsets().empty() ? Buffer(nullptr, kZeros, sizeof(int32_t))
                                                     : column.offsets()));
  }
  buffers.push_back(Share(column.values()));
  const int64_t nulls = column.has_nulls() ? arrow::kUnknownNullCount : 0;
  return arrow::ArrayData::Make(ArrowType(column.type()), length, std::move(buffers), nulls);
}

}  // namespace

base::Result<ColumnBatch> FromArrow(const arrow::RecordBatch& batch, const SchemaRef& schema) {
  HR_TRY_VOID(CheckNames(batch, *schema));
  std::vector<Column> columns;
  columns.reserve(schema->size());
  for (const Field& field : schema->fields()) {
    const auto array = batch.GetColumnByName(field.name);
    if (array == nullptr && field.nullable == Nullable::kYes) {
      columns.push_back(AllNullColumn(field.type, static_cast<size_t>(batch.num_rows())));
      continue;
    }
    if (array == nullptr) {
      return Fail(base::Error(ErrorCode::kInvalidInput, fmt::format("column `{}` ({}) is missing",
                                                                    field.name, NameOf(field.type)))
                      .With("column", field.name));
    }
    auto column = ColumnFromArrow(*array, field.type);
    if (!column) return Fail(std::move(column).error().With("column", field.name));
    columns.push_back(std::move(*column));
  }
  return ColumnBatch(schema, static_cast<size_t>(batch.num_rows()), std::move(columns));
}

base::Result<std::shared_ptr<arrow::RecordBatch>> ToArrow(const ColumnBatch& batch) {
  std::vector<std::shared_ptr<arrow::ArrayData>> arrays;
  arrays.reserve(batch.columns().size());
  for (const Column& column : batch.columns()) arrays.push_back(ToArrowColumn(column));
  return arrow::RecordBatch::Make(ToArrowSchema(*batch.schema()),
                                  static_cast<int64_t>(batch.rows()), std::move(arrays));
}

std::shared_ptr<arrow::Schema> ToArrowSchema(const Schema& schema) {
  arrow::FieldVector fields;
  fields.reserve(schema.size());
  for (const Field& field : schema.fields())
    fields.push_back(
        arrow::field(field.name, ArrowType(field.type), field.nullable == Nullable::kYes));
  return arrow::schema(std::move(fields));
}

base::Result<SchemaRef> FromArrowSchema(const arrow::Schema& schema) {
  std::vector<Field> fields;
  for (const auto& field : schema.fields()) {
    const std::optional<Type> type = TypeFor(*field->type());
    if (!type) {
      return Fail(base::Error(ErrorCode::kUnsupported,
                              fmt::format("column `{}` has type {}, which no column type holds",
                                          field->name(), field->type()->ToString()))
                      .With("column", field->name()));
    }
    fields.push_back({.id = static_cast<uint32_t>(fields.size() + 1),
                      .name = field->name(),
                      .type = *type,
                      .nullable = field->nullable() ? Nullable::kYes : Nullable::kNo});
  }
  return std::make_shared<const Schema>(std::move(fields));
}

}  // namespace headrace::columns
