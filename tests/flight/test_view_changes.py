"""Following a view's changes: every key's last value is seen, over SIGKILLs, and none goes back."""

from __future__ import annotations

import json
import os
import random
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight
import pytest
from engine_process import EngineProcess, serving_files
from flight_client import connect, exchanged, keys
from payments_engine import CONTRACT, PIPELINE, payment, send, serving

SEED = int(os.environ.get("HEADRACE_SEED", "1"))
PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    with serving(tmp_path_factory.mktemp("changes")) as process:
        yield process


def follow(engine: EngineProcess, **ticket: Any) -> Any:
    return connect(engine).do_get(flight.Ticket(json.dumps(ticket).encode()))


def chunks(reader: Any) -> Iterator[tuple[pa.RecordBatch, dict[str, Any]]]:
    """Batches with what they say, without the end's."""
    while True:
        try:
            chunk = reader.read_chunk()
        except StopIteration:
            return
        about = json.loads(chunk.app_metadata.to_pybytes())
        if "epoch" in about:
            yield chunk.data, about


def test_changes_after_an_epoch(engine: EngineProcess) -> None:
    before = send(engine, "a", "s", 1)
    send(engine, "b", "s", 2)
    send(engine, "b", "s", 2)
    last = send(engine, "c", "s", 3)
    reader = follow(engine, changes="card", from_epoch=before, until_epoch=last)
    told: dict[str, Any] = {}
    for rows, about in chunks(reader):
        assert about["epoch"] >= about["through"] > about["after"] >= before
        told |= dict(zip(rows.column("card").to_pylist(), rows.to_pylist(), strict=True))
    assert set(told) == {"b", "c"}
    assert told["b"]["n_1d"] == 2 and told["b"]["n_1d__status"] == "PRESENT"
    assert told["c"]["spend_1h"] == 3.0 and told["c"]["shops_1d"] == ["s"]


def test_now_on_and_markers(engine: EngineProcess) -> None:
    send(engine, "before", "s", 1)
    reader = follow(engine, changes="card", features=["n_1d"], marker_ms=50)
    stream = chunks(reader)
    rows, first = next(stream)
    assert rows.num_rows == 0 and first["through"] == first["after"]
    _, later = next(stream)
    assert later["as_of"] > first["as_of"], "a marker tells the time"
    epoch = send(engine, "after", "s", 1)
    for rows, about in stream:
        if about["through"] >= epoch:
            break
        assert rows.num_rows == 0
    assert rows.column("card").to_pylist() == ["after"]
    assert rows.schema.names == ["card", "n_1d", "n_1d__status"]
    reader.cancel()


def test_a_view_of_two_keys(engine: EngineProcess) -> None:
    before = send(engine, "x", "one", 1)
    last = send(engine, "x", "two", 1)
    reader = follow(engine, changes="place", from_epoch=before, until_epoch=last)
    told = [row for rows, _ in chunks(reader) for row in rows.to_pylist()]
    assert [(row["card"], row["shop"], row["n_1d"]) for row in told] == [("x", "two", 1)]


@pytest.mark.parametrize(
    ("ticket", "error", "says"),
    [
        ({"changes": "nope"}, pa.ArrowKeyError, "no view `nope`"),
        ({"changes": "card", "features": ["x"]}, pa.ArrowKeyError, "x"),
        ({"changes": "card", "features": []}, pa.ArrowInvalid, "no list"),
        ({"changes": "card", "from_epoch": -1}, pa.ArrowInvalid, "no whole number"),
        ({"changes": "card", "from_epoch": 1, "log": "00"}, pa.ArrowInvalid, "one of log 00"),
        ({"changes": "card", "more": 1}, pa.ArrowInvalid, "`more` is not known"),
        ({"changes": 7}, pa.ArrowInvalid, "no text"),
        ({"changes": ""}, pa.ArrowInvalid, "no view"),
    ],
)
def test_what_is_refused(
    engine: EngineProcess, ticket: dict[str, Any], error: Any, says: str
) -> None:
    with pytest.raises(error, match=says):
        follow(engine, **ticket).read_all()


class Writer:
    """Payments of random cards, one epoch or a few a batch, until it is told to stop."""

    def __init__(self, engine: EngineProcess, cards: list[str], seed: int) -> None:
        self.engine, self.cards, self.random = engine, cards, random.Random(seed)
        self.acknowledged = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        while not self.stop.is_set():
            chosen = self.random.choices(self.cards, k=self.random.randint(1, 20))
            lines = "\n".join(payment(card, "s", 1) for card in chosen)
            try:
                self.acknowledged = self.engine.send_events("payments", lines)
            except OSError:
                return  # it was killed

    def join(self) -> None:
        self.stop.set()
        self.thread.join()


