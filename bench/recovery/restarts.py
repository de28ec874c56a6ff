"""An engine that is killed and started again, and how long it takes to live and to answer."""

from __future__ import annotations

import http.client
import itertools
import json
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sender import Acknowledged
from servers import HOST, PeerFailure, free_port, stop

PROBE_EVERY_S = 0.02
ASK_EVERY_S = 0.005


@dataclass(frozen=True)
class Inside:
    """What the engine's own log says of a start; nothing where it does not say."""

    snapshot_bytes: int = 0
    load_s: float = 0.0
    replayed_rows: int = 0
    replay_s: float = 0.0

    @staticmethod
    def read(fields: dict[str, str]) -> Inside:
        return Inside(
            int(fields.get("snapshot_bytes", 0)),
            int(fields.get("load_ms", 0)) / 1000,
            int(fields.get("replayed_rows", 0)),
            int(fields.get("replay_ms", 0)) / 1000,
        )


@dataclass(frozen=True)
class Restart:
    """Seconds from the exec until answers held every acknowledged row; and of liveness, the longest
    time without an answer of GET /health, the one from the exec to the first included."""

    ready_s: float
    longest_silence_s: float
    inside: Inside


def request(port: int, method: str, path: str, body: Any = None, timeout: float = 5.0) -> Any:
    """The parsed answer of a 200, or its text; None for anything else and for nobody there."""
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        payload = answer.read()
        if answer.status != 200:
            return None
        return json.loads(payload) if payload.startswith(b"{") else payload.decode()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


class Liveness:
    """GET /health again and again, from the exec until `finish`."""

    def __init__(self, port: int, begin: float) -> None:
        self._port = port
        self._answered = [begin]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._probe)
        self._thread.start()

    def finish(self) -> float:
        """Seconds of the longest silence."""
        self._stop.set()
        self._thread.join()
        times = [*self._answered, time.monotonic()]
        return max(later - sooner for sooner, later in itertools.pairwise(times))

    def _probe(self) -> None:
        while not self._stop.wait(PROBE_EVERY_S):
            if request(self._port, "GET", "/health") is not None:
                self._answered.append(time.monotonic())


class Engine:
    """`headrace serve` on fixed ports, killed and started again on the same data."""

    def __init__(self, binary: Path, pipeline: Path, folder: Path) -> None:
        self.http, self.flight = free_port(), free_port()
        self.pipeline = pipeline
        self.folder = folder
        self._binary = binary
        self._process: subprocess.Popen[bytes] | None = None

    def exec(self) -> float:
        """Starts it; returns when that was, on the monotonic clock."""
        command = [str(self._binary), "serve", str(self.pipeline)]
        command += ["--data", str(self.folder / "data")]
        command += [
            "--http",
            f"{HOST}:{self.http}",
            "--flight",
            f"{HOST}:{self.flight}",
            "--no-resp",
        ]
        with (self.folder / "serve.log").open("ab") as log:
            begin = time.monotonic()
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        return begin

    def start(self, acknowledged: Acknowledged, within_s: float) -> Restart:
        """Starts it, and returns when an answer holds every row of `acknowledged`."""
        begin = self.exec()
        liveness = Liveness(self.http, begin)
        try:
            while not self._answers(acknowledged):
                if self._process and self._process.poll() is not None:
                    raise PeerFailure(f"headrace serve ended: {self.log_tail()}")
                if time.monotonic() - begin > within_s:
                    raise PeerFailure(f"no answer with every row within {within_s:.0f} s")
                time.sleep(ASK_EVERY_S)
            ready_s = time.monotonic() - begin
        finally:
            silence = liveness.finish()
        return Restart(ready_s, silence, Inside.read(self.last_logged("wiring.recovered")))

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process:
            stop(self._process)

    def status(self) -> dict[str, Any]:
        found = request(self.http, "GET", "/status", timeout=30)
        if not isinstance(found, dict):
            raise PeerFailure(f"GET /status is not answered: {self.log_tail()}")
        return found

    def log_tail(self) -> str:
        lines = (self.folder / "serve.log").read_text(errors="replace").splitlines()
        return " | ".join(lines[-3:]) or "no output"

    def last_logged(self, event: str) -> dict[str, str]:
        """Fields of the last line of the log about `event`; empty when there is none."""
        text = (self.folder / "serve.log").read_text(errors="replace")
        for line in reversed(text.splitlines()):
            words = line.split()
            if event in words:
                return dict(word.split("=", 1) for word in words if "=" in word)
        return {}

    def _answers(self, acknowledged: Acknowledged) -> bool:
        """Whether an answer is of the epoch, and knows of the batch, that was acknowledged last."""
        question = {"features": ["newest:batch"], "entities": {"lane": [1]}}
        answer = request(self.http, "POST", "/get-online-features", question)
        if not isinstance(answer, dict):
            return False
        batch = answer["results"][-1]["values"][0] or 0
        epoch = answer["headrace"]["epoch"]
        return bool(batch >= acknowledged.batch and epoch >= acknowledged.epoch)
