// Sorting takes three steps, all linear for rows that come in event order:
// 1. a counting sort by key number, which keeps the order of arrival within a key;
// 2. a comparison sort by (event time, position) of the keys whose rows are not in that order yet;
// 3. every column is permuted, and each block of 64 rows remembers its largest position and
// known_at.

#include "pipeline/views/prepared_rows.h"

#include <algorithm>
#include <limits>

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/hash.h"
#include "columns/key.h"

namespace headrace::pipeline {
namespace {

struct KeyHash {
  using is_transparent = void;
  using is_avalanching = void;
  size_t operator()(std::string_view key) const { return base::Hash64(key); }
};

template <typename T>
void PermuteValues(std::vector<T>& values, std::span<const uint32_t> order) {
  std::vector<T> permuted(values.size());
  for (size_t i = 0; i < order.size(); ++i) permuted[i] = values[order[i]];
  values = std::move(permuted);
}

bool BitAt(const std::vector<RowMask>& words, size_t row) {
  return ((words[row / kBlockRows] >> (row % kBlockRows)) & 1) != 0;
}

void PermuteBits(std::vector<RowMask>& words, std::span<const uint32_t> order) {
  std::vector<RowMask> permuted(words.size(), 0);
  for (size_t i = 0; i < order.size(); ++i)
    permuted[i / kBlockRows] |= static_cast<RowMask>(BitAt(words, order[i])) << (i % kBlockRows);
  words = std::move(permuted);
}

// Appends the low `count` bits to words that hold `rows` bits.
void AppendBits(std::vector<RowMask>& words, size_t rows, RowMask bits, size_t count) {
  const size_t at = rows % kBlockRows;
  if (at == 0) words.push_back(0);
  words.back() |= bits << at;
  if (at + count > kBlockRows) words.push_back(bits >> (kBlockRows - at));
}

// The rows among `rows` for which `keep` holds.
template <typename Keep>
RowMask Filter(RowMask rows, Keep keep) {
  RowMask kept = 0;
  ForEachRow(rows, [&](uint32_t row) { kept |= static_cast<RowMask>(keep(row)) << row; });
  return kept;
}

}  // namespace

struct PreparedRows::Keys {
  boost::unordered_flat_map<std::string, uint32_t, KeyHash, std::equal_to<>> number_of;
};

class PreparedRows::TextArena final : public TextMemory {
 public:
  void* AllocateText(size_t bytes) override {
    bytes = (bytes + 7) & ~size_t{7};
    if (bytes > left_) {
      left_ = std::max(bytes, kBlockBytes);
      blocks_.push_back(std::make_unique<char[]>(left_));
      next_ = blocks_.back().get();
    }
    left_ -= bytes;
    return std::exchange(next_, next_ + bytes);
  }

