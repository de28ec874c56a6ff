"""Tables that delta-rs writes, read into streams by the real binary over SIGKILLs; what the engine
holds afterwards is compared, row for row, with what delta-rs reads.

HEADRACE names the binary; without it the one of ./dev build is taken.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake
from engine_process import BINARY, EngineProcess
from test_delta_reading import add, bitmap, field, log_of, metadata, protocol, put_commit, z85

SEED = 30
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
WITHIN_S = 240.0  # for anything that must happen at all; nothing is judged by it

PIPELINE = """headrace: 1
pipeline: sources
promise: {{budget: {{p99: 300ms}}}}
clock: events
streams:
  shops:
    contract: shops.yaml
    source: {{delta: lake/shops, every: 200ms{changes}}}
    time: {{event: valid_from, late: 3650d}}
  payments: {{contract: payments.yaml, source: {{http: push}}, time: {{event: paid_at, late: 1h}}}}
  placed: {{from: payments asof left join shops using (shop)}}
views:
  country:
    from: placed
    by: shops.country
    over: [1h, 24h]
    features: {{n: count(*), spent: sum(amount)}}
services: {{scoring: {{features: [country.*]}}}}
tables: {{shops: {{commit: 200ms}}, payments: {{commit: 200ms}}, placed: {{commit: 200ms}}}}
"""
FIELDS = {
    "shops": ("shop: integer", "country: string", "valid_from: timestamp"),
    "payments": ("id: integer", "shop: integer", "amount: integer", "paid_at: timestamp"),
}


def contract(stream: str) -> str:
    properties = "".join(
        f"      - {{name: {name}, logicalType: {kind}, required: true}}\n"
        for name, kind in (field.split(": ") for field in FIELDS[stream])
    )
    return (
        f"apiVersion: v3.1.0\nkind: DataContract\nid: {stream}\nversion: 1.0.0\nstatus: active\n"
        f"schema:\n  - name: {stream}\n    logicalType: object\n    properties:\n{properties}"
    )


def write_files(folder: Path, changes: str = "") -> None:
    (folder / "pipeline.yaml").write_text(PIPELINE.format(changes=changes))
    for stream in FIELDS:
        (folder / f"{stream}.yaml").write_text(contract(stream))


@contextlib.contextmanager
def served(folder: Path, *options: str) -> Iterator[EngineProcess]:
    engine = EngineProcess(folder, folder / "data", options=options)
    try:
        assert engine.wait_ready(), engine.printed()
        yield engine
    finally:
        engine.kill()


def shops(first: int, count: int, at: int = 0) -> pa.Table:
    numbers = range(first, first + count)
    return pa.table(
        {
            "shop": pa.array(numbers, pa.int32()),  # the contract has a wider one
            "country": [["NL", "DE", "BE"][n % 3] for n in numbers],
            "valid_from": pa.array(
                [START + dt.timedelta(seconds=at + n) for n in numbers], pa.timestamp("us", "UTC")
            ),
            "nobody_asks": [f"x{n}" for n in numbers],
        }
    )


def in_stream(folder: Path) -> Counter[tuple[Any, ...]]:
    """The rows that the engine published of the stream."""
    table = DeltaTable(str(folder / "data/tables/shops")).to_pyarrow_table()
    return rows_of(table)


def rows_of(table: pa.Table) -> Counter[tuple[Any, ...]]:
    columns = [table[name].to_pylist() for name in ("shop", "country", "valid_from")]
    return Counter(zip(*columns, strict=True))


def source_of(engine: EngineProcess) -> dict[str, Any]:
    sources: list[dict[str, Any]] = engine.status()["sources"]
    return sources[0]


def wait_for(engine: EngineProcess, version: int) -> dict[str, Any]:
    deadline = time.monotonic() + WITHIN_S
    while True:
        source = source_of(engine)
        taken = source.get("version", -1) >= version and source["state"] != "reading"
        if source["state"] == "stopped" or taken:
            return source
        assert time.monotonic() < deadline, json.dumps(source)
        time.sleep(0.05)


def stop(engine: EngineProcess) -> None:
    assert engine.stop() == 0, engine.printed()


def test_a_table_of_delta_rs_over_kills(tmp_path: Path) -> None:
    """It grows, is compacted and gets a checkpoint, while the engine is killed again and again."""
    draw = random.Random(SEED)
    lake = str(tmp_path / "lake/shops")
    write_files(tmp_path)
    write_deltalake(lake, shops(0, 150_000), partition_by=["country"])
    next_shop = 150_000
    for life in range(8):
        with served(tmp_path) as engine:
            for _ in range(3):
                time.sleep(draw.random() * (0.2 if life < 4 else 0.6))
                if not engine.alive():
                    break
                count = draw.randrange(1, 2000)
                write_deltalake(lake, shops(next_shop, count), mode="append")
                next_shop += count
            if life == 4:
                DeltaTable(lake).optimize.compact()
            if life == 5:
                DeltaTable(lake).create_checkpoint()
    with served(tmp_path) as engine:
        source = wait_for(engine, DeltaTable(lake).version())
        assert source["state"] == "waiting", json.dumps(source)
        assert source["refused"] == 0
        stop(engine)
    assert in_stream(tmp_path) == rows_of(DeltaTable(lake).to_pyarrow_table())


def test_changes_of_delta_rs(tmp_path: Path) -> None:
    """Update, merge and delete by delta-rs: they stop the source, or bring their new rows."""
    lake = str(tmp_path / "lake/shops")
    write_files(tmp_path)
    write_deltalake(lake, shops(0, 3000))
    with served(tmp_path) as engine:
        wait_for(engine, 0)
        DeltaTable(lake).update(predicate="shop = 7", updates={"country": "'FR'"})
        source = wait_for(engine, 1)
        assert source["state"] == "stopped" and "version 1 (UPDATE)" in source["reason"]
        assert "changes: new_rows" in source["reason"]
        stop(engine)
    assert in_stream(tmp_path) == rows_of(shops(0, 3000))
    write_files(tmp_path, changes=", changes: new_rows")
    with served(tmp_path) as engine:
        news = shops(2998, 4, at=50)
        merge = DeltaTable(lake).merge(
            news, predicate="s.shop = t.shop", source_alias="s", target_alias="t"
        )
        merge.when_matched_update_all().when_not_matched_insert_all().execute()
        DeltaTable(lake).delete("shop = 100")
        source = wait_for(engine, 3)
        assert source["state"] != "stopped", source["reason"]
        assert source["rows_gone"] == 4  # one updated, two merged, one deleted
        stop(engine)
    updated = (7, "FR", START + dt.timedelta(seconds=7))
    wanted = rows_of(shops(0, 3000)) + Counter([updated]) + rows_of(news)
    assert in_stream(tmp_path) == wanted


def test_mapped_widened_partitioned_and_deleted(tmp_path: Path) -> None:
    """A table with features that delta-rs does not write: only its live rows come in."""
    table = tmp_path / "lake/shops"
    table.mkdir(parents=True)
    write_files(tmp_path, changes=", changes: new_rows")
    stored = shops(0, 1000).select(["shop", "valid_from"]).rename_columns(["col-s", "col-v"])
    pq.write_table(stored, table / "de.parquet")

    def mapped(name: str, kind: str, number: int, physical: str) -> dict[str, Any]:
        notes = {"delta.columnMapping.id": number, "delta.columnMapping.physicalName": physical}
        return field(name, kind, **notes)

    def without(*deleted: int) -> dict[str, Any]:
        data = bitmap(list(deleted))
        vector = {"storageType": "i", "pathOrInlineDv": z85(data), "sizeInBytes": len(data)}
        return {"deletionVector": vector | {"cardinality": len(deleted)}}

    fields = [
        mapped("shop", "long", 1, "col-s"),
        mapped("country", "string", 2, "col-c"),
        mapped("valid_from", "timestamp", 3, "col-v"),
    ]
    configuration = {"delta.columnMapping.mode": "name", "delta.columnMapping.maxColumnId": "3"}
    german = {"partitionValues": {"col-c": "DE"}}
    put_commit(
        table,
        0,
        protocol("columnMapping", "deletionVectors", "typeWidening"),
        metadata(fields, configuration, "country"),
        add(table, "de.parquet", 1000, **german, **without(0, 5, 999)),
    )
    with served(tmp_path) as engine:
        wait_for(engine, 0)
        remove = {"path": "de.parquet", "dataChange": True, "deletionTimestamp": 0}
        put_commit(
            table,
            1,
            {"remove": remove | without(0, 5, 999)},
            add(table, "de.parquet", 1000, **german, **without(0, 1, 5, 999)),
        )
        source = wait_for(engine, 1)
        assert source["state"] != "stopped", source["reason"]
        assert source["accepted"] == 997 and source["rows_gone"] == 1, json.dumps(source)
        stop(engine)
    wanted = [(n, "DE", START + dt.timedelta(seconds=n)) for n in range(1000)]
    assert in_stream(tmp_path) == Counter(row for row in wanted if row[0] not in (0, 5, 999))


PLACES = """apiVersion: v3.1.0
kind: DataContract
id: places
version: 1.0.0
status: active
schema:
  - name: places
    logicalType: object
    properties:
      - {name: id, logicalType: integer, required: true}
      - {name: at, logicalType: timestamp, required: true}
      - {name: fee, logicalType: string}
      - {name: rate, logicalType: number}
      - {name: units, logicalType: integer}
      - name: place
        logicalType: object
        properties:
          - {name: city, logicalType: string}
          - {name: spot, logicalType: object, properties: [{name: x, logicalType: number}]}
