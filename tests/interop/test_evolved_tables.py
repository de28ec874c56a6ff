"""A table whose stream got other fields while the engine ran: three other engines read the files of
before and after as one table, and the versions of before as they were.

HEADRACE names the binary; without it the one of ./dev build is taken.
"""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder
from test_optimize import PIPELINE, Published, Row, plain, running

from engine_under_load import CONTRACT, run
from test_delta_readers import duckdb_with_delta

BEFORE = ("key", "at", "amount", "note")
# Another order, fields at other places, one of a type that needs a table feature; `key` may be
# missing.
AFTER = ("channel", "at", "key", "pieces", "local", "note", "amount")
FIELDS = {
    "key": "{name: key, logicalType: string}",
    "at": "{name: at, logicalType: timestamp, required: true}",
    "amount": "{name: amount, logicalType: number, physicalType: double}",
    "note": "{name: note, logicalType: string}",
    "channel": "{name: channel, logicalType: string}",
    "pieces": "{name: pieces, logicalType: integer, physicalType: int32}",
    "local": "{name: local, logicalType: timestamp, logicalTypeOptions: {timezone: false}}",
}
POSITION = ("_epoch", "_row")
PARTS = 55  # so that a checkpoint, every 100 versions, has the columns of after


def rows_of(table: Path, names: tuple[str, ...], version: int | None = None) -> Counter[Row]:
    """What all three readers say of these columns."""
    columns = (*names, *POSITION)
    selected = ", ".join(f'"{name}"' for name in columns)
    at = "" if version is None else f", version={version}"
    with duckdb_with_delta() as connection:
        query = f"SELECT {selected} FROM delta_scan('{table}'{at})"
        duckdb = connection.execute(query).to_arrow_table()
    builder = QueryBuilder().register("t", DeltaTable(str(table), version=version))
    delta_rs = pa.table(builder.execute(f"SELECT {selected} FROM t").read_all())
    import polars

    scan = polars.scan_delta(str(table), version=version).select(columns)
    said = [
        Counter(in_microseconds(each)) for each in (duckdb, delta_rs, scan.collect().to_arrow())
    ]
    assert said[0] == said[1] == said[2]
    return said[0]


def in_microseconds(table: pa.Table) -> list[Row]:
    """Times without a zone, too, as numbers."""
    columns = []
    for column in table.columns:
        if pa.types.is_timestamp(column.type) and column.type.tz is None:
            column = column.cast(pa.timestamp("us")).cast(pa.int64())
        columns.append(column)
    return plain(pa.table(columns, names=table.column_names))


