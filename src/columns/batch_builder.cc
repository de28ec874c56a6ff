#include "columns/batch_builder.h"

#include <cstring>

#include "base/result.h"

namespace headrace::columns {
namespace {

template <typename T>
void AppendRaw(std::vector<uint8_t>& out, T v) {
  const size_t at = out.size();
  out.resize(at + sizeof(T));
  std::memcpy(out.data() + at, &v, sizeof(T));
}

}  // namespace

ColumnBuilder::ColumnBuilder(Type type) : type_(type) {
  if (IsVariable(type) || IsList(type)) offsets_.push_back(0);
  if (IsList(type)) elements_ = std::make_unique<ColumnBuilder>(ElementOf(type));
}

void ColumnBuilder::MarkValid() {
  if ((length_ & 7) == 0) validity_.push_back(0);
  validity_.back() |= static_cast<uint8_t>(1U << (length_ & 7));
  ++length_;
}

void ColumnBuilder::AppendNull() {
  if ((length_ & 7) == 0) validity_.push_back(0);
  any_null_ = true;
  if (IsVariable(type_) || IsList(type_)) {
    offsets_.push_back(offsets_.back());
  } else if (type_ == Type::kBool) {
    if ((length_ & 7) == 0) values_.push_back(0);
  } else {
    values_.resize(values_.size() + RowOf(type_).width, 0);
  }
  ++length_;
}

void ColumnBuilder::AppendBool(bool v) {
  HR_CHECK(type_ == Type::kBool, "builder: not a bool column");
  if ((length_ & 7) == 0) values_.push_back(0);
  if (v) values_.back() |= static_cast<uint8_t>(1U << (length_ & 7));
  MarkValid();
}

void ColumnBuilder::AppendInt(int64_t v) {
  switch (type_) {
    case Type::kInt32:
    case Type::kDate:
      HR_CHECK(v >= INT32_MIN && v <= INT32_MAX, "builder: value too wide for 32 bits");
      AppendRaw(values_, static_cast<int32_t>(v));
      break;
    case Type::kInt64:
    case Type::kTimestamp:
    case Type::kTimestampNtz: AppendRaw(values_, v); break;
    default: HR_CHECK(false, "builder: not an integer column");
  }
  MarkValid();
}

void ColumnBuilder::AppendDouble(double v) {
  HR_CHECK(IsFloating(type_), "builder: not a floating column");
  if (type_ == Type::kFloat32) {
    AppendRaw(values_, static_cast<float>(v));
  } else {
    AppendRaw(values_, v);
  }
  MarkValid();
}

void ColumnBuilder::AppendText(std::string_view v) {
  HR_CHECK(IsVariable(type_), "builder: not a text column");
  HR_CHECK(values_.size() + v.size() <= INT32_MAX, "builder: text column over 2 GiB");
  values_.insert(values_.end(), v.begin(), v.end());
  offsets_.push_back(static_cast<int32_t>(values_.size()));
  MarkValid();
}

void ColumnBuilder::AppendList(const Value::Elements& v) {
  HR_CHECK(IsList(type_), "builder: not a list column");
  HR_CHECK(elements_->length() + v.size() <= INT32_MAX, "builder: 2^31 elements in a list column");
  for (const Value& element : v) elements_->AppendValue(element);
  offsets_.push_back(static_cast<int32_t>(elements_->length()));
  MarkValid();
}

void ColumnBuilder::AppendValue(const Value& v) {
  if (v.is_null()) {
    AppendNull();
  } else if (IsList(type_)) {
    AppendList(v.as_list());
  } else if (type_ == Type::kBool) {
    AppendBool(v.as_bool());
  } else if (IsFloating(type_)) {
    AppendDouble(v.as_double());
  } else if (IsVariable(type_)) {
    AppendText(v.as_text());
  } else {
    AppendInt(v.as_int());
  }
}

void ColumnBuilder::AppendFrom(const Column& column, size_t row) {
  HR_CHECK(column.type() == type_, "builder: a column of another type");
  if (column.IsNull(row)) {
    AppendNull();
  } else if (IsList(type_)) {
    AppendList(column.At(row).as_list());
  } else if (type_ == Type::kBool) {
    AppendBool(column.Bool(row));
  } else if (type_ == Type::kFloat32) {
    AppendDouble(column.Float32s()[row]);
  } else if (type_ == Type::kFloat64) {
    AppendDouble(column.Float64s()[row]);
  } else if (IsVariable(type_)) {
    AppendText(column.Text(row));
  } else {
    AppendInt(RowOf(type_).width == 4 ? column.Int32s()[row] : column.Int64s()[row]);
  }
}

Column ColumnBuilder::Finish() {
  Buffer validity = any_null_ ? Buffer::Own(std::move(validity_)) : Buffer();
  if (IsList(type_))
    return Column::OfLists(length_, elements_->Finish(), Buffer::OwnValues(std::move(offsets_)),
                           std::move(validity));
  Buffer offsets = IsVariable(type_) ? Buffer::OwnValues(std::move(offsets_)) : Buffer();
  return {type_, length_, Buffer::Own(std::move(values_)), std::move(validity), std::move(offsets)};
}

BatchBuilder::BatchBuilder(SchemaRef schema) : schema_(std::move(schema)) {
  columns_.reserve(schema_->size());
  for (const Field& field : schema_->fields()) columns_.emplace_back(field.type);
}

size_t BatchBuilder::rows() const {
  const size_t rows = columns_.empty() ? 0 : columns_.front().length();
  for (const ColumnBuilder& column : columns_)
    HR_CHECK(column.length() == rows, "builder: columns of unequal length");
  return rows;
}

ColumnBatch BatchBuilder::Finish() {
  const size_t count = rows();
  std::vector<Column> columns;
  columns.reserve(columns_.size());
  for (ColumnBuilder& column : columns_) columns.push_back(column.Finish());
  return {schema_, count, std::move(columns)};
}

}  // namespace headrace::columns
