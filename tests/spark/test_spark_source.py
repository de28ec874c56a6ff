"""A table that Spark writes as the source of a stream: decimals, flattened structs, partitions,
deletion vectors and change data, over SIGKILLs; the stream's table has each live row once.
`./dev test --long interop` runs it."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

from spark_tables import session, sql, versions
from test_delta_sources import WITHIN_S, served, source_of, stop

from test_delta_readers import duckdb_with_delta

PIPELINE = """headrace: 1
pipeline: spark
promise: {budget: {p99: 300ms}}
clock: events
streams:
  shops:
    contract: shops.yaml
    source: {delta: lake/shops, every: 200ms, changes: new_rows}
    time: {event: valid_from, late: 3650d}
views:
  all: {from: shops, by: country, features: {n: count(*)}}
services: {scoring: {features: [all.*]}}
tables: {shops: {commit: 100ms}}
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
      - {name: shop, logicalType: integer, required: true}
      - {name: country, logicalType: string}
      - {name: valid_from, logicalType: timestamp, required: true}
      - {name: fee, logicalType: string}
      - {name: rate, logicalType: number}
      - {name: units, logicalType: integer}
      - name: place
        logicalType: object
        properties:
          - {name: city, logicalType: string}
          - {name: at, logicalType: object, properties: [{name: x, logicalType: number}]}
"""
SELECTED = "shop, country, epoch_us(valid_from), fee, rate, units, place_city, place_at_x"


def shops(first: int, count: int) -> str:
    return (
        f"SELECT CAST(id AS INT), concat('c ', id % 3), timestamp_seconds(1600000000 + id), "
        "CAST(id / 7 AS DECIMAL(12,4)), CAST(id / 3 AS DECIMAL(20,6)), CAST(id AS DECIMAL(18,0)), "
        "IF(id % 5 = 0, NULL, named_struct('city', concat('t', id), 'at', "
        "IF(id % 4 = 0, NULL, named_struct('x', id / 2D, 'unread', array(1))))) "
        f"FROM range({first}, {first + count})"
    )


def in_stream(folder: Path) -> Counter[tuple[Any, ...]]:
    with duckdb_with_delta() as connection:
        table = folder / "data/tables/shops"
        return Counter(
            connection.execute(f"SELECT {SELECTED} FROM delta_scan('{table}')").fetchall()
        )


def in_lake(lake: Path) -> Counter[tuple[Any, ...]]:
    """As Spark reads it: DuckDB has NULL for mapped columns of partitions."""
    columns = (
        "shop, country, unix_micros(valid_from), CAST(fee AS STRING), CAST(rate AS DOUBLE), "
        "CAST(units AS BIGINT), place.city, place.at.x"
    )
    rows = session().sql(f"SELECT {columns} FROM delta.`{lake}`").collect()
    return Counter(tuple(row) for row in rows)


def test_a_table_of_spark_over_kills(tmp_path: Path) -> None:
    draw = random.Random(6)
    lake = tmp_path / "lake/shops"
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    (tmp_path / "shops.yaml").write_text(CONTRACT)
    name = f"delta.`{lake}`"
    sql(
        f"CREATE TABLE {name} (shop INT, country STRING, valid_from TIMESTAMP, fee DECIMAL(12,4), "
        "rate DECIMAL(20,6), units DECIMAL(18,0), place STRUCT<city: STRING, "
        "at: STRUCT<x: DOUBLE, unread: ARRAY<INT>>>) USING delta PARTITIONED BY (country) "
        "TBLPROPERTIES ('delta.enableDeletionVectors'='true', 'delta.enableChangeDataFeed'='true', "
        "'delta.columnMapping.mode'='name', 'delta.checkpointPolicy'='v2', "
        "'delta.checkpointInterval'='5')",
        f"INSERT INTO {name} {shops(0, 20000)}",
    )
    wanted = in_lake(lake)
    statements = [
        f"INSERT INTO {name} {shops(20000, 700)}",
        f"UPDATE {name} SET fee = 1.5 WHERE shop % 100 = 7",
        f"OPTIMIZE {name}",
        f"DELETE FROM {name} WHERE shop % 50 = 3",
        f"INSERT INTO {name} {shops(30000, 300)}",
    ]
    for statement in statements:
        with served(tmp_path) as engine:
            time.sleep(draw.random() * 0.5)
            before = in_lake(lake)
            sql(statement)
            wanted += in_lake(lake) - before
            time.sleep(draw.random() * 0.3)
            assert engine.alive()
    with served(tmp_path) as engine:
        deadline = time.monotonic() + WITHIN_S
        while (source := source_of(engine)).get("version", -1) < versions(lake)[-1]:
            assert source["state"] != "stopped" and time.monotonic() < deadline, json.dumps(source)
            time.sleep(0.05)
        assert source["lag_versions"] == 0 and source["lag_rows"] == 0, json.dumps(source)
        assert source["refused"] == 0
        deadline = time.monotonic() + WITHIN_S
        while engine.status()["tables"][0]["pending_rows"] > 0:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        stop(engine)
    assert in_stream(tmp_path) == wanted
