"""The source file's flights as columns, with the two the demo adds: flight_id and landed_at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

MINUTE_US = 60_000_000
TAXI_MINUTES = 30
MILE_US = 7_500_000  # 8 miles a minute
LATE_MINUTES = 15
QUICK_ROWS = 200_000

TIMESTAMP = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        ("flight_id", pa.int64()),
        ("date", TIMESTAMP),
        ("landed_at", TIMESTAMP),
        ("delay", pa.int64()),
        ("distance", pa.int64()),
        ("origin", pa.string()),
        ("destination", pa.string()),
    ]
)


@dataclass
class Flights:
    """Columns of equal length; times are microseconds since 1970, UTC; airports ASCII bytes."""

    flight_id: NDArray[np.int64]
    date: NDArray[np.int64]
    landed_at: NDArray[np.int64]
    delay: NDArray[np.int64]
    distance: NDArray[np.int64]
    origin: NDArray[np.bytes_]
    destination: NDArray[np.bytes_]

    def __len__(self) -> int:
        return len(self.flight_id)

    def take(self, rows: NDArray[np.int64] | slice) -> Flights:
        return Flights(**{name: column[rows] for name, column in vars(self).items()})

    def to_arrow(self) -> pa.Table:
        arrays = []
        for field in SCHEMA:
            column = vars(self)[field.name]
            array = pa.array(column, pa.binary()) if column.dtype.kind == "S" else pa.array(column)
            arrays.append(array.cast(field.type))
        return pa.table(arrays, schema=SCHEMA)


def from_arrow(table: pa.Table) -> Flights:
    """Reads SCHEMA's columns by name, whatever width of text or time zone the reader gave them."""

    def column(name: str, kind: pa.DataType) -> pa.Array:
        return table.column(name).combine_chunks().cast(kind)

    def numbers(name: str) -> NDArray[np.int64]:
        kind = SCHEMA.field(name).type
        array = column(name, kind).cast(pa.int64())
        return np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.int64)

    def text(name: str) -> NDArray[np.bytes_]:
        # Through a dictionary: numpy converts each airport once, not each row.
        encoded = column(name, pa.string()).dictionary_encode()
        words = np.array([word.encode() for word in encoded.dictionary.to_pylist()])
        return np.asarray(words[encoded.indices.to_numpy(zero_copy_only=False)], dtype=words.dtype)

    return Flights(
        flight_id=numbers("flight_id"),
        date=numbers("date"),
        landed_at=numbers("landed_at"),
        delay=numbers("delay"),
        distance=numbers("distance"),
        origin=text("origin"),
        destination=text("destination"),
    )


def landing_time(
    date: NDArray[np.int64], delay: NDArray[np.int64], distance: NDArray[np.int64]
) -> NDArray[np.int64]:
    """When a delay becomes known: scheduled departure + delay + taxiing + the flight itself."""
    return date + (delay + TAXI_MINUTES) * MINUTE_US + distance * MILE_US


def read_source(path: Path, rows_max: int | None) -> Flights:
    """The file's first rows in its own order; flight_id is the row's number."""
    table = pq.read_table(path)
    table = table.slice(0, rows_max) if rows_max else table
    ids = pa.array(np.arange(table.num_rows, dtype=np.int64))
    date = table.column("date").combine_chunks().cast(pa.timestamp("us")).cast(pa.int64())
    delay = table.column("delay").combine_chunks().to_numpy()
    distance = table.column("distance").combine_chunks().to_numpy()
    landed = landing_time(date.to_numpy(), delay, distance)
    table = table.set_column(table.schema.get_field_index("date"), "date", date.cast(TIMESTAMP))
    table = table.append_column("flight_id", ids)
    table = table.append_column("landed_at", pa.array(landed).cast(TIMESTAMP))
    return from_arrow(table)


def in_landing_order(flights: Flights) -> Flights:
    """Ordered by (landed_at, flight_id): the order in which the delays became known."""
    return flights.take(np.lexsort((flights.flight_id, flights.landed_at)))


def row_hashes(flights: Flights, columns: Iterable[str]) -> NDArray[np.uint64]:
    """64 bits per row that depend on every value of the named columns and on the column's place."""
    hashes = np.zeros(len(flights), dtype=np.uint64)
    for name in columns:
        column = vars(flights)[name]
        if column.dtype.kind == "S":
            column = np.ascontiguousarray(column.astype("S8")).view(np.int64)
        hashes = (hashes ^ column.view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        hashes ^= hashes >> np.uint64(32)
    return hashes


def digest(flights: Flights) -> str:
    """Of the rows as a multiset: the same in any order, another when any value differs."""
    hashes = row_hashes(flights, SCHEMA.names) * np.uint64(0xC2B2AE3D27D4EB4F)
    total, mixed = int(hashes.sum()), int((hashes ^ (hashes >> np.uint64(29))).sum())
    return f"{total & (2**64 - 1):016x}{mixed & (2**64 - 1):016x}"


def count_duplicates(flights: Flights) -> int:
    """Rows equal to an earlier one in all but their id."""
    names = [name for name in SCHEMA.names if name != "flight_id"]
    hashes = row_hashes(flights, names)
    unique, counts = np.unique(hashes, return_counts=True)
    twice = flights.take(np.flatnonzero(np.isin(hashes, unique[counts > 1])))
    rows = list(zip(*(vars(twice)[name].tolist() for name in names), strict=True))
    return len(rows) - len(set(rows))


def count_landed_before_scheduled(flights: Flights) -> int:
    return int((flights.landed_at < flights.date).sum())
