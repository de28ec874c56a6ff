"""Encodings and codecs for the table's data files, on a million flights in the order of landing.

The library that writes is the one that the engine links. CPU seconds of one thread, best of three.
Run: parquet_settings.py flights-3m.parquet
"""

from __future__ import annotations

import argparse
import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FIRST, ROWS, ROWS_PER_EPOCH, RUNS = 1_000_000, 1_000_000, 2000, 3
MINUTE_US = 60_000_000
TEXT = ["origin", "destination"]
SMALL = ["delay", "distance"]
CODECS: list[tuple[str, int | None]] = [
    ("none", None),
    ("snappy", None),
    ("lz4", None),
    ("zstd", 1),
    ("zstd", 3),
]


def flights(source: Path) -> pa.Table:
    """As the publisher writes them: the stream's columns, then _epoch, _row, _known_at."""
    table = pq.read_table(source)
    date = table["date"].cast(pa.timestamp("us")).cast(pa.int64()).to_numpy()
    delay, distance = table["delay"].to_numpy(), table["distance"].to_numpy()
    landed = date + (delay + 30) * MINUTE_US + (distance / 8 * MINUTE_US).astype("int64")
    order = np.argsort(landed, kind="stable")[FIRST : FIRST + ROWS]
    text = {
        name: table[name].combine_chunks().take(pa.array(order)).cast(pa.string()) for name in TEXT
    }
    number = np.arange(len(order))

    def times(values: Any) -> pa.Array:
        return pa.array(values[order]).cast(pa.timestamp("us", "UTC"))

    return pa.table(
        {
            "flight_id": pa.array(order),
            "date": times(date),
            "landed_at": times(landed),
            "delay": delay[order],
            "distance": distance[order],
            **text,
            "_epoch": number // ROWS_PER_EPOCH,
            "_row": (number % ROWS_PER_EPOCH).astype("int32"),
            "_known_at": times(landed),
        }
    ).combine_chunks()


def measure(table: pa.Table, **settings: Any) -> tuple[float, float]:
    """Million rows a CPU second, bytes a row."""
    best, size = float("inf"), 0
    for _ in range(RUNS):
        out = io.BytesIO()
        begin = time.process_time()
        pq.write_table(table, out, store_schema=False, **settings)
        best = min(best, time.process_time() - begin)
        size = out.tell()
    return len(table) / best / 1e6, size / len(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="flights-3m.parquet")
    table = flights(parser.parse_args().source)
    numbers = [name for name in table.column_names if name not in TEXT]
    delta = dict.fromkeys(numbers, "DELTA_BINARY_PACKED")
    not_small = {name: delta[name] for name in numbers if name not in SMALL}
    encodings: dict[str, dict[str, Any]] = {
        "dictionary for all": {"use_dictionary": True},
        "dictionary for text, plain": {"use_dictionary": TEXT},
        "dictionary for text, delta": {"use_dictionary": TEXT, "column_encoding": delta},
        "dictionary also for small numbers, delta": {
            "use_dictionary": TEXT + SMALL,
            "column_encoding": not_small,
        },
    }
    for codec, level in CODECS:
        for name, encoding in encodings.items():
            speed, size = measure(table, compression=codec, compression_level=level, **encoding)
            print(f"{codec}{level or '':<3} {name:<42} {speed:5.1f} M rows/s {size:6.1f} B/row")


if __name__ == "__main__":
    main()
