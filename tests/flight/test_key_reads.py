"""Features by batches of keys over Flight, held against the same questions over HTTP."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight
import pytest
from engine_process import EngineProcess
from flight_client import Exchange, connect, exchanged, keys
from payments_engine import send, serving

SCORING = {"service": "scoring"}
CARDS = 40


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    with serving(tmp_path_factory.mktemp("flight")) as process:
        for card in range(CARDS):
            send(process, f"c{card}", f"shop-with-a-long-name-{card % 3}", card + 0.5)
        yield process


def over_http(engine: EngineProcess, rows: pa.RecordBatch, asked: dict[str, Any]) -> Any:
    body = asked | {"entities": rows.to_pydict()}
    status, text = engine.request("POST", "/get-online-features", json.dumps(body))
    assert status == 200, text
    return json.loads(text)


def test_answers_are_those_of_http(engine: EngineProcess) -> None:
    chosen = random.Random(7).choices(range(2 * CARDS), k=300)
    rows = keys(
        card=[f"c{card}" for card in chosen],
        shop=[f"shop-with-a-long-name-{card % 3}" for card in chosen],
    )
    told, about = exchanged(connect(engine), SCORING, rows)
    assert told.num_rows == rows.num_rows
    assert told.column("card").equals(rows.column("card"))
    asked = {"feature_service": "scoring", "as_of": about["as_of"]}
    expected = over_http(engine, rows, asked)
    names = expected["metadata"]["feature_names"]
    for name, column in zip(names, expected["results"], strict=True):
        assert told.column(name).to_pylist() == column["values"], name
        if name in ("card", "shop"):
            continue
        statuses = told.column(f"{name}__status")
        assert statuses.type == pa.dictionary(pa.int8(), pa.string())
        assert statuses.to_pylist() == column["statuses"], name
    assert told.schema.field("n_1h").type == pa.int64()
    assert told.schema.field("spend_1d").type == pa.float64()
    assert told.schema.field("big_1h").type == pa.bool_()
    assert told.schema.field("shops_1h").type == pa.list_(pa.string())
    assert about["epoch"] == expected["headrace"]["epoch"]
    assert set(about["lags_ms"]) == {"card", "place"}
    assert about["lag_ms"] == max(about["lags_ms"].values())
    assert about["definition"] == expected["headrace"]["definition"]


def test_many_batches_on_one_call(engine: EngineProcess) -> None:
    first = keys(card=["c0"])
    exchange = Exchange(connect(engine), {"features": ["card:n_1d"]}, first.schema)
    for size in (1, 4096, 0, 17):
        cards = [f"c{i % (CARDS + 1)}" for i in range(size)]
        told, about = exchange.ask(pa.RecordBatch.from_pydict({"card": cards}, first.schema))
        assert told.column("card").to_pylist() == cards
        expected = [None if card == f"c{CARDS}" else 1 for card in cards]
        assert told.column("n_1d").to_pylist() == expected
        assert about["epoch"] > 0
    exchange.close()


def test_answers_pass_a_client_that_sends_first(engine: EngineProcess) -> None:
    first = keys(card=["c0"])
    exchange = Exchange(connect(engine), {"features": ["card.*"]}, first.schema)
    for card in range(CARDS):
        exchange.send(keys(card=[f"c{card}"]))
    for card in range(CARDS):
        told, _ = exchange.take()
        assert told.column("card").to_pylist() == [f"c{card}"]
    exchange.close()


def test_its_own_write_is_read(engine: EngineProcess) -> None:
    rows = keys(card=["own"])
    exchange = Exchange(connect(engine), {"features": ["card:n_1d"]}, rows.schema)
    for count in range(1, 20):
        epoch = send(engine, "own", "s", 1)
        told, about = exchange.ask(rows, {"min_epoch": epoch, "deadline_ms": 30_000})
        assert told.column("n_1d").to_pylist() == [count]
        assert about["epoch"] >= epoch
    exchange.close()


def test_an_epoch_that_does_not_come_is_a_timeout(engine: EngineProcess) -> None:
    asked = {"min_epoch": 1 << 40, "deadline_ms": 30}
    with pytest.raises(flight.FlightTimedOutError, match="DeadlineExceeded"):
        exchanged(connect(engine), {"features": ["card:n_1d"]}, keys(card=["c0"]), asked)


def test_types_of_keys(engine: EngineProcess) -> None:
    client = connect(engine)
    command = {"features": ["card:n_1d"]}
    dictionary = pa.array(["c1", "none", "c1", None]).dictionary_encode()
    rows = pa.RecordBatch.from_arrays([dictionary], ["card"])
    told, _ = exchanged(client, command, rows)
    assert told.column("n_1d").to_pylist() == [1, None, 1, None]
    assert told.column("n_1d__status").to_pylist() == [
        "PRESENT",
        "NOT_FOUND",
        "PRESENT",
        "NOT_FOUND",
    ]
    for array in (pa.array([1.5]), pa.array([b"c1"]), pa.array([["c1"]])):
        with pytest.raises(pa.ArrowInvalid, match="card"):
            exchanged(client, command, pa.RecordBatch.from_arrays([array], ["card"]))


@pytest.mark.parametrize(
    ("command", "rows", "error", "says"),
    [
        (SCORING, keys(card=["a"]), pa.ArrowInvalid, "`shop`"),
        ({"service": "nope"}, keys(card=["a"]), pa.ArrowKeyError, "no service `nope`"),
        ({"features": ["card:x"]}, keys(card=["a"]), pa.ArrowKeyError, "x"),
        ({"features": []}, keys(card=["a"]), pa.ArrowInvalid, "no list"),
        ({"service": "scoring", "x": 1}, keys(card=["a"]), pa.ArrowInvalid, "`x` is not known"),
        ({}, keys(card=["a"]), pa.ArrowInvalid, "names a service or features"),
        (b"\xff{", keys(card=["a"]), pa.ArrowInvalid, "no JSON object"),
        (b"[" * 100_000, keys(card=["a"]), pa.ArrowInvalid, "no JSON object"),
        (b" " * 300_000, keys(card=["a"]), pa.ArrowInvalid, "are the most"),
        ({"features": ["card:n_1d"]}, keys(card=["a"] * 4097), pa.ArrowInvalid, "over 4096"),
        ({"features": ["card:n_1d"] * 5000}, keys(card=["a"]), pa.ArrowInvalid, "4096"),
    ],
)
def test_what_is_refused(
    engine: EngineProcess, command: Any, rows: pa.RecordBatch, error: Any, says: str
) -> None:
    client = connect(engine)
    with pytest.raises(error, match=says):
        exchanged(client, command, rows)
    told, _ = exchanged(client, {"features": ["card:n_1d"]}, keys(card=["c1"]))
    assert told.column("n_1d").to_pylist() == [1]


def test_a_column_twice(engine: EngineProcess) -> None:
    rows = pa.RecordBatch.from_arrays([pa.array(["a"]), pa.array(["b"])], ["card", "card"])
    with pytest.raises(pa.ArrowInvalid, match="there are 2"):
        exchanged(connect(engine), {"features": ["card:n_1d"]}, rows)


def test_a_batch_is_one_snapshot_beside_ingest(engine: EngineProcess) -> None:
    """Every write adds a payment to each card: all cards of a batch have the same count."""
    group = [f"g{i}" for i in range(50)]
    stop = threading.Event()

    def write() -> None:
        at = send(engine, "clock", "s", 1)
        while not stop.is_set():
            status = engine.request("GET", "/health")[0]
            assert status == 200
            lines = "\n".join(payment_line(card) for card in group)
            at = max(at, engine.send_events("payments", lines))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        rows = keys(card=group)
        exchange = Exchange(connect(engine), {"features": ["card:n_1d"]}, rows.schema)
        newest = 0
        seen = set()
        for _ in range(500):
            told, about = exchange.ask(rows)
            counts = set(told.column("n_1d").to_pylist())
            assert len(counts) == 1, about
            assert about["epoch"] >= newest
            newest = about["epoch"]
            seen |= counts
        exchange.close()
    finally:
        stop.set()
        writer.join()
    assert len(seen) > 3, "nothing was written meanwhile"


def payment_line(card: str) -> str:
    from payments_engine import payment

    return payment(card, "s", 1)
