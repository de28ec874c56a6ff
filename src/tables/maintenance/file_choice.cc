// How small files are packed: in the order of their positions, each bin up to the target. Z-order
// takes files of any size, in pieces that can be sorted in memory.
#include "tables/maintenance/file_choice.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "tables/data_file_names.h"
#include "tables/delta/file_sink.h"
#include "tables/delta/log_replay.h"
#include "tables/delta/support.h"

namespace headrace::tables {
namespace {

using base::Result;
using delta::AddFile;

// Fewer small files than this wait for more, when the rewriting comes again anyway.
constexpr size_t kWorthwhileFiles = 8;

class IntoTableFiles final : public delta::FileSink {
 public:
  IntoTableFiles(TableFiles& table, const base::LogId& log, base::StreamId stream)
      : table_(table), log_(log), stream_(stream) {}
  Result<void> Add(AddFile file) override {
    (IsFileOf(log_, stream_, file.path) ? table_.ours : table_.others).push_back(std::move(file));
    return {};
  }
  Result<void> Remove(delta::RemoveFile file) override {
    table_.removed.push_back(std::move(file));
    return {};
  }
  void Restart() override {
    table_.ours.clear();
    table_.others.clear();
    table_.removed.clear();
  }

 private:
  TableFiles& table_;
  const base::LogId log_;
  const base::StreamId stream_;
};

uint64_t CeilOf(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

class Choosing {
 public:
  Choosing(base::StreamId stream, const RewriteRequest& request, const PlanLimits& limits)
      : stream_(stream), request_(request), limits_(limits) {}

  FileChoice Run(const TableFiles& table) {
    const bool packing = request_.z_order.empty();
    std::vector<const AddFile*> candidates;
    choice_.others = table.others.size();
    for (const AddFile& file : table.others) CountInTable(file);
    for (const AddFile& file : table.ours) {
      CountInTable(file);
      if (file.deletion_vector) {
        ++choice_.deletions;
      } else if (!delta::MayFit(table.columns, request_.where, file)) {
        ++choice_.unfitting;
      } else if (packing ? file.size >= request_.target() / 2 : IsInOrder(file)) {
        ++choice_.good;
      } else {
        candidates.push_back(&file);
      }
    }
    packing ? Pack(candidates) : Sort(candidates);
    return std::move(choice_);
  }

 private:
  void CountInTable(const AddFile& file) {
    ++choice_.table_files;
    choice_.table_bytes += file.size;
  }

  bool IsInOrder(const AddFile& file) const {
    return file.Tag(kOrderTag) == OrderOf(request_.z_order) && file.size >= request_.target() / 2;
  }

  void Pack(std::vector<const AddFile*>& candidates) {
    std::vector<const AddFile*> bin;
    uint64_t bytes = 0;
    for (const AddFile* file : candidates) {
      if (!bin.empty() && (bytes + file->size > request_.target() || IsFull(bin.size(), bytes))) {
        EndBin(bin, /*full=*/true);
        bytes = 0;
      }
      bin.push_back(file);
      bytes += file->size;
    }
    EndBin(bin, /*full=*/false);
  }

  bool IsFull(size_t files, uint64_t bytes) const {
    return files >= limits_.files_max || bytes >= limits_.bytes_max;
  }

  void EndBin(std::vector<const AddFile*>& bin, bool full) {
    if (!full && request_.effort == RewriteRequest::Effort::kWorthwhile) LeaveLarge(bin);
    if (bin.size() < 2) {
      choice_.waiting += bin.size();
      bin.clear();
    }
    Take(bin);
  }

  // Files in front that hold more than all behind them.
  void LeaveLarge(std::vector<const AddFile*>& bin) {
    uint64_t behind = 0;
    for (const AddFile* file : bin) behind += file->size;
    auto kept = bin.begin();
    for (; kept != bin.end(); ++kept) {
      behind -= (*kept)->size;
      if ((*kept)->size <= behind) break;
    }
    if (static_cast<size_t>(bin.end() - kept) < kWorthwhileFiles) kept = bin.end();
    choice_.waiting += static_cast<uint64_t>(kept - bin.begin());
    bin.erase(bin.begin(), kept);
  }

  // Files that are small and in this order already are put in it again with what has come since, as
  // in packing; by themselves only if that makes fewer of them.
  void LeaveOrdered(std::vector<const AddFile*>& candidates) {
    if (request_.effort == RewriteRequest::Effort::kWorthwhile) {
      std::vector<const AddFile*> taken = candidates;
      std::ranges::stable_sort(taken, std::greater<>(), &AddFile::size);
      LeaveLarge(taken);
      std::erase_if(candidates, [&](const AddFile* file) {
        return std::ranges::find(taken, file) == taken.end();
      });
      return;
    }
    uint64_t bytes = 0;
    for (const AddFile* file : candidates) bytes += file->size;
    const bool ordered = std::ranges::all_of(candidates, [&](const AddFile* file) {
      return file->Tag(kOrderTag) == OrderOf(request_.z_order);
    });
    if (!ordered || candidates.size() > CeilOf(bytes, request_.target())) return;
    choice_.good += candidates.size();
    candidates.clear();
  }

  void Sort(std::vector<const AddFile*>& candidates) {
    LeaveOrdered(candidates);
    std::vector<const AddFile*> piece;
    uint64_t bytes = 0;
    uint64_t rows = 0;
    for (const AddFile* file : candidates) {
      if (!piece.empty() && (IsFull(piece.size(), bytes) || rows + file->rows > limits_.rows_max)) {
        Take(piece);
        bytes = rows = 0;
      }
      piece.push_back(file);
      bytes += file->size;
      rows += file->rows;
    }
    Take(piece);
  }

  void Take(std::vector<const AddFile*>& files) {
    RewritePlan plan{.stream = stream_, .epoch = {}, .z_order = request_.z_order, .files = {}};
    uint64_t bytes = 0;
    uint64_t rows = 0;
    for (const AddFile* file : files) {
      plan.files.push_back({file->path, file->size});
      bytes += file->size;
      rows += file->rows;
    }
    files.clear();
    if (rows == 0) return;
    const uint64_t made = CeilOf(std::max<uint64_t>(bytes, 1), request_.target());
    plan.rows_per_file = CeilOf(rows, made);
    choice_.files += plan.files.size();
    choice_.bytes += bytes;
    choice_.rows += rows;
    choice_.files_made += CeilOf(rows, plan.rows_per_file);
    choice_.plans.push_back(std::move(plan));
  }

  const base::StreamId stream_;
  const RewriteRequest& request_;
  const PlanLimits& limits_;
  FileChoice choice_;
};

}  // namespace

Result<TableFiles> ReadTableFiles(env::Environment& environment, const std::string& folder,
                                  const base::LogId& log, base::StreamId stream) {
  TableFiles table;
  IntoTableFiles sink(table, log, stream);
  HR_TRY(table.state, delta::ReplayLog(environment.files(), folder, std::nullopt, &sink));
  HR_TRY_VOID(delta::CheckReadable(*table.state.protocol));
  HR_TRY(table.columns, delta::ReadTableColumns(*table.state.metadata));
  const auto place = [&](const AddFile& file) -> std::pair<uint64_t, uint64_t> {
    if (const auto planned = ParseFileName(log, file.path))
      return {planned->plan.after.value + 1, planned->number};
    const auto range = PositionsOf(file.Tag(kPositionsTag).value_or(""));
    if (!range) return {0, 0};
    return {range->first.epoch().value, range->first.row()};
  };
  std::ranges::sort(table.ours, [&](const AddFile& a, const AddFile& b) {
    const auto x = place(a);
    const auto y = place(b);
    return x != y ? x < y : a.path < b.path;
  });
  return table;
}

FileChoice ChooseFiles(const TableFiles& table, base::StreamId stream,
                       const RewriteRequest& request, const PlanLimits& limits) {
  return Choosing(stream, request, limits).Run(table);
}

}  // namespace headrace::tables
