#pragma once
// What to do next about one error, where the clause that the table has for its code
// (ErrorCodeRow::caller_should) is too general.

namespace headrace::base {

// The name under which an error's context has its own next step, one clause:
// Error(...).With(kNextStep, "start one with `headrace serve`"). The command line shows it in the
// place of the table's; over HTTP it is in `context`.
inline constexpr const char* kNextStep = "next";

}  // namespace headrace::base
