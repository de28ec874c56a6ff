"""Feast 0.67's own `remote` online store, unmodified, against the real binary."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests
from drivers import WRITTEN, iso, now, repository, send, serving
from engine_process import EngineProcess
from feast import FeatureStore
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.remote import RemoteOnlineStore
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    with serving(tmp_path_factory.mktemp("feast")) as process:
        yield process


def remote(engine: EngineProcess, folder: Path, prefix: str = "") -> FeatureStore:
    path = f"http://127.0.0.1:{engine.ports['http']}{prefix}"
    return repository(folder / f"remote{prefix}", {"type": "remote", "path": path})


@pytest.fixture(scope="module")
def store(engine: EngineProcess, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return remote(engine, tmp_path_factory.mktemp("repository"))


@pytest.fixture(scope="module")
def faithful(engine: EngineProcess, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return remote(engine, tmp_path_factory.mktemp("repository"), "/feast")


def driver(number: int, **given: Any) -> dict[str, Any]:
    row = {
        "driver_id": number,
        "rate": 0.5,
        "rate32": 0.1,
        "trips": 7,
        "trips32": -8,
        "name": "Zoë",
        "active": True,
        "photo": "AAEC",
        "hired": "2020-01-02T03:04:05Z",
        "born": "1990-01-02",
        "wakes": "2020-01-02T06:30:00",
        "seen_at": iso(now(timedelta(minutes=5))),
    }
    return row | given


def statuses(response: Any) -> dict[str, list[str]]:
    """Of each feature; the client's own dictionary leaves them out."""
    names = response.proto.metadata.feature_names.val
    return {
        name: [FieldStatus.Name(status) for status in result.statuses]
        for name, result in zip(names, response.proto.results, strict=True)
    }


def once(ask: Callable[[], dict[str, Any]], name: str, wanted: list[Any]) -> dict[str, Any]:
    """What is told when `name` is as wanted: a write is visible a moment after its answer."""
    for _ in range(2000):
        told = ask()
        if told[name] == wanted:
            break
    assert told[name] == wanted
    return told


def test_every_type_of_value(engine: EngineProcess, store: FeatureStore) -> None:
    send(engine, "drivers", driver(100))
    features = [
        f"driver_stats:{name}" for name in driver(0) if name not in ("driver_id", "seen_at")
    ]
    told = store.get_online_features(features, [{"driver_id": 100}])
    assert told.to_dict() == {
        "driver_id": [100],
        "rate": [0.5],
        "rate32": [0.10000000149011612],
        "trips": [7],
        "trips32": [-8],
        "name": ["Zoë"],
        "active": [True],
        "photo": ["AAEC"],
        "hired": ["2020-01-02T03:04:05Z"],
        "born": ["1990-01-02"],
        "wakes": ["2020-01-02T06:30:00"],
    }
    assert all(status == ["PRESENT"] for status in statuses(told).values())


def test_rows_keep_their_order_and_say_what_is_missing(
    engine: EngineProcess, store: FeatureStore, faithful: FeatureStore
) -> None:
    old = iso(now(timedelta(days=3)))
    send(
        engine,
        "drivers",
        driver(203, rate=0.25),
        driver(201, rate=None, name=None),
        driver(202, rate=0.75, seen_at=old),
    )
    asked = [{"driver_id": number} for number in (202, 299, 203, 201, 203)]
    features = ["driver_stats:rate", "driver_stats:trips"]
    strict = store.get_online_features(features, asked)
    assert strict.to_dict() == {
        "driver_id": [202, 299, 203, 201, 203],
        "rate": [None, None, 0.25, None, 0.25],
        "trips": [None, None, 7, 7, 7],
    }
    assert statuses(strict)["rate"] == [
        "OUTSIDE_MAX_AGE",
        "NOT_FOUND",
        "PRESENT",
        "NULL_VALUE",
        "PRESENT",
    ]
    lenient = faithful.get_online_features(features, asked)
    assert lenient.to_dict()["rate"] == [0.75, None, 0.25, None, 0.25]
    told = statuses(lenient)["rate"]
    assert told == ["PRESENT", "NOT_FOUND", "PRESENT", "PRESENT", "PRESENT"]


