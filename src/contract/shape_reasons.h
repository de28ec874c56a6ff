#pragma once
// The sentences with which a row is refused that does not have the shape of event_shape.h. They are
// the same whichever way the row came in.

#include <string>
#include <string_view>

#include "columns/type.h"
#include "contract/event_shape.h"
#include "contract/field_rules.h"

namespace headrace::contract {

// What a value of the type looks like, for people: "a whole number (int64)".
std::string Wants(columns::Type type);
// What a member that fills a column looks like in an event; `type` is the column's.
std::string Wants(Member::Kind kind, columns::Type type);

// Of a simdjson::error_code, in words of ours: those of the parser are about its inside.
std::string_view WhyNotJson(int error);

RuleFailure WrongKind(std::string_view name, std::string_view wants, std::string_view got);
RuleFailure Missing(std::string_view name, std::string_view wants);
// Of a column that keeps JSON text; `error` as above.
RuleFailure NotKept(std::string_view name, int error);

}  // namespace headrace::contract
