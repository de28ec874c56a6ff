"""Refused rows sent again, over HTTP and by `headrace replay`, while the engine is killed."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from engine_process import BINARY, EngineProcess, serving_files
from payments_engine import CONTRACT, PIPELINE

ROWS = 30_000
STRICT = CONTRACT.replace(
    "{name: amount, logicalType: number}",
    "{name: amount, logicalType: number, logicalTypeOptions: {maximum: 100}}",
)
MENDED = STRICT.replace("maximum: 100", "maximum: 1000")


def start(folder: Path) -> EngineProcess:
    engine = EngineProcess(folder, folder / "data")
    assert engine.wait_ready(), engine.printed()
    return engine


def lines(amounts: range) -> str:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return "\n".join(
        f'{{"card":"c{amount % 7}","shop":"s","amount":{amount},"at":"{at}"}}' for amount in amounts
    )


def send(engine: EngineProcess, amounts: range) -> dict[str, Any]:
    told = engine.request("POST", "/streams/payments/events", lines(amounts))[1]
    outcome: dict[str, Any] = json.loads(told)
    return outcome


def command(engine: EngineProcess, *words: str) -> str:
    address = f"127.0.0.1:{engine.ports['http']}"
    verb, *rest = words
    done = subprocess.run(
        [BINARY, verb, "--http", address, *rest], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


FILES = {"pipeline.yaml": PIPELINE, "payments.yaml": STRICT}
assert STRICT != CONTRACT


def test_the_command_tells_what_came_in_and_what_did_not(tmp_path: Path) -> None:
    with serving_files(tmp_path, FILES) as engine:
        assert send(engine, range(99, 104))["refused_rows"] == 3
        send(engine, range(2000, 2001))
        assert "no refused row of payments came in" in command(engine, "replay", "payments")
        (tmp_path / "payments.yaml").write_text(MENDED)
        command(engine, "apply", str(tmp_path / "pipeline.yaml"))
        dry = command(engine, "replay", "payments", "--dry-run")
        assert dry.startswith("3 refused rows of payments would come in"), dry
        told = command(engine, "replay", "payments")
        assert told.startswith("3 refused rows of payments came in, known from epoch "), told
        assert "1 row still refused:" in told and "at most 1000" in told
        again = json.loads(command(engine, "replay", "payments", "--json"))
        assert (again["replayed"], again["kept"], again["replayed_before"]) == (0, 1, 3)
        assert "came in when it was sent again" in command(engine, "deadletters", "payments")
        left = command(engine, "deadletters", "payments", "--open")
        assert left.splitlines()[-1] == "1 refused row", left
        assert engine.status()["rows"]["accepted"] == 5


def test_each_comes_in_once_whatever_is_killed(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    engine = start(tmp_path)
    try:
        for begin in range(101, 901, 100):
            assert send(engine, range(begin, begin + 100))["refused_rows"] == 100
        many = "\n".join(lines(range(101, 1001)) for _ in range(ROWS // 900))
        engine.request("POST", "/streams/payments/events", many)
        refused = engine.status()["rows"]["refused"]
        (tmp_path / "payments.yaml").write_text(MENDED)
        command(engine, "apply", str(tmp_path / "pipeline.yaml"))
        for life in range(6):
            asking = threading.Thread(target=ask_for_part, args=(engine,))
            asking.start()
            time.sleep(0.004 * life)
            engine.kill()
            asking.join()
            engine = start(tmp_path)
        accepted = engine.status()["rows"]["accepted"]
        before = json.loads(command(engine, "replay", "payments", "--json"))
        assert before["replayed"] + before["replayed_before"] == refused
        assert before["replayed_before"] == accepted
        assert engine.status()["rows"]["accepted"] == refused
        assert engine.status()["rows"]["refused"] == refused
        assert engine.stop() == 0
    finally:
        engine.kill()


def ask_for_part(engine: EngineProcess) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", engine.ports["http"], timeout=60)
    try:
        connection.request("POST", "/deadletters/replay?stream=payments&limit=4000")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        pass  # it was killed
    finally:
        connection.close()


def test_what_cannot_be_asked_is_said(tmp_path: Path) -> None:
    with serving_files(tmp_path, FILES) as engine:
        for query, status, says in [
            ("", 422, "stream=NAME"),
            ("stream=pyments", 404, "payments"),
            ("stream=payments&limit=0", 422, "1 to 100000"),
            ("stream=payments&after=x", 422, "no position"),
            ("stream=payments&dry_run=perhaps", 422, "neither true nor false"),
        ]:
            code, text = engine.request("POST", f"/deadletters/replay?{query}")
            assert code == status and says in json.loads(text)["detail"], (query, code, text)
