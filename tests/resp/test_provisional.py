"""Provisional answers of push and get against the real binary: what they say while others write the
same keys, and what is left of them after a SIGKILL."""

from __future__ import annotations

import http.client
import json
import threading
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from engine_process import EngineProcess
from payments_engine import CONTRACT, PIPELINE, payment, serving

WRITERS = 6
EVENTS = 150
# The sync may be sooner than the answer: then that is durable, and another event is sent.
TRIES = 200


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    with serving(tmp_path_factory.mktemp("provisional")) as process:
        yield process


def client(engine: EngineProcess) -> Any:
    return redis.Redis(port=engine.ports["resp"], protocol=3, decode_responses=True)


def push(writer: Any, card: str, key: str, answer: str = "provisional") -> Any:
    event = payment(card, "shop", 1)
    options = ("KEY", key, "ANSWER", answer)
    return writer.execute_command("FEATURES.PUSHGET", "hasty", "payments", event, *options)


def settled(writer: Any, answer: Any) -> Any:
    """The epoch of a push's event, once that is durable."""
    if answer["event"] == "durable":
        return answer["event_epoch"]
    while (told := writer.execute_command("FEATURES.PUSHED", answer["token"]))[
        "event"
    ] == "unknown":
        pass
    assert told["event"] == "durable"
    return told["event_epoch"]


def test_it_is_flagged_and_the_token_tells(engine: EngineProcess) -> None:
    writer = client(engine)
    for i in range(TRIES):
        answer = push(writer, f"flagged-{i}", f"f-{i}")
        if answer["answered"] == "provisional":
            break
        assert answer["answered"] == "with_event" and answer["event"] == "durable"
    assert answer["answered"] == "provisional" and answer["provisional"] is True
    assert answer["event"] == "unknown" and "durability" not in answer
    assert answer["after_epoch"] == answer["epoch"]
    assert answer["features"] == {"own__n": 1, "others__n": None}
    epoch = settled(writer, answer)
    assert epoch > answer["after_epoch"]
    again = push(writer, f"flagged-{i}", f"f-{i}")
    assert again["answered"] == "with_event" and again["repeated"]
    assert again["event_epoch"] == epoch and again["features"]["own__n"] == 1


def test_it_is_asked_for_and_allowed(engine: EngineProcess) -> None:
    writer = client(engine)
    assert push(writer, "asked", "a-1", "durable")["answered"] == "with_event"
    event = payment("asked", "shop", 1)
    options = ("ANSWER", "provisional")
    with pytest.raises(redis.ResponseError, match="provisional: allowed"):
        writer.execute_command("FEATURES.PUSHGET", "counts", "payments", event, *options)
    with pytest.raises(redis.ResponseError, match="idempotency key"):
        writer.execute_command("FEATURES.PUSHGET", "hasty", "payments", event, *options)
    with pytest.raises(redis.ResponseError, match="durable, provisional"):
        push(writer, "asked", "a-2", "soon")
    assert push(writer, "asked", "a-3", "durable")["features"]["own__n"] == 2


def test_over_http(engine: EngineProcess) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", engine.ports["http"], timeout=30)

    def post(service: str, card: str) -> tuple[int, Any]:
        target = f"/streams/payments/push-get?service={service}&answer=provisional"
        headers = {"Idempotency-Key": f"{card}-{service}"}
        connection.request("POST", target, payment(card, "a", 1), headers)
        told = connection.getresponse()
        return told.status, json.loads(told.read())

    for i in range(TRIES):
        status, answer = post("hasty", f"http-{i}")
        if answer["answered"] == "provisional":
            break
        assert answer["answered"] == "with_event"
    assert status == 200 and answer["provisional"] is True
    assert answer["answered"] == "provisional" and answer["event"]["durable"] is False
    assert answer["event"]["after_epoch"] == answer["headrace"]["epoch"]
    assert answer["features"] == {"own__n": 1, "others__n": None}
    connection.request("GET", answer["event"]["ask"])
    assert json.loads(connection.getresponse().read())["state"] in ("unknown", "durable")
    status, problem = post("counts", "http")
    assert status == 412 and "provisional: allowed" in problem["detail"]


def test_each_is_the_state_and_its_event_while_others_write(engine: EngineProcess) -> None:
    """Threads push to one card, on connections of their own. An answer of epoch n counts the events
    of epochs up to n, and its own one, once."""
    answers: list[list[Any]] = [[] for _ in range(WRITERS)]

    def write(number: int) -> None:
        writer = client(engine)
        for i in range(EVENTS):
            answers[number].append(push(writer, "busy", f"busy-{number}-{i}"))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reader = client(engine)
    told = [answer for of_writer in answers for answer in of_writer]
    epochs = sorted(settled(reader, answer) for answer in told)
    assert len(told) == WRITERS * EVENTS
    provisional = [answer for answer in told if answer["answered"] == "provisional"]
    assert len(provisional) > len(told) / 4
    for answer in told:
        own = 1 if answer["answered"] == "provisional" else 0
        assert answer["features"]["own__n"] == bisect_right(epochs, answer["epoch"]) + own
    for of_writer in answers:
        seen = [answer["epoch"] for answer in of_writer]
        assert seen == sorted(seen), "monotonic on each connection"


def test_nothing_is_left_of_one_whose_event_was_lost(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    (tmp_path / "payments.yaml").write_text(CONTRACT)
    known: dict[str, Any] = {}
    for life in range(4):
        process = EngineProcess(tmp_path, tmp_path / "data")
        assert process.wait_ready(), process.printed()
        writer = client(process)
        # What the lives before promised as durable is there, and what they only answered for is
        # taken in now, or was already: each event counts once.
        for key, answer in known.items():
            durable = push(writer, "killed", key, "durable")
            assert durable["event"] == "durable"
            assert durable["epoch"] >= answer["epoch"], "what an answer was of is never lost"
        if known:
            last = push(writer, "killed", f"check-{life}", "durable")
            assert last["features"]["own__n"] == len(known) + 1
            known[f"check-{life}"] = last
        for i in range(40):
            answer = push(writer, "killed", f"k-{life}-{i}")
            known[f"k-{life}-{i}"] = answer
        process.kill()
    assert any(answer["answered"] == "provisional" for answer in known.values())
