"""Three other engines read a table of ours through its checkpoints, and after its old commits were
removed: every row, at the newest version and at older ones."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from test_delta_readers import ROWS_PER_VERSION, duckdb_with_delta, expected_row, rows_of, writer

EVERY = 10
VERSIONS = 25
MORE_VERSIONS = 10
DAY_S = 86_400
COLUMNS = ("id", "c_int64", "c_string", "c_timestamp", "_epoch", "_row")
ALL_COLUMNS = (
    *("c_bool", "c_int32", "c_int64", "c_float32", "c_float64", "c_string", "c_bytes", "c_date"),
    *("c_timestamp", "c_timestamp_ntz", "id", "_epoch", "_row", "_known_at"),
)

Row = tuple[Any, ...]


def expected(version: int) -> list[Row]:
    places = [ALL_COLUMNS.index(name) for name in COLUMNS]
    rows = (expected_row(i) for i in range(version * ROWS_PER_VERSION))
    return [tuple(row[place] for place in places) for row in rows]


def with_duckdb(table: Path, version: int | None) -> list[Row]:
    at = "" if version is None else f", version={version}"
    query = f"SELECT {', '.join(COLUMNS)} FROM delta_scan('{table}'{at}) ORDER BY id"
    with duckdb_with_delta() as connection:
        return rows_of(connection.execute(query).to_arrow_table())


def with_delta_rs(table: Path, version: int | None) -> list[Row]:
    import pyarrow as pa
    from deltalake import DeltaTable, QueryBuilder

    builder = QueryBuilder().register("t", DeltaTable(str(table), version=version))
    query = f"SELECT {', '.join(COLUMNS)} FROM t ORDER BY id"
    return rows_of(pa.table(builder.execute(query).read_all()))


def with_polars(table: Path, version: int | None) -> list[Row]:
    import polars

    scan = polars.scan_delta(str(table), version=version).select(COLUMNS).sort("id")
    return rows_of(scan.collect().to_arrow())


READERS = [with_duckdb, with_delta_rs, with_polars]


def log_file(table: Path, version: int, ending: str) -> Path:
    return table / "_delta_log" / f"{version:020}{ending}"


@pytest.fixture(scope="module")
def tended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of versions 10 and 20; 25 versions."""
    folder = tmp_path_factory.mktemp("delta") / "tended"
    subprocess.run([writer(), folder, str(VERSIONS), str(EVERY)], check=True)
    return folder


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, its first versions 40 days old, then ten more: what is before 20 has gone."""
    folder = tmp_path_factory.mktemp("delta") / "cleaned"
    subprocess.run([writer(), folder, str(VERSIONS), str(EVERY)], check=True)
    old = time.time() - 40 * DAY_S
    for path in (folder / "_delta_log").iterdir():
        if path.name[:20].isdigit() and int(path.name[:20]) < VERSIONS:
            os.utime(path, (old, old))
    subprocess.run([writer(), folder, str(MORE_VERSIONS), str(EVERY)], check=True)
    return folder


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("version", [None, 23, 20, 14, 10, 3])
def test_rows_are_equal_after_checkpoints(tended: Path, read: Any, version: int | None) -> None:
    assert log_file(tended, 20, ".checkpoint.parquet").exists()
    assert read(tended, version) == expected(VERSIONS if version is None else version)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("version", [None, 31, 30, 27, 20])
def test_rows_are_equal_after_clean_up(cleaned: Path, read: Any, version: int | None) -> None:
    newest = VERSIONS + MORE_VERSIONS
    assert read(cleaned, version) == expected(newest if version is None else version)


def test_what_was_cleaned_up(cleaned: Path) -> None:
    for version in range(20):
        assert not list((cleaned / "_delta_log").glob(f"{version:020}.*")), version
    for version in range(20, VERSIONS + MORE_VERSIONS + 1):
        assert log_file(cleaned, version, ".json").exists()
    hint = json.loads((cleaned / "_delta_log" / "_last_checkpoint").read_text())
    assert hint["version"] == 30
    assert hint["numOfAddFiles"] == 30


def test_checksum_files_count_what_is_there(cleaned: Path) -> None:
    newest = VERSIONS + MORE_VERSIONS
    checksum = json.loads(log_file(cleaned, newest, ".crc").read_text())
    files = list(cleaned.glob("*.parquet"))
    assert checksum["numFiles"] == len(files) == newest
    assert checksum["tableSizeBytes"] == sum(path.stat().st_size for path in files)
    assert checksum["setTransactions"][0]["version"] == newest


def test_delta_rs_goes_on_from_our_checkpoint_and_we_from_its(tended: Path) -> None:
    """Another writer appends after our checkpoint and makes one of its own; we append after that,
    and all that each of us wrote is there."""
    import pyarrow as pa
    from deltalake import DeltaTable, write_deltalake

    opened = DeltaTable(str(tended))
    assert opened.transaction_version("headrace/sample/s") == VERSIONS
    first = opened.to_pyarrow_dataset().to_table(columns=list(ALL_COLUMNS)).slice(0, 1)
    theirs = first.set_column(
        first.schema.get_field_index("id"), first.schema.field("id"), pa.array([-1], pa.int64())
    )
    write_deltalake(str(tended), theirs, mode="append")
    DeltaTable(str(tended)).create_checkpoint()
    assert log_file(tended, VERSIONS + 1, ".checkpoint.parquet").exists()
    subprocess.run([writer(), tended, "2", str(EVERY)], check=True)
    for read in READERS:
        rows = read(tended, None)
        assert rows[0][0] == -1
        assert rows[1:] == expected(VERSIONS + 2)
