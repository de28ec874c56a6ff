#include "base/error.h"

#include <array>

#include "base/result.h"

namespace headrace::base {
namespace {

constexpr std::array kRows = {
    ErrorCodeRow{ErrorCode::kInvalidInput, "InvalidInput", 422, 2, "ValueError", "mend the input"},
    ErrorCodeRow{ErrorCode::kNotFound, "NotFound", 404, 3, "KeyError",
                 "name something that exists"},
    ErrorCodeRow{ErrorCode::kAlreadyExists, "AlreadyExists", 409, 4, "FileExistsError",
                 "use what is there, or choose another name"},
    ErrorCodeRow{ErrorCode::kConflict, "Conflict", 409, 5, "ConflictError",
                 "look at what is there now, then decide again"},
    ErrorCodeRow{ErrorCode::kFailedPrecondition, "FailedPrecondition", 412, 6, "RuntimeError",
                 "do first what the message asks for, then repeat"},
    ErrorCodeRow{ErrorCode::kResourceExhausted, "ResourceExhausted", 429, 7, "OverloadError",
                 "back off and retry"},
    ErrorCodeRow{ErrorCode::kUnavailable, "Unavailable", 503, 8, "UnavailableError", "retry"},
    ErrorCodeRow{ErrorCode::kDeadlineExceeded, "DeadlineExceeded", 504, 9, "TimeoutError",
                 "retry with more time, or accept an older answer"},
    ErrorCodeRow{ErrorCode::kUnauthorized, "Unauthorized", 401, 10, "PermissionError",
                 "present a token with the scope"},
    ErrorCodeRow{ErrorCode::kUnsupported, "Unsupported", 501, 11, "NotImplementedError",
                 "see the documentation for what this version can do"},
    ErrorCodeRow{ErrorCode::kIoError, "IoError", 500, 12, "OSError",
                 "stop and alert: the system refused; look at the disk and the rights of the file"},
    ErrorCodeRow{ErrorCode::kStorageFull, "StorageFull", 507, 13, "OSError",
                 "free space, then retry"},
    ErrorCodeRow{ErrorCode::kCorruption, "Corruption", 500, 14, "CorruptionError",
                 "stop and alert: keep the files as they are, and start from a copy"},
    ErrorCodeRow{ErrorCode::kInternal, "Internal", 500, 15, "RuntimeError",
                 "stop and report: it is a bug, say what was done before"},
};

}  // namespace

std::span<const ErrorCodeRow> ErrorCodes() { return kRows; }

const ErrorCodeRow& RowOf(ErrorCode code) {
  const auto index = static_cast<size_t>(code);
  HR_CHECK(index < kRows.size() && kRows[index].code == code, "error table out of order");
  return kRows[index];
}

Error& Error::With(std::string name, std::string value) & {
  context_.emplace_back(std::move(name), std::move(value));
  return *this;
}

Error&& Error::With(std::string name, std::string value) && {
  context_.emplace_back(std::move(name), std::move(value));
  return std::move(*this);
}

std::string Error::ToString() const {
  std::string text(RowOf(code_).name);
  text += ": " + message_;
  for (size_t i = 0; i < context_.size(); ++i) {
    text += i == 0 ? " (" : ", ";
    text += context_[i].first + "=" + context_[i].second;
  }
  if (!context_.empty()) text += ")";
  return text;
}

}  // namespace headrace::base
