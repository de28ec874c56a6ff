"""Drivers and their trips: the same features in Headrace and in a repository of Feast.

`driver_stats` remembers the newest values of a stream, as a view of Feast does that was pushed to;
`city` is computed of many events, under a key of two columns.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

os.environ.setdefault("FEAST_USAGE", "False")

import uvicorn
from engine_process import EngineProcess, serving_files
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, PushSource
from feast import types as feast_types
from feast.feature_server import get_app
from feast.value_type import ValueType

PIPELINE = """\
headrace: 1
pipeline: drivers
promise: {budget: {p99: 200ms}}
streams:
  drivers:
    contract: drivers.yaml
    source: {http: push}
    time: {event: seen_at, late: 30d}
  trips:
    contract: trips.yaml
    source: {http: push}
    time: {event: at, late: 1h}
views:
  driver_stats:
    from: drivers
    by: driver_id
    ttl: 1d
    features:
      rate: last(rate)
      rate32: last(rate32)
      trips: last(trips)
      trips32: last(trips32)
      name: last(name)
      active: last(active)
      photo: last(photo)
      hired: last(hired)
      born: last(born)
      wakes: last(wakes)
  aged: {from: drivers, by: driver_id, features: {rate_then: last(rate), age: time_since_last(*)}}
  city:
    from: trips
    by: [driver_id, city]
    over: [1h, 1d]
    features: {n: count(*), spend: sum(fare), mean: avg(fare), fares: "last_n(fare, 3)"}
  rider: {from: trips, by: city, over: [1d], features: {n: count(*)}}
inputs: {distance: float64}
on_request: {fare_now: driver_stats.rate * distance}
services:
  scoring: {features: [driver_stats.*]}
  dispatch: {features: [driver_stats.rate, city.n_1h, city.fares_1d, rider.n_1d]}
  quote: {features: [fare_now]}
"""
DRIVERS = """\
apiVersion: v3.1.0
kind: DataContract
id: drivers
version: 1.0.0
status: active
schema:
  - name: drivers
    logicalType: object
    properties:
      - {name: driver_id, logicalType: integer, physicalType: int64, required: true}
      - {name: seen_at, logicalType: timestamp, required: true}
      - name: rate
        logicalType: number
        logicalTypeOptions: {minimum: 0, maximum: 1}
      - {name: rate32, logicalType: number, physicalType: float32}
      - {name: trips, logicalType: integer, physicalType: int64}
      - {name: trips32, logicalType: integer, physicalType: int32}
      - {name: name, logicalType: string}
      - {name: active, logicalType: boolean}
      - {name: photo, logicalType: string, physicalType: bytes}
      - {name: hired, logicalType: timestamp}
      - {name: born, logicalType: date}
      - {name: wakes, logicalType: timestamp, physicalType: timestamp_ntz}
"""
TRIPS = """\
apiVersion: v3.1.0
kind: DataContract
id: trips
version: 1.0.0
status: active
schema:
  - name: trips
    logicalType: object
    properties:
      - {name: driver_id, logicalType: integer, physicalType: int64, required: true}
      - {name: city, logicalType: string, required: true}
      - {name: at, logicalType: timestamp, required: true}
      - {name: fare, logicalType: number, required: true}
"""
# Feast's type of each feature of driver_stats; it has none for a date or a time without a zone.
TYPES = {
    "rate": feast_types.Float64,
    "rate32": feast_types.Float32,
    "trips": feast_types.Int64,
    "trips32": feast_types.Int32,
    "name": feast_types.String,
    "active": feast_types.Bool,
    "photo": feast_types.Bytes,
    "hired": feast_types.UnixTimestamp,
    "born": feast_types.String,
    "wakes": feast_types.String,
}
# Feast's client can't send bytes over HTTP.
WRITTEN = [name for name in TYPES if name != "photo"]


def now(ago: timedelta = timedelta(0)) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - ago


def iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def serving(folder: Path) -> AbstractContextManager[EngineProcess]:
    files = {"pipeline.yaml": PIPELINE, "drivers.yaml": DRIVERS, "trips.yaml": TRIPS}
    return serving_files(folder, files)


def send(engine: EngineProcess, stream: str, *rows: dict[str, Any]) -> int:
    """Events over our own verb, until a lookup sees them."""
    epoch = engine.send_events(stream, "\n".join(json.dumps(row) for row in rows))
    wait_for(engine, epoch)
    return epoch


def wait_for(engine: EngineProcess, epoch: int) -> None:
    body = {"features": ["rider:n_1d"], "entities": {"city": ["x"]}, "min_epoch": epoch}
    body["deadline_ms"] = 30_000
    status, text = engine.request("POST", "/get-online-features", json.dumps(body))
    assert status == 200, text


def repository(folder: Path, online_store: dict[str, Any]) -> FeatureStore:
    """A repository of Feast, applied, with the features of driver_stats and of city."""
    folder.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = {
        "project": "drivers",
        "provider": "local",
        "registry": str(folder / "registry.db"),
        "online_store": online_store,
        "entity_key_serialization_version": 3,
    }
    (folder / "feature_store.yaml").write_text(json.dumps(config))
    store = FeatureStore(str(folder))
    driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
    city = Entity(name="city", join_keys=["city"], value_type=ValueType.STRING)
    batch = FileSource(name="b", path=str(folder / "none.parquet"), timestamp_field="seen_at")
    pushed = PushSource(name="drivers", batch_source=batch)
    stats = FeatureView(
        name="driver_stats",
        entities=[driver],
        ttl=timedelta(days=1),
        schema=[Field(name="driver_id", dtype=feast_types.Int64)]
        + [Field(name=name, dtype=kind) for name, kind in TYPES.items()],
        source=pushed,
    )
    # What can be written through Feast's client; it has the name of the stream.
    events = FeatureView(
        name="trips",
        entities=[driver, city],
        schema=[
            Field(name="driver_id", dtype=feast_types.Int64),
            Field(name="city", dtype=feast_types.String),
            Field(name="fare", dtype=feast_types.Float64),
        ],
        source=PushSource(name="trips", batch_source=batch),
    )
    sums = FeatureView(
        name="city",
        entities=[driver, city],
        schema=[
            Field(name="driver_id", dtype=feast_types.Int64),
            Field(name="city", dtype=feast_types.String),
            Field(name="n_1h", dtype=feast_types.Int64),
            Field(name="spend_1h", dtype=feast_types.Float64),
            Field(name="mean_1h", dtype=feast_types.Float64),
            Field(name="fares_1d", dtype=feast_types.Array(feast_types.Float64)),
        ],
        source=batch,
    )
    services = [
        FeatureService(name="scoring", features=[stats]),
        FeatureService(name="dispatch", features=[stats[["rate"]], sums[["n_1h", "fares_1d"]]]),
    ]
    store.apply([driver, city, pushed, stats, events, sums, *services])
    return store


@contextmanager
def feasts_own_server(store: FeatureStore, port: int) -> Iterator[None]:
    config = uvicorn.Config(get_app(store), host="127.0.0.1", port=port, log_level="critical")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
