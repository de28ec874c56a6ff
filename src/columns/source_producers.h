#pragma once
// What the producers' names begin with of streams that are fed by Delta tables: nobody who sends
// events may use them, and the log never forgets one, as a source asks it what it has sent.

#include <string_view>

namespace headrace::columns {

inline constexpr std::string_view kSourceProducers = "delta/";

}  // namespace headrace::columns
