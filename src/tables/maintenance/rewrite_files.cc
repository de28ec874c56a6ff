#include "tables/maintenance/rewrite_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string_view>
#include <utility>

#include "tables/data_file_names.h"
#include "tables/maintenance/file_choice.h"
#include "tables/maintenance/replaced_files.h"
#include "tables/maintenance/z_order.h"
#include "tables/new_data_file.h"
#include "tables/parquet/parquet_reader.h"
#include "tables/parquet/parquet_writer.h"
#include "tables/stepped_charge.h"
#include "tables/table_rows.h"

namespace headrace::tables {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;
using columns::ColumnBatch;
using columns::Position;

// Rows that are handed to the encoder at once.
constexpr size_t kPartRows = 1U << 16;

// The new files, one after the other.
class NewFiles {
 public:
  NewFiles(const RewritePlace& place, const RewritePlan& plan) : place_(place), plan_(plan) {}

  uint64_t held_bytes() const { return file_ == nullptr ? 0 : file_->writer().held_bytes(); }

  Result<void> Write(const ColumnBatch& rows) {
    for (size_t begin = 0; begin < rows.rows();) {
      if (file_ == nullptr) HR_TRY_VOID(BeginFile());
      ParquetWriter& writer = file_->writer();
      const size_t room = plan_.rows_per_file - writer.rows();
      const size_t end = std::min(rows.rows(), begin + room);
      const ColumnBatch part = begin == 0 && end == rows.rows() ? rows : rows.Slice(begin, end);
      HR_TRY_VOID(Note(part));
      HR_TRY_VOID(writer.Write(part));
      begin = end;
      if (writer.rows() == plan_.rows_per_file) HR_TRY_VOID(EndFile());
    }
    return {};
  }

  // What is written next stands in another file.
  Result<void> EndFile() { return file_ == nullptr ? Result<void>() : EndBegunFile(); }

  Result<std::vector<DataFile>> Finish(const ReplacedFiles& replaced) {
    HR_TRY_VOID(EndFile());
    if (!files_.empty()) files_.front().tags.emplace_back(kReplacedTag, replaced.ToText());
    return std::move(files_);
  }

 private:
  // Where the rows stand in the log: the third column from the end and the one behind it.
  Result<void> Note(const ColumnBatch& rows) {
    const size_t columns = rows.columns().size();
    const auto epochs = rows.column(columns - 3).Int64s();
    const auto numbers = rows.column(columns - 2).Int32s();
    for (size_t row = 0; row < rows.rows(); ++row) {
      const bool in_range = epochs[row] > 0 && epochs[row] < (1LL << 40) && numbers[row] >= 0 &&
                            static_cast<uint64_t>(numbers[row]) < Position::kRowsMax;
      if (!in_range) return Fail(ErrorCode::kCorruption, "a row whose position is no position");
      const Position at =
          Position::Of({static_cast<uint64_t>(epochs[row])}, static_cast<uint64_t>(numbers[row]));
      if (!first_) {
        first_ = last_ = at;
      } else {
        in_order_ = in_order_ && at > before_;
        first_ = std::min(*first_, at);
        last_ = std::max(last_, at);
      }
      before_ = at;
    }
    return {};
  }

  Result<void> BeginFile() {
    first_.reset();
    in_order_ = true;
    const RewrittenFile file{plan_.stream, plan_.epoch, files_.size()};
    HR_TRY(file_, NewDataFile::Begin(place_.environment.files(), place_.schema,
                                     place_.folder + "/" + FileName(place_.log, file),
                                     {"rewrite.before_file", "rewrite.after_file"}));
    return {};
  }

  Result<void> EndBegunFile() {
    HR_TRY(DataFile made, file_->End());
    file_.reset();
    made.tags = {{kPositionsTag, PositionsText({*first_, last_})}};
    if (!plan_.z_order.empty()) {
      made.tags.emplace_back(kOrderTag, OrderOf(plan_.z_order));
    } else if (in_order_) {
      made.tags.emplace_back(kOrderTag, kByPosition);
    }
    files_.push_back(std::move(made));
    return {};
  }

