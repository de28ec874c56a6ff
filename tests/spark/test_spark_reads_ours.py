"""Spark reads what we write, and writes beside us: full and earlier versions row for row as DuckDB
and delta-rs read them; what it appends, compacts and alters loses nothing. `./dev test --long
interop` runs it."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from spark_tables import session, sql
from test_evolved_tables import AFTER, PARTS, Evolving, microseconds
from test_optimize import Published, Row, rows_of, running
from test_widened_tables import FIELDS, Widening

import engine_under_load
from test_delta_readers import COLUMNS, ROWS_PER_VERSION, expected_row, writer


def load(table: Path, version: int | None = None) -> Any:
    reader = session().read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    return reader.load(str(table))


def by_spark(table: Path, version: int | None = None, *names: str) -> Counter[Row]:
    """Times as microseconds, as `rows_of` has them."""
    from pyspark.sql.functions import col, unix_micros

    frame = load(table, version)
    columns = []
    for name in names or ("key", "at", "amount", "note", "_epoch", "_row", "_known_at"):
        kind = frame.schema[name].dataType.typeName()
        column = col(f"`{name}`")
        if kind == "timestamp_ntz":
            column = column.cast("timestamp")
        columns.append(unix_micros(column) if kind.startswith("timestamp") else column)
    return Counter(tuple(row) for row in frame.select(*columns).collect())


@pytest.fixture
def published(tmp_path: Path) -> Iterator[Published]:
    with running(Published, tmp_path) as engine:
        yield engine


@pytest.fixture
def evolving(tmp_path: Path) -> Iterator[Evolving]:
    with running(Evolving, tmp_path) as engine:
        yield engine


@pytest.fixture
def widening(tmp_path: Path) -> Iterator[Widening]:
    with running(Widening, tmp_path) as engine:
        yield engine


def test_every_type_and_a_checkpoint(tmp_path: Path) -> None:
    """Also of a log that begins with our checkpoint."""
    table = tmp_path / "sample table"
    subprocess.run([writer(), table, "25", "10"], check=True)
    for version in (None, 12, 3):
        found = sorted(load(table, version).select(*COLUMNS).collect(), key=lambda row: row["id"])
        wanted = ROWS_PER_VERSION * (25 if version is None else version)
        assert len(found) == wanted
        for i in [*range(2000), *range(wanted - 500, wanted)]:
            assert tuple(map(in_utc, found[i])) == tuple(map(in_utc, expected_row(i))), f"row {i}"
    for version in range(20):
        (table / "_delta_log" / f"{version:020}.json").unlink()
    assert load(table).count() == 25 * ROWS_PER_VERSION
    assert load(table).where("c_int64 = 9223372036854775807").count() == 1
    history = session().sql(f"DESCRIBE HISTORY delta.`{table}`").collect()
    assert len(history) == 6, "versions 20 to 25"


def in_utc(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None)
    return bytes(value) if isinstance(value, bytearray) else value


def test_packed_ordered_and_vacuumed(published: Published) -> None:
    published.send(12)
    version = published.version()
    before = rows_of(published.table)
    assert by_spark(published.table) == before
    published.done("optimize", "events")
    assert by_spark(published.table) == before
    assert by_spark(published.table, version) == before
    published.send(3)
    published.done("optimize", "events", "--z-order", "key,at", "--target-size", "64KiB")
    after = rows_of(published.table)
    assert by_spark(published.table) == after and sum(after.values()) == published.sent
    assert by_spark(published.table, version) == before
    keyed = load(published.table).where("key = 'k17'").count()
    assert keyed == sum(count for row, count in after.items() if row[0] == "k17")
    time.sleep(1.5)  # the slack for coarse file times
    published.done("vacuum", "events", "--retain", "1us", "--below-floor")
    assert by_spark(published.table) == after


def test_a_schema_that_changed(evolving: Evolving) -> None:
    evolving.send_rows(evolved=False, parts=PARTS)
    version = evolving.version()
    before = by_spark(evolving.table, None, "key", "at", "amount", "note")
    applied = evolving.apply("after.yaml")
    assert applied.returncode == 0, applied.stderr
    evolving.send_rows(evolved=True, parts=PARTS)
    assert evolving.version() > 100, "a checkpoint has the columns of after"
    wanted = Counter(
        tuple(
            microseconds(row[name]) if name in ("at", "local") and name in row else row.get(name)
            for name in AFTER
        )
        for row in evolving.rows
    )
    assert by_spark(evolving.table, None, *AFTER) == wanted
    assert by_spark(evolving.table, version, "key", "at", "amount", "note") == before


def wait_for_state(published: Published, state: str) -> dict[str, Any]:
    deadline = time.monotonic() + engine_under_load.WITHIN_S
    while (figures := published.figures())["state"] != state:
        assert time.monotonic() < deadline, figures
        time.sleep(0.05)
    return figures


def test_spark_appends_and_compacts_beside_us(published: Published) -> None:
    published.send(8)
    ours = rows_of(published.table)
    name = f"delta.`{published.table}`"
    theirs = (
        "SELECT 'theirs' key, TIMESTAMP'2026-01-01 00:00:00' at, 1.5D amount, 'n' note, 1L _epoch, "
        "0 _row, TIMESTAMP'2026-01-01 00:00:00' _known_at"
    )
    sql(f"INSERT INTO {name} {theirs}")
    published.send(4)
    assert published.figures()["state"] == "running"
    after = rows_of(published.table)
    assert sum(after.values()) == published.sent + 1 and not ours - after
    assert by_spark(published.table) == after
    sql(f"OPTIMIZE {name}")
    assert rows_of(published.table) == after, "rows that only moved"
    published.send(4)
    sql(f"OPTIMIZE {name} ZORDER BY (key, at)")
    published.send(2)
    assert published.figures()["state"] == "running"
    done = published.done("optimize", "events")
    assert done["left"]["of_other_writers"] >= 1
    last = rows_of(published.table)
    assert sum(last.values()) == published.sent + 1 and not after - last
    assert by_spark(published.table) == last


def test_spark_changes_what_may_be_changed(published: Published) -> None:
    """Rows of an append-only table it refuses to change; a property is heeded; a column, or a
    feature that we don't have, stops the publisher, which says why. Nothing is lost."""
    from pyspark.errors import PySparkException

    published.send(3)
    name = f"delta.`{published.table}`"
    for statement in (f"DELETE FROM {name} WHERE key = 'k1'", f"UPDATE {name} SET note = 'x'"):
        with pytest.raises(PySparkException, match="append"):
            sql(statement)
    sql(
        f"ALTER TABLE {name} SET TBLPROPERTIES "
        "('delta.deletedFileRetentionDuration'='interval 30 days')"
    )
    published.send(2)
    assert published.figures()["state"] == "running"
    refused = published.ask("vacuum", "events", "--retain", "8d")
    assert refused.returncode != 0 and "30d" in refused.stderr
    before = rows_of(published.table)
    sql(f"ALTER TABLE {name} ADD COLUMN (extra STRING)")
    status, text = published.engine.post(json.dumps({"key": "k1", "at": "2026-01-02T00:00:00Z"}))
    assert status == 200, text
    assert "other columns than the stream" in wait_for_state(published, "stopped")["reason"]
    assert by_spark(published.table) == before == rows_of(published.table)


