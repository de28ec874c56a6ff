"""Events come in over the Redis protocol and by push and get: redis-py, and a plain HTTP client."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from engine_process import EngineProcess
from payments_engine import payment, serving


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    with serving(tmp_path_factory.mktemp("push")) as process:
        yield process


def client(engine: EngineProcess) -> Any:
    return redis.Redis(port=engine.ports["resp"], protocol=3, decode_responses=True)


def post(
    engine: EngineProcess, target: str, body: str, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", engine.ports["http"], timeout=30)
    connection.request("POST", target, body, headers or {})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_events_are_taken_in(engine: EngineProcess) -> None:
    writer = client(engine)
    one = writer.execute_command("FEATURES.PUSH", "payments", payment("in", "a", 1))
    assert one["accepted"] == 1 and one["durability"] == "fsync" and not one["repeated"]
    bad = payment("in", "a", 1).replace("amount", "amonut")
    some = writer.execute_command("FEATURES.PUSH", "payments", bad, payment("in", "b", 2))
    assert some["accepted"] == 1 and some["refused_rows"] == 1
    assert some["refused"][0]["field"] == "amonut"
    with pytest.raises(redis.ResponseError, match=r"REFUSED amonut.*dead letters"):
        writer.execute_command("FEATURES.PUSH", "payments", bad)
    with pytest.raises(redis.ResponseError, match="no stream"):
        writer.execute_command("FEATURES.PUSH", "payment", bad)
    with pytest.raises(redis.ResponseError, match="is no option"):
        writer.execute_command("FEATURES.PUSH", "payments", payment("in", "a", 1), "KEY")
    asked = ("FEATURES.GET", "counts", "MIN_EPOCH", some["event_epoch"], "KEY", "card", "in")
    assert writer.execute_command(*asked)["features"]["own__n"] == 2


def test_repeats_get_the_first_answer(engine: EngineProcess) -> None:
    writer = client(engine)
    event = payment("twice", "a", 1)
    by_key = ("FEATURES.PUSH", "payments", event, "KEY", "order-1")
    first, again = (writer.execute_command(*by_key) for _ in range(2))
    assert again == first | {"repeated": True}
    numbered = ("FEATURES.PUSH", "payments", event, "PRODUCER", "till", "SEQUENCE")
    first, again = (writer.execute_command(*numbered, 1) for _ in range(2))
    assert again == first | {"repeated": True}
    with pytest.raises(redis.ResponseError, match="sequence"):
        writer.execute_command(*numbered, 3)


def test_a_pipeline_is_durable_together_and_answered_in_order(engine: EngineProcess) -> None:
    writer = client(engine)
    with writer.pipeline(transaction=False) as pipe:
        for i in range(400):
            pipe.execute_command("FEATURES.PUSH", "payments", payment("piped", str(i), i))
            if i % 100 == 50:
                pipe.echo(str(i))
        answers = pipe.execute(raise_on_error=False)
    pushed = [answer for answer in answers if isinstance(answer, dict)]
    assert [a for a in answers if isinstance(a, str)] == ["50", "150", "250", "350"]
    assert len(pushed) == 400 and all(answer["accepted"] == 1 for answer in pushed)
    epochs = [answer["event_epoch"] for answer in pushed]
    assert epochs == sorted(epochs) and len(set(epochs)) < 300, "each had a sync of its own"


def test_push_and_get(engine: EngineProcess) -> None:
    caller = client(engine)
    for i in range(1, 20):
        asked = ("FEATURES.PUSHGET", "counts", "payments", payment("both", "a", i))
        answer = caller.execute_command(*asked, "DEADLINE", 30_000)
        assert answer["answered"] == "with_event" and answer["event"] == "durable"
        assert answer["epoch"] >= answer["event_epoch"]
        assert answer["features"]["own__n"] == i
        assert (answer["features"]["others__n"] or 0) == i - 1


def test_push_and_get_over_http(engine: EngineProcess) -> None:
    target = "/streams/payments/push-get?service=counts&deadline_ms=30000"
    headers = {"Idempotency-Key": "h-1"}
    for repeated in (False, True):
        status, told = post(engine, target, payment("plain", "a", 1), headers)
        assert status == 200 and told["answered"] == "with_event"
        assert told["event"]["state"] == "durable" and told["event"]["repeated"] == repeated
        assert told["features"] == {"own__n": 1, "others__n": None}
        assert told["statuses"]["others__n"] == "NOT_FOUND"
        assert told["headrace"]["epoch"] >= told["event"]["epoch"] and told["age_ms"] >= 0
    bad = payment("plain", "a", 1).replace("amount", "amonut")
    status, told = post(engine, target, bad)
    assert status == 422 and told["event"]["state"] == "refused" and "features" not in told
    status, told = post(engine, target + "&refused=answered", bad)
    assert status == 200 and told["answered"] == "last_known" and told["features"]["own__n"] == 1
    status, letters = engine.request("GET", told["event"]["kept_in"])
    assert status == 200 and "amonut" in letters
    assert post(engine, target.replace("counts", "nothing"), bad)[0] == 404
    assert post(engine, target + "&input.x=1&at_dedline=refuse", bad)[0] == 422


@pytest.mark.parametrize("rule", ["last_known", "defaults", "refuse", None])
def test_no_time_at_all(engine: EngineProcess, rule: str | None) -> None:
    """Whatever is answered, the event comes in, and the token tells."""
    card = f"late-{rule}"
    target = "/streams/payments/push-get?service=counts&deadline_ms=0"
    if rule:
        target += f"&at_deadline={rule}"
    late = 0
    for _ in range(20):
        status, told = post(engine, target, payment(card, "a", 1))
        event = told["event"]
        if event["state"] == "unknown":
            late += 1
            assert status == (504 if rule == "refuse" else 200)
            assert told["answered"] == {"refuse": "none", None: "last_known"}.get(rule, rule)
            for _ in range(3000):
                found = json.loads(engine.request("GET", event["ask"])[1])
                if found["state"] == "durable":
                    break
            assert found["state"] == "durable" and found["accepted"] == 1
        if told["answered"] == "defaults":
            assert told["features"] == {"own__n": 1, "others__n": None}
            assert set(told["statuses"].values()) == {"DEFAULT"}
    status, told = post(engine, target.replace("=0", "=30000"), payment(card, "a", 1))
    assert told["features"]["own__n"] == 21, "each came in, once"
    assert late > 0
    pushes = json.loads(engine.request("GET", "/status")[1])["pushes"]
    assert pushes["pending"] == 0 and pushes["late"]["known_after"] >= late
    assert "headrace_serving_pushes_total" in engine.request("GET", "/metrics")[1]


def test_no_answer_is_torn(engine: EngineProcess) -> None:
    """Several push payments of one card: each sees itself in the one view, and not in the other."""
    failures: list[Any] = []

    def push() -> None:
        caller = client(engine)
        before = 0
        for i in range(150):
            asked = ("FEATURES.PUSHGET", "counts", "payments", payment("torn", "a", i))
            answer = caller.execute_command(*asked, "DEADLINE", 30_000)
            own, others = answer["features"]["own__n"], answer["features"]["others__n"] or 0
            if own != others + 1 or own <= before:
                failures.append(answer)
            before = own

    threads = [threading.Thread(target=push) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[:2]
    answer = client(engine).execute_command("FEATURES.GET", "counts", "KEY", "card", "torn")
    assert answer["features"]["own__n"] == 600
