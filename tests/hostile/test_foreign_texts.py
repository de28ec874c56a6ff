"""Texts of other writers and of folders that are no UTF-8: the engine shows them, and goes on."""

from __future__ import annotations

import os
import time
from pathlib import Path

from engine_process import EngineProcess
from test_delta_reading import field, metadata, protocol, put_commit

WITHIN_S = 60.0
LATIN = b"caf\xe9"  # of ISO 8859-1
SHOWN = "caf\ufffd"

PIPELINE = """headrace: 1
pipeline: shops
streams:
  shops:
    contract: shops.yaml
    source: {delta: lake/shops, every: 200ms}
    time: {event: at, late: 1h}
views:
  shop: {from: shops, by: id, over: 1h, features: {n: count(*)}}
tables: {shops: {commit: 200ms}}
"""
CONTRACT = """apiVersion: v3.1.0
kind: DataContract
id: shops
version: 1.0.0
status: active
schema:
  - name: shops
    logicalType: object
    properties:
      - {name: id, logicalType: integer, required: true}
      - {name: at, logicalType: timestamp, required: true}
"""


def write(folder: Path, path: str) -> None:
    """A pipeline, and its source's table, whose only data file has `path` in the log."""
    (folder / "pipeline.yaml").write_text(PIPELINE)
    (folder / "shops.yaml").write_text(CONTRACT)
    add = {"path": path, "partitionValues": {}, "size": 1, "modificationTime": 0}
    put_commit(
        folder / "lake/shops",
        0,
        protocol(),
        metadata([field("id", "long"), field("at", "timestamp")]),
        {"add": add | {"dataChange": True}},
    )


def stopped_because(engine: EngineProcess) -> str:
    deadline = time.monotonic() + WITHIN_S
    while (source := engine.status()["sources"][0])["state"] != "stopped":
        assert time.monotonic() < deadline, source
        time.sleep(0.05)
    return str(source["reason"])


def test_a_path_of_another_writer_that_is_not_utf8(tmp_path: Path) -> None:
    write(tmp_path, "caf%E9.parquet")
    engine = EngineProcess(tmp_path, tmp_path / "data")
    try:
        assert engine.wait_ready(), engine.printed()
        assert f"{SHOWN}.parquet" in stopped_because(engine)
        assert engine.stop() == 0
    finally:
        engine.kill()


def test_a_folder_that_is_not_utf8(tmp_path: Path) -> None:
    write(tmp_path, "a.parquet")
    engine = EngineProcess(tmp_path, tmp_path / os.fsdecode(LATIN))
    try:
        assert engine.wait_ready(), engine.printed()
        assert SHOWN in engine.status()["tables"][0]["folder"]
        assert engine.stop() == 0
    finally:
        engine.kill()


def test_a_path_of_another_writer_writes_no_log_line(tmp_path: Path) -> None:
    forged = "2026-01-01T00:00:00.000Z error log.lost rows=12"
    write(tmp_path, f"a%22%0A{forged}.parquet")
    engine = EngineProcess(tmp_path, tmp_path / "data")
    try:
        assert engine.wait_ready(), engine.printed()
        stopped_because(engine)
        assert forged in engine.printed()
        assert not [line for line in engine.printed().splitlines() if line.startswith(forged)]
        assert engine.stop() == 0
    finally:
        engine.kill()
