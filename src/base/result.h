#pragma once
// Result<T> is a value or an Error. HR_TRY takes the value or returns the error; HR_CHECK is for
// broken invariants only.

#include <expected>
#include <source_location>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace headrace::base {

template <typename T>
using Result = std::expected<T, Error>;

// Makes the unexpected half: `return Fail(ErrorCode::kNotFound, "no view `cart`");`
[[nodiscard]] inline std::unexpected<Error> Fail(ErrorCode code, std::string message) {
  return std::unexpected<Error>(Error(code, std::move(message)));
}
[[nodiscard]] inline std::unexpected<Error> Fail(Error error) {
  return std::unexpected<Error>(std::move(error));
}

// Prints `what` with its place to standard error and aborts. Never returns.
[[noreturn]] void CheckFailed(std::string_view what, std::source_location where);

}  // namespace headrace::base

#define HR_CONCAT_INNER(a, b) a##b
#define HR_CONCAT(a, b) HR_CONCAT_INNER(a, b)

// HR_TRY(auto x, F()): x is F()'s value, or the enclosing function returns F()'s error.
// HR_TRY_VOID(F()) for Result<void>.
#define HR_TRY(declaration, expression) \
  HR_TRY_NAMED(HR_CONCAT(hr_result_, __LINE__), declaration, expression)
#define HR_TRY_NAMED(name, declaration, expression)           \
  auto name = (expression);                                   \
  if (!name) return std::unexpected(std::move(name).error()); \
  declaration = std::move(*name)
#define HR_TRY_VOID(expression)                                                                    \
  do {                                                                                             \
    if (auto hr_void = (expression); !hr_void) return std::unexpected(std::move(hr_void).error()); \
  } while (false)

// A broken invariant stops the process, in release builds too. User input never reaches one.
#define HR_CHECK(condition, what)                                           \
  do {                                                                      \
    if (!(condition)) [[unlikely]]                                          \
      ::headrace::base::CheckFailed(what, std::source_location::current()); \
  } while (false)
