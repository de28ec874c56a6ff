"""Random streams: a contract, rows that come in batches, their NDJSON and their Arrow table."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from expression_differences import FLOATS, INTS, JSONS, TEXTS
from pipeline_windows import DAY, duration, in_ms

US = 1_000_000
# Zones change their clocks in the days after each. Of 2026 ours know more than DuckDB's.
BEGINS_US = [
    int(dt.datetime(2025, month, day, tzinfo=dt.UTC).timestamp()) * US
    for month, day in ((3, 1), (3, 8), (3, 29), (4, 4), (9, 6), (10, 25), (10, 30), (11, 1))
]
EPOCH = dt.datetime(1970, 1, 1)
DEFAULT_LATE_US = 600_000_000


@dataclass(frozen=True)
class Column:
    name: str
    ours: str
    duck: str
    arrow: pa.DataType
    key: bool = False


MOMENT = pa.timestamp("us", tz="UTC")
# Those that are no key are what expression_pairs.py makes expressions of.
COLUMNS = [
    Column("at", "timestamp", "TIMESTAMPTZ", MOMENT),
    Column("who", "string", "VARCHAR", pa.string(), key=True),
    Column("shop", "int64", "BIGINT", pa.int64(), key=True),
    Column("kind", "int32", "INTEGER", pa.int32(), key=True),
    Column("open", "bool", "BOOLEAN", pa.bool_(), key=True),
    Column("day", "date", "DATE", pa.date32(), key=True),
    Column("b", "bool", "BOOLEAN", pa.bool_()),
    Column("i", "int32", "INTEGER", pa.int32()),
    Column("n", "int64", "BIGINT", pa.int64()),
    Column("k", "int64", "BIGINT", pa.int64()),
    Column("g", "float32", "FLOAT", pa.float32()),
    Column("f", "float64", "DOUBLE", pa.float64()),
    Column("s", "string", "VARCHAR", pa.string()),
    Column("z", "string", "VARCHAR", pa.string()),
    Column("j", "string", "VARCHAR", pa.string()),
    Column("x", "bytes", "BLOB", pa.binary()),
    Column("d", "date", "DATE", pa.date32()),
    Column("t", "timestamp", "TIMESTAMPTZ", MOMENT),
    Column("w", "timestamp_ntz", "TIMESTAMP", pa.timestamp("us")),
    Column("l", "string", "VARCHAR", pa.string()),  # lists as JSON
    Column("id", "int64", "BIGINT", pa.int64()),  # the row's number in its stream
]
KEYS = {column.name: column for column in COLUMNS if column.key}
AT = 0


def contract(name: str) -> str:
    lines = [
        f"apiVersion: v3.1.0\nkind: DataContract\nid: {name}\nversion: 1.0.0\nstatus: active\n"
        f"schema:\n  - name: {name}\n    logicalType: object\n    properties:"
    ]
    logical = {
        "bool": "boolean",
        "int32": "integer",
        "int64": "integer",
        "float32": "number",
        "float64": "number",
        "timestamp_ntz": "timestamp",
        "bytes": "string",
    }
    for column in COLUMNS:
        required = ", required: true" if column.name == "at" else ""
        kind = logical.get(column.ours, column.ours)
        lines.append(
            f"      - {{name: {column.name}, logicalType: {kind}, "
            f"physicalType: {column.ours}{required}}}"
        )
    return "\n".join(lines) + "\n"


def float32(value: float) -> float:
    return float(struct.unpack("f", struct.pack("f", value))[0])


@dataclass(frozen=True)
class Shape:
    """How a pipeline's streams are."""

    begin_us: int
    unit_us: int  # by which time goes on
    rows: int
    batches: int
    key_values: int  # of each key column
    wild: bool  # extreme numbers, often
    nulls: float
    ties: bool  # times in whole units
    late: float
    ahead: float


def draw_shape(source: random.Random) -> Shape:
    large = source.random() < 0.02
    return Shape(
        begin_us=source.choice(BEGINS_US),
        unit_us=source.choice((1, 1000, US, US, 60 * US, 3600 * US)),
        rows=source.randrange(1500, 4000) if large else source.randrange(20, 140),
        batches=source.randrange(2, 7),
        key_values=source.randrange(1, 3) if large else source.randrange(1, 7),
        wild=source.random() < 0.4,
        nulls=source.choice((0.0, 0.1, 0.1, 0.4)),
        ties=source.random() < 0.6,
        late=source.choice((0.0, 0.1, 0.3)),
        ahead=source.choice((0.0, 0.05)),
    )


@dataclass
class Stream:
    name: str
    rows: list[list[Any]]  # in the order of COLUMNS; integers for dates and times
    batch_of: list[int]
    late_us: int
    arrived_us: int | None  # so much later than it was the row became known

    def yaml(self) -> str:
        timing = f"{{event: at, late: {duration(self.late_us)}, max_ahead: 30d}}"
        history = ""
        if self.arrived_us is not None:
            history = f", history: {{arrived: at + {duration(self.arrived_us)}}}"
        source = "source: {http: push}"
        return f"  {self.name}: {{contract: {self.name}.yaml, {source}, time: {timing}{history}}}"

    def ndjson(self, batch: int) -> str:
        names = [column.name for column in COLUMNS]
        send = [SENT.get(column.ours, same_value) for column in COLUMNS]
        lines = []
        for row, of in zip(self.rows, self.batch_of, strict=True):
            if of == batch:
                sent = [None if v is None else f(v) for f, v in zip(send, row, strict=True)]
                lines.append(json.dumps(dict(zip(names, sent, strict=True))))
        return "\n".join(lines)

    def table(self, names: list[str], epochs: list[int]) -> pa.Table:
        """Some columns, with `pos` and `epoch`; `at_us` is the event time as a number, `known_us`
        when the row became known."""
        arrays = [
            pa.array([row[i] for row in self.rows], column.arrow)
            for i, column in enumerate(COLUMNS)
            if column.name in names
        ]
        arrays += [
            pa.array(range(len(self.rows)), pa.int64()),
            pa.array([epochs[batch] for batch in self.batch_of], pa.int64()),
            pa.array([row[AT] for row in self.rows], pa.int64()),
            pa.array([row[AT] + (self.arrived_us or 0) for row in self.rows], pa.int64()),
        ]
        return pa.table(arrays, [*names, "pos", "epoch", "at_us", "known_us"])


