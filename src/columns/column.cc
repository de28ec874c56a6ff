#include "columns/column.h"

namespace headrace::columns {

Column::Column(Type type, size_t length, Buffer values, Buffer validity, Buffer offsets)
    : type_(type),
      length_(length),
      values_(std::move(values)),
      validity_(std::move(validity)),
      offsets_(std::move(offsets)) {
  const size_t bitmap_bytes = (length + 7) / 8;
  HR_CHECK(!IsList(type), "column: lists are made of elements");
  HR_CHECK(validity_.empty() || validity_.size() >= bitmap_bytes, "column: validity too short");
  if (IsVariable(type)) {
    HR_CHECK(offsets_.size() >= (length + 1) * sizeof(int32_t), "column: offsets too short");
  } else {
    const size_t needed = type == Type::kBool ? bitmap_bytes : length * RowOf(type).width;
    HR_CHECK(values_.size() >= needed, "column: values too short");
  }
}

Column Column::OfLists(size_t length, Column elements, Buffer offsets, Buffer validity) {
  HR_CHECK(offsets.size() >= (length + 1) * sizeof(int32_t), "column: offsets too short");
  HR_CHECK(validity.empty() || validity.size() >= (length + 7) / 8, "column: validity too short");
  Column column;
  column.type_ = ListOf(elements.type());
  column.length_ = length;
  column.validity_ = std::move(validity);
  column.offsets_ = std::move(offsets);
  column.elements_ = std::make_shared<const Column>(std::move(elements));
  return column;
}

Value Column::At(size_t row) const {
  HR_CHECK(row < length_, "column: row out of range");
  if (IsNull(row)) return Value::Null(type_);
  if (IsList(type_)) {
    const auto offsets = offsets_.as<int32_t>();
    Value::Elements elements;
    for (int32_t i = offsets[row]; i < offsets[row + 1]; ++i)
      elements.push_back(elements_->At(static_cast<size_t>(i)));
    return Value::List(ElementOf(type_), std::move(elements));
  }
  switch (type_) {
    case Type::kBool: return Value::Bool(Bool(row));
    case Type::kInt32:
    case Type::kDate: return Value(type_, int64_t{Int32s()[row]});
    case Type::kInt64:
    case Type::kTimestamp:
    case Type::kTimestampNtz: return Value(type_, Int64s()[row]);
    case Type::kFloat32: return Value(type_, double{Float32s()[row]});
    case Type::kFloat64: return Value(type_, Float64s()[row]);
    case Type::kString:
    case Type::kBytes: return Value(type_, std::string(Text(row)));
  }
  return {};
}

}  // namespace headrace::columns
