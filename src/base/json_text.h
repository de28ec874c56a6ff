#pragma once
// JSON documents of ours as text.

#include <string>

namespace headrace::base {

// Bytes of texts that are not UTF-8 become U+FFFD: names of files, paths of other writers' tables
// and messages about them come from outside, and `dump()` alone throws at the first such byte.
// `indent` below zero: one line.
template <typename Json>
std::string JsonText(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

}  // namespace headrace::base
