#pragma once
// What can go wrong, as values. One table (ErrorCodes) maps a code to HTTP, CLI and Python, and
// says what the caller should do.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headrace::base {

// What the caller should do is part of each code's meaning; ErrorCodes() repeats it for people.
enum class ErrorCode : uint8_t {
  kInvalidInput,        // mend the input: it can never succeed as it is
  kNotFound,            // name something that exists
  kAlreadyExists,       // use what is there, or choose another name
  kConflict,            // somebody else won: refresh and decide again
  kFailedPrecondition,  // bring the named thing into the named state, then repeat
  kResourceExhausted,   // back off and retry: a named limit is reached
  kUnavailable,         // retry: starting, stopping, or the pin was revoked
  kDeadlineExceeded,    // retry with more time, or accept an older answer
  kUnauthorized,        // present a token with the scope
  kUnsupported,         // this version can't: see the documentation for what it can
  kIoError,             // stop and alert: the system refused a read, write or sync
  kStorageFull,         // free space, then retry
  kCorruption,          // stop and alert: bytes are not what was written
  kInternal,            // stop and report: a bug
};

// One row of the error table.
struct ErrorCodeRow {
  ErrorCode code;
  std::string_view name;              // "InvalidInput": stable, in JSON and docs
  int http_status;                    // of our own endpoints
  int exit_code;                      // of the command line
  std::string_view python_exception;  // of the package
  std::string_view caller_should;     // one clause
};

// All codes, in the order of the enumeration.
std::span<const ErrorCodeRow> ErrorCodes();
const ErrorCodeRow& RowOf(ErrorCode code);

// An error: a code, one sentence, and name=value context gathered on the way up.
// A value; cheap to move. Not thread-safe.
class Error {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }
  const std::vector<std::pair<std::string, std::string>>& context() const { return context_; }

  // Adds `name=value`; returns itself so that it can be used in a return statement.
  Error& With(std::string name, std::string value) &;
  Error&& With(std::string name, std::string value) &&;

  // "IoError: fdatasync failed (file=..., errno=5)".
  std::string ToString() const;

 private:
  ErrorCode code_;
  std::string message_;
  std::vector<std::pair<std::string, std::string>> context_;
};

}  // namespace headrace::base
