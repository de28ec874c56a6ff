#pragma once
// Counts for people.

#include <cstdint>
#include <string>
#include <string_view>

namespace headrace::base {

// 1234567 -> "1,234,567".
std::string WithCommas(uint64_t number);

// (1, "row") -> "1 row"; (1234, "row") -> "1,234 rows".
std::string Counted(uint64_t number, std::string_view one);

}  // namespace headrace::base
