"""Features over HTTP beside Feast's own server on Redis: `./dev bench serving --part http`.

`POST /get-online-features` of 1 and 100 random cards with 20 and 250 features, from wrk with
--connections connections (8 to Feast, which more make slower) and one thread, in turn against
`headrace serve`, Feast 0.67's feature server (one worker that is never restarted) over a Redis that
saves nothing, and a server that answers each request with one constant answer of ours: the ceiling
of client and sockets. Both hold the same values, of which a sample is compared. Client and servers
share the cores. Ours computes each feature from the card's events as of now, Feast gives back what
was written: equal answers, not equal work.

Then, at half of the rate that it reached, an open-loop client with as many connections: latencies
of 10 cards with 50 features and of 100 with 20, from when a request was due, beside the same rate
against the constant server, whose latencies are the machine's own. And the same for one view and
for 200 and 1,000 views defined, at one rate.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import machine
from constant_server import ConstantServer
from feast_server import FeastServer
from payments_server import Headrace, key, say
from servers import HOST, PeerFailure

HERE = Path(__file__).parent
AGGREGATES = {"n": "count(*)", "spend": "sum", "mean": "avg", "top": "max", "low": "min"}
WINDOWS = {20: 4, 50: 10, 250: 10}  # of a view with so many features
SIZES = {20: 10_000, 50: 10_000, 250: 2_000}  # features of a view, and cards that are asked for
SHAPES = [(rows, features) for rows in (1, 100) for features in (20, 250)]
LATENCIES = {(10, 50): 1.0, (100, 20): 3.0}  # p99 in ms that is asked for
TARGET_OF_FEAST = {1: 60.0, 100: 100.0}
TARGET_OF_CEILING = 0.8
BODIES = 500
FEAST_CONNECTIONS = 8
FEAST_SECONDS = 5.0
MANY_VIEWS = (200, 1000)  # a pipeline file may have 1,000
VIEWS_RATE = 2000.0


def amount(number: int) -> float:
    return number % 1000 + 0.25


def parts(features: int) -> list[tuple[str, int]]:
    """Aggregates and the number that the amount is multiplied by."""
    times = features // len(AGGREGATES) // WINDOWS[features]
    return [(name, by) for by in range(1, times + 1) for name in AGGREGATES]


def answers(features: int, count: int) -> dict[str, list[float]]:
    """What each feature is, of the first cards."""
    told: dict[str, list[float]] = {}
    for name, by in parts(features):
        values = [1 if name == "n" else amount(i) * by for i in range(count)]
        for hours in range(1, WINDOWS[features] + 1):
            told[f"{name}{by}_{hours}h"] = values
    return told


def view(name: str, features: int) -> str:
    hours = ", ".join(f"{h}h" for h in range(1, WINDOWS[features] + 1))
    made = ", ".join(
        f"{name}{by}: {AGGREGATES[name] if name == 'n' else f'{AGGREGATES[name]}(amount * {by})'}"
        for name, by in parts(features)
    )
    return f"  {name}: {{from: payments, by: card, over: [{hours}], features: {{{made}}}}}"


def pipeline(folder: Path, views: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "payments.yaml", folder)
    text = (HERE / "http.yaml").read_text().replace("VIEWS", "\n".join(views))
    (folder / "pipeline.yaml").write_text(text)
    return folder / "pipeline.yaml"


def bodies(folder: Path, rows: int, features: int, name: str | None = None) -> Path:
    """A file of requests, a line each; the cards from a fixed seed."""
    dice = random.Random(2001)
    asked = [f"{name or f'c{features}'}:{feature}" for feature in answers(features, 0)]
    path = folder / f"{name or 'bodies'}-{rows}x{features}.json"
    with path.open("w") as file:
        for _ in range(BODIES):
            cards = [key(dice.randrange(SIZES[features])) for _ in range(rows)]
            print(json.dumps({"features": asked, "entities": {"card": cards}}), file=file)
    return path


def wrk(port: int, requests: Path, connections: int, seconds: float) -> dict[str, float]:
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "20s", "--latency"]
    words += ["-s", str(HERE / "requests.lua"), f"http://{HOST}:{port}"]
    told = subprocess.run(
        words,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"BODIES": str(requests)},
    ).stdout
    if "Non-2xx" in told or "Socket errors" in told:
        raise PeerFailure(f"wrk had answers that are none: {told}")

    def percentile(share: str) -> float:
        found = re.search(rf"{share}%\s+([\d.]+)(us|ms|s)\b", told)
        assert found is not None, told
        return float(found[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[found[2]]

    rate = re.search(r"Requests/sec:\s+([\d.]+)", told)
    assert rate is not None, told
    return {"per_s": float(rate[1]), "p50_ms": percentile("50"), "p99_ms": percentile("99")}


def load(name: str, port: int, requests: Path, options: argparse.Namespace) -> dict[str, float]:
    """Feast is slower the more connections there are, and needs its time for one answer."""
    if name == "feast":
        return wrk(port, requests, FEAST_CONNECTIONS, max(options.seconds, FEAST_SECONDS))
    return wrk(port, requests, options.connections, options.seconds)


def open_loop(
    options: argparse.Namespace, port: int, rate: float, requests: Path, seconds: float
) -> dict[str, float]:
    words = [str(options.lookup_client), str(port), f"{rate:.1f}", f"{seconds}", str(requests)]
    words.append(str(options.connections))
    told: dict[str, float] = json.loads(
        subprocess.run(words, capture_output=True, text=True, check=True).stdout
    )
    if told["errors"]:
        raise PeerFailure(f"requests failed: {told}")
    return told


def ask(port: int, body: str) -> bytes:
    connection = http.client.HTTPConnection(HOST, port, timeout=60)
    connection.request("POST", "/get-online-features", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    if answer.status != 200:
        raise PeerFailure(f"{answer.status}: {text[:300]!r}")
    return text


def check_equal(ours: int, theirs: int, requests: Path) -> bytes:
    """Values by name; an answer of ours."""
    bytes_of_ours = b""
    for line in requests.read_text().splitlines()[:20]:
        told = []
        for port in (ours, theirs):
            text = ask(port, line)
            if port == ours:
                bytes_of_ours = text
            document = json.loads(text)
            columns = [result["values"] for result in document["results"]]
            told.append(dict(zip(document["metadata"]["feature_names"], columns, strict=True)))
        if told[0] != told[1]:
            raise PeerFailure(f"the answers differ: {str(told)[:400]}")
    return bytes_of_ours


def measure(options: argparse.Namespace) -> dict[str, Any]:
    folder: Path = options.folder / "http"
    shutil.rmtree(folder, ignore_errors=True)
    figures: dict[str, float] = {}
    ratios: dict[str, float] = {}
    targets: dict[str, float] = {}
    file = pipeline(folder, [view(f"c{size}", size) for size in SIZES])
    headrace = Headrace(options.headrace, folder / "headrace", file)
    feast = FeastServer(folder / "feast")
    try:
        keys = [key(i) for i in range(max(SIZES.values()))]
        say("loading both")
        headrace.load(len(keys), amount)
        asked = {features for _, features in options.shapes}
        feast.load(
            {f"c{size}": answers(size, SIZES[size]) for size in SIZES if size in asked}, keys
        )
        feast.serve()
        for rows, features in options.shapes:
            requests = bodies(folder, rows, features)
            answer = folder / "answer.json"
            answer.write_bytes(check_equal(headrace.http, feast.port, requests))
            constant = ConstantServer(options.constant_server, "http", answer)
            ports = {"headrace": headrace.http, "feast": feast.port, "constant": constant.port}
            runs: dict[str, list[dict[str, float]]] = {name: [] for name in ports}
            try:
                for _ in range(options.runs):
                    for name, port in ports.items():
                        runs[name].append(load(name, port, requests, options))
            finally:
                constant.close()
            shape = f"{rows}x{features}"
            for name, found in runs.items():
                for what in ("per_s", "p50_ms", "p99_ms"):
                    median = statistics.median(run[what] for run in found)
                    figures[f"{name}_{shape}_{what}"] = median
            figures[f"answer_{shape}_bytes"] = answer.stat().st_size
            rate = {name: figures[f"{name}_{shape}_per_s"] for name in ports}
            ratios[f"http_{shape}_vs_feast"] = rate["headrace"] / rate["feast"]
            ratios[f"http_{shape}_of_constant"] = rate["headrace"] / rate["constant"]
            targets[f"http_{shape}_vs_feast"] = (
                rate["headrace"] / rate["feast"] / TARGET_OF_FEAST[rows]
            )
            if rows == 1:
                targets[f"http_{shape}_of_constant"] = (
                    rate["headrace"] / rate["constant"] / TARGET_OF_CEILING
                )
            say(
                f"{shape:>7}: {rate['headrace']:8,.0f} requests/s, p99"
                f" {figures[f'headrace_{shape}_p99_ms']:.2f} ms; Feast {rate['feast']:6,.1f},"
                f" {figures[f'feast_{shape}_p99_ms']:.0f} ms; constant {rate['constant']:8,.0f}"
            )
        feast.close()
        if options.latencies:
            latencies(options, folder, headrace, figures, targets)
    finally:
        feast.close()
        headrace.close()
    if options.views:
        many_views(options, folder, figures, targets)
    return {"ratios": ratios, "targets": targets, "figures": figures}


def latencies(
    options: argparse.Namespace,
    folder: Path,
    headrace: Headrace,
    figures: dict[str, float],
    targets: dict[str, float],
) -> None:
    for (rows, features), wanted in LATENCIES.items():
        requests = bodies(folder, rows, features)
        shape = f"{rows}x{features}"
        answer = folder / "answer.json"
        answer.write_bytes(ask(headrace.http, requests.read_text().splitlines()[0]))
        peak = wrk(headrace.http, requests, options.connections, options.seconds)["per_s"]
        constant = ConstantServer(options.constant_server, "http", answer)
        runs: dict[str, list[dict[str, float]]] = {"": [], "constant_": []}
        begin, stolen = time.monotonic(), machine.stolen_s()
        try:
            for _ in range(options.runs):
                for name, port in (("", headrace.http), ("constant_", constant.port)):
                    told = open_loop(options, port, peak / 2, requests, options.seconds)
                    runs[name].append(told)
        finally:
            constant.close()
        lost = (machine.stolen_s() - stolen) / (time.monotonic() - begin) * 1e3
        figures[f"half_peak_{shape}_stolen_ms_per_s"] = lost
        figures[f"half_peak_{shape}_per_s"] = peak / 2
        for name, found in runs.items():
            for what in ("p50_ms", "p99_ms"):
                median = statistics.median(run[what] for run in found)
                figures[f"{name}half_peak_{shape}_{what}"] = median
        targets[f"half_peak_{shape}_p99"] = wanted / figures[f"half_peak_{shape}_p99_ms"]
        say(
            f"{shape:>7} at {peak / 2:,.0f}/s: p50 {figures[f'half_peak_{shape}_p50_ms']:.3f} ms,"
            f" p99 {figures[f'half_peak_{shape}_p99_ms']:.3f} ms; constant"
            f" {figures[f'constant_half_peak_{shape}_p99_ms']:.3f} ms; the host took"
            f" {lost:.0f} ms of a second's work from both cores"
        )


def many_views(
    options: argparse.Namespace, folder: Path, figures: dict[str, float], targets: dict[str, float]
) -> None:
    """One engine of each kind, in turn; one view is asked for, the others are only there."""
    engines: dict[int, Headrace] = {}
    try:
        for count in (1, *MANY_VIEWS):
            views = [view("c20", 20)] + [view(f"v{i}", 20) for i in range(count - 1)]
            file = pipeline(folder / f"views-{count}", views)
            engines[count] = Headrace(options.headrace, folder / f"views-{count}/engine", file)
            engines[count].load(1000, amount)
        requests = bodies(folder, 1, 20)
        runs: dict[int, list[float]] = {count: [] for count in engines}
        for _ in range(options.runs):
            for count, engine in engines.items():
                told = open_loop(options, engine.http, VIEWS_RATE, requests, options.seconds)
                runs[count].append(told["p99_ms"])
                time.sleep(0.2)
    finally:
        for engine in engines.values():
            engine.close()
    for count, found in runs.items():
        figures[f"views_{count}_p99_ms"] = statistics.median(found)
    most = max(figures[f"views_{count}_p99_ms"] for count in MANY_VIEWS)
    targets["views_p99"] = 1.2 * figures["views_1_p99_ms"] / most
    both = ", ".join(f"{statistics.median(found):.3f} ms" for found in runs.values())
    say(f"p99 with {list(runs)} views: {both}")
