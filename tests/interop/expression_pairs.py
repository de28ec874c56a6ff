"""Random expressions, each in two dialects: ours and DuckDB's.

What may fail in DuckDB stands in TRY(), where a failure is NULL as it is with us. Where the two
mean different things by one text, DuckDB's side is written so that it means ours; these places are
the list of the differences. What the C library rounds in its own way stands outermost (INEXACT).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Pair:
    ours: str
    duck: str


# B bool, I int64, F float64, S string, X bytes, D date, T timestamp, W timestamp_ntz.
# A template names its arguments by number; T and W are both moments, written M.
@dataclass(frozen=True)
class Form:
    gives: str
    takes: str
    ours: str
    duck: str = ""  # empty: as ours
    tries: bool = False


def form(gives: str, takes: str, ours: str, duck: str = "", *, tries: bool = False) -> Form:
    return Form(gives, takes, ours, duck or ours, tries)


def lowered(text: str) -> str:
    return f"translate({text}, '{ALPHABET}', '{ALPHABET.lower()}')"


FORMAT = "%d %b %Y %I:%M:%S %p %f"
THERE_AND_BACK = f"strptime(strftime({{0}}, '{FORMAT}'), '{FORMAT}')"

FORMS = [
    # Comparison, logic, choice.
    *(
        form("B", f"{t}{t}", f"({{0}} {op} {{1}})")
        for t in "IFSDTW"
        for op in ("=", "<>", "<", ">=")
    ),
    *(form("B", f"{t}{t}", "({0} IS DISTINCT FROM {1})") for t in "BIFSDT"),
    *(form("B", f"{t}{t}", "({0} IS NOT DISTINCT FROM {1})") for t in "IFS"),
    *(form("B", t, "({0} IS NULL)") for t in "BIFSDT"),
    *(form("B", f"{t}{t}{t}", "({0} BETWEEN {1} AND {2})") for t in "IFSD"),
    *(form("B", f"{t}{t}{t}{t}", "({0} IN ({1}, {2}, {3}))") for t in "IFS"),
    *(form("B", f"{t}{t}{t}", "({0} NOT IN ({1}, {2}))") for t in "IS"),
    form("B", "BB", "({0} AND {1})"),
    form("B", "BB", "({0} OR {1})"),
    form("B", "B", "(NOT {0})"),
    *(form(t, f"B{t}{t}", "CASE WHEN {0} THEN {1} ELSE {2} END") for t in "BIFSDTW"),
    *(form(t, f"B{t}{t}", "if({0}, {1}, {2})") for t in "IS"),
    *(form(t, f"{t}{t}{t}{t}", "CASE {0} WHEN {1} THEN {2} ELSE {3} END") for t in "IS"),
    *(form(t, t * 2, "coalesce({0}, {1})") for t in "BIFSDT"),
    *(form(t, t * 2, "ifnull({0}, {1})") for t in "IS"),
    *(form(t, t * 2, "nullif({0}, {1})") for t in "IFS"),
    *(form(t, t * 3, "greatest({0}, {1}, {2})") for t in "IFSD"),
    *(form(t, t * 3, "least({0}, {1}, {2})") for t in "IFST"),
    # Numbers.
    *(form("I", "II", f"({{0}} {op} {{1}})", tries=True) for op in "+-*"),
    *(form("F", "FF", f"({{0}} {op} {{1}})") for op in "+-*"),
    form("F", "FF", "({0} / {1})", "CASE WHEN {1} = 0 THEN NULL ELSE {0} / {1} END"),
    form("F", "II", "({0} / {1})", "(CAST({0} AS DOUBLE) / nullif(CAST({1} AS DOUBLE), 0))"),
    form("I", "II", "({0} % {1})", "CASE WHEN {1} = -1 THEN 0 * sign({0}) ELSE {0} % {1} END"),
    form("F", "FF", "({0} % {1})", "CASE WHEN {1} = 0 THEN NULL ELSE {0} % {1} END"),
    form("I", "II", "div({0}, {1})", "({0} // {1})", tries=True),
    form("I", "I", "(-{0})", tries=True),
    form("F", "F", "(-{0})"),
    form("I", "I", "abs({0})", tries=True),
    *(form("F", "F", f"{name}({{0}})") for name in ("abs", "round", "floor", "ceil", "trunc")),
    *(form("F", "F", f"round({{0}}, {digits})") for digits in (2, 5)),
    form("F", "F", "sqrt({0})", tries=True),
    *(form("I", t, "sign({0})", "CAST(sign({0}) AS BIGINT)") for t in "IF"),
    *(form("B", "F", f"{name}({{0}})") for name in ("isnan", "isinf", "isfinite")),
    form("I", "II", "({0} & {1})"),
    form("I", "II", "({0} | {1})"),
    form("I", "I", "(~{0})"),
    form("I", "II", "xor({0}, {1})"),
    form("I", "In", "({0} << {1})", tries=True),
    form("I", "In", "({0} >> {1})"),
    form("I", "I", "bit_count({0})", "CAST(bit_count({0}) AS BIGINT)"),
    form("F", "F", "radians({0})"),
    form("F", "F", "degrees({0})"),
    form("F", "I", "CAST({0} AS float64)", "CAST({0} AS DOUBLE)"),
    form("I", "F", "CAST({0} AS int64)", "CAST(trunc({0}) AS BIGINT)", tries=True),
    form(
        "I",
        "I",
        "CAST(CAST({0} AS int32) AS int64)",
        "CAST(CAST({0} AS INTEGER) AS BIGINT)",
        tries=True,
    ),
    form(
        "F",
        "F",
        "CAST(CAST({0} AS float32) AS float64)",
        "CAST(CAST({0} AS FLOAT) AS DOUBLE)",
        tries=True,
    ),
    form("I", "B", "CAST({0} AS int64)", "CAST({0} AS BIGINT)"),
    form("S", "I", "CAST({0} AS string)", "CAST({0} AS VARCHAR)"),
    form("S", "B", "CAST({0} AS string)", "CAST({0} AS VARCHAR)"),
    form("S", "D", "CAST({0} AS string)", "CAST({0} AS VARCHAR)"),
    form("I", "I", "({0}::string)::int64", "({0}::VARCHAR)::BIGINT"),
    # Texts.
    form("S", "SS", "({0} || {1})"),
    form("S", "SS", "concat({0}, {1})"),
    form("S", "SSSS", "concat_ws({0}, {1}, {2}, {3})"),
    form("I", "S", "length({0})"),
    form("S", "S", "lower({0})", lowered("{0}")),
    form("S", "S", "upper({0})", f"translate({{0}}, '{ALPHABET.lower()}', '{ALPHABET}')"),
    *(form("S", "S", f"{side}trim('\u3000 ' || {{0}} || ' \u00a0')") for side in ("", "l", "r")),
    *(form("S", "S", f"{side}trim({{0}}, ' sü,')") for side in ("", "l", "r")),
    *(form("S", "SS", f"{side}trim({{0}}, {{1}})") for side in ("", "l", "r")),
    form("S", "Sn", "left({0}, {1})"),
    form("S", "Sn", "right({0}, {1})"),
    form("S", "Sn", "substr({0}, {1})"),
    form("S", "Snn", "substr({0}, {1}, {2})"),
    *(
        form(
            "S",
            "SnS",
            f"{side}pad({{0}}, {{1}}, {{2}})",
            f"{side}pad({{0}}, CAST({{1}} AS INTEGER), {{2}})",
            tries=True,
        )
        for side in "lr"
    ),
    form("S", "SSS", "replace({0}, {1}, {2})"),
    form("S", "SSS", "translate({0}, {1}, {2})"),
    form("S", "SSn", "split_part({0}, {1}, {2})"),
    form("S", "Sn", "split_part({0}, ',', {1})"),
    form("I", "SS", "strpos({0}, {1})"),
    form("I", "SS", "position({0} IN {1})"),
    form("S", "S", "reverse({0})"),
    form("S", "Sn", "repeat({0}, {1})"),
    form("I", "S", "ascii({0})", "CAST(ascii({0}) AS BIGINT)"),
    form("S", "n", "chr(900 + {0})", "chr(CAST(900 + {0} AS INTEGER))"),
    form(
        "I",
        "SS",
        "levenshtein({0}, {1})",
        "CASE WHEN strlen({0}) <= 256 AND strlen({1}) <= 256 THEN levenshtein({0}, {1}) END",
    ),
    *(
        form("B", "SS", f"{name}({{0}}, {{1}})")
        for name in ("starts_with", "ends_with", "contains")
    ),
    *(
        form("B", "S", f"({{0}} LIKE '{pattern}')")
        for pattern in ("%e%", "_", "S_A", "", "%", "%ü%_")
    ),
    form("B", "S", "({0} NOT LIKE '%a')"),
    form("B", "S", "({0} ILIKE '%A%')", f"({lowered('{0}')} LIKE '%a%')"),
    form("B", "SS", "({0} LIKE {1})"),
    # Patterns.
    *(
        form("B", "S", f"{name}({{0}}, '{pattern}')")
        for name in ("regexp_matches", "regexp_full_match")
        for pattern in ("[a-z]+", "^S", ".", "ü|日", "a.c", "")
    ),
    form("B", "S", "regexp_matches({0}, 'SEA', 'i')"),
    form("S", "S", "regexp_extract({0}, '[a-zü]+')"),
    form("S", "S", "regexp_extract({0}, '([a-z])([0-9,]*)', 2)"),
    form("S", "S", "regexp_replace({0}, '[a-z]', '#')"),
    form("S", "S", "regexp_replace({0}, '([a-z])', '<\\1>', 'g')"),
    form("S", "S", "regexp_replace({0}, '', '-', 'g')"),
    # Encodings and hashes.
    form("X", "S", "encode({0})"),
    form("S", "X", "decode({0})", tries=True),
    form("S", "X", "base64({0})"),
    form("S", "X", "hex({0})"),
    form("S", "S", "hex({0})"),
    form("X", "S", "from_base64(base64({0}))", "from_base64(base64(encode({0})))"),
    form("X", "S", "unhex({0})", tries=True),
    form("S", "S", "url_encode({0})"),
    form("S", "S", "url_decode({0})", tries=True),
    form("S", "S", "md5({0})"),
    form("S", "X", "sha256({0})"),
    # Dates and times.
    *(
        form("I", moment, f"extract({part} FROM {{0}})")
        for moment in "DTW"
        for part in (
            "year",
            "month",
            "day",
            "quarter",
            "week",
            "isoyear",
            "dow",
            "isodow",
            "doy",
            "decade",
            "century",
            "millennium",
        )
    ),
    *(
        form("I", moment, f"date_part('{part}', {{0}})")
        for moment in "TW"
        for part in ("hour", "minute", "second", "millisecond", "microsecond")
    ),
    *(form("I", "T", f"{name}({{0}})") for name in ("year", "month", "day", "hour", "minute")),
    form("I", "D", "day_of_week({0})", "isodow({0})"),
    *(
        form(moment, moment, f"date_trunc('{unit}', {{0}})")
        for moment in "TW"
        for unit in (
            "millisecond",
            "second",
            "minute",
            "hour",
            "day",
            "week",
            "month",
            "quarter",
            "year",
            "decade",
            "century",
        )
    ),
    *(
        form("I", moment * 2, f"date_diff('{unit}', {{0}}, {{1}})")
        for moment in "DTW"
        for unit in ("day", "month", "quarter", "year", "decade")
    ),
    *(
        form("I", moment * 2, f"date_diff('{unit}', {{0}}, {{1}})")
        for moment in "TW"
        for unit in ("hour", "minute", "second", "millisecond", "microsecond")
    ),
    *(
        form(
            moment,
            f"n{moment}",
            f"date_add('{unit}', {{0}}, {{1}})",
            f"({{1}} + to_{unit}s(CAST({{0}} AS INTEGER)))",
        )
        for moment in "TW"
        for unit in ("day", "month", "quarter", "year", "week", "hour", "minute")
    ),
    form(
        "D",
        "nD",
        "date_add('month', {0}, {1})",
        "CAST({1} + to_months(CAST({0} AS INTEGER)) AS DATE)",
    ),
    form("D", "D", "last_day({0})"),
    form("D", "T", "last_day({0})"),
    form("D", "Dn", "({0} + {1})", "({0} + CAST({1} AS INTEGER))"),
    form("I", "DD", "({0} - {1})"),
    form("D", "nnn", "make_date(2000 + {0}, {1}, {2})", tries=True),
    form(
        "T",
        "nnnnn",
        "make_timestamp(2000 + {0}, {1}, {2}, {3}, {4}, 6.5)",
        "CAST(make_timestamp(2000 + {0}, {1}, {2}, {3}, {4}, 6.5e0) AS TIMESTAMPTZ)",
        tries=True,
    ),
    form("I", "T", "epoch_ms({0})"),
    form("I", "T", "epoch_us({0})"),
    form(
        "W",
        "I",
        "CAST(epoch_ms({0} % 4000000000000) AS timestamp_ntz)",
        "epoch_ms({0} % 4000000000000)",
        tries=True,
    ),
    form("D", "T", "CAST({0} AS date)", "CAST({0} AS DATE)"),
    form("T", "D", "CAST({0} AS timestamp)", "CAST({0} AS TIMESTAMPTZ)"),
    *(
        form("S", moment, f"strftime({{0}}, '{text}')")
        for moment in "TW"
        for text in (
            "%Y-%m-%d %H:%M:%S.%f",
            "%a %A %b %B %-d.%-m.%y",
            "%I %-I %p %j %u %w %V %G %g",
        )
    ),
    form(
        "W",
        "W",
        f"CAST({THERE_AND_BACK} AS timestamp_ntz)",
        THERE_AND_BACK,
    ),
    form(
        "W",
        "S",
        "CAST(strptime({0}, '%Y-%m-%d') AS timestamp_ntz)",
        "strptime({0}, '%Y-%m-%d')",
        tries=True,
    ),
    *(
        form(
            "W",
            "n",
            f"CAST(strptime(CAST({{0}} AS string) || ' {half}', '{hour} %p') AS timestamp_ntz)",
            f"strptime(CAST({{0}} AS VARCHAR) || ' {half}', '{hour} %p')",
            tries=True,
        )
        for half in ("AM", "PM")
        for hour in ("%H", "%I")
    ),
    form(
        "W",
        "n",
        "CAST(strptime(CAST({0} AS string), '%I') AS timestamp_ntz)",
        "strptime(CAST({0} AS VARCHAR), '%I')",
        tries=True,
    ),
    form(
        "W",
        "nn",
        "CAST(strptime(repeat(' ', {0}) || '2001' || repeat(' ', {1}) || '7 ', '%Y %m')"
        " AS timestamp_ntz)",
        "strptime(repeat(' ', {0}) || '2001' || repeat(' ', {1}) || '7 ', '%Y %m')",
        tries=True,
    ),
    *(
        form(to, of, f"({{0}} AT TIME ZONE '{zone}')")
        for of, to in (("T", "W"), ("W", "T"))
        for zone in (
            "Europe/Berlin",
            "America/New_York",
            "Asia/Kolkata",
            "Australia/Lord_Howe",
            "Pacific/Apia",
            "Asia/Kathmandu",
            "UTC",
        )
    ),
    # JSON.
    *(
        form(
            "S",
            "J",
            f"{name}({{0}}, '{path}')",
            f"CAST({name}({{0}}, '{path}') AS VARCHAR)",
            tries=True,
        )
        for name in ("json_extract", "json_extract_string")
        for path in ("$", "$.a", "$.a.b", "$.a[0]", "$.a[1].b", '$."x y"', "$[1]", "$.a[#-1]", "b")
    ),
    form("S", "J", "({0} ->> 'a' )", tries=True),
    form("S", "J", "({0} -> 'a' ->> 0)", tries=True),
    *(
        form(
            "I",
            "J",
            f"json_array_length({{0}}{path})",
            f"CAST(json_array_length({{0}}{path}) AS BIGINT)",
            tries=True,
        )
        for path in ("", ", '$.a'")
    ),
    form("B", "J", "json_valid({0})"),
    form(
        "B",
        "JS",
        "json_array_contains({0}, {1})",
        "CASE WHEN json_type({0}) = 'ARRAY'"
        " THEN list_contains(json_extract_string({0}, '$[*]'), {1}) END",
        tries=True,
    ),
]

HAVERSINE = (
    "CASE WHEN isfinite({0} + {1} + {2} + {3}) THEN 6371 * 2 * asin(sqrt(least(1, "
    "pow(sin(radians(({2} % 90) - ({0} % 90)) / 2), 2) + cos(radians({0} % 90)) * "
    "cos(radians({2} % 90)) * pow(sin(radians(({3} % 180) - ({1} % 180)) / 2), 2)))) "
    "ELSE {0} % 90 + {1} % 180 + {2} % 90 + {3} % 180 END"
)
TO_POWER = (
    "CASE WHEN isnan(pow({0}, {1})) AND NOT isnan({0}) AND NOT isnan({1}) THEN NULL "
    "ELSE pow({0}, {1}) END"
)

# Outermost alone, within a few units in the last place.
INEXACT = [
    *(
        form("F", "F", f"{name}({{0}})", tries=True)
        for name in ("exp", "ln", "log2", "log10", "asin", "acos", "atan", "sin", "cos", "tan")
    ),
    *(form("F", moment, "date_part('epoch', {0})") for moment in "TW"),
    form("F", "T", "epoch({0})"),
    form("F", "FF", "atan2({0}, {1})"),
    form(
        "F",
        "FF",
        "pow({0}, {1})",
        TO_POWER,
    ),
    form(
        "F",
        "FF",
        "log({0}, {1})",
        "CASE WHEN {0} = 1 OR isnan({0}) AND {1} <= 0 THEN NULL ELSE log({0}, {1}) END",
        tries=True,
    ),
    form(
        "F",
        "FFFF",
        "haversine({0} % 90, {1} % 180, {2} % 90, {3} % 180)",
        HAVERSINE,
        tries=True,
    ),
]

LITERALS = {
    "B": [("TRUE", "TRUE"), ("FALSE", "FALSE"), ("NULL", "CAST(NULL AS BOOLEAN)")],
    "I": [
        *((str(n), f"CAST({n} AS BIGINT)") for n in (0, 1, -1, 2, 7, 63, 1000, 9223372036854775807))
    ],
    "F": [
        ("0.5", "0.5e0"),
        ("-2.25", "(-2.25e0)"),
        ("480.0", "480.0e0"),
        ("0.0", "0.0e0"),
        ("1e300", "1e300"),
    ],
    "S": [(f"'{t}'", f"'{t}'") for t in ("", "SEA", "sea", "ü", ",", "ab", "日本", "2001-02-03")],
    "D": [("DATE '2001-02-28'", "DATE '2001-02-28'")],
    "T": [("TIMESTAMP '2001-02-03T04:05:06.789Z'", "TIMESTAMPTZ '2001-02-03 04:05:06.789+00'")],
    "n": [(str(n), str(n)) for n in (0, 1, 2, 3, 5, 12, 30, -1, -2, -7)],
}
COLUMNS = {
    "B": [("b", "b")],
    "I": [("n", "n"), ("i", "CAST(i AS BIGINT)")],
    "F": [("f", "f"), ("g", "CAST(g AS DOUBLE)")],
    "S": [("s", "s"), ("z", "z")],
    "X": [("x", "x")],
    "D": [("d", "d")],
    "T": [("t", "t")],
    "W": [("w", "w")],
    "J": [("j", "j")],
    "n": [("k", "k")],
}


class Generator:
    """Not thread-safe; the same seed gives the same pairs."""

    def __init__(self, seed: int, columns: dict[str, list[tuple[str, str]]] | None = None) -> None:
        """`columns` by kind, ours and DuckDB's; J and whatever has no literals must be there."""
        self.random = random.Random(seed)
        self.columns = COLUMNS if columns is None else columns
        self.by_type: dict[str, list[Form]] = {}
        for one in FORMS:
            self.by_type.setdefault(one.gives, []).append(one)

    def pair(self, number: int) -> tuple[Pair, bool]:
        """A pair, and whether its numbers are inexact. Every form comes up as outermost in turn."""
        every = [*FORMS, *INEXACT]
        outermost = every[number % len(every)]
        depth = self.random.choice((0, 0, 1, 1, 2, 3))
        return self.of_form(outermost, depth), number % len(every) >= len(FORMS)

    def of_form(self, one: Form, depth: int) -> Pair:
        parts = [self.of_type(t, depth) for t in one.takes]
        ours = one.ours
        duck = one.duck
        for i in range(len(parts)):
            ours = ours.replace(f"{{{i}}}", f"\0{i}")
            duck = duck.replace(f"{{{i}}}", f"\0{i}")
        for i, part in enumerate(parts):
            ours = ours.replace(f"\0{i}", part.ours)
            duck = duck.replace(f"\0{i}", part.duck)
        return Pair(ours, f"TRY({duck})" if one.tries else duck)

    def of_type(self, kind: str, depth: int) -> Pair:
        forms = self.by_type.get(kind, [])
        if depth <= 0 or not forms or self.random.random() < 0.25:
            literal = kind in LITERALS and self.random.random() < 0.25
            choices = self.columns.get(kind) if not literal else None
            choices = choices or LITERALS[kind]
            return Pair(*self.random.choice(choices))
        return self.of_form(self.random.choice(forms), depth - 1)
