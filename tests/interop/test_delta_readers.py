"""Two other engines read a table that we wrote: every type, nulls, extremes, versions, odd names.

The expected rows are computed here from their numbers alone. HEADRACE_SAMPLE_WRITER names the
program that writes the table; without it the one of ./dev test is taken.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROWS = 3000
ROWS_PER_VERSION = 1000
NULL_EVERY = 7
COLUMNS = [
    *("c_bool", "c_int32", "c_int64", "c_float32", "c_float64", "c_string", "c_bytes", "c_date"),
    *("c_timestamp", "c_timestamp_ntz", "id", "_epoch", "_row", "_known_at"),
]
START = dt.datetime(2001, 1, 1)
UNIX = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

Row = tuple[Any, ...]


def expected_row(i: int) -> Row:
    moment = START + dt.timedelta(microseconds=i * 61_000_001)
    values: list[Any] = [
        i % 2 == 0,
        -(2**31) if i == 3 else i - 500,
        2**63 - 1 if i == 3 else i * i,
        i / 4,
        i / 3,
        f"täxt {i % 50}",
        bytes([i % 256]),
        dt.date(1970, 1, 1) + dt.timedelta(days=i - 400),
        moment.replace(tzinfo=dt.UTC),
        moment,
    ]
    values = [None if (i + c) % NULL_EVERY == 0 else value for c, value in enumerate(values)]
    version, row = divmod(i, ROWS_PER_VERSION)
    return (*values, i, version + 1, row, UNIX + dt.timedelta(microseconds=5 + version))


def writer() -> Path:
    default = ROOT / "build/release/tests/interop/headrace_write_sample_table"
    return Path(os.environ.get("HEADRACE_SAMPLE_WRITER", default))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert writer().exists(), f"{writer()} is missing: ./dev test builds it"
    folder = tmp_path_factory.mktemp("delta") / "sample table"
    subprocess.run([writer(), folder], check=True)
    return folder


def by_id(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: int(row[COLUMNS.index("id")]))


def duckdb_with_delta() -> Any:
    import duckdb

    found = importlib.util.find_spec("duckdb_extension_delta")
    assert found and found.submodule_search_locations
    extension = next(Path(found.submodule_search_locations[0]).rglob("delta.duckdb_extension"))
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"LOAD '{extension}'")
    return connection


def with_duckdb(table: Path, query: str) -> list[Row]:
    with duckdb_with_delta() as connection:
        result = connection.execute(query.replace("TABLE", f"delta_scan('{table}')"))
        return rows_of(result.to_arrow_table())


def with_delta_rs(table: Path, query: str) -> list[Row]:
    import pyarrow as pa
    from deltalake import DeltaTable, QueryBuilder

    builder = QueryBuilder().register("t", DeltaTable(str(table)))
    return rows_of(pa.table(builder.execute(query.replace("TABLE", "t")).read_all()))


def rows_of(table: Any) -> list[Row]:
    """Times as UTC, whatever zone name an engine gives them."""
    columns = [table.column(i).to_pylist() for i in range(table.num_columns)]
    rows = zip(*columns, strict=True)
    return [tuple(in_utc(value) for value in row) for row in rows]


def in_utc(value: Any) -> Any:
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(dt.UTC)
    return value


@pytest.mark.parametrize("read", [with_duckdb, with_delta_rs])
def test_rows_are_equal(table: Path, read: Any) -> None:
    rows = by_id(read(table, f"SELECT {', '.join(COLUMNS)} FROM TABLE"))
    assert len(rows) == ROWS
    for i, row in enumerate(rows):
        assert row == expected_row(i), f"row {i}"


@pytest.mark.parametrize("read", [with_duckdb, with_delta_rs])
def test_pruning_by_our_statistics_loses_nothing(table: Path, read: Any) -> None:
    """A bound that is too tight would hide rows from a filter."""
    last = expected_row(ROWS - 2)
    moment = (
        last[COLUMNS.index("c_timestamp")] or expected_row(ROWS - 3)[COLUMNS.index("c_timestamp")]
    )
    instant = (
        f"TIMESTAMPTZ '{moment.isoformat()}'" if read is with_duckdb else f"'{moment.isoformat()}'"
    )
    query = f"SELECT count(*) FROM TABLE WHERE c_timestamp = {instant}"
    assert read(table, query) == [(1,)]
    assert read(table, f"SELECT count(*) FROM TABLE WHERE c_int64 = {2**63 - 1}") == [(1,)]
    assert read(table, "SELECT count(*) FROM TABLE WHERE c_string = 'täxt 49'")[0][0] > 0


def test_delta_rs_knows_our_marker(table: Path) -> None:
    from deltalake import DeltaTable

    opened = DeltaTable(str(table))
    assert opened.version() == 3
    assert opened.transaction_version("headrace/sample/s") == 3


def test_statistics_are_whole(table: Path) -> None:
    lines = (table / "_delta_log" / f"{1:020}.json").read_text().splitlines()
    add = next(json.loads(line)["add"] for line in lines if "add" in json.loads(line))
    stats = json.loads(add["stats"])
    assert stats["numRecords"] == ROWS_PER_VERSION
    assert stats["minValues"]["id"] == 0
    assert stats["maxValues"]["id"] == ROWS_PER_VERSION - 1
    assert stats["nullCount"]["id"] == 0
    assert stats["nullCount"]["c_int64"] == sum((i + 2) % NULL_EVERY == 0 for i in range(1000))
