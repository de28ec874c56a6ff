"""A table whose columns got wider types while the engine ran, as it says that it may
(`type_widening: allowed`): DuckDB reads the files of before and after as one table, and the
versions of before as they were; so does Spark (tests/spark). delta-rs and Polars refuse it.

HEADRACE names the binary; without it the one of ./dev build is taken.
"""

from __future__ import annotations

import json
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from deltalake import DeltaTable, QueryBuilder
from test_optimize import PIPELINE, Published, Row, running

from engine_under_load import CONTRACT, run
from test_delta_readers import duckdb_with_delta

FIELDS = ("key", "amount", "pieces", "share")
NARROW = {"amount": ("number", "float32"), "pieces": ("integer", "int32")}
NARROW["share"] = ("integer", "int32")
WIDE = {"amount": ("number", "double"), "pieces": ("integer", "int64")}
WIDE["share"] = ("number", "double")
PARTS = 6
ROWS_OF_A_PART = 20
KEYS = 5


def contract(types: dict[str, tuple[str, str]]) -> str:
    head = CONTRACT[: CONTRACT.index("      - {name: amount")]
    return head + "".join(
        f"      - {{name: {name}, logicalType: {logical}, physicalType: {physical}}}\n"
        for name, (logical, physical) in types.items()
    )


def pipeline(contract_file: str) -> str:
    return (
        PIPELINE.replace("events.yaml", contract_file)
        .replace("sum(amount)", "sum(amount), pieces: sum(pieces), shares: sum(share)")
        .replace("commit: 50ms", "commit: 50ms, type_widening: allowed")
    )


class Widening(Published):
    """Sends rows of the narrow types, or of the wide ones."""

    def __init__(self, folder: Path) -> None:
        self.rows: Counter[Row] = Counter()
        super().__init__(folder)
        self.engine.stop(signal.SIGKILL)
        shutil.rmtree(folder / "data")
        (folder / "events.yaml").write_text(contract(NARROW))
        (folder / "events_wide.yaml").write_text(contract(WIDE))
        (folder / "pipeline.yaml").write_text(pipeline("events.yaml"))
        (folder / "wide.yaml").write_text(pipeline("events_wide.yaml"))
        self.engine.start()
        self.engine.wait_ready()

    def send_rows(self, wide: bool, parts: int = PARTS) -> None:
        for _ in range(parts):
            lines = []
            for _ in range(ROWS_OF_A_PART):
                number = self.sent
                self.sent += 1
                row: dict[str, Any] = {
                    "key": f"k{number % KEYS}",
                    "amount": number / 10,
                    "pieces": number << (33 if wide else 0),
                    "share": number / 8 if wide else number,
                }
                if number % 7 == 0:
                    del row["share"]
                at = f"2026-01-01T00:{number // 60:02}:{number % 60:02}Z"
                lines.append(json.dumps(row | {"at": at}))
                amount = row["amount"] if wide else float(np.float32(row["amount"]))
                share = row.get("share")
                self.rows[row["key"], amount, row["pieces"], share] += 1
            status, text = self.engine.post("\n".join(lines))
            assert status == 200 and json.loads(text)["accepted"] == len(lines), text
            self.settle()

    def read(self, version: int | None = None) -> Counter[Row]:
        at = "" if version is None else f", version={version}"
        with duckdb_with_delta() as connection:
            query = f"SELECT {', '.join(FIELDS)} FROM delta_scan('{self.table}'{at})"
            return Counter(connection.execute(query).fetchall())

    def scan(self) -> Counter[Row]:
        ticket = flight.Ticket(json.dumps({"scan": "events", "columns": list(FIELDS)}).encode())
        with flight.connect(f"grpc://127.0.0.1:{self.engine.flight}") as client:
            scanned = client.do_get(ticket).read_all()
        assert scanned.schema.field("pieces").type == pa.int64()
        columns = [scanned.column(name).to_pylist() for name in FIELDS]
        return Counter(zip(*columns, strict=True))

    def ask_for_all(self) -> int:
        for number in range(KEYS):
            self.done("get", "--service", "everything", f"key=k{number}")
        return KEYS


@pytest.fixture
def widening(tmp_path: Path) -> Iterator[Widening]:
    with running(Widening, tmp_path) as engine:
        yield engine


