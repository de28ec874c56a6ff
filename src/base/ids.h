#pragma once
// Strong types for the numbers that must not be mixed up.

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"

namespace headrace::base {

// The number of an epoch in its log; the first is 1, 0 means "before the first".
struct EpochId {
  uint64_t value = 0;
  auto operator<=>(const EpochId&) const = default;
  EpochId Next() const { return {value + 1}; }
};

// The id of a stream, field or view, given by the log in the order of first appearance; never
// reused.
struct StreamId {
  uint32_t value = 0;
  auto operator<=>(const StreamId&) const = default;
};

// 128 random bits that name a log for ever: in tokens, markers, file names.
struct LogId {
  std::array<uint8_t, 16> bytes{};
  auto operator<=>(const LogId&) const = default;
  // 32 lower-case hexadecimal digits.
  std::string ToString() const;
  // Errors: kInvalidInput unless exactly 32 hexadecimal digits.
  static Result<LogId> Parse(std::string_view text);
};

// The hash of a pipeline file and its contracts: an answer names the definition that it was
// computed under.
struct DefinitionId {
  uint64_t value = 0;
  auto operator<=>(const DefinitionId&) const = default;
  std::string ToString() const;  // 16 hexadecimal digits
};

}  // namespace headrace::base

template <>
struct std::hash<headrace::base::StreamId> {
  size_t operator()(headrace::base::StreamId id) const noexcept { return id.value; }
};
