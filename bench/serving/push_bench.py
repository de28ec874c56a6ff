"""Push and get over HTTP: `./dev bench serving --part push`.

An open-loop client sends one payment a request to `POST /streams/payments/push-get`, 5,000 a
second over 64 connections for --push-seconds, --runs times, each time to a new engine, so that the
percentiles of its disk are those of the run. A time is from when a request was due until its
answer, which has the features with the payment in them, was read. Asked is that p99 is at most
three times the p99 of fdatasync in that run and 2 ms.

Then the same engine is asked for provisional answers, at the same rate for as long: the payments
have idempotency keys, as they must.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

from payments_server import Headrace, key, say
from servers import PeerFailure

HERE = Path(__file__).parent
PUSHES_PER_S = 5000
CONNECTIONS = 64
KEYS = 20_000


def amount(number: int) -> float:
    return number % 1000 + 0.25


def write_requests(path: Path, provisional: bool) -> None:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    target = "/streams/payments/push-get?service=pushed&deadline_ms=5000"
    target = f"+{target}&answer=provisional" if provisional else target
    with path.open("w") as file:
        for i in range(KEYS):
            file.write(f'{target} {{"card":"{key(i)}","at":"{at}","amount":{amount(i)}}}\n')


def push(options: argparse.Namespace, headrace: Headrace, provisional: bool) -> dict[str, float]:
    requests = options.folder / "pushes.txt"
    write_requests(requests, provisional)
    words = [str(options.lookup_client), str(headrace.http), str(PUSHES_PER_S)]
    words += [str(options.push_seconds), str(requests), str(CONNECTIONS)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    told: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    if told["errors"]:
        raise PeerFailure(f"not every push was answered: {told}, {headrace.status()}")
    return told


def one_run(options: argparse.Namespace, run: int) -> dict[str, float]:
    folder = options.folder / f"push-{run}"
    headrace = Headrace(options.headrace, folder, HERE / "pipeline.yaml")
    try:
        headrace.load(KEYS, amount)
        told = push(options, headrace, provisional=False)
        status = headrace.status()
        if status["pushes"]["with_event"] < told["answered"]:
            raise PeerFailure(f"not every push was answered with its event: {told}, {status}")
        early = push(options, headrace, provisional=True)
        provisional = headrace.status()["pushes"]["provisional"]["answered"]
        return {
            "per_s": told["per_s"],
            "p50_ms": told["p50_ms"],
            "p99_ms": told["p99_ms"],
            "fdatasync_p99_ms": status["fdatasync"]["p99_ms"],
            "engine_p99_ms": status["pushes"]["took"]["p99_ms"],
            "provisional_p50_ms": early["p50_ms"],
            "provisional_p99_ms": early["p99_ms"],
            "provisional_share": provisional / early["answered"],
        }
    finally:
        headrace.close()
        shutil.rmtree(folder / "data", ignore_errors=True)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    runs = [one_run(options, run) for run in range(options.runs)]
    figures = {f"push_{what}": statistics.median(run[what] for run in runs) for what in runs[0]}
    allowed = [3 * run["fdatasync_p99_ms"] + 2 for run in runs]
    met = statistics.median(limit / run["p99_ms"] for limit, run in zip(allowed, runs, strict=True))
    say(
        f"push and get: {figures['push_per_s']:,.0f}/s, p50 {figures['push_p50_ms']:.2f} ms,"
        f" p99 {figures['push_p99_ms']:.2f} ms; fdatasync p99"
        f" {figures['push_fdatasync_p99_ms']:.2f} ms, so {statistics.median(allowed):.2f} allowed"
    )
    say(
        f"provisional ({figures['push_provisional_share']:.1%} of the answers):"
        f" p50 {figures['push_provisional_p50_ms']:.2f} ms,"
        f" p99 {figures['push_provisional_p99_ms']:.2f} ms"
    )
    return {"ratios": {}, "targets": {"push_p99": met}, "figures": figures}
