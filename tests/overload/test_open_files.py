"""An engine that may not raise its number of open files: it says so, with what to do, and keeps to
what there is: one connection more is told to come back, and files can still be opened."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

import pytest
from engine_process import EngineProcess
from payments_engine import CONTRACT, PIPELINE, payment

FILES = 1024
# Neither the hard limit nor the right to pass it.
BEFORE = ("prlimit", f"--nofile={FILES}:{FILES}", "--", "setpriv")
NO_RIGHTS = ("--inh-caps=-sys_resource", "--bounding-set=-sys_resource")


@pytest.mark.skipif(os.geteuid() != 0, reason="without root the limit is a hard one anyway")
def test_few_open_files(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    (tmp_path / "payments.yaml").write_text(CONTRACT)
    engine = EngineProcess(tmp_path, tmp_path / "data", before=(*BEFORE, *NO_RIGHTS))
    try:
        assert engine.wait_ready(), engine.printed()
        told = engine.printed()
        assert "wiring.few_open_files" in told and f"open_files_max={FILES}" in told, told
        assert "ulimit -Hn" in told and "flight_connections_max=64" in told, told
        with contextlib.ExitStack() as stack:
            # of HTTP 192, of Flight 64
            for port, count in (("flight", 150), ("http", 150)):
                for _ in range(count):
                    address = ("127.0.0.1", engine.ports[port])
                    stack.enter_context(socket.create_connection(address, timeout=60))
            engine.send_events("payments", payment("c1", "s1", 2.5))
            for _ in range(100):
                last = stack.enter_context(
                    socket.create_connection(("127.0.0.1", engine.ports["http"]), timeout=60)
                )
            assert last.recv(4096).startswith(b"HTTP/1.1 503 ")
            with socket.create_connection(("127.0.0.1", engine.ports["resp"]), timeout=60) as other:
                other.sendall(b"PING\r\n")
                assert other.recv(100) == b"+PONG\r\n"
        engine.send_events("payments", payment("c1", "s1", 2.5))
        assert engine.stop() == 0
    finally:
        engine.kill()