def test_services_names_and_keys_of_two_columns(engine: EngineProcess, store: FeatureStore) -> None:
    send(engine, "drivers", driver(300))
    at = iso(now(timedelta(seconds=5)))
    trips = [
        {"driver_id": 300, "city": "Ulm", "at": at, "fare": 4.5},
        {"driver_id": 300, "city": "Ulm", "at": at, "fare": 5.5},
        {"driver_id": 300, "city": "Bonn", "at": at, "fare": 1.0},
    ]
    send(engine, "trips", *trips)
    asked = {"driver_id": [300, 300, 301], "city": ["Ulm", "Bonn", "Ulm"]}
    service = store.get_feature_service("dispatch")
    told = store.get_online_features(service, asked)
    values = told.to_dict()
    assert values["rate"] == [0.5, 0.5, None]
    assert values["n_1h"] == [2, 1, None] and values["fares_1d"] == [[4.5, 5.5], [1.0], None]
    assert statuses(told)["n_1h"] == ["PRESENT", "PRESENT", "NOT_FOUND"]
    full = store.get_online_features(
        ["city:n_1h", "driver_stats:rate"],
        asked,
        full_feature_names=True,
        include_feature_view_version_metadata=True,
    )
    assert list(full.to_dict()) == ["driver_id", "city", "city__n_1h", "driver_stats__rate"]
    views = [view.name for view in full.proto.metadata.feature_view_metadata]
    assert views == ["city", "driver_stats"]
    latest = store.get_online_features(["driver_stats@latest:rate"], {"driver_id": [300]})
    assert latest.to_dict()["rate"] == [0.5]


def test_inputs_of_the_request(engine: EngineProcess, store: FeatureStore) -> None:
    send(engine, "drivers", driver(400, rate=0.5))
    told = store.get_online_features(["fare_now"], {"driver_id": [400], "distance": [3.0]})
    assert told.to_dict() == {"driver_id": [400], "fare_now": [1.5]}


def test_errors_are_those_that_the_client_knows(store: FeatureStore) -> None:
    from feast.errors import FeatureViewNotFoundException, RequestDataNotFoundInEntityRowsException

    with pytest.raises(FeatureViewNotFoundException, match="Feature view nope does not exist"):
        store.get_online_features(["nope:rate"], [{"driver_id": 1}])
    with pytest.raises(RequestDataNotFoundInEntityRowsException, match="distance"):
        store.get_online_features(["fare_now"], [{"driver_id": 1}])
    with pytest.raises(RuntimeError, match=r"422.*missing join key `driver_id`"):
        store.get_online_features(["driver_stats:rate"], [{"city": "Ulm"}])


def test_single_reads_of_the_store(
    engine: EngineProcess, store: FeatureStore, faithful: FeatureStore
) -> None:
    """Each value of the type that the client's view says. It takes times as seconds alone."""
    at = now(timedelta(minutes=1))
    send(engine, "drivers", driver(500, seen_at=iso(at)))
    keys = [
        EntityKey(join_keys=["driver_id"], entity_values=[Value(int64_val=number)])
        for number in (500, 501)
    ]
    view = store.get_feature_view("driver_stats")
    read = RemoteOnlineStore().online_read(store.config, view, keys, ["rate", "trips32"])
    (event_time, found), (_, missing) = read
    assert event_time == at and found is not None and missing is not None
    assert found["rate"].double_val == 0.5 and found["trips32"].int32_val == -8
    assert all(value.WhichOneof("val") is None for value in missing.values())
    (_, found), _ = RemoteOnlineStore().online_read(faithful.config, view, keys, ["hired"])
    assert found is not None and found["hired"].unix_timestamp_val == 1_577_934_245


def test_writing_to_a_view_that_remembers(engine: EngineProcess, store: FeatureStore) -> None:
    """Through the log: after a kill it is all still there."""
    at = iso(now(timedelta(seconds=2)))
    rows = [driver(600, rate=0.125, seen_at=at), driver(601, name="Bo", seen_at=at)]
    written = [{name: row[name] for name in (*WRITTEN, "driver_id", "seen_at")} for row in rows]
    view = store.get_feature_view("driver_stats")
    data = [
        (
            EntityKey(join_keys=["driver_id"], entity_values=[Value(int64_val=row["driver_id"])]),
            {
                "rate": Value(double_val=row["rate"]),
                "rate32": Value(float_val=row["rate32"]),
                "trips": Value(int64_val=row["trips"]),
                "trips32": Value(int32_val=row["trips32"]),
                "name": Value(string_val=row["name"]),
                "active": Value(bool_val=row["active"]),
                "photo": Value(),
                "hired": Value(unix_timestamp_val=1_577_934_245),
                "born": Value(string_val=row["born"]),
                "wakes": Value(string_val=row["wakes"]),
            },
            pd.Timestamp(row["seen_at"]).to_pydatetime(),
            None,
        )
        for row in written
    ]
    told: list[int] = []
    RemoteOnlineStore().online_write_batch(store.config, view, data, told.append)
    assert told == [2]
    features = [f"driver_stats:{name}" for name in ("rate", "name", "hired", "photo", "rate32")]
    asked = {"driver_id": [600, 601]}
    values = once(
        lambda: store.get_online_features(features, asked).to_dict(), "rate", [0.125, 0.5]
    )
    assert values["name"] == ["Zoë", "Bo"]
    assert values["hired"] == ["2020-01-02T03:04:05Z"] * 2
    assert values["rate32"] == [0.10000000149011612] * 2
    assert values["photo"] == [None, None]


