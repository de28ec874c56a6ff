#pragma once
// The kinds of parts in a captured piece (view_capture.h).

#include <cstdint>

namespace headrace::pipeline {

inline constexpr uint8_t kRowsPart = 1;
inline constexpr uint8_t kKeysPart = 2;
inline constexpr uint8_t kDerivedPart = 3;
inline constexpr uint8_t kHeardPart = 4;

}  // namespace headrace::pipeline
