"""OPTIMIZE, vacuum and other writers on a table that an engine publishes: three other engines read
the same rows before and after, at the version before too, and the engine goes on.

HEADRACE names the binary; without it the one of ./dev build is taken.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder, write_deltalake

import engine_under_load
from engine_under_load import run
from test_delta_readers import duckdb_with_delta

Row = tuple[Any, ...]

PIPELINE = """headrace: 1
pipeline: optimize
promise: {budget: {p99: 300ms}}
clock: events
streams:
  events: {contract: events.yaml, source: {http: push}, time: {event: at, late: 1h}}
views:
  key: {from: events, by: key, over: [1h], features: {n: count(*), total: sum(amount)}}
services: {everything: {features: [key.*]}}
tables: {events: {commit: 50ms}}
"""
COLUMNS = ("key", "at", "amount", "note", "_epoch", "_row", "_known_at")
SELECTED = ", ".join(f'"{column}"' for column in COLUMNS)
PARTS = 24
ROWS_OF_A_PART = 500


def with_duckdb(table: Path, version: int | None) -> list[Row]:
    at = "" if version is None else f", version={version}"
    with duckdb_with_delta() as connection:
        query = f"SELECT {SELECTED} FROM delta_scan('{table}'{at})"
        return plain(connection.execute(query).to_arrow_table())


def with_delta_rs(table: Path, version: int | None) -> list[Row]:
    builder = QueryBuilder().register("t", DeltaTable(str(table), version=version))
    return plain(pa.table(builder.execute(f"SELECT {SELECTED} FROM t").read_all()))


def with_polars(table: Path, version: int | None) -> list[Row]:
    import polars

    scan = polars.scan_delta(str(table), version=version).select(COLUMNS)
    return plain(scan.collect().to_arrow())


READERS: list[Callable[[Path, int | None], list[Row]]] = [with_duckdb, with_delta_rs, with_polars]


def plain(table: pa.Table) -> list[Row]:
    """Rows, with times as numbers: readers differ in the zone they name."""
    columns = []
    for column in table.columns:
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        columns.append(column.to_pylist())
    return list(zip(*columns, strict=True))


def rows_of(table: Path, version: int | None = None) -> Counter[Row]:
    """What all three readers say."""
    said = [Counter(reader(table, version)) for reader in READERS]
    assert said[0] == said[1] == said[2]
    return said[0]


class Published:
    """An engine that publishes; `sent` rows are in its table after `settle`."""

    def __init__(self, folder: Path) -> None:
        self.answers = folder / "answers.ndjson"
        self.engine = engine_under_load.Engine(
            folder, engine_under_load.BUDGET_MIB, "--answers", str(self.answers)
        )
        (folder / "pipeline.yaml").write_text(PIPELINE)
        self.table = folder / "data" / "tables" / "events"
        self.sent = 0
        self.engine.start()
        self.engine.wait_ready()

    def send(self, parts: int = PARTS) -> None:
        """In parts, each of which becomes a version."""
        for _ in range(parts):
            lines = []
            for _ in range(ROWS_OF_A_PART):
                number = self.sent
                self.sent += 1
                at = f"2026-01-01T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}Z"
                row: dict[str, Any] = {"key": f"k{number * 7919 % 50}", "at": at}
                if number % 3:
                    row["amount"] = number / 4
                if number % 5:
                    row["note"] = hashlib.sha256(str(number).encode()).hexdigest()
                lines.append(json.dumps(row))
            status, text = self.engine.post("\n".join(lines))
            assert status == 200, text
            self.settle()

    def figures(self) -> dict[str, Any]:
        figures: dict[str, Any] = self.engine.status()["tables"][0]
        return figures

    def settle(self) -> None:
        deadline = time.monotonic() + engine_under_load.WITHIN_S
        while self.figures()["pending_rows"] > 0:
            assert time.monotonic() < deadline, self.figures()
            time.sleep(0.01)

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        return run(*words, "--http", f"127.0.0.1:{self.engine.http}", "--json")

    def done(self, *words: str) -> dict[str, Any]:
        answer = self.ask(*words)
        assert answer.returncode == 0, answer.stderr + answer.stdout
        document: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
        return document

    def version(self) -> int:
        return int(DeltaTable(str(self.table)).version())

    def files(self) -> int:
        return len(DeltaTable(str(self.table)).file_uris())

    def actions(self, version: int) -> list[dict[str, Any]]:
        text = (self.table / "_delta_log" / f"{version:020}.json").read_text()
        return [json.loads(line) for line in text.splitlines()]


P = TypeVar("P", bound=Published)


@contextlib.contextmanager
def running(kind: type[P], folder: Path) -> Iterator[P]:
    engine = kind(folder)
    try:
        yield engine
    finally:
        engine.engine.stop(signal.SIGKILL)


@pytest.fixture
def published(tmp_path: Path) -> Iterator[Published]:
    with running(Published, tmp_path) as engine:
        yield engine


def test_packing_and_z_order_change_no_row(published: Published) -> None:
    published.send()
    before = rows_of(published.table)
    assert sum(before.values()) == published.sent
    version, files = published.version(), published.files()
    assert files >= PARTS

    dry = published.done("optimize", "events", "--dry-run")
    assert dry["chosen"]["files"] == files
    assert published.version() == version

    packed = published.done("optimize", "events")
    assert packed["done"]["files_taken"] == files
    assert published.files() == packed["done"]["files_made"] < files
    assert rows_of(published.table) == before
    assert rows_of(published.table, version) == before
    actions = published.actions(published.version())
    told = [a.get("add", a.get("remove", {})).get("dataChange") for a in actions[2:]]
    assert len(told) == files + packed["done"]["files_made"]
    assert set(told) == {False}

    published.send(4)
    ordered = published.done("optimize", "events", "--z-order", "key,at", "--target-size", "64KiB")
    assert ordered["done"]["files_made"] > 1
    after = rows_of(published.table)
    assert sum(after.values()) == published.sent
    assert not before - after
    assert rows_of(published.table, version) == before

    # A selective scan reads few of the files: by their statistics, as every reader sees them.
    adds = [a["add"] for a in published.actions(published.version()) if "add" in a]
    stats = [json.loads(add["stats"]) for add in adds]
    fits = [s["minValues"]["key"] <= "k17" <= s["maxValues"]["key"] for s in stats]
    assert 0 < sum(fits) < len(fits)

    # Our own reader, which computes every answer again from the table and the log after it.
    for number in range(50):
        published.done("get", "--service", "everything", f"key=k{number}")
    assert published.engine.stop() == 0
    words = ("--data", str(published.engine.folder / "data"), "--answers", str(published.answers))
    verified = run("verify", *words, "--json")
    assert verified.returncode == 0, verified.stderr + verified.stdout
    report = json.loads(verified.stdout.splitlines()[-1])
    assert report["mismatches"] == 0
    assert report["checked"] == 50
    assert report["rows_from_table"] == published.sent


def test_what_no_reader_filters_on_is_refused(published: Published) -> None:
    published.send(2)
    refused = published.ask("optimize", "events", "--z-order", "note")
    assert refused.returncode != 0
    assert "no reader of events filters on `note`" in refused.stderr
    assert "view key: by" in refused.stderr
    auto = published.done("optimize", "events", "--z-order", "auto", "--dry-run")
    assert auto["chosen"]["files"] >= 2
    assert published.ask("optimize", "nothing").returncode != 0
    wrong = published.ask("optimize", "events", "--where", "day(at) = someday")
    assert "no column `someday`" in wrong.stderr and "^^^^^^^" in wrong.stderr


def test_vacuum_takes_only_what_nobody_needs(published: Published) -> None:
    published.send(12)
    published.done("optimize", "events")
    before = rows_of(published.table)
    kept = published.done("vacuum", "events")
    assert kept["files"] == 0
    assert kept["kept_young"] >= 12
    refused = published.ask("vacuum", "events", "--retain", "1us")
    assert refused.returncode != 0
    assert "--below-floor" in refused.stderr
    time.sleep(1.5)  # the slack for coarse file times
    words = ("vacuum", "events", "--retain", "1us", "--below-floor")
    listed = published.done(*words, "--dry-run")
    assert listed["files"] == kept["kept_young"] == len(listed["listed"])
    assert all((published.table / each["name"]).exists() for each in listed["listed"])
    gone = published.done(*words)
    assert gone["listed"] == listed["listed"]
    assert not any((published.table / each["name"]).exists() for each in gone["listed"])
    assert rows_of(published.table) == before
    published.send(2)
    assert sum(rows_of(published.table).values()) == published.sent


def test_a_foreign_compaction_loses_nothing(published: Published) -> None:
    published.send(12)
    before = rows_of(published.table)
    DeltaTable(str(published.table)).optimize.compact()
    assert rows_of(published.table) == before
    published.send(4)
    figures = published.figures()
    assert figures["state"] == "running", figures
    assert sum(rows_of(published.table).values()) == published.sent
    done = published.done("optimize", "events")
    assert done["left"]["of_other_writers"] >= 1
    assert done["done"]["files_taken"] >= 4
    assert sum(rows_of(published.table).values()) == published.sent
    # And the other way round: what we rewrote is compacted by them.
    DeltaTable(str(published.table)).optimize.z_order(["key"])
    published.send(2)
    assert sum(rows_of(published.table).values()) == published.sent
    assert not before - rows_of(published.table)


def test_a_foreign_append_stays_beside_ours(published: Published) -> None:
    published.send(6)
    ours = rows_of(published.table)
    table = DeltaTable(str(published.table))
    schema = pa.schema(table.schema().to_arrow())
    row = {"key": "theirs", "at": 0, "amount": 1.0, "note": "", "_epoch": 1, "_row": 0}
    theirs = pa.Table.from_pylist([{**row, "_known_at": 0}], schema=schema)
    write_deltalake(str(published.table), theirs, mode="append")
    published.send(6)
    published.done("optimize", "events")
    after = rows_of(published.table)
    assert sum(after.values()) == published.sent + 1
    assert not ours - after
    assert any(row[0] == "theirs" for row in after)


def test_a_foreign_property_is_heeded_and_a_foreign_column_is_refused(
    published: Published,
) -> None:
    published.send(4)
    table = DeltaTable(str(published.table))
    table.alter.set_table_properties({"delta.deletedFileRetentionDuration": "interval 30 days"})
    published.send(2)
    assert published.figures()["state"] == "running"
    refused = published.ask("vacuum", "events", "--retain", "8d")
    assert refused.returncode != 0
    assert "30d" in refused.stderr
    published.done("optimize", "events")
    before = rows_of(published.table)
    assert sum(before.values()) == published.sent

    from deltalake.schema import Field, PrimitiveType

    DeltaTable(str(published.table)).alter.add_columns([Field("extra", PrimitiveType("string"))])
    status, text = published.engine.post('{"key": "k1", "at": "2026-01-02T00:00:00Z"}')
    assert status == 200, text
    deadline = time.monotonic() + engine_under_load.WITHIN_S
    while published.figures()["state"] != "stopped":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "other columns than the stream" in published.figures()["reason"]
    assert rows_of(published.table) == before, "what was there is there"
    assert published.ask("optimize", "events").returncode != 0
