"""Expressions that give other values than DuckDB's do.

    expression_differences.py [--seed N] [--count N] [--only NUMBER]

Evaluates seeded expressions (expression_pairs.py) over seeded rows with both and compares: exactly,
but for what C libraries round differently. Prints each difference with the command that shows it
alone; the exit code is 1 if there is any.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import math
import os
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from expression_pairs import Generator, Pair

ROOT = Path(__file__).resolve().parents[2]
ROWS = 40
AT_ONCE = 60
US = 1_000_000

COLUMNS = [
    ("b", "bool", "BOOLEAN"),
    ("i", "int32", "INTEGER"),
    ("n", "int64", "BIGINT"),
    ("k", "int64", "BIGINT"),
    ("g", "float32", "FLOAT"),
    ("f", "float64", "DOUBLE"),
    ("s", "string", "VARCHAR"),
    ("z", "string", "VARCHAR"),
    ("j", "string", "VARCHAR"),
    ("x", "bytes", "BLOB"),
    ("d", "date", "DATE"),
    ("t", "timestamp", "TIMESTAMPTZ"),
    ("w", "timestamp_ntz", "TIMESTAMP"),
]
INTS = [0, 1, -1, 2, 15, 63, 64, 1000, -1000, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)]
FLOATS = [
    0.0,
    -0.0,
    1.5,
    -2.25,
    0.1,
    1e300,
    1e-300,
    5e-324,
    480.0,
    2.5,
    89.9,
    -0.5,
    1e15,
    math.inf,
    -math.inf,
    math.nan,
]
TEXTS = [
    "",
    "SEA",
    "sea",
    "12",
    "-1.5",
    "Zürich",
    "ß",
    "日本語",
    "a,b,,c",
    "  x ",
    "%",
    "a%20b",
    "2001-02-03",
    "1969-2-3",
    "5a6B",
    "abcabc",
    "🙂x",
    "a\nb",
    "AA-120",
    "\\",
    "x" * 70,
]
JSONS = [
    '{"a": 1}',
    '{"a": {"b": "x"}, "b": "y"}',
    '{"a": [1, {"b": 2.5}, null]}',
    "[1, [2], 3]",
    '{"a": "q\\"uo\\tüte", "x y": true}',
    "{",
    "",
    "null",
    '"text"',
    '{"a": null}',
    "17",
    '{"a": [ ]}',
    '{"a":1} x',
    '{"b": "\\n"}',
    '[{"a": "🙂"}]',
    '{"a": 1.50e}',
    "[1 2]",
]


def rows_of(seed: int) -> list[list[Any]]:
    """In the order of COLUMNS: texts for bytes, integers for dates and times."""
    source = random.Random(seed * 31 + 7)

    def moment() -> int:
        if source.random() < 0.3:  # around changes of the clock
            base = source.choice([985482000, 1004227200, 972781200, 1325239200, 1287864000])
            return (base + source.randrange(-8000, 8000)) * US
        return source.randrange(-2 * 10**9, 4 * 10**9) * US + source.choice(
            [0, 0, 1, 999_999, 500_000]
        )

    def one() -> list[Any]:
        return [
            source.random() < 0.5,
            source.choice([0, 1, -1, 7, 2**31 - 1, -(2**31), source.randrange(-5000, 5000)]),
            source.choice([*INTS, source.randrange(-5000, 5000)]),
            source.randrange(-4, 14),
            source.choice([0.0, 1.5, -0.25, 480.0, 3.0e38, math.nan, math.inf, 0.5]),
            source.choice([*FLOATS, source.uniform(-200, 200), source.uniform(-1, 1)]),
            source.choice(TEXTS),
            source.choice(TEXTS),
            source.choice(JSONS),
            source.choice(["", "ab", "ü", "\x01\x02"]),
            source.randrange(0, 30000) - 10000,
            moment(),
            moment(),
        ]

    rows = [one() for _ in range(ROWS)]
    for row in rows:
        for column in range(len(row)):
            if source.random() < 0.12:
                row[column] = None
    return rows


def plain(value: Any) -> Any:
    """As the evaluator reads it."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


class Evaluator:
    """Ours: the program beside this file."""

    def __init__(self, program: Path, rows: list[list[Any]]) -> None:
        self.program = program
        table = {
            "columns": [[name, ours] for name, ours, _ in COLUMNS],
            "rows": [[plain(value) for value in row] for row in rows],
        }
        self.head = json.dumps(table)

    def values(self, texts: list[str]) -> list[Any]:
        """A list of values for each text, or a text that says what is wrong with it."""
        lines = "\n".join([self.head, *(json.dumps(text) for text in texts)])
        done = subprocess.run(
            [self.program], input=lines, capture_output=True, text=True, check=True
        )
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(answers) == len(texts), done.stderr
        return [answer.get("values", answer.get("error")) for answer in answers]


