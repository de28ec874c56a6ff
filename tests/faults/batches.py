"""What is sent, as a function of numbers alone: any row can be computed again from (seed, producer,
sequence, row), and its event time from the moment at which its batch was first sent.

A batch has 1 to ROWS_MAX rows. Some batches hold rows that must be refused: a value beyond the
contract's maximum, or an event time that is a month late.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

ROWS_MAX = 1000
ID_STRIDE = 1024  # (sequence, row) as one number
KEYS = 64
KEY_NAMES = np.array([f"key-{k:02}" for k in range(KEYS)])
VALUE_MAX = 999
VALUE_TOO_LARGE = 5000
START_US = int(dt.datetime(2020, 1, 1, tzinfo=dt.UTC).timestamp()) * 1_000_000
SPREAD_US = 2_000  # event times of a batch: so far from its moment
MONTH_US = 30 * 86_400 * 1_000_000

GOOD, TOO_LARGE, LATE = 0, 1, 2
RULES = {TOO_LARGE: "range", LATE: "late"}


def mixed(*parts: Any) -> Words:
    """A hash of each tuple of numbers (splitmix64 over its parts)."""
    state: Any = np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        for part in parts:
            state = state + np.asarray(part).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = state ^ (state >> np.uint64(31))
    return np.atleast_1d(np.asarray(state, dtype=np.uint64))


def part(words: Words, shift: int, modulus: int) -> Ints:
    found: Ints = ((words >> np.uint64(shift)) % np.uint64(modulus)).astype(np.int64)
    return found


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows in columns; `at` in microseconds since 1970."""

    producer: Ints
    sequence: Ints
    row: Ints
    key: Ints  # its number: KEY_NAMES[key]
    value: Ints
    at: Ints
    flaw: Ints

    def __len__(self) -> int:
        return len(self.row)


def batch_size(seed: int, producer: int, sequence: int, rows_mean: int) -> int:
    """A third of the batches are tiny, the rest even up to about twice the mean."""
    word = mixed(seed, 1, producer, sequence)
    limit = 10 if part(word, 0, 3)[0] == 0 else min(2 * rows_mean, ROWS_MAX)
    return 1 + int(part(word, 8, limit)[0])


def rows_at(seed: int, producer: Ints, sequence: Ints, row: Ints, moment: Ints) -> Rows:
    word = mixed(seed, 2, producer, sequence, row)
    # Nothing is late before there is a newest event time: a producer's first batch is good.
    spoilt = (part(mixed(seed, 3, producer, sequence), 0, 4) == 0) & (sequence > 1)
    flaw = np.where(spoilt & (part(word, 50, 16) == 0), 1 + part(word, 54, 2), GOOD)
    at = START_US + moment + part(word, 32, SPREAD_US)
    return Rows(
        producer=producer,
        sequence=sequence,
        row=row,
        key=part(word, 0, KEYS),
        value=np.where(flaw == TOO_LARGE, VALUE_TOO_LARGE, part(word, 16, VALUE_MAX + 1)),
        at=np.where(flaw == LATE, at - MONTH_US, at),
        flaw=flaw,
    )


def rows_of_batches(seed: int, producer: Ints, sequence: Ints, size: Ints, moment: Ints) -> Rows:
    """All rows of the given batches, batch after batch."""
    begin = np.repeat(np.cumsum(size) - size, size)
    row = np.arange(int(size.sum()), dtype=np.int64) - begin
    return rows_at(
        seed, np.repeat(producer, size), np.repeat(sequence, size), row, np.repeat(moment, size)
    )


def rows_of_batch(seed: int, producer: int, sequence: int, size: int, moment: int) -> Rows:
    one = [np.array([number], dtype=np.int64) for number in (producer, sequence, size, moment)]
    return rows_of_batches(seed, *one)


def as_ndjson(rows: Rows) -> bytes:
    times = np.datetime_as_string(rows.at.astype("datetime64[us]"), unit="us")
    names = KEY_NAMES[rows.key]
    lines = [
        f'{{"producer":{p},"sequence":{s},"row":{r},"key":"{k}","value":{v},"at":"{t}Z"}}'
        for p, s, r, k, v, t in zip(
            rows.producer.tolist(),
            rows.sequence.tolist(),
            rows.row.tolist(),
            names.tolist(),
            rows.value.tolist(),
            times.tolist(),
            strict=True,
        )
    ]
    return "\n".join(lines).encode()


def as_arrow(rows: Rows) -> Any:
    import pyarrow as pa

    return pa.record_batch(
        {
            "producer": pa.array(rows.producer),
            "sequence": pa.array(rows.sequence),
            "row": pa.array(rows.row),
            "key": pa.array(KEY_NAMES[rows.key].tolist(), pa.string()),
            "value": pa.array(rows.value),
            "at": pa.array(rows.at).cast(pa.timestamp("us", "UTC")),
        }
    )


CONTRACT = """apiVersion: v3.1.0
kind: DataContract
id: events
version: 1.0.0
status: active
schema:
  - name: events
    logicalType: object
    properties:
      - {name: producer, logicalType: integer, physicalType: int64, required: true}
      - {name: sequence, logicalType: integer, physicalType: int64, required: true}
      - {name: row, logicalType: integer, physicalType: int64, required: true}
      - {name: key, logicalType: string, required: true}
      - name: value
        logicalType: integer
        physicalType: int64
        required: true
        logicalTypeOptions: {minimum: 0, maximum: 999}
      - {name: at, logicalType: timestamp, required: true}
"""

WINDOWS_S = (5, 20)

PIPELINE = """headrace: 1
pipeline: faults
promise: {budget: {p99: 500ms}}
clock: events
memory: 2GiB
recovery: 50ms
log: LOG
streams:
  events: {contract: events.yaml, source: {http: push}, time: {event: at, late: 1d}}
views:
  recent:
    from: events
    by: key
    over: [WINDOWS]
    features: {n: count(*), total: sum(value)}
  newest: {from: events, by: key, features: {value: last(value)}}
tables: {events: {commit: COMMIT}}
"""
