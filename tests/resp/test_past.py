"""Questions about the past over the Redis protocol: explain, earlier answers, last events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from engine_process import EngineProcess
from payments_engine import send, serving

DEEP = "[" * 500_000 + "]" * 500_000


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    with serving(tmp_path_factory.mktemp("past")) as process:
        yield process


@pytest.fixture(scope="module")
def epochs(engine: EngineProcess) -> list[int]:
    """Of three payments of one card; the last one is visible."""
    told = [send(engine, "p:1", "a", amount) for amount in (1.5, 2, 30)]
    get(engine, "MIN_EPOCH", told[-1])
    return told


def client(engine: EngineProcess, protocol: int = 3) -> Any:
    return redis.Redis(port=engine.ports["resp"], protocol=protocol, decode_responses=True)


def get(engine: EngineProcess, *options: Any) -> Any:
    key = ("KEY", "card", "p:1", "shop", "a")
    return client(engine).execute_command("FEATURES.GET", "scoring", *options, *key)


def test_explain(engine: EngineProcess, epochs: list[int]) -> None:
    ask = client(engine).execute_command
    told = ask("FEATURES.EXPLAIN", "card.spend_1h:p:1", "SERVED", "33.5")
    assert told["recomputed"]["value"] == 33.5 and told["same_bits"] is True
    assert told["key"] == {"card": "p:1"} and told["source"] == "state"
    assert [row["value"] for row in told["rows"]] == [30.0, 2.0, 1.5]
    assert all(row["counts"] is True and row["verdict"] == "counts" for row in told["rows"])
    earlier = ask("FEATURES.EXPLAIN", "card.spend_1h:p:1", "EPOCH", epochs[1], "LIMIT", 1)
    assert earlier["epoch"] == epochs[1] and earlier["recomputed"]["value"] == 3.5
    assert len(earlier["rows"]) == 1 and earlier["counts"]["not_there_yet"] == 1
    other = ask("FEATURES.EXPLAIN", "card.spend_1h:p:1", "served", "12")
    assert other["same_bits"] is False
    names_and_values = client(engine, 2).execute_command("FEATURES.EXPLAIN", "card.n_1h:p:1")
    assert names_and_values[:2] == ["view", "card"]


def test_last(engine: EngineProcess, epochs: list[int]) -> None:
    ask = client(engine).execute_command
    told = ask("FEATURES.LAST", "card:p:1", "COUNT", 2)
    assert [row["values"]["amount"] for row in told["rows"]] == [30.0, 2.0]
    assert [row["epoch"] for row in told["rows"]] == [epochs[2], epochs[1]]
    of_two_fields = ask("FEATURES.LAST", "place:p%3A1:a", "EPOCH", epochs[0])
    assert [row["epoch"] for row in of_two_fields["rows"]] == [epochs[0]]
    assert ask("FEATURES.LAST", "card:nobody")["rows"] == []


def test_earlier_answers(engine: EngineProcess, epochs: list[int]) -> None:
    for count, epoch in enumerate(epochs, 1):
        told = get(engine, "AS_OF_EPOCH", epoch)
        assert told["epoch"] == epoch and told["source"] == "state" and told["because"] is None
        assert told["features"]["n_1h"] == count
        assert told["statuses"]["n_1h"] == "PRESENT"
        # Unless it is said, as of the epoch's clock; of the newest one, now.
        assert told["lag"] == 0.0 or epoch == epochs[-1]
    now = get(engine)
    at = get(engine, "AS_OF_EPOCH", now["epoch"], "AS_OF", now["as_of"])
    assert at["features"] == now["features"] and at["statuses"] == now["statuses"]
    assert at["lag"] == pytest.approx(now["lag"], abs=0.01)


def test_what_is_wrong(engine: EngineProcess, epochs: list[int]) -> None:
    ask = client(engine).execute_command
    for command, message in (
        (("FEATURES.EXPLAIN", "card.spend:p"), "no feature"),
        (("FEATURES.EXPLAIN", "card:p"), "ERR|feature"),
        (("FEATURES.EXPLAIN", "card.n_1h:p", "LIMIT"), "lacks its value"),
        (("FEATURES.EXPLAIN", "card.n_1h:p", "LIMIT", "all"), "whole number"),
        (("FEATURES.EXPLAIN", "card.n_1h:p", "SOURCE", "heap"), "state, table or either"),
        (("FEATURES.EXPLAIN", "card.n_1h:p", "AS_OF", "noon"), "noon"),
        (("FEATURES.EXPLAIN", "card.n_1h:p", "SERVED", '{"a":1}'), "a list of values"),
        (("FEATURES.EXPLAIN", "card.n_1h:p", "SERVED", "[1,[2]]"), "a list of values"),
        (("FEATURES.EXPLAIN", "card.n_1h:p", "SERVED", DEEP), "a list of values"),
        (("FEATURES.LAST", "cards:p"), "no view"),
        (("FEATURES.LAST", "card:p", "AS_OF", "noon"), "is no option"),
        (("FEATURES.LAST", "card:p", "EPOCH", epochs[-1] + 1000), "TRYAGAIN|not visible yet"),
    ):
        with pytest.raises(redis.RedisError, match=message):
            ask(*command)
    with pytest.raises(redis.ResponseError, match="give one of them"):
        get(engine, "AS_OF_EPOCH", 1, "MIN_EPOCH", 1)
    with pytest.raises(redis.ResponseError, match="whole number"):
        get(engine, "AS_OF_EPOCH", "then")