class Evolving(Published):
    """Sends rows of the schema of before, or of after."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.rows: list[dict[str, Any]] = []
        (folder / "after.yaml").write_text(PIPELINE.replace("events.yaml", "events_after.yaml"))
        head = CONTRACT[: CONTRACT.index("      - {name: key")]
        text = head + "".join(f"      - {FIELDS[name]}\n" for name in AFTER)
        (folder / "events_after.yaml").write_text(text)

    def send_rows(self, evolved: bool, parts: int = 1) -> None:
        for _ in range(parts):
            rows: list[dict[str, Any]] = []
            for _ in range(20):
                number = self.sent
                self.sent += 1
                at = f"2026-01-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z"
                row: dict[str, Any] = {"at": at}
                if not evolved or number % 7:
                    row["key"] = f"k{number % 5}"
                if number % 3:
                    row["amount"] = number / 4
                if evolved and number % 2:
                    row |= {"channel": f"c{number % 4}", "pieces": number, "local": at[:-1]}
                rows.append(row)
            status, text = self.engine.post("\n".join(json.dumps(row) for row in rows))
            assert status == 200 and json.loads(text)["accepted"] == len(rows), text
            self.rows += rows
            self.settle()

    def apply(self, file: str, *options: str) -> Any:
        return self.ask("apply", str(self.engine.folder / file), *options)

    def expected(self, names: tuple[str, ...]) -> Counter[Row]:
        def value(row: dict[str, Any], name: str) -> Any:
            if name in ("at", "local"):
                text = row.get(name)
                return None if text is None else microseconds(text)
            return row.get(name)

        return Counter(tuple(value(row, name) for name in names) for row in self.rows)


def microseconds(text: str) -> int:
    hours, minutes, seconds = (int(part) for part in text[11:19].split(":"))
    return 1_767_225_600_000_000 + (hours * 3600 + minutes * 60 + seconds) * 1_000_000


def without_position(rows: Counter[Row]) -> Counter[Row]:
    left: Counter[Row] = Counter()
    for row, count in rows.items():
        left[row[: -len(POSITION)]] += count
    return left


@pytest.fixture
def evolving(tmp_path: Path) -> Iterator[Evolving]:
    with running(Evolving, tmp_path) as engine:
        yield engine


def test_files_of_two_schemas_are_one_table(evolving: Evolving) -> None:
    evolving.send_rows(evolved=False, parts=PARTS)
    version = evolving.version()
    before = rows_of(evolving.table, BEFORE)
    assert without_position(before) == evolving.expected(BEFORE)

    applied = evolving.apply("after.yaml")
    assert applied.returncode == 0, applied.stderr
    assert evolving.version() == version, "nothing needs the new columns yet"
    evolving.send_rows(evolved=True, parts=PARTS)
    names = [field.name for field in DeltaTable(str(evolving.table)).schema().fields]
    assert names == [*AFTER, "_epoch", "_row", "_known_at"]
    first = evolving.actions(version + 1)
    assert sum("metaData" in action for action in first) == 1
    assert [action["txn"] for action in first if "txn" in action], "in the same version as rows"
    assert any("timestampNtz" in str(action) for action in first if "protocol" in action)
    after = rows_of(evolving.table, AFTER)
    assert without_position(after) == evolving.expected(AFTER)

    # Who sends the old schema goes on, and who reads an old version sees it as it was.
    evolving.send_rows(evolved=False)
    assert without_position(rows_of(evolving.table, AFTER)) == evolving.expected(AFTER)
    assert rows_of(evolving.table, BEFORE, version) == before

    # Files of both schemas in one.
    rows = rows_of(evolving.table, AFTER)
    packed = evolving.done("optimize", "events")
    assert packed["done"]["files_taken"] == 2 * PARTS + 1
    assert rows_of(evolving.table, AFTER) == rows
    evolving.send_rows(evolved=True)
    assert without_position(rows_of(evolving.table, AFTER)) == evolving.expected(AFTER)

    # Our own reader: every answer again, from the table and the log after it; the start is given
    # the file of before the change.
    evolving.engine.stop(signal.SIGKILL)
    evolving.engine.start()
    evolving.engine.wait_ready()
    evolving.send_rows(evolved=True)
    assert without_position(rows_of(evolving.table, AFTER)) == evolving.expected(AFTER)
    for number in range(5):
        evolving.done("get", "--service", "everything", f"key=k{number}")
    assert evolving.engine.stop() == 0
    words = ("--data", str(evolving.engine.folder / "data"), "--answers", str(evolving.answers))
    verified = run("verify", *words, "--json")
    assert verified.returncode == 0, verified.stderr + verified.stdout
    report = json.loads(verified.stdout.splitlines()[-1])
    assert (report["checked"], report["mismatches"]) == (5, 0)
    assert report["rows_from_table"] == evolving.sent


def test_what_cannot_follow_is_refused_by_the_command(evolving: Evolving) -> None:
    evolving.send_rows(evolved=False)
    folder = evolving.engine.folder
    text = (folder / "events.yaml").read_text()
    wrong = {
        "gone": (text.replace("      - {name: note, logicalType: string}\n", ""), "`note` is gone"),
        "other": (text.replace("note, logicalType: string", "note, logicalType: integer"), "int64"),
        "needed": (
            text.replace(
                "{name: note, logicalType: string}",
                "{name: note, logicalType: string, required: true}",
            ),
            "leave it optional",
        ),
        "wider": (text.replace("physicalType: double", "physicalType: float32"), "amount"),
    }
    for name, (contract, why) in wrong.items():
        (folder / f"{name}.contract.yaml").write_text(contract)
        pipeline = PIPELINE.replace("events.yaml", f"{name}.contract.yaml")
        (folder / f"{name}.yaml").write_text(pipeline)
        shown = evolving.ask("diff", str(folder / f"{name}.yaml"))
        assert shown.returncode == 6, shown
        refused = evolving.apply(f"{name}.yaml")
        assert refused.returncode == 6, refused
        assert why in refused.stderr + refused.stdout, refused
    evolving.send_rows(evolved=False)
    assert without_position(rows_of(evolving.table, BEFORE)) == evolving.expected(BEFORE)
