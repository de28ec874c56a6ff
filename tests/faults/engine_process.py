"""The real binary as a process: start it, ask it, end it in any way.

HEADRACE names the binary; without it the one of ./dev build is taken.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("HEADRACE", ROOT / "build/release/apps/headrace/headrace"))
READY_WITHIN_S = 300.0
POLL_S = 0.002


class EngineProcess:
    """One life of `headrace serve`, a process group of its own, on ports the system chose.

    `before` goes in front of the command (a preload, a fake clock), `environment` into its
    variables, `options` behind its own. What it prints is appended to `serve.log` in the
    pipeline's folder.
    """

    def __init__(
        self,
        folder: Path,
        data: Path,
        before: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
        options: tuple[str, ...] = (),
    ) -> None:
        self.ports: dict[str, Any] = {}
        self.log = folder / "serve.log"
        self.log_begin = self.log.stat().st_size if self.log.exists() else 0
        self.ready_file = folder / f"ready-{time.monotonic_ns()}.json"
        command = [*before, str(BINARY), "serve", str(folder / "pipeline.yaml")]
        command += ["--data", str(data), "--ready-file", str(self.ready_file)]
        command += ["--http", "127.0.0.1:0", "--flight", "127.0.0.1:0", "--resp", "127.0.0.1:0"]
        command += options
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | (environment or {}),
            )

    def ready(self) -> bool:
        """Whether the ready file is there and whole."""
        if self.ports:
            return True
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
            self.ports = json.loads(self.ready_file.read_text())
            self.ready_file.unlink()
        return bool(self.ports)

    def wait_ready(self, within_s: float = READY_WITHIN_S) -> bool:
        """False when it did not come up: it ended, or the time is over."""
        deadline = time.monotonic() + within_s
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return True

    def alive(self) -> bool:
        return self.process.poll() is None

    def ended(self) -> bool:
        return not self.alive()

    def send_kill(self) -> None:
        """SIGKILL to the whole group."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def kill(self) -> None:
        """SIGKILL to the whole group; returns when it is gone."""
        self.send_kill()
        self.process.wait()
        self.ready_file.unlink(missing_ok=True)

    def terminate(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)

    def stop(self, within_s: float = READY_WITHIN_S) -> int:
        """SIGTERM, and its exit code."""
        self.terminate()
        return self.process.wait(within_s)

    def printed(self) -> str:
        """What this life printed."""
        with self.log.open("rb") as log:
            log.seek(self.log_begin)
            return log.read().decode(errors="replace")

    def request(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["http"], timeout=300)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def send_events(self, stream: str, text: str) -> int:
        """Events as lines of JSON, all of which are to go in; the epoch that has them."""
        status, told = self.request("POST", f"/streams/{stream}/events", text)
        assert status == 200, told
        epoch: int = json.loads(told)["epoch"]
        return epoch

    def status(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.request("GET", "/status")[1])
        return document


@contextlib.contextmanager
def serving_files(
    folder: Path, files: dict[str, str], options: tuple[str, ...] = ()
) -> Iterator[EngineProcess]:
    """An engine over a pipeline file and its contracts, which are put into the folder first."""
    for name, text in files.items():
        (folder / name).write_text(text)
    process = EngineProcess(folder, folder / "data", options=options)
    try:
        assert process.wait_ready(), process.printed()
        yield process
        assert process.stop() == 0
    finally:
        process.kill()