  const RewritePlace& place_;
  const RewritePlan& plan_;
  std::unique_ptr<NewDataFile> file_;
  std::optional<Position> first_;
  Position last_;
  Position before_;
  bool in_order_ = true;
  std::vector<DataFile> files_;
};

// Rows that are to be put in order together.
struct Unsorted {
  std::vector<ColumnBatch> parts;
  std::vector<uint64_t> text_bytes;  // by column
  uint64_t bytes = 0;
  uint64_t rows = 0;

  // Of the column that has the most, were `part` among them.
  uint64_t TextBytesWith(const ColumnBatch& part) const {
    uint64_t most = 0;
    for (size_t i = 0; i < part.columns().size(); ++i)
      most = std::max(most, TextBytes(part.column(i)) + (parts.empty() ? 0 : text_bytes[i]));
    return most;
  }
  void Add(const ColumnBatch& part) {
    text_bytes.resize(part.columns().size());
    for (size_t i = 0; i < text_bytes.size(); ++i) text_bytes[i] += TextBytes(part.column(i));
    bytes += part.ByteSize();
    rows += part.rows();
    parts.push_back(part);
  }

 private:
  static uint64_t TextBytes(const columns::Column& column) {
    if (!columns::IsVariable(column.type())) return 0;
    const auto offsets = column.offsets().as<int32_t>();
    return static_cast<uint64_t>(offsets[column.length()] - offsets[0]);
  }
};

class Rewriting {
 public:
  Rewriting(const RewritePlace& place, const RewritePlan& plan)
      : place_(place), plan_(plan), charge_(place.budget), made_(place, plan) {}

  Result<std::optional<RewrittenFiles>> Run() {
    HR_TRY(const TableFiles table,
           ReadTableFiles(place_.environment, place_.folder, place_.log, plan_.stream));
    HR_TRY(const auto files, Find(table));
    if (!files) return std::nullopt;
    HR_TRY_VOID(plan_.z_order.empty() ? Pack(*files) : Sort(*files));
    if (rows_read_ == 0) return std::nullopt;
    RewrittenFiles rewritten{.files = {}, .checked_version = table.state.version};
    HR_TRY(const ReplacedFiles replaced, ReplacedBy(*files));
    HR_TRY(rewritten.files, made_.Finish(replaced));
    uint64_t rows = 0;
    for (const DataFile& file : rewritten.files) rows += file.rows;
    HR_CHECK(rows == rows_read_, "a rewriting keeps every row");
    return std::optional(std::move(rewritten));
  }

 private:
  using OldFiles = std::vector<const delta::AddFile*>;

  // Nothing when one is not there as it was planned.
  Result<std::optional<OldFiles>> Find(const TableFiles& table) const {
    std::map<std::string_view, const delta::AddFile*> live;
    for (const delta::AddFile& file : table.ours)
      if (!file.deletion_vector) live[file.path] = &file;
    OldFiles files;
    for (const OldFile& wanted : plan_.files) {
      const auto found = live.find(wanted.name);
      if (found == live.end() || found->second->size != wanted.bytes) return std::nullopt;
      files.push_back(found->second);
    }
    return std::optional(std::move(files));
  }

  Result<ReplacedFiles> ReplacedBy(const OldFiles& files) const {
    ReplacedFiles replaced;
    for (const delta::AddFile* file : files) {
      if (const auto planned = ParseFileName(place_.log, file->path)) replaced.Add(*planned);
      if (const auto again = ParseRewrittenName(place_.log, file->path)) replaced.Add(*again);
      HR_TRY(const ReplacedFiles before,
             ReplacedFiles::Parse(file->Tag(kReplacedTag).value_or("")));
      replaced.Merge(before);
    }
    return replaced;
  }