@pytest.mark.parametrize("optimized_first", [False, True])
def test_files_of_both_types_are_one_table(widening: Widening, optimized_first: bool) -> None:
    folder = widening.engine.folder
    widening.send_rows(wide=False)
    asked = widening.ask_for_all()
    version = widening.version()
    before = widening.read()
    assert before == widening.rows

    applied = widening.ask("apply", str(folder / "wide.yaml"), "--break-consumers")
    assert applied.returncode == 0, applied.stderr + applied.stdout
    asked += widening.ask_for_all()
    if optimized_first:  # files of the wider types come by a rewriting
        assert widening.done("optimize", "events")["done"]["files_taken"] == PARTS
        assert widening.read() == before
        assert widening.scan() == before
    widening.send_rows(wide=True)
    assert widening.read() == widening.rows
    assert widening.read(version) == before

    # As the protocol says it, in the version of the first such files.
    first = widening.actions(version + 1)
    protocol = next(action["protocol"] for action in first if "protocol" in action)
    assert "typeWidening" in protocol["readerFeatures"]
    assert "typeWidening" in protocol["writerFeatures"]
    metadata = next(action["metaData"] for action in first if "metaData" in action)
    assert metadata["configuration"]["delta.enableTypeWidening"] == "true"
    changes = {
        field["name"]: field["metadata"].get("delta.typeChanges")
        for field in json.loads(metadata["schemaString"])["fields"]
    }
    assert changes["pieces"] == [{"fromType": "integer", "toType": "long"}]
    assert changes["share"] == [{"fromType": "integer", "toType": "double"}]
    assert changes["amount"] == [{"fromType": "float", "toType": "double"}]
    assert changes["key"] is None

    # Files of both types in one, and a start.
    packed = widening.done("optimize", "events")
    assert packed["done"]["files_taken"] == PARTS + (1 if optimized_first else PARTS)
    assert widening.read() == widening.rows
    assert widening.read(version) == before
    widening.engine.stop(signal.SIGKILL)
    widening.engine.start()
    widening.engine.wait_ready()
    widening.send_rows(wide=True)
    assert widening.read() == widening.rows
    asked += widening.ask_for_all()

    # Table and log as one, by our own reader; every answer again, those of before the change, too.
    assert widening.scan() == widening.rows
    assert widening.engine.stop() == 0
    words = ("--data", str(folder / "data"), "--answers", str(widening.answers))
    verified = run("verify", *words, "--json")
    assert verified.returncode == 0, verified.stderr + verified.stdout
    report = json.loads(verified.stdout.splitlines()[-1])
    assert (report["checked"], report["mismatches"]) == (asked, 0)


def test_senders_of_the_narrow_types_go_on(widening: Widening) -> None:
    """Over a DoPut that was opened before the change, and over a new one."""
    rows = pa.table(
        {
            "key": ["k0"],
            "at": pa.array([1_767_225_600_000_000], pa.timestamp("us", "UTC")),
            "amount": pa.array([0.5], pa.float32()),
            "pieces": pa.array([7], pa.int32()),
            "share": pa.array([3], pa.int32()),
        }
    )
    path = flight.FlightDescriptor.for_path("events")
    with flight.connect(f"grpc://127.0.0.1:{widening.engine.flight}") as client:
        writer, reader = client.do_put(path, rows.schema)
        reader.read()
        writer.write_table(rows)
        reader.read()
        wide = widening.engine.folder / "wide.yaml"
        applied = widening.ask("apply", str(wide), "--break-consumers")
        assert applied.returncode == 0, applied.stderr + applied.stdout
        writer.write_table(rows)
        reader.read()
        writer.close()
        again, reader = client.do_put(path, rows.schema)
        reader.read()
        again.write_table(rows)
        reader.read()
        again.close()
    widening.settle()
    assert widening.read() == {("k0", 0.5, 7, 3): 3}


def test_the_readers_that_refuse_it(widening: Widening) -> None:
    """When these do not, docs/adr/0034 and the messages can be looked at again."""
    widening.send_rows(wide=False, parts=1)
    wide = widening.engine.folder / "wide.yaml"
    applied = widening.ask("apply", str(wide), "--break-consumers")
    assert applied.returncode == 0, applied.stderr + applied.stdout
    widening.send_rows(wide=True, parts=1)
    with pytest.raises(Exception, match="TypeWidening"):
        QueryBuilder().register("t", DeltaTable(str(widening.table)))
    import polars

    with pytest.raises(Exception, match="typeWidening"):
        polars.scan_delta(str(widening.table)).collect()


def test_a_table_that_may_not_is_left_alone(widening: Widening) -> None:
    widening.send_rows(wide=False, parts=1)
    folder = widening.engine.folder
    wide = (folder / "wide.yaml").read_text()
    (folder / "plain.yaml").write_text(wide.replace(", type_widening: allowed", ""))
    for command in ("diff", "apply"):
        refused = widening.ask(command, str(folder / "plain.yaml"))
        assert refused.returncode == 6, refused
        assert "type_widening: allowed" in refused.stdout + refused.stderr
    assert widening.engine.stop() == 0
    started = run("serve", str(folder / "plain.yaml"), "--data", str(folder / "data"))
    assert started.returncode != 0
    assert "type_widening: allowed" in started.stderr
