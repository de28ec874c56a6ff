"""While an engine reads its log it lives: it answers, says how far it is, and can be stopped."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight
import pyarrow.parquet as pq
import pytest

from engine_under_load import LONG, WITHIN_S, Engine, run, serving

ROWS = 12_000_000 if LONG else 1_000_000
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


def test_health_answers_all_through_recovery(folder: Path) -> None:
    engine = Engine(folder, 2048)
    began = time.monotonic()
    engine.start()
    first_health = 0.0
    slowest = 0.0
    seen: list[dict[str, Any]] = []
    refused = 0
    while True:
        asked = time.monotonic()
        assert asked - began < WITHIN_S
        health = probe(engine, "/health")
        if health is None:
            time.sleep(0.005)
            continue
        first_health = first_health or time.monotonic() - began
        slowest = max(slowest, time.monotonic() - asked)
        assert health[0] == 200
        ready = probe(engine, "/ready")
        assert ready is not None
        if ready[0] == 200:
            break
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
    status = engine.status()
    assert engine.stop() == 0
    assert status["state"] == "ready" and status["recovery"]["rows"] == ROWS
    print(
        f"\nfirst /health {first_health * 1000:.0f} ms after exec, slowest {slowest * 1000:.0f} ms,"
        f" {refused} refusals in {status['recovery']['elapsed_s']:.2f} s of recovery"
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
