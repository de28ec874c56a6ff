#include "tables/maintenance/removals_by_others.h"

#include "tables/maintenance/rewrite_plan.h"

namespace headrace::tables {

base::Result<void> RemovalsByOthers::Note(const delta::AddFile& file) {
  const auto tag = file.Tag(kReplacedTag);
  if (!tag || !IsFileOf(log_, stream_, file.path)) return {};
  HR_TRY(const ReplacedFiles replaced, ReplacedFiles::Parse(*tag));
  replaced_.Merge(replaced);
  return {};
}

bool RemovalsByOthers::Keeps(const std::string& path) const {
  if (const auto file = ParseFileName(log_, path))
    return file->plan.stream == stream_ && !replaced_.Contains(*file);
  if (const auto file = ParseRewrittenName(log_, path))
    return file->stream == stream_ && !replaced_.Contains(*file);
  return false;
}

}  // namespace headrace::tables
