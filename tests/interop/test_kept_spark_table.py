"""A table that Spark 4.0 with Delta 4.4 wrote (tests/spark/write_kept_table.py), kept with the rows
that Spark read of it: column mapping, deletion vectors, V2 checkpoints with sidecars, a log
compaction file, widened columns, decimals, structs, partitions, row tracking, change data, commit
times. We and two other readers read those rows."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from test_delta_reading import Row, by_delta_rs, by_duckdb, log_of, read

KEPT = Path(__file__).with_name("spark_table")
COLUMNS = "id,name,n,at,local,price,s_x,s_y_z,land,fee"
NEWEST = 11


def expected() -> dict[int, list[Row]]:
    rows: dict[int, list[Row]] = defaultdict(list)
    for line in (KEPT / "rows.ndjson").read_text().splitlines():
        version, row = json.loads(line)
        rows[version].append(tuple(row))
    return {version: sorted(of, key=repr) for version, of in rows.items()}


def plain(rows: list[Row]) -> list[Row]:
    """Times without the mark of their zone."""

    def text(value: Any) -> Any:
        return value.removesuffix("Z") if isinstance(value, str) else value

    return sorted((tuple(map(text, row)) for row in rows), key=repr)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    shutil.copytree(KEPT / "t", tmp_path / "t")
    return tmp_path / "t"


def test_the_rows_that_spark_read(table: Path) -> None:
    rows = expected()
    assert set(rows) == {6, 8, 9, NEWEST}
    for version, wanted in rows.items():
        assert plain(read(table, COLUMNS, f"version={version}")[0]) == wanted, version
    assert plain(read(table, COLUMNS)[0]) == rows[NEWEST]


def test_other_readers_of_today_agree(table: Path) -> None:
    ids = sorted((row[0],) for row in expected()[NEWEST])
    assert sorted(by_duckdb(table, "SELECT id FROM t")) == ids
    with pytest.raises(Exception, match=r"(?i)widening|feature"):
        by_delta_rs(table, "SELECT id FROM t")


@pytest.mark.parametrize(
    "gone",
    [
        pytest.param(range(5), id="a V2 checkpoint and what came after it"),
        pytest.param([*range(6), 6, 7, 8], id="the log compaction file stands for its commits"),
    ],
)
def test_a_log_of_which_less_is_left(table: Path, gone: list[int]) -> None:
    rows = expected()
    newest_checkpoint = next((table / "_delta_log").glob(f"{10:020}.checkpoint.*"))
    newest_checkpoint.unlink()
    for version in gone:
        log_of(table, version).unlink()
    for version in (9, NEWEST):
        assert plain(read(table, COLUMNS, f"version={version}")[0]) == rows[version]


def test_a_sidecar_is_gone(table: Path) -> None:
    """The checkpoint is passed over for the one before it."""
    wanted = expected()[NEWEST]
    for path in (table / "_delta_log/_sidecars").glob(f"{10:020}.*"):
        path.unlink()
    assert plain(read(table, COLUMNS)[0]) == wanted
