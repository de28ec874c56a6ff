"""Asks for features at a steady rate over one kept connection until it is told to stop (SIGTERM).

A process of its own, so that its clock is not the demo's. It reconnects after the engine was killed
and holds the engine to this: the epoch of answers on one connection never goes back. Its output is
one JSON document.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
HEADERS = {"Content-Type": "application/json"}


@dataclass
class Record:
    latencies_ms: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    features: int = 0
    unanswered: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    reconnects: int = 0
    epoch_went_back: int = 0


def epoch_of(answer: dict[str, Any]) -> int:
    return int(answer["headrace"]["epoch"])


def body(service: str, route: list[str]) -> bytes:
    entities = {"origin": [route[0]], "destination": [route[1]]}
    return json.dumps({"feature_service": service, "entities": entities}).encode()


class Client:
    def __init__(self, port: int, record: Record) -> None:
        self._connection = http.client.HTTPConnection(HOST, port, timeout=10)
        self._record = record
        self._last_epoch = -1

    def ask(self, request: bytes) -> None:
        started = time.perf_counter()
        try:
            self._connection.request("POST", "/get-online-features", request, HEADERS)
            answer = self._connection.getresponse()
            payload = answer.read()
        except (OSError, http.client.HTTPException):
            self._reconnect()
            return
        took_ms = (time.perf_counter() - started) * 1e3
        if (
            answer.status == 503 and b"starting: " in payload
        ):  # the engine is back, its state is not
            self._reconnect()
            return
        if answer.status != 200:
            self._record.errors[f"{answer.status} {payload[:120].decode(errors='replace')}"] += 1
            return
        self._record.latencies_ms.append(took_ms)
        self._note(json.loads(payload))

    def _note(self, answer: dict[str, Any]) -> None:
        results = answer["results"]
        self._record.features = len(results)
        for result in results:
            self._record.statuses.update(result["statuses"])
        epoch = epoch_of(answer)
        self._record.epoch_went_back += epoch < self._last_epoch
        self._last_epoch = epoch

    def _reconnect(self) -> None:
        """A new connection is a new promise: what was seen on the old one may be ahead of it."""
        self._record.unanswered += 1
        self._record.reconnects += 1
        self._last_epoch = -1
        self._connection.close()
        time.sleep(0.05)


def percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def document(record: Record, seconds: float) -> dict[str, Any]:
    ordered = sorted(record.latencies_ms)
    figures: dict[str, Any] = {
        "answered": len(ordered),
        "unanswered": record.unanswered,
        "reconnects": record.reconnects,
        "errors": dict(record.errors),
        "features": record.features,
        "statuses": dict(record.statuses),
        "epoch_went_back": record.epoch_went_back,
        "seconds": seconds,
    }
    if ordered:
        figures |= {"p50_ms": percentile(ordered, 0.5), "p99_ms": percentile(ordered, 0.99)}
        figures |= {"worst_ms": ordered[-1]}
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True, help="requests a second")
    parser.add_argument(
        "--keys", type=Path, required=True, help="JSON: [[origin, destination], ...]"
    )
    parser.add_argument("--service", default="departure")
    options = parser.parse_args()

    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    routes = json.loads(options.keys.read_text())
    requests = [body(options.service, route) for route in routes]
    dice = random.Random(2001)
    record = Record()
    client = Client(options.port, record)
    started = due = time.perf_counter()
    while not stopping:
        client.ask(dice.choice(requests))
        due = max(due + 1 / options.rate, time.perf_counter() - 1.0)  # no burst after a pause
        pause = due - time.perf_counter()
        if pause > 0:
            with contextlib.suppress(InterruptedError):
                time.sleep(pause)
    json.dump(document(record, time.perf_counter() - started), sys.stdout)


if __name__ == "__main__":
    main()
