#include "tables/delta/table_path.h"

#include "tables/delta/actions.h"

namespace headrace::tables::delta {
namespace {

using base::ErrorCode;
using base::Fail;
using base::Result;

Result<std::string> Inside(env::Files& files, const std::string& folder, const std::string& path) {
  HR_TRY(std::string root, files.Resolve(folder));
  HR_TRY(std::string found, files.Resolve(path));
  if (!root.ends_with('/')) root += '/';
  if (found.starts_with(root)) return found;
  return Fail(base::Error(ErrorCode::kUnsupported,
                          "a file of the table lies outside its folder; it is not followed there")
                  .With("file", path)
                  .With("leads_to", found));
}

}  // namespace

Result<std::string> PathInTable(env::Files& files, const std::string& folder,
                                const std::string& relative) {
  // Once more, whoever made the path: decoded it must be what an encoded one may be.
  HR_TRY(const std::string checked, TablePath(EncodePath(relative)));
  return Inside(files, folder, folder + "/" + checked);
}

Result<std::string> PathInLog(env::Files& files, const std::string& log_folder,
                              const std::string& name) {
  return Inside(files, log_folder.substr(0, log_folder.rfind('/')), log_folder + "/" + name);
}

Result<std::string> WholePathInTable(env::Files& files, const std::string& folder,
                                     std::string_view whole) {
  HR_TRY(std::string path, DecodePath(whole));
  constexpr std::string_view kScheme = "file:";
  if (path.starts_with(kScheme)) path.erase(0, kScheme.size());
  if (path.starts_with("///")) path.erase(0, 2);
  if (path.starts_with('/') && !path.starts_with("//") && path.find('\0') == std::string::npos)
    return Inside(files, folder, path);
  return Fail(base::Error(ErrorCode::kUnsupported, "a file of the table outside its folder")
                  .With("path", path));
}

}  // namespace headrace::tables::delta
