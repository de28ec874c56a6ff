#pragma once
// Who may come in: the file of tokens (docs/operating/security.md), read at the start and again
// whenever it changes.
//
//   # name           scopes                     digest of the token
//   scoring-service  read:scoring,push:payments  sha256:9f86d0...

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "access/scope.h"
#include "access/token.h"
#include "base/result.h"
#include "env/files.h"

namespace headrace::access {

// Somebody with a token. Immutable.
struct Caller {
  std::string name;
  Scope scope;
};
using CallerRef = std::shared_ptr<const Caller>;

// May do nothing: whoever shows no token where tokens are asked for.
const CallerRef& Nobody();

// Named limits of a token file.
inline constexpr size_t kTokensMax = 1'000;
inline constexpr size_t kTokenFileBytesMax = 1U << 20;
inline constexpr size_t kTokenBytesMax = 512;  // of what a client shows; more is nobody's

// Thread-safe. `files` outlives it.
class AccessList {
 public:
  // Errors: kNotFound, kIoError; kInvalidInput with the line that is wrong.
  static base::Result<std::unique_ptr<AccessList>> Open(env::Files& files, std::string path);

  // Whether a token file's text is right. Errors: kInvalidInput with the line.
  static base::Result<void> Check(std::string_view text);

  // Who has this token; null when nobody has. Looks at every entry, whichever it is.
  CallerRef Find(std::string_view token) const;
  // Reads the file again when it is another one; true when it was. With an error what was in force
  // stays.
  base::Result<bool> Reload();
  // Grows with every change: what was found before it has to be found anew.
  uint64_t version() const { return version_.load(std::memory_order_acquire); }

 private:
  struct Entry {
    TokenDigest digest;
    CallerRef caller;
  };
  AccessList(env::Files& files, std::string path) : files_(files), path_(std::move(path)) {}
  static base::Result<std::vector<Entry>> Parse(std::string_view text);

  env::Files& files_;
  const std::string path_;
  mutable std::mutex mutex_;
  std::vector<uint8_t> read_;  // the file as it was read
  std::shared_ptr<const std::vector<Entry>> entries_;
  std::atomic<uint64_t> version_{0};
};

// The line of a token file.
std::string AccessLine(std::string_view name, const Scope& scope, std::string_view token);
// Errors: kInvalidInput: a name is one to 64 letters, digits, `-`, `_` and `.`.
base::Result<void> CheckCallerName(std::string_view name);

// What one connection showed last, and who that is: the same token again costs a comparison of
// texts. Not thread-safe. The list outlives it.
class ShownToken {
 public:
  explicit ShownToken(const AccessList& list) : list_(list) {}
  // Null: nobody's. Found anew when the list has changed.
  const CallerRef& Who(std::string_view token);
  // Of the token shown last; null before the first one, and when it is nobody's by now.
  const CallerRef& Who();

 private:
  const AccessList& list_;
  std::string token_;
  CallerRef caller_;
  uint64_t version_ = 0;
};

}  // namespace headrace::access