def test_events_are_pushed_to_their_stream(engine: EngineProcess, store: FeatureStore) -> None:
    at = now(timedelta(seconds=3))
    trips = pd.DataFrame(
        {
            "driver_id": [700, 700],
            "city": ["Ulm", "Ulm"],
            "fare": [2.5, 3.5],
            "seen_at": pd.to_datetime([at, at]),
        }
    )
    store.push("trips", trips)
    asked = {"driver_id": [700], "city": ["Ulm"]}
    once(lambda: store.get_online_features(["city:spend_1h"], asked).to_dict(), "spend_1h", [6.0])
    with pytest.raises(
        RuntimeError, match=r"can't be set.*push the event itself to stream `trips`"
    ):
        store.write_to_online_store(
            "city",
            pd.DataFrame(
                {
                    "driver_id": [700],
                    "city": ["Ulm"],
                    "n_1h": [1],
                    "spend_1h": [1.0],
                    "mean_1h": [1.0],
                    "fares_1d": [[1.0]],
                    "seen_at": pd.to_datetime([at]),
                }
            ),
        )


def test_a_frame_goes_in_whole_or_not_at_all(engine: EngineProcess) -> None:
    df = {"driver_id": [801, 802], "rate": [0.5, 7.0], "seen_at": [iso(now()), iso(now())]}
    body = json.dumps({"push_source_name": "drivers", "df": df})
    status, text = engine.request("POST", "/push", body)
    assert status == 422
    (refused,) = json.loads(text)["detail"]
    assert refused["loc"] == ["body", "df", "rate", 1] and "7" in refused["msg"]
    key = {"Idempotency-Key": "once"}
    df = {"driver_id": [803], "city": ["Ulm"], "fare": [1.5], "at": [iso(now())]}
    body = json.dumps({"push_source_name": "trips", "df": df})
    for _ in range(2):
        assert engine.request("POST", "/push", body, key) == (200, "")
    asked = {
        "features": ["city:n_1h", "driver_stats:rate"],
        "entities": {"driver_id": [803, 801], "city": ["Ulm", "Ulm"]},
        "min_epoch": last_epoch(engine, body, key),
        "deadline_ms": 30_000,
    }
    document = json.loads(engine.request("POST", "/get-online-features", json.dumps(asked))[1])
    assert document["results"][2]["values"] == [1, None]
    assert document["results"][3]["statuses"] == ["NOT_FOUND", "NOT_FOUND"]


def last_epoch(engine: EngineProcess, body: str, headers: dict[str, str]) -> int:
    """Of a write that was made before."""
    url = f"http://127.0.0.1:{engine.ports['http']}/push"
    answer = requests.post(url, body, headers=headers, timeout=60)
    return int(answer.headers["Headrace-Epoch"])


def test_health(engine: EngineProcess) -> None:
    for prefix in ("", "/feast"):
        answer = requests.get(f"http://127.0.0.1:{engine.ports['http']}{prefix}/health", timeout=60)
        assert (answer.status_code, answer.content) == (200, b"")


def test_what_was_written_survives_a_kill(tmp_path: Path) -> None:
    with serving(tmp_path) as engine:
        body = {
            "push_source_name": "trips",
            "df": {"driver_id": [1], "city": ["Ulm"], "fare": [1.5], "at": [iso(now())]},
        }
        status, text = engine.request("POST", "/push", json.dumps(body))
        assert (status, text) == (200, "")
        engine.kill()
        again = EngineProcess(tmp_path, tmp_path / "data")
        assert again.wait_ready(), again.printed()
        asked = {"features": ["city:n_1h"], "entities": {"driver_id": [1], "city": ["Ulm"]}}
        answer = json.loads(again.request("POST", "/get-online-features", json.dumps(asked))[1])
        assert answer["results"][2]["values"] == [1]
        engine.process, engine.ports = again.process, again.ports


def test_entity_keys_are_told_apart_as_feast_does() -> None:
    """The bytes that reference keys of Feast have; a change of them would be a new Feast."""
    key = EntityKey(join_keys=["user_id"], entity_values=[Value(int64_val=1001)])
    told = serialize_entity_key(key, entity_key_serialization_version=3).hex()
    assert told == "010000000200000007000000757365725f69640400000008000000e903000000000000"
