#pragma once
// Doubles as text, in place: for whoever writes many.

#include <cstddef>

namespace headrace::columns {

// Room for any number, of the type's longest text and a few bytes more.
inline constexpr size_t kNumberBytes = 32;

// Writes a finite number with the fewest digits that read back to the same bits ("12", "0.1",
// "1e+20") to where there is room for kNumberBytes; where it ends.
char* WriteShortest(char* at, double v);
// The same as JSON has it, where a double is told from an integer ("12.0").
char* WriteJsonNumber(char* at, double v);

}  // namespace headrace::columns
