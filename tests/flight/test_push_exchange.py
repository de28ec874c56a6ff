"""Push and get over Flight: a batch of events in, a row for each of them out with its features."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight
import pytest
from engine_process import EngineProcess
from flight_client import Exchange, connect, exchanged
from payments_engine import CONTRACT, PIPELINE, change, send, serving

COUNTS = {"push": "payments", "service": "counts", "deadline_ms": 30_000}
# The sync may be sooner than a provisional answer: then that is durable, and another event is sent.
TRIES = 200
SWAPPED = "counts: {features: [others.n, own.n]"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    with serving(tmp_path_factory.mktemp("flight-push")) as process:
        yield process


def events(cards: list[str], **more: list[Any]) -> pa.RecordBatch:
    now = int(time.time() * 1e6)
    columns = {
        "card": pa.array(cards),
        "shop": pa.array(["s"] * len(cards)),
        "at": pa.array([now] * len(cards), pa.timestamp("us", "UTC")),
        "amount": pa.array([2.0] * len(cards)),
    }
    columns |= {name: pa.array(values) for name, values in more.items()}
    return pa.RecordBatch.from_pydict(columns)


def test_an_event_counts_in_its_own_answer(engine: EngineProcess) -> None:
    first = events(["one"])
    exchange = Exchange(connect(engine), COUNTS, first.schema)
    for count in range(1, 6):
        told, about = exchange.ask(events(["one"]))
        row = told.to_pylist()[0]
        assert row["_event"] == "durable" and row["_answered"] == "with_event"
        assert (row["own__n"], row["others__n"]) == (count, count - 1 or None)
        assert row["own__n__status"] == "PRESENT"
        assert row["_epoch"] >= row["_event_epoch"] > 0 and row["_repeated"] is False
        assert row["_lag_ms"] is not None and row["_token"] is None and about["log"]
    exchange.close()
    assert told.schema.field("own__n").type == pa.int64()


def test_many_events_at_once(engine: EngineProcess) -> None:
    cards = [f"m{i % 50}" for i in range(200)]
    told, _ = exchanged(connect(engine), COUNTS, events(cards))
    assert told.column("card").to_pylist() == cards
    assert set(told.column("_event").to_pylist()) == {"durable"}
    asked, _ = exchanged(connect(engine), COUNTS, events(cards[:50]))
    assert set(asked.column("own__n").to_pylist()) == {5}


def test_a_bad_event_is_told_in_its_row(engine: EngineProcess) -> None:
    rows = events(["good", "bad", "good"])
    at = rows.schema.get_field_index("shop")
    rows = rows.set_column(at, "shop", pa.array(["s", None, "s"]))
    told, _ = exchanged(connect(engine), COUNTS, rows)
    good, bad, other = told.to_pylist()
    assert good["_event"] == other["_event"] == "durable"
    assert bad["_event"] == "refused" and bad["_answered"] == "none"
    assert bad["_code"] == "required" and bad["_reason"].startswith("shop: ")
    assert bad["own__n"] is None and bad["own__n__status"] == "NOT_ANSWERED"
    assert good["own__n"] == 2 or other["own__n"] == 2
    answered, _ = exchanged(connect(engine), COUNTS | {"refused": "answered"}, rows)
    assert answered.to_pylist()[1]["own__n__status"] == "NOT_FOUND"


def test_a_repeat_gets_the_first_answer(engine: EngineProcess) -> None:
    rows = events(["rep", "rep"], idempotency_key=["k-1", None])
    first = exchanged(connect(engine), COUNTS, rows)[0].to_pylist()
    again = exchanged(connect(engine), COUNTS, rows)[0].to_pylist()
    assert again[0]["_repeated"] is True and again[1]["_repeated"] is False
    assert again[0]["_event_epoch"] == first[0]["_event_epoch"]
    assert max(row["own__n"] for row in again) == 3


def test_a_deadline_that_is_over(engine: EngineProcess) -> None:
    send(engine, "late", "s", 1)
    states = set()
    for at_deadline, status in (("defaults", "DEFAULT"), ("refuse", "NOT_ANSWERED")):
        command = COUNTS | {"deadline_ms": 0, "at_deadline": at_deadline}
        for _ in range(20):
            row = exchanged(connect(engine), command, events(["late"]))[0].to_pylist()[0]
            states.add(row["_answered"])
            if row["_answered"] == "with_event":
                continue  # it was quicker
            assert row["own__n__status"] == status
            assert row["own__n"] == (1 if status == "DEFAULT" else None)
            assert row["card"] == ("late" if status == "DEFAULT" else None)
            assert row["_token"] or row["_event"] == "durable"
    assert states & {"defaults", "none"}


@pytest.mark.parametrize(
    ("command", "error", "says"),
    [
        ({"push": "nope", "service": "counts"}, pa.ArrowKeyError, "no stream"),
        ({"push": "payments", "service": "nope"}, pa.ArrowKeyError, "no service"),
        ({"push": "payments"}, pa.ArrowInvalid, "a stream and a service"),
        (COUNTS | {"at_deadline": "never"}, pa.ArrowInvalid, "none of these"),
        (COUNTS | {"deadline_ms": "x"}, pa.ArrowInvalid, "no whole number"),
        (COUNTS | {"more": "x"}, pa.ArrowInvalid, "`more` is not known"),
    ],
)
def test_what_is_refused(
    engine: EngineProcess, command: dict[str, Any], error: Any, says: str
) -> None:
    with pytest.raises(error, match=says):
        exchanged(connect(engine), command, events(["x"]))


def test_a_wrong_schema_takes_nothing_in(engine: EngineProcess) -> None:
    client = connect(engine)
    rows = events(["w"])
    for wrong, says in (
        (rows.remove_column(0), "card"),
        (rows.append_column("more", pa.array([1])), "more"),
        (rows.append_column("input.more", pa.array([1])), "no key and no input"),
        (events(["w"] * 1025), "over 1024"),
    ):
        with pytest.raises(pa.ArrowInvalid, match=says):
            exchanged(client, COUNTS, wrong)
    row = exchanged(client, COUNTS, rows)[0].to_pylist()[0]
    assert row["own__n"] == 1


def test_it_ends_with_the_engine(tmp_path_factory: pytest.TempPathFactory) -> None:
    with serving(tmp_path_factory.mktemp("ending")) as engine:
        rows = events(["a"])
        exchange = Exchange(connect(engine), COUNTS, rows.schema)
        exchange.ask(rows)
        engine.terminate()
        with pytest.raises((flight.FlightError, pa.ArrowException, StopIteration)):
            while True:
                exchange.ask(rows)
        assert engine.process.wait(60) == 0


def test_features_that_changed_places_meanwhile(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with serving(tmp_path_factory.mktemp("swapped")) as engine:
        rows = events(["a"])
        exchange = Exchange(connect(engine), COUNTS, rows.schema)
        exchange.ask(rows)
        change(engine, PIPELINE.replace("counts: {features: [own.n, others.n]", SWAPPED))
        row = exchange.ask(rows)[0].to_pylist()[0]
        assert row["_event"] == "durable"
        assert row["own__n"] is None and row["own__n__status"] == "NOT_ANSWERED"
        assert row["others__n"] is None and row["others__n__status"] == "NOT_ANSWERED"
        anew = exchanged(connect(engine), COUNTS, rows)[0].to_pylist()[0]
        assert (anew["own__n"], anew["others__n"]) == (3, 2)


def test_a_field_that_came_meanwhile(tmp_path_factory: pytest.TempPathFactory) -> None:
    with serving(tmp_path_factory.mktemp("evolved")) as engine:
        rows = events(["a"], idempotency_key=["k-0"])
        command = COUNTS | {"service": "hasty", "answer": "provisional"}
        exchange = Exchange(connect(engine), command, rows.schema)
        send(engine, "a", "s", 1)
        note = "      - {name: note, logicalType: string}\n"
        at = CONTRACT.index("      - {name: at,")
        change(engine, contract=CONTRACT[:at] + note + CONTRACT[at:])
        for others in range(1, TRIES):
            rows = events(["a"], idempotency_key=[f"k-{others}"])
            row = exchange.ask(rows)[0].to_pylist()[0]
            assert (row["own__n"], row["others__n"]) == (others + 1, others)
            if row["_answered"] == "provisional":
                break
        assert row["_answered"] == "provisional"
        command["answer"] = "durable"
        row = exchanged(connect(engine), command, rows)[0].to_pylist()[0]
        assert row["_event"] == "durable" and row["_repeated"] is True
        assert (row["own__n"], row["others__n"]) == (others + 1, others)


def test_a_provisional_answer_is_flagged_in_its_row(engine: EngineProcess) -> None:
    hasty = COUNTS | {"service": "hasty", "answer": "provisional"}
    rows = events(["soon", "later"], idempotency_key=["soon-1", None])
    soon, later = exchanged(connect(engine), hasty, rows)[0].to_pylist()
    assert soon["_answered"] == "provisional" and soon["_event"] == "unknown"
    assert soon["_token"] and soon["_event_epoch"] is None and soon["own__n"] == 1
    assert later["_event"] == "not_taken" and "idempotency key" in later["_reason"]
    again = exchanged(connect(engine), hasty | {"answer": "durable"}, rows)[0].to_pylist()
    assert again[0]["_event"] == "durable" and again[0]["_repeated"] is True
    assert again[0]["own__n"] == 1 and again[0]["_event_epoch"] > soon["_epoch"]
    refused = exchanged(connect(engine), COUNTS | {"answer": "provisional"}, rows)[0].to_pylist()
    assert {row["_event"] for row in refused} == {"not_taken"}
    assert "provisional: allowed" in refused[0]["_reason"]
