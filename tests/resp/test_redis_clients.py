"""Unmodified clients of Redis read features: redis-py, in both versions of the protocol."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from engine_process import EngineProcess
from payments_engine import payment, send, serving


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    with serving(tmp_path_factory.mktemp("resp")) as process:
        yield process


def client(engine: EngineProcess, protocol: int) -> Any:
    """Of redis-py, whose own types leave open whether an answer is awaited."""
    return redis.Redis(
        port=engine.ports["resp"], protocol=protocol, decode_responses=True, client_name="test"
    )


def wait_for(engine: EngineProcess, epoch: int) -> None:
    asked = ("FEATURES.GET", "scoring", "MIN_EPOCH", epoch, "DEADLINE", 30_000)
    client(engine, 2).execute_command(*asked, "KEY", "card", "x", "shop", "x")


@pytest.mark.parametrize("protocol", [2, 3])
def test_hashes(engine: EngineProcess, protocol: int) -> None:
    card = f"card-{protocol}"
    send(engine, card, "a:b", 1.5)
    wait_for(engine, send(engine, card, "c", 10))
    reader = client(engine, protocol)
    assert reader.ping()
    assert reader.client_getname() == "test"
    asked = ["n_1h", "spend_1d", "shops_1d", "big_1h", "_status"]
    told = ["2", "11.5", '["a:b","c"]', "true", "PRESENT"]
    assert reader.hmget(f"card:{card}", asked) == told
    whole = reader.hgetall(f"card:{card}")
    assert whole["spend_1h"] == "11.5" and whole["_status"] == "PRESENT" and int(whole["_epoch"])
    assert len(whole) == 8 + 3
    assert reader.hget(f"place:{card}:a%3Ab", "n_1d") == "1"
    assert reader.mget(f"card.n_1h:{card}", "card.n_1h:nobody") == ["2", None]
    assert reader.exists(f"card:{card}", "card:nobody") == 1
    assert reader.hexists(f"card:{card}", "n_1h") and reader.type(f"card:{card}") == "hash"
    assert reader.hgetall("card:nobody") == {}
    assert reader.info()["headrace_version"]
    with pytest.raises(redis.ResponseError, match="did you mean: n_1h"):
        reader.hmget(f"card:{card}", ["n_1"])
    with pytest.raises(redis.exceptions.ReadOnlyError):
        reader.hset(f"card:{card}", "n_1h", "3")


def test_typed_values_of_a_service(engine: EngineProcess) -> None:
    wait_for(engine, send(engine, "typed", "a", 2.5))
    asked = ("FEATURES.GET", "scoring", "KEY", "card", "typed", "shop", "b")
    answer = client(engine, 3).execute_command(*asked)
    assert answer["features"]["n_1h"] == 1 and answer["features"]["spend_1h"] == 2.5
    assert answer["features"]["big_1h"] is False and answer["features"]["shops_1h"] == ["a"]
    place = "n_1d" if "n_1d" in answer["features"] else "place__n_1d"
    assert answer["features"][place] is None or answer["statuses"][place] == "PRESENT"
    assert answer["statuses"]["place__n_1d"] == "NOT_FOUND"


def test_pipelines_are_answered_in_order(engine: EngineProcess) -> None:
    wait_for(engine, send(engine, "piped", "a", 1))
    reader = client(engine, 3)
    with reader.pipeline(transaction=False) as pipe:
        for i in range(500):
            pipe.hget("card:piped", "n_1h")
            pipe.echo(str(i))
        answers = pipe.execute()
    assert answers == [told for i in range(500) for told in ("1", str(i))]


@pytest.mark.parametrize("protocol", [2, 3])
def test_pipelines_as_clients_make_them(engine: EngineProcess, protocol: int) -> None:
    """With MULTI and EXEC around them, unless one says otherwise."""
    card = f"multi-{protocol}"
    wait_for(engine, send(engine, card, "a", 1))
    reader = client(engine, protocol)
    pipe = reader.pipeline()
    asked = ("FEATURES.GET", "scoring", "KEY", "card", card, "shop", "a")
    pipe.hget(f"card:{card}", "n_1h").hmget(f"card:{card}", ["n_1h", "_status"])
    answers = pipe.execute_command(*asked).exists(f"card:{card}").execute()
    assert answers[:2] == ["1", ["1", "PRESENT"]] and answers[3] == 1 and len(answers) == 4
    assert pipe.execute() == []
    event = payment(card, "a", 1)
    pushed = reader.pipeline().execute_command("FEATURES.PUSH", "payments", event, event).ping()
    outcome, pong = pushed.execute()
    assert pong and (outcome["accepted"] if protocol == 3 else outcome[1]) == 2
    wrong = pipe.hget(f"card:{card}", "n_1").ping().execute(raise_on_error=False)
    assert "did you mean" in str(wrong[0]) and wrong[1] is True
    with pytest.raises(redis.ResponseError, match="unknown command"):
        pipe.ping().execute_command("NOTHING").execute()
    assert reader.ping()


@pytest.mark.parametrize("protocol", [2, 3])
def test_what_clients_ask_of_the_server(engine: EngineProcess, protocol: int) -> None:
    reader = client(engine, protocol)
    assert reader.client_info()["name"] == "test"
    commands = reader.command()
    assert commands["hget"]["arity"] == 3 and "readonly" in commands["hget"]["flags"]
    assert reader.command_count() == len(commands)


def test_one_command_sees_one_epoch(engine: EngineProcess) -> None:
    """Every payment counts in the views card and place at once: no MGET may see it in one only."""
    done = threading.Event()
    torn: list[tuple[str, str]] = []
    seen: list[int] = []

    def read() -> None:
        reader = client(engine, 3)
        while not done.is_set():
            card, place = reader.mget("card.n_1d:pair", "place.n_1d:pair:a")
            if card != place:
                torn.append((card, place))
            seen.append(int(card or 0))

    wait_for(engine, send(engine, "pair", "a", 1))
    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for _ in range(300):
        send(engine, "pair", "a", 1)
    done.set()
    for reader in readers:
        reader.join()
    assert not torn and max(seen) > 1, (torn[:3], len(seen))


def test_reading_ones_own_write(engine: EngineProcess) -> None:
    reader = client(engine, 3)
    for i in range(1, 30):
        epoch = send(engine, "own", "a", 1)
        asked = ("FEATURES.GET", "scoring", "MIN_EPOCH", epoch, "KEY", "card", "own", "shop", "a")
        assert reader.execute_command(*asked)["features"]["n_1h"] == i
    with pytest.raises(redis.exceptions.ResponseError, match="did not become visible"):
        reader.execute_command(
            "FEATURES.GET", "scoring", "MIN_EPOCH", 1 << 40, "DEADLINE", 20, *asked[4:]
        )


def test_answers_are_those_over_http(engine: EngineProcess) -> None:
    wait_for(engine, send(engine, "same", "a", 0.1))
    asked = json.dumps({"features": ["card:*"], "entities": {"card": ["same"]}})
    document = json.loads(engine.request("POST", "/get-online-features", asked)[1])
    names = document["metadata"]["feature_names"][1:]
    told = [result["values"][0] for result in document["results"][1:]]
    texts = client(engine, 2).hmget("card:same", names)
    assert [json.loads(text) for text in texts] == told