class Duck:
    def __init__(self, rows: list[list[Any]]) -> None:
        self.connection = duckdb.connect()
        # DuckDB 1.5.5's optimiser makes `x <> date_trunc('year', NULL)` true, and cuts ASCII texts
        # by another rule; without it the functions are what they say.
        self.connection.execute("SET TimeZone = 'UTC'; SET threads = 1; PRAGMA disable_optimizer")
        self.connection.execute(
            f"CREATE TABLE r (row INTEGER, {', '.join(f'{n} {t}' for n, _, t in COLUMNS)})"
        )
        day = dt.date(1970, 1, 1)
        for number, row in enumerate(rows):
            given = list(row)
            given[9] = None if row[9] is None else row[9].encode()
            given[10] = None if row[10] is None else day + dt.timedelta(days=row[10])
            marks = ["?"] * 12 + ["make_timestamptz(?)", "make_timestamp(?)"]
            self.connection.execute(f"INSERT INTO r VALUES ({', '.join(marks)})", [number, *given])

    def values(self, texts: list[str]) -> list[Any]:
        try:
            return self.together(texts)
        except duckdb.Error as error:
            if len(texts) == 1:
                return [str(error)]
            half = len(texts) // 2
            return [*self.values(texts[:half]), *self.values(texts[half:])]

    def together(self, texts: list[str]) -> list[Any]:
        described = self.connection.execute(
            f"DESCRIBE SELECT {', '.join(f'{text} AS c{i}' for i, text in enumerate(texts))} FROM r"
        ).fetchall()
        shown = [in_plain_numbers(row[0], row[1]) for row in described]
        inner = ", ".join(f"{text} AS c{i}" for i, text in enumerate(texts))
        rows = self.connection.execute(
            f"SELECT {', '.join(shown)} FROM (SELECT row, {inner} FROM r) ORDER BY row"
        ).fetchall()
        return [list(column) for column in zip(*rows, strict=True)]


def in_plain_numbers(name: str, kind: str) -> str:
    if kind.startswith("TIMESTAMP"):
        return f"epoch_us({name})"
    if kind == "DATE":
        return f"date_diff('day', DATE '1970-01-01', {name})"
    return f"lower(hex({name}))" if kind == "BLOB" else name


SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def same(ours: Any, theirs: Any, inexact: bool) -> bool:
    if ours is None or theirs is None:
        return ours is theirs
    if isinstance(theirs, float):
        number = SPECIAL[ours] if isinstance(ours, str) else float(ours)
        if math.isnan(number) or math.isnan(theirs):
            return math.isnan(number) and math.isnan(theirs)
        return number == theirs or (
            inexact and math.isclose(number, theirs, rel_tol=4e-15, abs_tol=1e-300)
        )
    return type(ours) is type(theirs) and bool(ours == theirs)


@dataclass
class Difference:
    number: int
    pair: Pair
    row: int
    ours: Any
    theirs: Any


def differences(seed: int, numbers: list[int], program: Path) -> list[Difference]:
    rows = rows_of(seed)
    ours = Evaluator(program, rows)
    duck = Duck(rows)
    found: list[Difference] = []
    for begin in range(0, len(numbers), AT_ONCE):
        batch = numbers[begin : begin + AT_ONCE]
        pairs = [Generator(seed * 1_000_003 + number).pair(number) for number in batch]
        left = ours.values([pair.ours for pair, _ in pairs])
        right = duck.values([pair.duck for pair, _ in pairs])
        for number, (pair, inexact), a, b in zip(batch, pairs, left, right, strict=True):
            if isinstance(a, str) or isinstance(b, str):
                found.append(Difference(number, pair, -1, a, b))
                continue
            for row, (x, y) in enumerate(zip(a, b, strict=True)):
                if not same(x, y, inexact):
                    found.append(Difference(number, pair, row, x, y))
                    break
    return found


def default_program() -> Path:
    default = ROOT / "build/release/tests/interop/headrace_evaluate_expressions"
    return Path(os.environ.get("HEADRACE_EXPRESSION_EVALUATOR", default))


def report(seed: int, found: list[Difference]) -> str:
    rows = rows_of(seed)
    lines = []
    for one in found[:20]:
        lines.append(f"ours:   {one.pair.ours}\nDuckDB: {one.pair.duck}")
        if one.row >= 0:
            values = {c[0]: v for c, v in zip(COLUMNS, rows[one.row], strict=True)}
            lines.append(f"row {one.row}: {values}")
        lines.append(f"  gave {one.ours!r}, DuckDB {one.theirs!r}")
        lines.append(
            "  again: .dev/venv/bin/python tests/interop/expression_differences.py "
            f"--seed {seed} --only {one.number}"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--only", type=int)
    options = parser.parse_args()
    numbers = list(range(options.count)) if options.only is None else [options.only]
    found = differences(options.seed, numbers, default_program())
    print(report(options.seed, found))
    print(f"{len(numbers)} expressions, {len(found)} differences, seed {options.seed}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