"""


def test_decimals_and_structs_become_what_the_contract_says(tmp_path: Path) -> None:
    """Beside a column of lists, which nobody asks for."""
    lake = tmp_path / "lake/places"
    (tmp_path / "places.yaml").write_text(PLACES)
    (tmp_path / "pipeline.yaml").write_text(
        "headrace: 1\npipeline: places\npromise: {budget: {p99: 300ms}}\nclock: events\n"
        "streams:\n  places:\n    contract: places.yaml\n"
        "    source: {delta: lake/places, every: 200ms}\n    time: {event: at, late: 3650d}\n"
        "views:\n  all: {from: places, by: id, features: {n: count(*)}}\n"
        "services: {scoring: {features: [all.*]}}\ntables: {places: {commit: 100ms}}\n"
    )
    numbers = range(1000)
    spot = pa.struct([("x", pa.float64()), ("unread", pa.list_(pa.int8()))])
    place = pa.struct([("city", pa.string()), ("spot", spot)])
    places: list[Any] = [
        {"city": f"c{n}", "spot": {"x": n / 2, "unread": [1]} if n % 3 else None} if n % 5 else None
        for n in numbers
    ]
    rows = pa.table(
        {
            "id": pa.array(numbers, pa.int64()),
            "at": pa.array(
                [START + dt.timedelta(seconds=n) for n in numbers], pa.timestamp("us", "UTC")
            ),
            "fee": pa.array([Decimal(n) / 8 for n in numbers], pa.decimal128(12, 4)),
            "rate": pa.array([Decimal(n) / 16 for n in numbers], pa.decimal128(20, 6)),
            "units": pa.array([Decimal(-n) for n in numbers], pa.decimal128(18, 0)),
            "place": pa.array(places, place),
            "lists": [[n] for n in numbers],
        }
    )
    write_deltalake(str(lake), rows)
    with served(tmp_path) as engine:
        source = wait_for(engine, 0)
        assert source["state"] == "waiting" and source["refused"] == 0, json.dumps(source)
        assert source["lag_versions"] == 0 and source["lag_rows"] == 0
        stop(engine)
    table = DeltaTable(str(tmp_path / "data/tables/places")).to_pyarrow_table()
    names = ("id", "fee", "rate", "units", "place_city", "place_spot_x")
    found = sorted(zip(*(table[name].to_pylist() for name in names), strict=True))
    assert len(found) == len(rows)
    for n, row in enumerate(found):
        inside = places[n] or {}
        x = (inside.get("spot") or {}).get("x")
        assert row == (n, f"{n / 8:.4f}", n / 16, -n, inside.get("city"), x)


def test_what_was_cleaned_away_is_not_passed_over(tmp_path: Path) -> None:
    lake = str(tmp_path / "lake/shops")
    write_files(tmp_path)
    write_deltalake(lake, shops(0, 10))
    with served(tmp_path) as engine:
        wait_for(engine, 0)
        stop(engine)
    for number in range(1, 4):
        write_deltalake(lake, shops(number * 10, 10), mode="append")
    DeltaTable(lake).create_checkpoint()
    for version in range(3):
        log_of(Path(lake), version).unlink()
    with served(tmp_path) as engine:
        source = wait_for(engine, 3)
        assert source["state"] == "stopped", json.dumps(source)
        assert "versions 1 to 2 were cleaned away" in source["reason"]
        stop(engine)
    assert in_stream(tmp_path) == rows_of(shops(0, 10))


def run(*words: str) -> dict[str, Any]:
    done = subprocess.run([str(BINARY), *words], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_a_dimension_enriches_as_the_batch_driver_does(tmp_path: Path) -> None:
    """Answers over events that are joined to the table's rows are recomputed by `verify`, after
    the foreign table is gone."""
    lake = tmp_path / "lake/shops"
    write_files(tmp_path, changes=", changes: new_rows")
    write_deltalake(str(lake), shops(0, 3000))
    answers = tmp_path / "answers.jsonl"
    draw = random.Random(SEED)
    payment = 0
    with served(tmp_path, "--answers", str(answers)) as engine:
        wait_for(engine, 0)
        for round_number in range(6):
            lines = []
            for _ in range(200):
                payment += 1
                at = START + dt.timedelta(seconds=4000 + payment)
                lines.append(
                    json.dumps(
                        {
                            "id": payment,
                            "shop": draw.randrange(3100),
                            "amount": draw.randrange(100),
                            "paid_at": at.isoformat().replace("+00:00", "Z"),
                        }
                    )
                )
            epoch = engine.send_events("payments", "\n".join(lines))
            for country in ("NL", "DE", "BE", "FR"):
                entities = {"shops.country": [country]}
                asked = json.dumps({"feature_service": "scoring", "entities": entities})
                path = f"/get-online-features?min_epoch={epoch}&deadline_ms=60000"
                status, text = engine.request("POST", path, asked)
                assert status == 200, text
            where = f"shop % 6 = {round_number}"
            DeltaTable(str(lake)).update(predicate=where, updates={"country": "'FR'"})
            source = wait_for(engine, round_number + 1)
            assert source["state"] != "stopped", source["reason"]
        stop(engine)
    lake.rename(tmp_path / "gone")
    words = ["--data", str(tmp_path / "data"), "--answers", str(answers)]
    told = run("verify", *words, "--json")
    assert told["mismatches"] == 0 and told["checked"] == 24, json.dumps(told)
    placed = DeltaTable(str(tmp_path / "data/tables/placed")).to_pyarrow_table()
    assert placed.num_rows == payment
    assert {"NL", "DE", "BE", "FR", None} == set(placed["shops.country"].to_pylist())
