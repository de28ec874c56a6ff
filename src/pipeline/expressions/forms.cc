// Operators and special forms of the language, for the reference page and its tests.
#include <array>

#include "pipeline/expressions/functions.h"

namespace headrace::pipeline {
namespace {

constexpr std::array kForms = {
    FormRow{"a + b, a - b, a * b",
            "Integers stay int64, and overflow gives NULL; with a float the result is float64.",
            "2 + 3 * 4", "14"},
    FormRow{"a / b",
            "Always float64, also for two integers; by 0 gives NULL. `div(a, b)` is the whole "
            "quotient.",
            "7 / 2", "3.5"},
    FormRow{"a % b", "Remainder with the sign of a; by 0 gives NULL.", "-7 % 3", "-1"},
    FormRow{"-a", "Negated.", "-(2 - 3)", "1"},
    FormRow{"= <> != < <= > >=",
            "Comparison. NULL on either side gives NULL. NaN equals NaN and is above every number.",
            "2 <= 3", "true"},
    FormRow{"AND, OR, NOT", "Three-valued: `FALSE AND NULL` is false, `TRUE AND NULL` is NULL.",
            "TRUE OR NULL", "true"},
    FormRow{"a IS [NOT] NULL", "Never NULL itself.", "NULL IS NULL", "true"},
    FormRow{"a [NOT] IN (b, ...)",
            "Whether one of them equals a; NULL if none does and one of them is NULL.",
            "'SEA' IN ('SFO', 'SEA')", "true"},
    FormRow{"a [NOT] BETWEEN low AND high", "Both ends included.", "3 BETWEEN 1 AND 3", "true"},
    FormRow{"a [NOT] LIKE pattern", "% is any text, _ any one code point.", "'flight' LIKE 'fl%t'",
            "true"},
    FormRow{"a [NOT] ILIKE pattern", "The same, A to Z as a to z.", "'FLIGHT' ILIKE 'fl%t'",
            "true"},
    FormRow{"a IS [NOT] DISTINCT FROM b",
            "Inequality in which a NULL is like another NULL; never NULL itself.",
            "NULL IS DISTINCT FROM 1", "true"},
    FormRow{"a & b, a | b, ~a, a << n, a >> n",
            "Bits of int64. A left shift that loses bits or is of a negative number gives NULL.",
            "(6 & 3) | (1 << 3)", "10"},
    FormRow{"a || b", "Texts joined; NULL if one is NULL.", "'SEA' || '-' || 'SFO'", "\"SEA-SFO\""},
    FormRow{"CASE WHEN c THEN a ... [ELSE b] END",
            "The value of the first condition that is true; NULL without ELSE.",
            "CASE WHEN 1 > 2 THEN 'up' ELSE 'down' END", "\"down\""},
    FormRow{"CASE x WHEN v THEN a ... END", "The same, comparing x with each v.",
            "CASE 2 WHEN 1 THEN 'one' WHEN 2 THEN 'two' END", "\"two\""},
    FormRow{"CAST(a AS type)",
            "To bool, int32, int64, float32, float64, string, date, timestamp, timestamp_ntz. "
            "Floats become integers towards zero; what does not fit or parse gives NULL.",
            "CAST('42' AS int64)", "42"},
    FormRow{"TRY_CAST(a AS type), a::type", "The same as CAST: no cast ends anything.",
            "TRY_CAST('x' AS int64) IS NULL AND '42'::int64 = 42", "true"},
    FormRow{"json -> 'path', json ->> 'path'",
            "json_extract and json_extract_string; a number is an element of an array.",
            "'{\"a\": [\"x\", \"y\"]}' -> 'a' ->> 1", "\"y\""},
    FormRow{"time AT TIME ZONE 'zone'",
            "Of a timestamp the wall clock there (timestamp_ntz), of a timestamp_ntz the instant "
            "at which the clock there shows it: the later one if there are two, and as before the "
            "change if the clock was put forward over it.",
            "TIMESTAMP '2001-07-01T12:00:00Z' AT TIME ZONE 'Europe/Berlin'",
            "\"2001-07-01T14:00:00\""},
    FormRow{"extract(part FROM time)", "`date_part('part', time)`.",
            "extract(hour FROM TIMESTAMP '2001-01-01T10:20:30Z')", "10"},
    FormRow{"position(part IN text)", "`strpos(text, part)`.", "position('ig' IN 'flight')", "3"},
    FormRow{"1, 2.5, 'text', TRUE, NULL",
            "Literals: int64, float64, string ('' for a quote inside), bool.", "'it''s'",
            "\"it's\""},
    FormRow{"DATE '...', TIMESTAMP '...'", "RFC 3339; without an offset UTC.",
            "TIMESTAMP '2001-01-01T02:00:00+02:00'", "\"2001-01-01T00:00:00Z\""},
    FormRow{
        "3s, 10m, 1h30m, 7d",
        "A span of time. A timestamp plus or minus a span is a timestamp; two timestamps differ by "
        "a span; a span by a span is a float64. As a feature a span is int64 microseconds.",
        "(TIMESTAMP '2001-01-01T02:00:00Z' - TIMESTAMP '2001-01-01') / 1h", "2.0"},
    FormRow{"name, view.name, \"any name\"",
            "A column; under on_request a feature or an input. Case matters. Quote what is not "
            "letters, digits and underscores, and keywords.",
            "1", "1"},
};

}  // namespace

std::span<const FormRow> FormTable() { return kForms; }

}  // namespace headrace::pipeline
