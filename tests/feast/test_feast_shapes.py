"""The same requests to Feast 0.67's own feature server and to ours under /feast: the same answers.

Features come in Feast's order, which differs from one process to the next, and in ours, that of the
request: so both are compared by name. Where pydantic also says which input it got, ours does not.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from drivers import TYPES, WRITTEN, feasts_own_server, iso, now, repository, send, serving
from servers import free_port

READ = "/get-online-features"
WRITE = "/write-to-online-store"
RATE = ["driver_stats:rate"]


@dataclass
class Pair:
    """The ports of both servers, with the same three drivers behind them."""

    feast: int
    ours: int

    def ask(self, path: str, body: Any) -> tuple[tuple[int, str, Any], tuple[int, str, Any]]:
        return post(self.feast, path, body), post(self.ours, "/feast" + path, body)


def post(port: int, path: str, body: Any) -> tuple[int, str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    text = body if isinstance(body, str) else json.dumps(body)
    connection.request("POST", path, text, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    told = answer.read().decode()
    connection.close()
    kind = answer.getheader("Content-Type") or ""
    return answer.status, kind, json.loads(told) if told else None


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("shapes")
    recent = iso(now(timedelta(minutes=5)))
    row = {
        "driver_id": 1,
        "rate": 0.5,
        "rate32": 0.1,
        "trips": 7,
        "trips32": 8,
        "name": 'Ada "A"',
        "active": True,
        "photo": "AAEC",
        "hired": "2020-01-02T03:04:05Z",
        "born": "1990-01-02",
        "wakes": "2020-01-02T06:30:00",
        "seen_at": recent,
    }
    rows = [
        row,
        row | {"driver_id": 2, "rate": None, "name": None, "active": False},
        row | {"driver_id": 3, "seen_at": iso(now(timedelta(days=3)))},
    ]
    with serving(folder) as engine:
        send(engine, "drivers", *rows)
        store = repository(folder / "own", {"type": "sqlite", "path": str(folder / "own.db")})
        frame = pd.DataFrame(rows)
        frame["photo"] = [b"\x00\x01\x02"] * len(rows)
        for name in ("seen_at", "hired"):
            frame[name] = pd.to_datetime(frame[name])
        store.write_to_online_store("driver_stats", frame)
        port = free_port()
        with feasts_own_server(store, port):
            yield Pair(port, engine.ports["http"])


def by_name(document: dict[str, Any]) -> dict[str, Any]:
    names = document["metadata"]["feature_names"]
    metadata = {k: v for k, v in document["metadata"].items() if k != "feature_names"}
    return {"metadata": metadata} | dict(zip(names, document["results"], strict=True))


@pytest.mark.parametrize(
    "body",
    [
        {"features": [f"driver_stats:{n}" for n in TYPES], "entities": {"driver_id": [3, 4, 1, 2]}},
        {"features": RATE, "entities": {"driver_id": [1]}, "full_feature_names": True},
        {"features": RATE, "entities": {"driver_id": [1]}, "full_feature_names": "yes"},
        {
            "features": RATE,
            "entities": {"driver_id": [1]},
            "include_feature_view_version_metadata": True,
        },
        {"feature_service": "scoring", "entities": {"driver_id": [1, 3]}},
        {"feature_service": "scoring", "features": ["nope:x"], "entities": {"driver_id": [1]}},
        {"features": ["driver_stats@latest:rate"], "entities": {"driver_id": [1]}},
        {"features": RATE, "entities": {"driver_id": ["1"]}},
        {"features": RATE, "entities": {"driver_id": [2.0, 1]}},
        {"features": RATE, "entities": {"driver_id": [1], "unknown": [2]}},
        {"features": RATE, "entities": {"driver_id": [1]}, "unknown": 2},
        {
            "features": ["driver_stats:rate", "city:n_1h"],
            "entities": {"driver_id": [9], "city": ["x"]},
        },
    ],
)
def test_answers(pair: Pair, body: dict[str, Any]) -> None:
    theirs, ours = pair.ask(READ, body)
    assert ours[:2] == theirs[:2] == (200, "application/json")
    assert by_name(ours[2]) == by_name(theirs[2])
    assert list(ours[2]) == ["results", "metadata", "headrace"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (READ, {"feature_service": "nope", "entities": {"driver_id": [1]}}),
        (READ, {"features": ["nope:rate"], "entities": {"driver_id": [1]}}),
        (READ, {"features": RATE + RATE, "entities": {"driver_id": [1]}}),
        ("/push", {"push_source_name": "nope", "df": {"driver_id": [1]}}),
        ("/push", {"push_source_name": "drivers", "df": {"driver_id": [1]}, "to": "moon"}),
        ("/push", {"push_source_name": "drivers", "df": {"driver_id": [1, 2], "rate": [0.5]}}),
        ("/push", {"push_source_name": "drivers", "df": {}}),
        (WRITE, {"feature_view_name": "nope", "df": {"driver_id": [1]}}),
    ],
)
def test_documents_of_its_own(pair: Pair, path: str, body: Any) -> None:
    """Equal to the letter, texts included."""
    theirs, ours = pair.ask(path, body)
    assert ours == theirs


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (READ, {"features": RATE}),
        (READ, {"features": RATE, "entities": [1]}),
        (READ, {"features": RATE, "entities": {"driver_id": 1}}),
        (READ, {"features": "driver_stats:rate", "entities": {"driver_id": [1]}}),
        (READ, {"features": [*RATE, 1], "entities": {"driver_id": [1]}}),
        (READ, {"features": RATE, "entities": {"driver_id": [1]}, "full_feature_names": "perhaps"}),
        (READ, {"features": RATE, "entities": {"driver_id": [1]}, "full_feature_names": []}),
        (READ, {"features": RATE, "entities": {"driver_id": [1]}, "feature_service": 3}),
        (READ, "[]"),
        (READ, ""),
        ("/push", {"push_source_name": "drivers"}),
        ("/push", {"df": {}}),
        ("/push", {"push_source_name": 1, "df": {}}),
        ("/push", {"push_source_name": "drivers", "df": 1}),
        ("/push", {"push_source_name": "drivers", "df": {}, "to": 1}),
        (WRITE, {"df": {}}),
        (WRITE, {"feature_view_name": "driver_stats"}),
    ],
)
def test_what_pydantic_refuses(pair: Pair, path: str, body: Any) -> None:
    theirs, ours = pair.ask(path, body)
    assert ours[:2] == theirs[:2] == (422, "application/json")
    for detail in theirs[2]["detail"]:
        detail.pop("input", None)
    assert ours[2] == theirs[2]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (READ, {"features": ["rate"], "entities": {"driver_id": [1]}}),
        (READ, {"features": ["driver_stats:nope"], "entities": {"driver_id": [1]}}),
        (READ, {"features": ["driver_stats@v2:rate"], "entities": {"driver_id": [1]}}),
        (READ, {"features": RATE, "entities": {"driver_id": ["x"]}}),
        (READ, {"features": RATE, "entities": {"city": ["x"]}}),
        (READ, {"features": RATE, "entities": {}}),
        (READ, {"features": [], "entities": {"driver_id": [1]}}),
        (
            READ,
            {"features": ["city:n_1h"], "entities": {"driver_id": [1, 1], "city": ["x"]}},
        ),
        ("/push", {"push_source_name": "drivers", "df": {"driver_id": [1]}}),
        ("/push", {"push_source_name": "drivers", "df": {"driver_id": 1}}),
        (WRITE, {"feature_view_name": "driver_stats", "df": {"driver_id": [1], "rate": [0.5]}}),
    ],
)
def test_what_its_code_fails_at(pair: Pair, path: str, body: Any) -> None:
    """A bare 500; ours has words of its own in it, and is a 422 outside /feast."""
    theirs, ours = pair.ask(path, body)
    assert ours[:2] == theirs[:2] == (500, "application/json")
    assert isinstance(ours[2], str) and isinstance(theirs[2], str)
    strict = post(pair.ours, path, body)
    assert strict[0] == 422 and strict[2]["detail"][0]["loc"][0] == "body"


def test_writes(pair: Pair) -> None:
    at = iso(now(timedelta(seconds=1)))
    values: dict[str, Any] = {
        "rate": [0.25],
        "rate32": [0.5],
        "trips": [1],
        "trips32": [2],
        "name": ["Bo"],
        "active": [False],
        "photo": [None],
        "hired": [1577934245],
        "born": ["1990-01-02"],
        "wakes": ["2020-01-02T06:30:00"],
    }
    frame = values | {"driver_id": [11], "seen_at": [at]}
    for path, name in (("/push", "push_source_name"), (WRITE, "feature_view_name")):
        target = "drivers" if path == "/push" else "driver_stats"
        theirs, ours = pair.ask(path, {name: target, "df": frame})
        assert ours == theirs and ours[0] == 200, path
    body = {"features": [f"driver_stats:{n}" for n in WRITTEN], "entities": {"driver_id": [11]}}
    for _ in range(1000):  # durable when answered, visible a moment later
        theirs, ours = pair.ask(READ, body)
        if by_name(ours[2]) == by_name(theirs[2]):
            break
    assert by_name(ours[2]) == by_name(theirs[2])