class Follower:
    """Holds what it was told of each card; resumes where it was broken off."""

    def __init__(self) -> None:
        self.through = 0
        self.values: dict[str, int] = {}
        self.epochs: dict[str, int] = {}
        self.log = ""
        self.batches = 0
        self.resumed = 0

    def follow(self, engine: EngineProcess, until: int | None, patience: float) -> None:
        ticket: dict[str, Any] = {
            "changes": "card",
            "from_epoch": self.through,
            "features": ["n_1d"],
        }
        if self.log:
            ticket["log"] = self.log
            self.resumed += 1
        if until is not None:
            ticket["until_epoch"] = until
        end = time.monotonic() + patience
        reader = follow(engine, **ticket)
        for rows, about in chunks(reader):
            self.take(rows, about)
            if until is None and time.monotonic() > end:
                reader.cancel()
                return

    def take(self, rows: pa.RecordBatch, about: dict[str, Any]) -> None:
        self.batches += 1
        self.log = about["log"]
        assert about["through"] >= self.through, about
        self.through = about["through"]
        for row in rows.to_pylist():
            card, count = row["card"], row["n_1d"]
            assert about["epoch"] >= self.epochs.get(card, 0), "older after newer"
            assert count >= self.values.get(card, 0), (card, count, self.values[card])
            self.values[card], self.epochs[card] = count, about["epoch"]


def test_every_last_value_is_seen_over_kills(tmp_path: Path) -> None:
    """HEADRACE_SEED=1 pytest tests/flight -k over_kills replays the writes, not the moments."""
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    (tmp_path / "payments.yaml").write_text(CONTRACT)
    chance = random.Random(SEED)
    print(f"seed {SEED}")
    cards = [f"c{i}" for i in range(300)]
    follower = Follower()
    for life in range(4):
        engine = EngineProcess(tmp_path, tmp_path / "data")
        try:
            assert engine.wait_ready(), engine.printed()
            writer = Writer(engine, cards, SEED * 100 + life)
            threading.Timer(chance.uniform(0.5, 2.0), engine.kill).start()
            try:
                while True:
                    follower.follow(engine, None, chance.uniform(0.05, 0.4))
            except (flight.FlightError, pa.ArrowException):
                pass
            writer.join()
        finally:
            engine.kill()
    engine = EngineProcess(tmp_path, tmp_path / "data")
    try:
        assert engine.wait_ready(), engine.printed()
        last = send(engine, "c0", "s", 1)
        follower.follow(engine, last, PATIENCE_S)
        told, _ = exchanged(
            connect(engine),
            {"features": ["card:n_1d"]},
            keys(card=cards),
            {"min_epoch": last, "deadline_ms": 60_000},
        )
        expected = {row["card"]: row["n_1d"] for row in told.to_pylist() if row["n_1d"] is not None}
        assert follower.values == expected
        assert len(expected) > 100 and follower.resumed > 4 and follower.batches > 20
        assert engine.stop() == 0
    finally:
        engine.kill()


def test_a_slow_one_gets_the_newest_and_holds_nothing_up(engine: EngineProcess) -> None:
    card = "slow" + "." * 60_000  # what is sent ahead of a reader, as gRPC does, is soon full
    before = send(engine, card, "s", 1)
    reader = follow(engine, changes="card", from_epoch=before, marker_ms=50)
    stream = chunks(reader)
    next(stream)
    last = 0
    for _ in range(200):  # nobody reads meanwhile
        last = send(engine, card, "s", 1)
    batches = 0
    for rows, about in stream:
        batches += rows.num_rows > 0
        if about["through"] >= last:
            break
    assert rows.column("n_1d").to_pylist()[-1] == 201 or batches > 1
    reader.cancel()
    assert batches < 200, "what changed several times is sent once"


def test_an_epoch_that_the_log_has_let_go_is_refused(tmp_path: Path) -> None:
    """With what can be had; from there it goes on. A follower that fell behind is told it too."""
    pipeline = PIPELINE + "log: {keep: 1s}\nrecovery: 200ms\n"
    with serving_files(tmp_path, {"pipeline.yaml": pipeline, "payments.yaml": CONTRACT}) as engine:
        first = send(engine, "first", "s", 1)
        behind = follow(engine, changes="card", from_epoch=first - 1)
        behind.read_chunk()
        deadline = time.monotonic() + PATIENCE_S
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        number = 0
        message = ""
        while not message:
            assert time.monotonic() < deadline, engine.status()["log"]
            rows = [
                f'{{"card":"k{number + i}","shop":"{"s" * 40}","at":"{at}","amount":1}}'
                for i in range(5_000)
            ]
            number += len(rows)
            last = engine.send_events("payments", "\n".join(rows))
            try:
                until = first + 1
                follow(engine, changes="card", from_epoch=first, until_epoch=until).read_all()
            except pa.ArrowInvalid as refused:
                message = str(refused)
        assert "[FailedPrecondition]" in message
        # Let go before it was asked, or while it was read.
        had = re.search(r"(?:changes can be had from_epoch |first_held=)(\d+)", message)
        assert had is not None, message
        assert int(had[1]) > first
        told = 0
        for chunk, _ in chunks(
            follow(engine, changes="card", from_epoch=int(had[1]), until_epoch=last)
        ):
            told += chunk.num_rows
        assert told > 0
        with pytest.raises(pa.ArrowInvalid, match="were let go"):
            while True:
                behind.read_chunk()
