"""Answers beside ingest: `./dev bench serving --part ingest`.

An open-loop client asks POST /get-online-features for 20 features of one of 100,000 cards, 2,000
times a second over 16 connections for --ingest-seconds, in turn with nothing else going on and
while `headrace ingest` sends 100,000 payments a second of the same cards over Flight, --runs times
each. A time is from when a request was due until its answer was read. Client, sender and server
share the cores. Asked is that p99 grows by less than a half.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from payments_server import Headrace, key, say
from servers import HOST, PeerFailure

HERE = Path(__file__).parent
EVENTS_PER_S = 100_000
REQUESTS_PER_S = 2000
CONNECTIONS = 16
KEYS = 100_000
GROWS_BY = 1.5
WARM_UP_S = 1.0


def amount(number: int) -> float:
    return number % 1000 + 0.25


def write_payments(path: Path, rows: int) -> None:
    at = pa.array([int(time.time() * 1e6)] * rows, pa.timestamp("us", "UTC"))
    cards = pa.array([key(i * 7919 % KEYS) for i in range(rows)])
    amounts = pa.array([amount(i) for i in range(rows)])
    pq.write_table(pa.table({"card": cards, "at": at, "amount": amounts}), path)


def write_requests(path: Path) -> None:
    with path.open("w") as file:
        for i in range(0, KEYS, 7):
            asked = {"feature_service": "pushed", "entities": {"card": [key(i)]}}
            file.write(json.dumps(asked, separators=(",", ":")) + "\n")


class Sender:
    """Sends for as long as a run takes, and a little on either side."""

    def __init__(self, options: argparse.Namespace, headrace: Headrace, run: int) -> None:
        rows = int((options.ingest_seconds + 4 * WARM_UP_S) * EVENTS_PER_S)
        payments = options.folder / "payments.parquet"
        write_payments(payments, rows)
        words = [str(options.headrace), "ingest", "payments", str(payments)]
        words += ["--flight", f"{HOST}:{headrace.flight}", "--rate", str(EVENTS_PER_S)]
        self.before = headrace.status()["rows"]["accepted"]
        self.process = subprocess.Popen(
            [*words, "--producer", f"run-{run}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while headrace.status()["rows"]["accepted"] == self.before:
            if self.process.poll() is not None:
                raise PeerFailure("headrace ingest ended before it had sent anything")
            time.sleep(0.02)
        time.sleep(WARM_UP_S)

    def end(self) -> None:
        self.process.terminate()
        self.process.wait()


def ask(options: argparse.Namespace, headrace: Headrace, requests: Path) -> dict[str, float]:
    words = [str(options.lookup_client), str(headrace.http), str(REQUESTS_PER_S)]
    words += [str(options.ingest_seconds), str(requests), str(CONNECTIONS)]
    accepted, begun = headrace.status()["rows"]["accepted"], time.monotonic()
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    took = time.monotonic() - begun
    told = json.loads(done.stdout.strip().splitlines()[-1])
    if told["errors"]:
        raise PeerFailure(f"not every request was answered: {told}")
    rows = headrace.status()["rows"]["accepted"] - accepted
    return {"p50_ms": told["p50_ms"], "p99_ms": told["p99_ms"], "events_per_s": rows / took}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    headrace = Headrace(options.headrace, options.folder / "ingest", HERE / "pipeline.yaml")
    runs: dict[str, list[dict[str, float]]] = {"without": [], "beside": []}
    try:
        headrace.load(KEYS, amount)
        requests = options.folder / "lookups.txt"
        write_requests(requests)
        ask(options, headrace, requests)
        for run in range(options.runs):
            runs["without"].append(ask(options, headrace, requests))
            sender = Sender(options, headrace, run)
            runs["beside"].append(ask(options, headrace, requests))
            sender.end()
    finally:
        headrace.close()
    figures = {
        f"ingest_{name}_{what}": statistics.median(each[what] for each in found)
        for name, found in runs.items()
        for what in ("p50_ms", "p99_ms", "events_per_s")
    }
    pairs = zip(runs["beside"], runs["without"], strict=True)
    grows = statistics.median(beside["p99_ms"] / without["p99_ms"] for beside, without in pairs)
    say(
        f"answers beside {figures['ingest_beside_events_per_s']:,.0f} events/s: p50"
        f" {figures['ingest_beside_p50_ms']:.2f} ms, p99 {figures['ingest_beside_p99_ms']:.2f};"
        f" without {figures['ingest_without_p50_ms']:.2f}, {figures['ingest_without_p99_ms']:.2f}:"
        f" {grows:.2f} times"
    )
    return {
        "ratios": {"p99_beside_ingest": grows},
        "targets": {"p99_beside_ingest": GROWS_BY / grows},
        "figures": figures,
    }
