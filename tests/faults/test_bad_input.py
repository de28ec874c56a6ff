"""Bad input and faults against the real binary: clear errors, and the engine keeps serving.

HEADRACE names the binary; without it the one of ./dev build is taken.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("HEADRACE", ROOT / "build/release/apps/headrace/headrace"))
READY_WITHIN_S = 30.0

PIPELINE = """headrace: 1
pipeline: small
promise: {budget: {p99: 200ms}}
clock: events
streams:
  events: {contract: events.yaml, source: {http: push}, time: {event: at, late: 1h}}
views:
  key: {from: events, by: key, over: [1h], features: {n: count(*)}}
tables: {events: {commit: 200ms}}
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
"""


class Server:
    """`headrace serve` on free ports."""

    def __init__(self, folder: Path, data: Path, *options: str) -> None:
        self.folder = folder
        self.data = data
        self.sent: int | None = None  # the epoch of what was sent last
        self.ready_file = folder / f"ready-{time.monotonic_ns()}.json"
        command = [str(BINARY), "serve", str(folder / "pipeline.yaml"), "--data", str(data)]
        command += ["--ready-file", str(self.ready_file), *options]
        self.log = folder / "serve.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def wait(self) -> dict[str, Any] | None:
        """The ready document, or nothing when the process ended."""
        deadline = time.monotonic() + READY_WITHIN_S
        while not self.ready_file.exists():
            if self.process.poll() is not None:
                return None
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.01)
        ready: dict[str, Any] = json.loads(self.ready_file.read_text())
        self.ports = ready
        return ready

    def request(self, method: str, path: str, body: bytes | str | None = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["http"], timeout=30)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def send(self, *keys: str, minute: int = 0) -> dict[str, Any]:
        lines = [f'{{"key":"{key}","at":"2026-01-01T10:{minute:02}:00Z"}}' for key in keys]
        status, body = self.request("POST", "/streams/events/events", "\n".join(lines))
        assert status == 200, body
        outcome: dict[str, Any] = json.loads(body)
        self.sent = outcome["epoch"]
        return outcome

    def count(self, key: str) -> Any:
        query: dict[str, Any] = {"features": ["key:n_1h"], "entities": {"key": [key]}}
        if self.sent is not None:  # what this test sent is in the answer
            query |= {"min_epoch": self.sent, "deadline_ms": 30_000}
        status, body = self.request("POST", "/get-online-features", json.dumps(query))
        assert status == 200, body
        return json.loads(body)["results"][1]["values"][0]

    def status(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.request("GET", "/status")[1])
        return document

    def wait_for_table(self, state: str, pending: int = 0) -> dict[str, Any]:
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            table: dict[str, Any] = self.status()["tables"][0]
            if table["state"] == state and (state != "running" or table["pending_rows"] == pending):
                return table
            assert time.monotonic() < deadline, table
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(READY_WITHIN_S)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert BINARY.exists(), f"{BINARY} is missing: ./dev build makes it"
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    (tmp_path / "events.yaml").write_text(CONTRACT)
    return tmp_path


@contextlib.contextmanager
def serving(folder: Path, *options: str, data: Path | None = None) -> Iterator[Server]:
    server = Server(folder, data or folder / "data", *options)
    try:
        assert server.wait() is not None, server.log.read_text()
        yield server
    finally:
        server.stop()


def refused(folder: Path, *options: str) -> tuple[int, str]:
    """The exit code and output of a server that does not start."""
    server = Server(folder, folder / "data", *options)
    try:
        assert server.wait() is None, "the server started"
        return server.process.returncode, server.log.read_text()
    finally:
        server.stop()


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [str(BINARY), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_unknown_key_in_the_pipeline_file(folder: Path) -> None:
    (folder / "pipeline.yaml").write_text(PIPELINE.replace("views:", "veiws:"))
    code, text = refused(folder)
    assert code == 2
    assert "veiws" in text and "did you mean: views" in text and "pipeline.yaml:7:1" in text


def test_contract_that_contradicts_a_view(folder: Path) -> None:
    (folder / "events.yaml").write_text(CONTRACT.replace("name: key,", "name: kee,"))
    code, text = refused(folder)
    assert code == 2
    assert "no column `key` in events" in text


def test_port_set_by_hand_that_is_in_use(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, text = refused(folder, "--http", f"127.0.0.1:{port}")
    assert code == 4
    assert f"port {port}" in text and "in use" in text and "choose another" in text


def test_default_port_moves_and_says_so(folder: Path) -> None:
    with serving(folder) as first, serving(folder, data=folder / "other") as second:
        assert first.ports["http"] != second.ports["http"]
        assert first.ports["flight"] != second.ports["flight"]
        assert "was taken" in second.log.read_text()


def test_data_folder_of_a_running_engine(folder: Path) -> None:
    with serving(folder):
        code, text = refused(folder)
    assert code == 5
    assert "another process" in text or "in use" in text


def test_unknown_view_and_a_request_of_200_mb(folder: Path) -> None:
    with serving(folder) as server:
        query = {"features": ["cart:n"], "entities": {"key": ["a"]}}
        assert server.request("POST", "/get-online-features", json.dumps(query))[0] == 404
        status, body = 0, ""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            status, body = server.request("POST", "/streams/events/events", b" " * 200_000_000)
        assert status in (0, 413), body
        assert server.send("a")["accepted"] == 1
        assert server.status()["memory"]["peak_mb"] < 400


def test_batch_with_a_missing_or_an_extra_column(folder: Path) -> None:
    at = pa.array([1_767_261_600_000_000], pa.timestamp("us", "UTC"))
    pq.write_table(pa.table({"at": at}), folder / "missing.parquet")
    pq.write_table(pa.table({"key": ["a"], "at": at, "more": [1]}), folder / "extra.parquet")
    pq.write_table(pa.table({"key": ["a"], "at": at}), folder / "good.parquet")
    with serving(folder) as server:
        address = ("--flight", f"127.0.0.1:{server.ports['flight']}")
        for name, column in (("missing", "key"), ("extra", "more")):
            done = run("ingest", "events", folder / f"{name}.parquet", *address)
            assert done.returncode == 2, done
            assert f"`{column}`" in done.stdout + done.stderr, done
        assert run("ingest", "events", folder / "good.parquet", *address).returncode == 0
        assert server.count("a") == 1


def test_keys_of_a_megabyte(folder: Path) -> None:
    wide = ["k" * 1_000_000 + end for end in "ab"]
    with serving(folder) as server:
        assert server.send(*wide, wide[0])["accepted"] == 3
        assert [server.count(key) for key in wide] == [2, 1]
        row = '{"key":"' + "k" * (1 << 20) + '","at":"2026-01-01T10:00:00Z"}'
        status, body = server.request("POST", "/streams/events/events", row)
        assert status == 422 and "send smaller rows" in body, body
        server.stop(signal.SIGKILL)
    with serving(folder) as server:
        assert [server.count(key) for key in wide] == [2, 1]


def test_torn_log_is_mended_and_a_broken_one_refused(folder: Path) -> None:
    with serving(folder) as server:
        server.send("a")
        server.send("b")
        server.stop(signal.SIGKILL)
    segment = sorted((folder / "data/log").glob("epoch-*.log"))[0]
    whole = segment.read_bytes()
    end = len(whole.rstrip(b"\0"))

    torn = bytearray(whole)
    torn[end + 512 : end + 2048] = os.urandom(1536)
    segment.write_bytes(torn)
    with serving(folder) as server:
        assert server.count("a") == 1 and server.count("b") == 1
        server.stop(signal.SIGKILL)

    broken = bytearray(segment.read_bytes())
    broken[700] ^= 1
    segment.write_bytes(broken)
    code, text = refused(folder)
    assert code == 14
    assert segment.name in text and "offset" in text


def test_a_start_that_fails_says_so_though_a_signal_came(folder: Path) -> None:
    """The log's name is read from a pipe: the signal comes while it is, and then it is no file."""
    log = folder / "data/log"
    log.mkdir(parents=True)
    os.mkfifo(log / "LOG")
    server = Server(folder, folder / "data")
    deadline = time.monotonic() + READY_WITHIN_S
    while "starting:" not in server.log.read_text():
        assert server.process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    with (log / "LOG").open("wb"):
        code = server.process.wait(READY_WITHIN_S)
    assert code not in (0, -signal.SIGTERM), server.log.read_text()
    assert "stopped while starting" not in server.log.read_text()
    assert "HR0910" in server.log.read_text()


