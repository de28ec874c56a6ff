"""While an engine reads its log it lives: it answers, says how far it is, and can be stopped."""

from __future__ import annotations

import json
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight
import pyarrow.parquet as pq
import pytest

from engine_under_load import LONG, WITHIN_S, Engine, run, serving

ROWS = 12_000_000 if LONG else 1_000_000
PROBE_EVERY_S = 0.005
LIVE_WITHIN_S = 1.0  # for 99 probes in 100, those counted that were due while one waited
# For every probe: a client that shares two cores with a start is kept waiting itself now and then.
LIVE_AT_MOST_S = 5.0
PROBES_MIN = 20
BEGIN_US = 1_767_261_600_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose log takes seconds to read, left by a kill."""
    folder = tmp_path_factory.mktemp("liveness")
    count = pa.array(range(ROWS), pa.int64())
    keys = pa.array([f"k{i % 5000}" for i in range(ROWS)])
    at = pa.array(range(BEGIN_US, BEGIN_US + ROWS), pa.timestamp("us", "UTC"))
    table = pa.table({"key": keys, "at": at, "amount": count.cast(pa.float64()), "note": keys})
    pq.write_table(table, folder / "events.parquet")
    with serving(folder, 2048) as engine:
        address = f"127.0.0.1:{engine.flight}"
        done = run("ingest", "events", folder / "events.parquet", "--flight", address)
        assert done.returncode == 0, done
        engine.stop(signal.SIGKILL)
    return folder


def probe(engine: Engine, path: str) -> tuple[int, str, dict[str, str]] | None:
    """Nothing while nobody listens."""
    try:
        return engine.request("GET", path)
    except ConnectionRefusedError:
        return None


class Probes:
    """A client that asks for /health all the time and notes how long each answer took."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.took_s: list[float] = []
        self.wrong: list[str] = []
        self.enough = threading.Event()
        self.thread = threading.Thread(target=self.ask)

    def ask(self) -> None:
        while not self.enough.is_set():
            asked = time.monotonic()
            try:
                answer = probe(self.engine, "/health")
                if answer is not None and answer[0] != 200:
                    self.wrong.append(answer[1])
                if answer is None and self.took_s:
                    self.wrong.append("nobody listens any more")
            except OSError as error:
                self.wrong.append(repr(error))
                answer = None
            if answer is not None:
                self.took_s.append(time.monotonic() - asked)
            self.enough.wait(PROBE_EVERY_S)

    def end(self) -> None:
        self.enough.set()
        self.thread.join()

    def check(self) -> str:
        """The figures, which must keep the promise."""
        assert not self.wrong, self.wrong[:3]
        due = [
            took - i * PROBE_EVERY_S
            for took in self.took_s
            for i in range(1 + int(took / PROBE_EVERY_S))
        ]
        ordered = sorted(due)
        p99 = ordered[int(0.99 * (len(ordered) - 1))]
        figures = (
            f"{len(self.took_s)} answers of /health, p99 {p99 * 1000:.0f} ms, "
            f"slowest {ordered[-1] * 1000:.0f} ms"
        )
        assert len(self.took_s) >= PROBES_MIN, f"too few to judge: {figures}"
        assert p99 <= LIVE_WITHIN_S and ordered[-1] <= LIVE_AT_MOST_S, figures
        return figures


def test_late_answers_of_health_fail(tmp_path: Path) -> None:
    probes = Probes(Engine(tmp_path))
    probes.took_s = [0.004] * 1000 + [0.9]
    assert "1001 answers of /health, p99 8" in probes.check()
    probes.took_s = [0.004] * 1000 + [1.5]
    with pytest.raises(AssertionError, match="slowest 1500 ms"):
        probes.check()
    probes.took_s = [0.004] * 100_000 + [5.5]
    with pytest.raises(AssertionError, match="p99 445 ms, slowest 5500 ms"):
        probes.check()
    probes.took_s = [0.004] * 10
    with pytest.raises(AssertionError, match="too few"):
        probes.check()