  Result<void> Scan(const delta::AddFile& file, const ParquetReader::Visit& visit) {
    const std::string path = place_.folder + "/" + file.path;
    HR_TRY(const auto reader, ParquetReader::Open(place_.environment.files(), path, file.checksum));
    if (file.rows != 0 && reader->rows() != file.rows)
      return Fail(
          base::Error(ErrorCode::kCorruption, fmt::format("the file says {} rows, the log says {}",
                                                          reader->rows(), file.rows))
              .With("file", path));
    return reader->Scan(place_.schema, [&](const ColumnBatch& part) -> Result<void> {
      HR_TRY_VOID(MayGoOn());
      rows_read_ += part.rows();
      return visit(part);
    });
  }

  Result<void> MayGoOn() const {
    while (!place_.pass.WaitFor(kLookEvery))
      if (place_.stopping) break;
    if (!place_.stopping) return {};
    return Fail(ErrorCode::kUnavailable, "the engine stops: the rewriting goes on after its start");
  }

  Result<void> Pack(const OldFiles& files) {
    for (const delta::AddFile* file : files) {
      const auto write = [&](const ColumnBatch& part) -> Result<void> {
        HR_TRY_VOID(charge_.Cover(file->size + made_.held_bytes() + 2 * part.ByteSize()));
        return made_.Write(part);
      };
      HR_TRY_VOID(Scan(*file, write));
      place_.environment.CrashPoint("rewrite.after_old_file");
    }
    return {};
  }

  Result<void> Sort(const OldFiles& files) {
    Unsorted unsorted;
    for (const delta::AddFile* file : files) {
      const auto keep = [&](const ColumnBatch& part) -> Result<void> {
        if (unsorted.TextBytesWith(part) > place_.sorted_text_bytes_max && !unsorted.parts.empty())
          HR_TRY_VOID(WriteSorted(std::exchange(unsorted, {})));
        unsorted.Add(part);
        // Beside the parts: all of them as one, then the ranks and places.
        return charge_.Cover(file->size + 2 * unsorted.bytes + unsorted.rows * kSortBytesPerRow);
      };
      HR_TRY_VOID(Scan(*file, keep));
      place_.environment.CrashPoint("rewrite.after_old_file");
    }
    return unsorted.rows == 0 ? Result<void>() : WriteSorted(std::move(unsorted));
  }

  Result<void> WriteSorted(Unsorted unsorted) {
    const ColumnBatch rows = ColumnBatch::Concat(unsorted.parts);
    unsorted.parts.clear();
    std::vector<columns::Column> by;
    for (const std::string& name : plan_.z_order) {
      HR_TRY(const size_t column, ColumnNamed(name));
      by.push_back(rows.column(column));
    }
    const ZOrdered ordered = ZOrder(by, plan_.rows_per_file);
    size_t begin = 0;
    for (const size_t file_end : ordered.ends) {
      while (begin < file_end) {
        HR_TRY_VOID(MayGoOn());
        const size_t end = std::min(file_end, begin + kPartRows);
        HR_TRY_VOID(made_.Write(rows.Take(std::span(ordered.order).subspan(begin, end - begin))));
        begin = end;
      }
      HR_TRY_VOID(made_.EndFile());
    }
    return {};
  }

  Result<size_t> ColumnNamed(const std::string& name) const {
    const auto& fields = place_.schema->fields();
    const auto found = std::ranges::find(fields, name, &columns::Field::name);
    if (found != fields.end()) return static_cast<size_t>(found - fields.begin());
    return Fail(ErrorCode::kInvalidInput, fmt::format("no column `{}` in the table", name));
  }

  static constexpr env::MonotonicTime kLookEvery = std::chrono::milliseconds(100);
  static constexpr uint64_t kSortBytesPerRow = 32;

  const RewritePlace& place_;
  const RewritePlan& plan_;
  SteppedCharge charge_;
  NewFiles made_;
  uint64_t rows_read_ = 0;
};

}  // namespace

Result<std::optional<RewrittenFiles>> WriteRewrittenFiles(const RewritePlace& place,
                                                          const RewritePlan& plan) {
  return Rewriting(place, plan).Run();
}

}  // namespace headrace::tables