def test_table_of_another_log_stops_only_the_publisher(folder: Path) -> None:
    with serving(folder) as server:
        server.send("a")
        server.wait_for_table("running")
    shutil.copytree(folder / "data/tables", folder / "fresh/tables")
    with serving(folder, data=folder / "fresh") as server:
        server.send("a", "b")
        table = server.wait_for_table("stopped")
        assert "another log" in table["reason"]
        assert server.count("b") == 1


def test_table_ahead_of_its_log(folder: Path) -> None:
    with serving(folder) as server:
        server.send("a")
        server.wait_for_table("running")
        server.stop()
        shutil.copytree(folder / "data/log", folder / "backup")
    with serving(folder) as server:
        server.send("b", minute=1)
        server.wait_for_table("running")
        server.stop()
    shutil.rmtree(folder / "data/log")
    shutil.copytree(folder / "backup", folder / "data/log")
    with serving(folder) as server:
        server.send("c", minute=2)
        assert "ahead" in server.wait_for_table("stopped")["reason"]
        assert server.count("c") == 1


def test_full_disk_refuses_and_comes_back(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("a disk of our own needs root to mount it")
    disk = folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", str(disk)], check=False
    )
    if mounted.returncode != 0:
        pytest.skip("tmpfs can't be mounted here")
    try:
        with serving(folder, data=disk / "data") as server:
            assert server.send("a")["accepted"] == 1
            ballast = disk / "ballast"
            with contextlib.suppress(OSError), ballast.open("wb") as out:
                while True:
                    out.write(b"x" * (1 << 20))
            row = '{"key":"' + "k" * 100_000 + '","at":"2026-01-01T10:01:00Z"}'
            refusals = set()
            accepted = 1
            for _ in range(80):
                status, body = server.request(
                    "POST", "/streams/events/events", "\n".join([row] * 20)
                )
                if status == 200:
                    accepted += json.loads(body)["accepted"]
                else:
                    refusals.add(status)
                    assert "space" in body or "full" in body, body
                    break
            assert refusals == {507}
            assert server.count("a") == 1
            ballast.unlink()
            assert server.send("b")["accepted"] == 1
            accepted += 1
            server.stop(signal.SIGKILL)
        with serving(folder, data=disk / "data") as server:
            assert server.status()["rows"]["accepted"] == accepted
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)
