#include "tables/publish/made_rows.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace headrace::tables {
namespace {

using base::EpochId;
using base::Result;
using columns::ColumnBatch;

columns::SchemaRef Numbered(const columns::Schema& schema) {
  std::vector<columns::Field> fields = schema.fields();
  for (size_t i = 0; i < fields.size(); ++i) fields[i].id = static_cast<uint32_t>(i + 1);
  return std::make_shared<const columns::Schema>(std::move(fields));
}

ColumnBatch As(const columns::SchemaRef& schema, const ColumnBatch& batch) {
  return {schema, batch.rows(), batch.columns()};
}

int64_t BytesOf(const MadeRows::OfEpoch& made) {
  return static_cast<int64_t>(made.rows.ByteSize() + made.known_at.size() * sizeof(int64_t));
}

}  // namespace

MadeRows::MadeRows(columns::SchemaRef schema, base::MemoryBudget& budget)
    : schema_(std::move(schema)), numbered_(Numbered(*schema_)), budget_(budget) {}

MadeRows::~MadeRows() { Charge(-charged_bytes_); }

void MadeRows::Charge(int64_t bytes) {
  budget_.Force(base::MemoryAccount::kTables, bytes);
  charged_bytes_ += bytes;
}

void MadeRows::Add(EpochId epoch, OfEpoch made) {
  const std::lock_guard lock(mutex_);
  if (epoch <= through_) return;
  through_ = epoch;
  if (made.rows.rows() == 0) return;
  Charge(BytesOf(made));
  epochs_.emplace(epoch, std::move(made));
}

EpochId MadeRows::through() const {
  const std::lock_guard lock(mutex_);
  return through_;
}

std::optional<MadeRows::OfEpoch> MadeRows::Of(EpochId epoch) const {
  const std::lock_guard lock(mutex_);
  const auto found = epochs_.find(epoch);
  if (found == epochs_.end()) return std::nullopt;
  return found->second;
}

std::unique_ptr<MadeRows> MadeRows::Copy() const {
  auto copy = std::make_unique<MadeRows>(schema_, budget_);
  const std::lock_guard lock(mutex_);
  copy->through_ = through_;
  copy->dropped_through_ = dropped_through_;
  copy->epochs_ = epochs_;
  for (const auto& [of, made] : copy->epochs_) copy->Charge(BytesOf(made));
  return copy;
}

EpochId MadeRows::dropped_through() const {
  const std::lock_guard lock(mutex_);
  return dropped_through_;
}

void MadeRows::DropThrough(EpochId epoch) {
  const std::lock_guard lock(mutex_);
  dropped_through_ = std::max(dropped_through_, epoch);
  const auto end = epochs_.upper_bound(epoch);
  for (auto each = epochs_.begin(); each != end; ++each) Charge(-BytesOf(each->second));
  epochs_.erase(epochs_.begin(), end);
}

void MadeRows::Encode(columns::ByteWriter& out) const {
  // Columns are shared: a copy is cheap, and nobody waits for the bytes.
  std::map<EpochId, OfEpoch> epochs;
  EpochId dropped_through;
  {
    const std::lock_guard lock(mutex_);
    out.U64(through_.value);
    epochs = epochs_;
    dropped_through = dropped_through_;
  }
  out.U32(static_cast<uint32_t>(epochs.size()));
  std::vector<uint8_t> bytes;
  for (const auto& [epoch, made] : epochs) {
    out.U64(epoch.value);
    out.U32(static_cast<uint32_t>(made.known_at.size()));
    for (const int64_t known_at : made.known_at) out.I64(known_at);
    bytes.clear();
    columns::ByteWriter batch(bytes);
    columns::EncodeBatch(As(numbered_, made.rows), batch);
    out.U64(bytes.size());
    out.Bytes(bytes);
  }
  out.U64(dropped_through.value);
}

Result<void> MadeRows::Decode(columns::ByteReader& in) {
  const std::lock_guard lock(mutex_);
  HR_TRY(through_.value, in.U64());
  HR_TRY(const uint32_t epochs, in.U32());
  for (uint32_t i = 0; i < epochs; ++i) {
    HR_TRY(const uint64_t epoch, in.U64());
    HR_TRY(const uint32_t known, in.U32());
    OfEpoch made;
    for (uint32_t row = 0; row < known; ++row) {
      HR_TRY(const int64_t known_at, in.I64());
      made.known_at.push_back(known_at);
    }
    HR_TRY(const uint64_t size, in.U64());
    HR_TRY(const auto bytes, in.Bytes(size));
    const auto owner = std::make_shared<const std::vector<uint8_t>>(bytes.begin(), bytes.end());
    columns::ByteReader batch(*owner);
    // The snapshot's checksums are right: columns of other types are those of another definition.
    const auto decoded = columns::DecodeBatch(batch, numbered_, owner);
    if (!decoded)
      return base::Fail(
          base::ErrorCode::kFailedPrecondition,
          "rows on their way into a table do not have its columns: " + decoded.error().message());
    const ColumnBatch& rows = *decoded;
    if (known != 0 && known != rows.rows())
      return base::Fail(base::ErrorCode::kCorruption, "rows on their way into a table lack times");
    made.rows = As(schema_, rows);
    Charge(BytesOf(made));
    epochs_.emplace(EpochId{epoch}, std::move(made));
  }
  if (in.remaining() != 0) {  // some snapshots end here
    HR_TRY(dropped_through_.value, in.U64());
  }
  return {};
}

}  // namespace headrace::tables
