"""Runs the headrace binary and talks to it: one serving process, and the commands beside it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

READY_WITHIN_S = 120.0
STOP_WITHIN_S = 120.0
HOST = "127.0.0.1"


class DemoFailure(Exception):
    """Something that the demo promises did not happen; the text is what the user reads."""


@dataclass(frozen=True)
class Ready:
    """The engine's ready file."""

    http: int
    flight: int
    epoch: int
    log: str
    pid: int
    resp: int | None = None


@dataclass
class Engine:
    """`headrace serve` as a child process: first on default ports, then again on the same."""

    binary: Path
    pipeline: Path
    folder: Path
    options: tuple[str, ...] = ()
    ready: Ready | None = None
    peak_kb: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def table(self) -> Path:
        return self.data / "tables" / "flights"

    def start(self) -> Ready:
        """Returns when the engine answers; recovery is inside that time."""
        ready_file = self.folder / "ready.json"
        ready_file.unlink(missing_ok=True)
        command = [str(self.binary), "serve", str(self.pipeline), "--data", str(self.data)]
        command += ["--ready-file", str(ready_file), *self.options]
        if self.ready:
            command += ["--http", f"{HOST}:{self.ready.http}"]
            command += ["--flight", f"{HOST}:{self.ready.flight}"]
        with (self.folder / "serve.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        deadline = time.monotonic() + READY_WITHIN_S
        while not ready_file.exists():
            if self._process.poll() is not None:
                raise DemoFailure(f"headrace serve ended: {self.log_tail()}")
            if time.monotonic() > deadline:
                raise DemoFailure(f"headrace serve not ready in {READY_WITHIN_S:.0f} s")
            time.sleep(0.01)
        document = json.loads(ready_file.read_text())
        self.ready = Ready(
            **{name: document[name] for name in Ready.__dataclass_fields__ if name in document}
        )
        return self.ready

    def kill(self) -> None:
        """SIGKILL: nothing is flushed, nothing is told."""
        process = self._running()
        self.note_memory()
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """SIGTERM: drains, publishes, syncs. Fails unless the engine leaves with 0."""
        process = self._running()
        self.note_memory()
        process.terminate()
        try:
            code = process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise DemoFailure(f"headrace serve did not stop in {STOP_WITHIN_S:.0f} s") from None
        if code != 0:
            raise DemoFailure(f"headrace serve stopped with exit {code}: {self.log_tail()}")

    def abandon(self) -> None:
        """Ends the child whatever its state; for the way out after a failure."""
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def note_memory(self) -> None:
        """Remembers the process's peak resident memory, which dies with it."""
        status = Path(f"/proc/{self._running().pid}/status").read_text()
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                self.peak_kb = max(self.peak_kb, int(line.split()[1]))

    def log_tail(self) -> str:
        lines = (self.folder / "serve.log").read_text(errors="replace").splitlines()
        return " | ".join(lines[-3:]) or "no output"

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """One request on its own connection; the parsed answer. Fails on any status but 200."""
        assert self.ready
        connection = http.client.HTTPConnection(HOST, self.ready.http, timeout=30)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            payload = answer.read()
        except OSError as error:
            raise DemoFailure(f"{method} {path}: {error}") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise DemoFailure(
                f"{method} {path}: {answer.status} {payload[:300].decode(errors='replace')}"
            )
        return json.loads(payload) if payload else None

    def command(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts another headrace command, with its output to be read by the caller."""
        return subprocess.Popen(
            [str(self.binary), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "NO_COLOR": "1"},
        )

    def run_json(self, *arguments: str, exit_codes: tuple[int, ...] = (0,)) -> Any:
        """Runs a command with --json to its end; the document it prints last."""
        return finish_json(self.command(*arguments, "--json"), arguments[0], exit_codes)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise DemoFailure(f"headrace serve is not running: {self.log_tail()}")
        return self._process


def finish_json(
    process: subprocess.Popen[str], name: str, exit_codes: tuple[int, ...] = (0,)
) -> Any:
    """Waits for a command with --json; its document is the whole output or its last line."""
    output, errors = process.communicate()
    if process.returncode not in exit_codes:
        said = (errors or output).strip()[-500:]
        raise DemoFailure(f"headrace {name} failed with exit {process.returncode}: {said}")
    try:
        return json.loads(output)
    except json.JSONDecodeError:
        lines = output.strip().splitlines()
        if not lines:
            raise DemoFailure(f"headrace {name} --json printed nothing") from None
        return json.loads(lines[-1])