def follow(engine: Engine, began: float) -> tuple[list[dict[str, Any]], int]:
    """What `status` said of the recovery until the engine is ready, and how often it was not."""
    seen: list[dict[str, Any]] = []
    refused = 0
    while True:
        assert time.monotonic() - began < WITHIN_S
        ready = probe(engine, "/ready")
        if ready is None:
            time.sleep(0.005)
            continue
        if ready[0] == 200:
            return seen, refused
        refused += 1
        problem = json.loads(ready[1])
        assert ready[0] == 503 and problem["title"] == "Unavailable"
        assert "starting" in problem["detail"] and "phase" in problem["context"]
        assert int(ready[2]["retry-after"]) >= 1
        code, text, fields = engine.request("POST", "/get-online-features", "{}")
        assert code in (200, 422) or (code == 503 and "retry-after" in fields), text
        document = engine.status()
        if document["state"] == "recovering":
            seen.append(document["recovery"])
        time.sleep(0.02)


def test_health_answers_all_through_recovery(folder: Path) -> None:
    engine = Engine(folder, 2048)
    began = time.monotonic()
    engine.start()
    probes = Probes(engine)
    probes.thread.start()
    try:
        seen, refused = follow(engine, began)
    finally:
        probes.end()
    status = engine.status()
    assert engine.stop() == 0
    assert status["state"] == "ready" and status["recovery"]["rows"] == ROWS
    print(
        f"\n{probes.check()}; {refused} refusals in {status['recovery']['elapsed_s']:.2f} s of "
        f"recovery"
    )
    assert refused >= 3, "the recovery was over before anybody looked: give it a larger log"
    reading = [each for each in seen if each["phase"] == "reading_log"]
    assert reading, seen
    assert [each["bytes_done"] for each in reading] == sorted(e["bytes_done"] for e in reading)
    assert all(0 <= each["bytes_done"] <= each["bytes_total"] for each in reading)
    assert reading[-1]["rows"] > 0 and "seconds_left" in reading[-1]


def wait_for_reading(engine: Engine) -> dict[str, Any]:
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        answer = probe(engine, "/status")
        if answer is not None:
            document: dict[str, Any] = json.loads(answer[1])
            assert document["state"] == "recovering", "the recovery was too short to be seen"
            if document["recovery"]["rows"] > 0:
                return document
        time.sleep(0.005)
    raise AssertionError(engine.log.read_text())


def test_flight_answers_unavailable(folder: Path) -> None:
    engine = Engine(folder, 2048)
    engine.start()
    try:
        wait_for_reading(engine)
        client = flight.connect(f"grpc://127.0.0.1:{engine.flight}")
        path = flight.FlightDescriptor.for_path("events")
        with pytest.raises(flight.FlightUnavailableError, match="starting"):
            client.get_flight_info(path)
        with pytest.raises(flight.FlightUnavailableError, match="starting"):
            list(client.list_flights())
        with pytest.raises(flight.FlightUnavailableError, match="starting"):
            list(
                client.do_action(
                    flight.Action("last_sequence", b'{"stream":"payments","producer":"p"}')
                )
            )
        writer, reader = client.do_put(path, pa.schema([("key", pa.string())]))
        with pytest.raises(flight.FlightUnavailableError, match="starting"):
            reader.read()
            writer.close()
    finally:
        engine.stop(signal.SIGKILL)


def test_status_command_shows_the_progress(folder: Path) -> None:
    engine = Engine(folder, 2048)
    engine.start()
    try:
        wait_for_reading(engine)
        done = run("status", "--http", f"127.0.0.1:{engine.http}")
        assert done.returncode == 0, done
        assert done.stdout.startswith("starting: reading the log"), done.stdout
        assert "recovering" in done.stdout and "reading_log" in done.stdout, done.stdout
    finally:
        engine.stop(signal.SIGKILL)


def test_sigterm_during_recovery_ends_cleanly(folder: Path) -> None:
    engine = Engine(folder, 2048)
    engine.log.unlink(missing_ok=True)
    engine.start()
    wait_for_reading(engine)
    assert engine.stop(signal.SIGTERM) == 0
    assert "stopped while starting" in engine.log.read_text()
    assert not engine.ready_file.exists()
    engine.start()
    engine.wait_ready()
    assert engine.status()["rows"]["accepted"] == ROWS
    assert engine.stop() == 0
