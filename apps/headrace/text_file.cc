#include "text_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace headrace::app {

using base::Error;
using base::ErrorCode;
using base::Fail;

base::Result<std::string> ReadTextFile(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    return Fail(Error(ErrorCode::kInvalidInput, "this is a folder, not a file").With("file", path));
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    const int code = errno;
    return Fail(Error(code == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIoError,
                      std::string("can't open the file: ") + std::strerror(code))
                    .With("file", path));
  }
  std::ostringstream text;
  text << in.rdbuf();
  if (in.bad()) return Fail(Error(ErrorCode::kIoError, "can't read the file").With("file", path));
  return text.str();
}

std::string BesideFile(const std::string& file, const std::string& name) {
  return (std::filesystem::path(file).parent_path() / name).string();
}

base::Result<void> WriteTextFile(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".new";
  std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) return Fail(Error(ErrorCode::kIoError, "can't write the file").With("file", temporary));
  std::error_code error;
  std::filesystem::rename(temporary, path, error);
  if (error) return Fail(Error(ErrorCode::kIoError, error.message()).With("file", path));
  return {};
}

}  // namespace headrace::app
