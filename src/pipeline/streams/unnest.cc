#include "pipeline/streams/unnest.h"

#include <algorithm>
#include <string>
#include <utility>

#include "columns/batch_builder.h"
#include "pipeline/expressions/json_path.h"

namespace headrace::pipeline {
namespace {

using columns::Column;
using columns::ColumnBatch;
using columns::ColumnBuilder;
using columns::Type;

// The rows in the making: which input row, element and ordinal.
class Rows {
 public:
  Rows(const Unnest& unnest, std::vector<uint32_t>& from, UnnestCounts& counts)
      : unnest_(unnest), from_(from), counts_(counts) {
    from_.clear();
  }

  void AddList(uint32_t row, const Column& lists) {
    if (lists.IsNull(row)) {
      ++counts_.null_lists;
      return AddEmpty(row);
    }
    switch (ElementsOfJson(lists.Text(row), found_)) {
      case JsonList::kNull: ++counts_.null_lists; return AddEmpty(row);
      case JsonList::kOther:
      case JsonList::kMalformed: ++counts_.not_lists; return AddEmpty(row);
      case JsonList::kArray: break;
    }
    if (found_.empty()) {
      ++counts_.empty;
      return AddEmpty(row);
    }
    const size_t room = kUnnestedRowsMax - from_.size();
    const size_t taken = std::min({found_.size(), size_t{unnest_.elements_max}, room});
    counts_.elements += taken;
    counts_.left_out += found_.size() - taken;
    for (size_t i = 0; i < taken; ++i) {
      from_.push_back(row);
      AddElement(found_[i]);
      ordinals_.AppendInt(static_cast<int64_t>(i) + 1);
    }
  }

  Column TakeElements() { return elements_.Finish(); }
  Column TakeOrdinals() { return ordinals_.Finish(); }

 private:
  void AddEmpty(uint32_t row) {
    if (!unnest_.keeps_empty || from_.size() == kUnnestedRowsMax) return;
    from_.push_back(row);
    elements_.AppendNull();
    ordinals_.AppendNull();
  }

  void AddElement(const JsonValue& element) {
    if (element.kind == JsonKind::kNull) return elements_.AppendNull();
    text_.clear();
    if (unnest_.element == Unnest::Element::kText && element.kind == JsonKind::kString) {
      AppendUnescaped(element.text.substr(1, element.text.size() - 2), text_);
    } else {
      AppendCompact(element, text_);
    }
    elements_.AppendText(text_);
  }

  const Unnest& unnest_;
  std::vector<uint32_t>& from_;
  UnnestCounts& counts_;
  std::vector<JsonValue> found_;
  std::string text_;
  ColumnBuilder elements_{Type::kString};
  ColumnBuilder ordinals_{Type::kInt64};
};

// Of `unnested`: those that are read or kept.
std::vector<bool> WantedColumns(const Derivation& derivation) {
  std::vector<bool> wanted(derivation.wide->size());
  const auto want = [&](const std::vector<size_t>& fields) {
    for (const size_t field : fields) wanted[field] = true;
  };
  want(derivation.kept);
  if (derivation.where) want(derivation.where->inputs());
  for (const Expression& column : derivation.columns) want(column.inputs());
  return wanted;
}

// An event's other columns are there once for each element: a text that nobody wants is not copied.
Column NullColumn(Type type, size_t rows) {
  ColumnBuilder builder(type);
  for (size_t row = 0; row < rows; ++row) builder.AppendNull();
  return builder.Finish();
}

}  // namespace

uint64_t UnnestedBytesMax(const Derivation& derivation, const ColumnBatch& input) {
  constexpr uint64_t kCellBytes = sizeof(uint64_t);
  const Unnest& unnest = *derivation.unnest;
  const Column& lists = input.column(unnest.list);
  const std::vector<bool> wanted = WantedColumns(derivation);
  std::vector<size_t> texts;
  for (size_t field = 0; field < derivation.input->size(); ++field)
    if (wanted[field] && field != unnest.list &&
        columns::IsVariable(derivation.input->field(field).type))
      texts.push_back(field);
  // With its row of the input.
  const uint64_t cells = derivation.unnested->size() * kCellBytes + sizeof(uint32_t);
  uint64_t bytes = 0;
  uint64_t rows = 0;
  for (size_t row = 0; row < input.rows() && rows < kUnnestedRowsMax; ++row) {
    const std::string_view list = lists.IsNull(row) ? std::string_view() : lists.Text(row);
    const auto elements = static_cast<uint64_t>(std::ranges::count(list, ',')) + 1;
    const uint64_t made =
        std::min({elements, uint64_t{unnest.elements_max}, kUnnestedRowsMax - rows});
    uint64_t of_row = cells;
    for (const size_t field : texts)
      if (!input.column(field).IsNull(row)) of_row += input.column(field).Text(row).size();
    rows += made;
    bytes += made * of_row + list.size();
  }
  return bytes;
}

ColumnBatch Unnested(const Derivation& derivation, const ColumnBatch& input,
                     std::vector<uint32_t>& from, UnnestCounts& counts) {
  const Unnest& unnest = *derivation.unnest;
  const Column& lists = input.column(unnest.list);
  Rows rows(unnest, from, counts);
  for (uint32_t row = 0; row < input.rows(); ++row) rows.AddList(row, lists);
  const std::vector<bool> wanted = WantedColumns(derivation);
  std::vector<columns::Field> fields;
  std::vector<Column> few;
  for (size_t field = 0; field < derivation.input->size(); ++field) {
    if (!wanted[field] || field == unnest.list) continue;
    fields.push_back(derivation.input->field(field));
    few.push_back(input.column(field));
  }
  const ColumnBatch taken = ColumnBatch(std::make_shared<const columns::Schema>(std::move(fields)),
                                        input.rows(), std::move(few))
                                .Take(from);
  std::vector<Column> columns;
  size_t next = 0;
  for (size_t field = 0; field < derivation.input->size(); ++field) {
    if (field == unnest.list) {
      columns.push_back(rows.TakeElements());
    } else if (wanted[field]) {
      columns.push_back(taken.column(next++));
    } else {
      columns.push_back(NullColumn(derivation.input->field(field).type, from.size()));
    }
  }
  columns.push_back(rows.TakeOrdinals());
  return {derivation.unnested, from.size(), std::move(columns)};
}

}  // namespace headrace::pipeline