def draw_stream(source: random.Random, name: str, shape: Shape) -> Stream:
    rows = []
    batch_of = []
    now = shape.begin_us
    for number in range(shape.rows):
        now += source.choice((0, 0, 1, 1, 2, 4)) * shape.unit_us
        at = now
        chance = source.random()
        if chance < shape.late:
            at -= source.randrange(0, source.choice((10, 100, 1000))) * shape.unit_us
        elif chance < shape.late + shape.ahead:
            at += source.randrange(0, 30) * shape.unit_us
        if not shape.ties:
            at += source.randrange(0, shape.unit_us)
        rows.append([at, *draw_key(source, shape), *draw_values(source, shape), number])
        batch_of.append(number * shape.batches // shape.rows)
    late = source.choice((DEFAULT_LATE_US, in_ms(20 * shape.unit_us), 30 * DAY))
    arrived = in_ms(source.choice((1, 10, 50)) * shape.unit_us)
    return Stream(name, rows, batch_of, late, arrived if source.random() < 0.3 else None)


def draw_key(source: random.Random, shape: Shape) -> list[Any]:
    def some() -> int:
        return source.randrange(shape.key_values)

    key = [
        source.choice(TEXTS[: shape.key_values + 1]),
        (0, 7, -1, 2**63 - 1, -(2**63), 2**40, 1)[some()],
        (0, -1, 2**31 - 1, -(2**31), 5, 6, 7)[some()],
        some() % 2 == 0,
        (0, 20_000, -3, 1, 2, 3, 11_016)[some()],
    ]
    return [None if source.random() < shape.nulls / 3 else value for value in key]


def draw_values(source: random.Random, shape: Shape) -> list[Any]:
    def moment() -> int:
        return source.randrange(-2 * 10**9, 4 * 10**9) * US + source.choice((0, 0, 1, 999_999))

    small = source.randrange(-500, 500)
    half = small / 4
    values = [
        source.random() < 0.5,
        source.choice((0, 1, -1, 2**31 - 1, -(2**31), small)) if shape.wild else small,
        source.choice([*INTS, small]) if shape.wild else small,
        source.randrange(-4, 14),
        source.choice((0.0, 1.5, float32(3e38), math.nan, math.inf, half)) if shape.wild else half,
        source.choice([*FLOATS, small / 480]) if shape.wild else small / 480,
        source.choice(TEXTS),
        source.choice(TEXTS[:8]),
        source.choice(JSONS),
        source.choice((b"", b"ab", "ü".encode(), b"\x01\x02")),
        source.randrange(-10_000, 20_000),
        moment(),
        moment(),
        draw_list(source),
    ]
    return [None if source.random() < shape.nulls else value for value in values]


def draw_list(source: random.Random) -> str:
    """Mostly of objects; now and then no list, or no JSON."""
    chance = source.random()
    if chance < 0.1:
        return source.choice(NO_LISTS)
    if chance < 0.3:
        return "[" + ", ".join(source.choices(ELEMENTS, k=source.randrange(0, 6))) + "]"
    lines = [
        json.dumps({"s": source.choice(TEXTS), "n": source.randrange(-9, 99)}, ensure_ascii=False)
        for _ in range(source.randrange(0, 5))
    ]
    return source.choice(("[{}]", " [ {} ]\n")).format(source.choice((",", " , ")).join(lines))


# As DuckDB writes them again: it has its own ways with 1e3, 2.50 and \u00fc.
ELEMENTS = (
    *("1", "-2.5", "1000", "true", "null", '""', '"x y"', r'"ü\n\""', "[]", "[1, [2]]"),
    *("{}", '{ "s": null }', '{"n": 7, "n": 8}', '{"s": "a", "more": {"n": [1]}}'),
)
NO_LISTS = ("null", "{}", '{"a": [1]}', "7", '"[1]"', "", "[1", "[1] 2", "[1 2]", "[x]", "nul")


def json_value(column: Column, value: Any) -> Any:
    """As it is sent; and a key's text, as the command line takes it."""
    return None if value is None else SENT.get(column.ours, same_value)(value)


def same_value(value: Any) -> Any:
    return value


def sent_float(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def sent_moment(us: int) -> str:
    return (EPOCH + dt.timedelta(microseconds=us)).isoformat()


SENT: dict[str, Callable[[Any], Any]] = {
    "float32": sent_float,
    "float64": sent_float,
    "bytes": lambda value: base64.b64encode(value).decode(),
    "date": lambda days: (EPOCH + dt.timedelta(days=days)).date().isoformat(),
    "timestamp": lambda us: sent_moment(us) + "Z",
    "timestamp_ntz": sent_moment,
}
