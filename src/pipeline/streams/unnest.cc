#include "pipeline/streams/unnest.h"

#include <algorithm>
#include <string>
#include <utility>

#include "columns/batch_builder.h"
#include "columns/conform.h"
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
  Rows(const Unnest& unnest, uint64_t text_max, UnnestCounts& counts)
      : unnest_(unnest), counts_(counts), text_max_(text_max) {}

  // `text`: bytes that each of its rows has in other columns.
  void AddList(uint32_t row, const Column& lists, uint64_t text) {
    if (lists.IsNull(row)) {
      ++counts_.null_lists;
      return AddEmpty(row, text);
    }
    switch (ElementsOfJson(lists.Text(row), found_)) {
      case JsonList::kNull: ++counts_.null_lists; return AddEmpty(row, text);
      case JsonList::kOther:
      case JsonList::kMalformed: ++counts_.not_lists; return AddEmpty(row, text);
      case JsonList::kArray: break;
    }
    if (found_.empty()) {
      ++counts_.empty;
      return AddEmpty(row, text);
    }
    const size_t wanted = std::min(found_.size(), size_t{unnest_.elements_max});
    size_t taken = 0;
    for (; taken < wanted && TakeRoom(text + ReadElement(found_[taken])); ++taken) {
      from_.push_back(row);
      if (found_[taken].kind == JsonKind::kNull) {
        elements_.AppendNull();
      } else {
        elements_.AppendText(text_);
      }
      ordinals_.AppendInt(static_cast<int64_t>(taken) + 1);
    }
    counts_.elements += taken;
    counts_.left_out += found_.size() - taken;
  }

  const std::vector<uint32_t>& from() const { return from_; }
  std::vector<uint32_t> TakeFrom() { return std::move(from_); }
  uint64_t text_bytes() const { return text_bytes_; }
  bool is_full() const { return is_full_; }
  Column TakeElements() { return elements_.Finish(); }
  Column TakeOrdinals() { return ordinals_.Finish(); }

 private:
  void AddEmpty(uint32_t row, uint64_t text) {
    if (!unnest_.keeps_empty || !TakeRoom(text)) return;
    from_.push_back(row);
    elements_.AppendNull();
    ordinals_.AppendNull();
  }

  // For a row with so many bytes of text; when there is none, there is none for others either.
  bool TakeRoom(uint64_t text) {
    is_full_ = is_full_ || from_.size() == kUnnestedRowsMax || text > text_max_ - text_bytes_;
    if (!is_full_) text_bytes_ += text;
    return !is_full_;
  }

  // Sets text_, and tells its length.
  uint64_t ReadElement(const JsonValue& element) {
    text_.clear();
    if (element.kind == JsonKind::kNull) return 0;
    if (unnest_.element == Unnest::Element::kText && element.kind == JsonKind::kString) {
      AppendUnescaped(element.text.substr(1, element.text.size() - 2), text_);
    } else {
      AppendCompact(element, text_);
    }
    return text_.size();
  }

  const Unnest& unnest_;
  UnnestCounts& counts_;
  const uint64_t text_max_;
  uint64_t text_bytes_ = 0;
  bool is_full_ = false;
  std::vector<uint32_t> from_;
  std::vector<JsonValue> found_;
  std::string text_;
  ColumnBuilder elements_{Type::kString};
  ColumnBuilder ordinals_{Type::kInt64};
};

// The columns of the input whose texts each element's row has, too.
std::vector<size_t> CopiedTexts(const Derivation& derivation) {
  std::vector<size_t> texts = WantedTexts(derivation);
  std::erase(texts, derivation.unnest->list);
  return texts;
}

uint64_t TextBytes(const ColumnBatch& input, const std::vector<size_t>& texts, size_t row) {
  uint64_t bytes = 0;
  for (const size_t field : texts)
    if (!input.column(field).IsNull(row)) bytes += input.column(field).Text(row).size();
  return bytes;
}

}  // namespace

uint64_t UnnestedBytesMax(const Derivation& derivation, const ColumnBatch& input) {
  constexpr uint64_t kCellBytes = sizeof(uint64_t);
  const Unnest& unnest = *derivation.unnest;
  const Column& lists = input.column(unnest.list);
  const std::vector<size_t> texts = CopiedTexts(derivation);
  // With its row of the input.
  const uint64_t cells = derivation.unnested->size() * kCellBytes + sizeof(uint32_t);
  uint64_t bytes = 0;  // of texts
  uint64_t rows = 0;
  for (size_t row = 0; row < input.rows() && rows < kUnnestedRowsMax; ++row) {
    const std::string_view list = lists.IsNull(row) ? std::string_view() : lists.Text(row);
    const auto elements = static_cast<uint64_t>(std::ranges::count(list, ',')) + 1;
    const uint64_t made =
        std::min({elements, uint64_t{unnest.elements_max}, kUnnestedRowsMax - rows});
    rows += made;
    bytes += made * TextBytes(input, texts, row) + list.size();
  }
  return rows * cells + std::min(bytes, kUnnestedTextMax);
}

DerivedRows Unnested(const Derivation& derivation, const ColumnBatch& input, UnnestCounts& counts,
                     uint64_t text_max) {
  const Unnest& unnest = *derivation.unnest;
  const Column& lists = input.column(unnest.list);
  const std::vector<size_t> texts = CopiedTexts(derivation);
  Rows rows(unnest, text_max, counts);
  for (uint32_t row = 0; row < input.rows(); ++row)
    rows.AddList(row, lists, TextBytes(input, texts, row));
  // An event's other columns are there once for each element: what nobody wants is not copied.
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
                                .Take(rows.from());
  const size_t made = rows.from().size();
  std::vector<Column> columns;
  size_t next = 0;
  for (size_t field = 0; field < derivation.input->size(); ++field) {
    if (field == unnest.list) {
      columns.push_back(rows.TakeElements());
    } else if (wanted[field]) {
      columns.push_back(taken.column(next++));
    } else {
      columns.push_back(columns::AllNullColumn(derivation.input->field(field).type, made));
    }
  }
  columns.push_back(rows.TakeOrdinals());
  return {.rows = ColumnBatch(derivation.unnested, made, std::move(columns)),
          .from = rows.TakeFrom(),
          .unnested = {made, rows.text_bytes(), rows.is_full()}};
}

}  // namespace headrace::pipeline
