"""The real binary on free ports with a small memory budget, and what its memory came to.

HEADRACE names the binary; without it the one of ./dev build is taken.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("HEADRACE", ROOT / "build/release/apps/headrace/headrace"))
LONG = os.environ.get("HEADRACE_TEST_LONG") == "1"
WITHIN_S = 120.0  # for anything that must happen at all; nothing is judged by it
BUDGET_MIB = 256

PIPELINE = """headrace: 1
pipeline: overload
promise: {{budget: {{p99: 300ms}}}}
clock: events
memory: {memory}MiB
streams:
  events: {{contract: events.yaml, source: {{http: push}}, time: {{event: at, late: 1h}}}}
views:
  key:
    from: events
    by: key
    over: [1h, 24h]
    features: {{n: count(*), total: sum(amount), last_note: last(note)}}
services:
  everything: {{features: [key.*]}}
tables: {{events: {{commit: 500ms}}}}
"""
CONTRACT = """apiVersion: v3.1.0
kind: DataContract
id: events
version: 1.0.0
status: active
schema:
  - name: events
    logicalType: object
    properties:
      - {name: key, logicalType: string, required: true}
      - {name: at, logicalType: timestamp, required: true}
      - {name: amount, logicalType: number, physicalType: double}
      - {name: note, logicalType: string}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


class Engine:
    """`headrace serve`; `start` returns before it is ready."""

    def __init__(self, folder: Path, memory_mib: int = BUDGET_MIB, *options: str) -> None:
        self.folder = folder
        self.memory_mib = memory_mib
        self.options = options
        self.http = free_port()
        self.flight = free_port()
        self.ready_file = folder / "ready.json"
        self.log = folder / "serve.log"
        (folder / "pipeline.yaml").write_text(PIPELINE.format(memory=memory_mib))
        (folder / "events.yaml").write_text(CONTRACT)

    def start(self) -> None:
        self.ready_file.unlink(missing_ok=True)
        command = [str(BINARY), "serve", str(self.folder / "pipeline.yaml")]
        command += ["--data", str(self.folder / "data"), "--ready-file", str(self.ready_file)]
        command += ["--http", f"127.0.0.1:{self.http}", "--flight", f"127.0.0.1:{self.flight}"]
        command += ["--resp", "127.0.0.1:0"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([*command, *self.options], stdout=log, stderr=log)

    def wait_ready(self) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not self.ready_file.exists():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.01)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(WITHIN_S)

    def request(
        self, method: str, path: str, body: bytes | str | None = None
    ) -> tuple[int, str, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=WITHIN_S)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            fields = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, answer.read().decode(), fields
        finally:
            connection.close()

    def status(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.request("GET", "/status")[1])
        return document

    def memory(self) -> dict[str, float]:
        """MiB: resident now and at the most, as the kernel says."""
        fields = {"VmRSS": 0.0, "VmHWM": 0.0}
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in fields:
                fields[name] = int(value.split()[0]) / 1024
        return {"resident": fields["VmRSS"], "peak": fields["VmHWM"]}

    def post(self, rows: str | bytes, path: str = "/streams/events/events") -> tuple[int, str]:
        status, body, _ = self.request("POST", path, rows)
        return status, body


@contextlib.contextmanager
def serving(folder: Path, memory_mib: int = BUDGET_MIB, *options: str) -> Iterator[Engine]:
    engine = Engine(folder, memory_mib, *options)
    engine.start()
    try:
        engine.wait_ready()
        yield engine
    finally:
        if engine.process.poll() is None:
            engine.stop()


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [str(BINARY), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
