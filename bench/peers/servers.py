"""What all peers have in common: a process, a port, a measurement."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import Any

HOST = "127.0.0.1"
STOP_WITHIN_S = 20.0
# Each is tried once, so that two that are asked for one after the other are not the same.
PORTS = itertools.chain(range(20_000 + os.getpid() % 5_000, 32_000), range(20_000, 32_000))


class PeerFailure(Exception):
    """A peer could not be measured; without it there is no ratio."""


@dataclass(frozen=True)
class Measured:
    """Acknowledged events a second, and the time of a batch until it was acknowledged."""

    events_per_s: float
    p50_ms: float
    p99_ms: float

    @staticmethod
    def read(document: dict[str, Any]) -> Measured:
        return Measured(
            float(document["events_per_s"]), float(document["p50_ms"]), float(document["p99_ms"])
        )


def free_port() -> int:
    """Below those that the system gives to outgoing connections: a client that tries a closed port
    of that range again and again is in the end connected to itself, and nobody can listen there."""
    for port in PORTS:
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise PeerFailure("no port is free")


def wait_for_port(port: int, within_s: float, process: subprocess.Popen[Any]) -> None:
    deadline = time.monotonic() + within_s
    while True:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None:
                raise PeerFailure(f"{process.args!r} ended with {process.returncode}") from None
            if time.monotonic() > deadline:
                process.kill()
                raise PeerFailure(f"{process.args!r}: port {port} stays closed") from None
            time.sleep(0.02)


def stop(process: subprocess.Popen[Any]) -> None:
    """SIGTERM, then SIGKILL; whatever its state."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