 private:
  static constexpr size_t kBlockBytes = 1 << 20;
  std::vector<std::unique_ptr<char[]>> blocks_;
  char* next_ = nullptr;
  size_t left_ = 0;
};

PreparedRows::PreparedRows(const std::vector<columns::Type>& argument_types,
                           std::optional<columns::Type> without_type)
    : keys_(std::make_unique<Keys>()), texts_(std::make_unique<TextArena>()) {
  for (const columns::Type type : argument_types) arguments_.emplace_back(type);
  if (without_type) without_.emplace(*without_type);
}

PreparedRows::~PreparedRows() = default;

void PreparedRows::Add(const Source& source) {
  HR_CHECK(times_.size() + source.rows.size() <= std::numeric_limits<uint32_t>::max(),
           "a view has 2^32 rows");
  columns::KeyBytes key;
  for (size_t i = 0; i < arguments_.size(); ++i)
    AppendColumn(arguments_[i], source.arguments[i], source.rows);
  if (without_) AppendColumn(*without_, *source.without, source.rows);
  for (const uint32_t row : source.rows) {
    columns::KeyOfRow(source.batch, source.by, row, key);
    auto& numbers = keys_->number_of;
    auto found = numbers.find(std::string_view(key));
    if (found == numbers.end())
      found = numbers.emplace(key, static_cast<uint32_t>(numbers.size())).first;
    key_of_.push_back(found->second);
    times_.push_back(source.times[row]);
    positions_.push_back(source.positions[row].packed);
    known_at_.push_back(source.known_at[row]);
  }
}

void PreparedRows::AppendColumn(ArgumentColumn& column, const columns::Column& from,
                                std::span<const uint32_t> rows) {
  const size_t before = times_.size();
  for (size_t begin = 0; begin < rows.size(); begin += kBlockRows) {
    const auto some = rows.subspan(begin, std::min<size_t>(kBlockRows, rows.size() - begin));
    AppendBits(column.valid, before + begin, GatherValid(from, some), some.size());
    if (column.kind == CellKind::kBool)
      AppendBits(column.truth, before + begin, GatherTruth(from, some), some.size());
  }
  if (column.kind == CellKind::kBool) return;
  column.cells.resize(before + rows.size());
  GatherCells(from, rows, column.cells.data() + before, *texts_);
}

std::vector<uint32_t> PreparedRows::SortedOrder() {
  begin_of_.assign(keys_->number_of.size() + 1, 0);
  for (const uint32_t key : key_of_) ++begin_of_[key + 1];
  for (size_t key = 1; key < begin_of_.size(); ++key) begin_of_[key] += begin_of_[key - 1];
  std::vector<size_t> next(begin_of_.begin(), begin_of_.end() - 1);
  std::vector<uint32_t> order(key_of_.size());
  for (uint32_t row = 0; row < key_of_.size(); ++row) order[next[key_of_[row]]++] = row;
  const auto earlier = [this](uint32_t a, uint32_t b) {
    return times_[a] != times_[b] ? times_[a] < times_[b] : positions_[a] < positions_[b];
  };
  for (size_t key = 0; key + 1 < begin_of_.size(); ++key) {
    const auto first = order.begin() + static_cast<ptrdiff_t>(begin_of_[key]);
    const auto last = order.begin() + static_cast<ptrdiff_t>(begin_of_[key + 1]);
    if (!std::is_sorted(first, last, earlier)) std::sort(first, last, earlier);
  }
  return order;
}

void PreparedRows::Permute(ArgumentColumn& column, std::span<const uint32_t> order) {
  PermuteBits(column.valid, order);
  if (column.kind == CellKind::kBool) {
    PermuteBits(column.truth, order);
  } else {
    PermuteValues(column.cells, order);
  }
}

void PreparedRows::Sort() {
  const std::vector<uint32_t> order = SortedOrder();
  key_of_ = {};
  PermuteValues(times_, order);
  PermuteValues(positions_, order);
  PermuteValues(known_at_, order);
  for (ArgumentColumn& column : arguments_) Permute(column, order);
  if (without_) Permute(*without_, order);
  SummarizeBlocks();
}

void PreparedRows::SummarizeBlocks() {
  block_position_max_.assign(blocks(), 0);
  block_known_max_.assign(blocks(), std::numeric_limits<int64_t>::min());
  for (size_t row = 0; row < rows(); ++row) {
    const size_t block = row / kBlockRows;
    block_position_max_[block] = std::max(block_position_max_[block], positions_[row]);
    block_known_max_[block] = std::max(block_known_max_[block], known_at_[row]);
  }
  if (!without_ || without_->kind != CellKind::kInteger) return;
  block_without_.assign(blocks(),
                        {std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min()});
  for (size_t row = 0; row < rows(); ++row) {
    auto& [least, greatest] = block_without_[row / kBlockRows];
    least = std::min(least, static_cast<int64_t>(without_->cells[row]));
    greatest = std::max(greatest, static_cast<int64_t>(without_->cells[row]));
  }
}

PreparedRows::Range PreparedRows::RangeOf(std::string_view key) const {
  const auto found = keys_->number_of.find(key);
  if (found == keys_->number_of.end()) return {};
  return {begin_of_[found->second], begin_of_[found->second + 1]};
}

RowBlock PreparedRows::Block(size_t i, ArgumentBlock* arguments) const {
  const size_t first = i * kBlockRows;
  for (size_t a = 0; a < arguments_.size(); ++a) {
    const ArgumentColumn& column = arguments_[a];
    const bool truths = column.kind == CellKind::kBool;
    arguments[a] = {.cells = truths ? nullptr : column.cells.data() + first,
                    .valid = column.valid[i],
                    .truth = truths ? column.truth[i] : 0};
  }
  return {.times = times_.data() + first,
          .positions = positions_.data() + first,
          .arguments = arguments};
}

RowMask PreparedRows::UpToPosition(size_t block, uint64_t position_max, RowMask rows) const {
  if (block_position_max_[block] <= position_max) return rows;
  const uint64_t* positions = positions_.data() + block * kBlockRows;
  return Filter(rows, [=](uint32_t row) { return positions[row] <= position_max; });
}

RowMask PreparedRows::KnownBy(size_t block, int64_t known_at_max, RowMask rows) const {
  if (block_known_max_[block] <= known_at_max) return rows;
  const int64_t* known_at = known_at_.data() + block * kBlockRows;
  return Filter(rows, [=](uint32_t row) { return known_at[row] <= known_at_max; });
}

RowMask PreparedRows::WithoutRow(size_t block, const LeftOutRow& row, RowMask rows) const {
  const size_t base = block * kBlockRows;
  return Filter(rows, [&](uint32_t i) {
    return !row.Is(columns::Position{positions_[base + i]}, times_[base + i]);
  });
}

size_t PreparedRows::CountOf(Range range, const LeftOutRow& row,
                             std::optional<base::EpochId> epoch_max) const {
  size_t count = 0;
  const int64_t* end = times_.data() + range.end;
  const int64_t* at = std::lower_bound(times_.data() + range.begin, end, row.time);
  for (; at != end && (row.or_later || *at == row.time); ++at) {
    const columns::Position position{positions_[static_cast<size_t>(at - times_.data())]};
    if (!epoch_max || position.epoch() <= *epoch_max) count += row.Is(position, *at);
  }
  return count;
}

RowMask PreparedRows::Without(size_t block, const columns::Value& value, RowMask rows) const {
  if (!without_ || value.is_null()) return rows;
  const RowMask valid = without_->valid[block];
  if (without_->kind == CellKind::kBool)
    return rows & ~(valid & (value.as_bool() ? without_->truth[block] : ~without_->truth[block]));
  const uint64_t* cells = without_->cells.data() + block * kBlockRows;
  if (without_->kind == CellKind::kText) {
    const std::string_view text = value.as_text();
    return rows & ~(valid &
                    Filter(rows, [=](uint32_t row) { return TextCell::Read(cells[row]) == text; }));
  }
  if (!block_without_.empty() && (value.as_int() < block_without_[block].first ||
                                  value.as_int() > block_without_[block].second))
    return rows;
  const auto cell = without_->kind == CellKind::kDouble ? std::bit_cast<uint64_t>(value.as_double())
                                                        : static_cast<uint64_t>(value.as_int());
  return rows & ~(valid & Filter(rows, [=](uint32_t row) { return cells[row] == cell; }));
}

}  // namespace headrace::pipeline