def test_a_feature_that_spark_switches_on_stops_us(published: Published) -> None:
    published.send(2)
    before = rows_of(published.table)
    name = f"delta.`{published.table}`"
    sql(f"ALTER TABLE {name} SET TBLPROPERTIES ('delta.enableRowTracking'='true')")
    status, text = published.engine.post(json.dumps({"key": "k1", "at": "2026-01-02T00:00:00Z"}))
    assert status == 200, text
    assert "writer feature" in wait_for_state(published, "stopped")["reason"]
    assert by_spark(published.table) == before


def test_a_table_whose_columns_were_widened(widening: Widening) -> None:
    widening.send_rows(wide=False)
    version = widening.version()
    before = widening.rows.copy()
    wide = widening.engine.folder / "wide.yaml"
    applied = widening.ask("apply", str(wide), "--break-consumers")
    assert applied.returncode == 0, applied.stderr + applied.stdout
    widening.send_rows(wide=True)
    assert by_spark(widening.table, None, *FIELDS) == widening.rows
    assert by_spark(widening.table, version, *FIELDS) == before

    # What it compacts and appends is read by us, and the engine goes on.
    sql(f"OPTIMIZE delta.`{widening.table}`")
    widening.send_rows(wide=True)
    assert by_spark(widening.table, None, *FIELDS) == widening.rows
    assert widening.read() == widening.rows
