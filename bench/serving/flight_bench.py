"""Batches of keys over Arrow Flight beside HTTP: `./dev bench serving --part flight`.

20 features of --flight-keys random cards of 100,000 (1,000 and 100,000 of them), in batches of
1,000 and 4,096, from one client and one connection: DoExchange, and POST /get-online-features with
the same cards. Of HTTP twice: the answer's bytes are received, and they are made columns by
Python's json, as who wants to use them must. Flight's answers are columns when they are received.
In turn, the median of --runs times --flight-seconds; client and server share the cores.

Then what somebody who follows a view costs: the applier's time from durable to visible and the
rate at which rows come in, with nobody and with one subscriber.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight
from http_bench import amount, answers, pipeline, view
from payments_server import Headrace, key, say
from servers import HOST, PeerFailure

KEYS = 100_000
FEATURES = 20
ASKED = (1_000, 100_000)
BATCHES = (1_000, 4_096)
INGEST_ROWS = 500


def cards(count: int) -> list[str]:
    dice = random.Random(2001)
    return [key(dice.randrange(KEYS)) for _ in range(count)]


def names() -> list[str]:
    return [f"c{FEATURES}:{feature}" for feature in answers(FEATURES, 0)]


class OverFlight:
    def __init__(self, port: int, asked: list[str], size: int) -> None:
        rows = pa.table({"card": asked})
        self.batches = rows.to_batches(max_chunksize=size)
        command = flight.FlightDescriptor.for_command(json.dumps({"features": names()}))
        self.client = flight.connect(f"grpc://{HOST}:{port}")
        self.writer, self.reader = self.client.do_exchange(command)
        self.writer.begin(rows.schema)

    def ask(self) -> None:
        """One batch is under way while the one before is taken."""
        self.writer.write_batch(self.batches[0])
        for batch in self.batches[1:]:
            self.writer.write_batch(batch)
            self.reader.read_chunk()
        self.last = self.reader.read_chunk().data

    def close(self) -> None:
        self.writer.close()
        self.client.close()


class OverHttp:
    def __init__(self, port: int, asked: list[str], size: int, parse: bool) -> None:
        self.bodies = [
            json.dumps({"features": names(), "entities": {"card": asked[at : at + size]}})
            for at in range(0, len(asked), size)
        ]
        self.parse = parse
        self.last: Any = None
        self.connection = http.client.HTTPConnection(HOST, port, timeout=60)

    def ask(self) -> None:
        for body in self.bodies:
            self.connection.request("POST", "/get-online-features", body)
            answer = self.connection.getresponse()
            told = answer.read()
            if answer.status != 200:
                raise PeerFailure(told[:300].decode())
            if self.parse:
                self.last = json.loads(told)

    def close(self) -> None:
        self.connection.close()


def same(over_flight: OverFlight, over_http: OverHttp) -> None:
    told = over_flight.last.to_pydict()
    found = over_http.last
    for name, column in zip(found["metadata"]["feature_names"], found["results"], strict=True):
        if told[name] != column["values"]:
            raise PeerFailure(f"the two tell different values of {name}")


def rows_per_s(ask: Callable[[], None], count: int, seconds: float) -> float:
    ask()  # the plan, the connection
    begin = time.perf_counter()
    times = 0
    while time.perf_counter() - begin < seconds:
        ask()
        times += 1
    return times * count / (time.perf_counter() - begin)


def batches(headrace: Headrace, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Rows a second, by shape and way."""
    found: dict[str, dict[str, float]] = {}
    for count in ASKED:
        asked = cards(count)
        for size in BATCHES:
            if size > count:
                continue
            ways: dict[str, Any] = {
                "flight": OverFlight(headrace.flight, asked, size),
                "http": OverHttp(headrace.http, asked, size, parse=False),
                "http_parsed": OverHttp(headrace.http, asked, size, parse=True),
            }
            told: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(options.runs):
                for name, way in ways.items():
                    told[name].append(rows_per_s(way.ask, count, options.flight_seconds))
            same(ways["flight"], ways["http_parsed"])
            for way in ways.values():
                way.close()
            medians = {name: statistics.median(values) for name, values in told.items()}
            shape = f"{count} keys in batches of {size}"
            say(f"{shape}: " + ", ".join(f"{n} {v:,.0f} rows/s" for n, v in medians.items()))
            found[shape] = medians
    return found


def subscribed(headrace: Headrace, options: argparse.Namespace) -> dict[str, float]:
    """Rows a second that one connection gets in, with and without a subscriber, in turn."""
    dice = random.Random(7)
    lines = []
    for _ in range(20):
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        rows = [
            f'{{"card":"{key(dice.randrange(KEYS))}","at":"{at}","amount":1}}'
            for _ in range(INGEST_ROWS)
        ]
        lines.append("\n".join(rows))
    connection = http.client.HTTPConnection(HOST, headrace.http, timeout=60)

    def write() -> float:
        begin = time.perf_counter()
        sent = 0
        while time.perf_counter() - begin < options.flight_seconds:
            connection.request("POST", "/streams/payments/events", lines[sent % len(lines)])
            if connection.getresponse().read() and sent >= 0:
                sent += 1
        return sent * INGEST_ROWS / (time.perf_counter() - begin)

    told: dict[str, list[float]] = {"nobody": [], "one": []}
    for _ in range(options.runs):
        told["nobody"].append(write())
        client = flight.connect(f"grpc://{HOST}:{headrace.flight}")
        ticket = json.dumps({"changes": f"c{FEATURES}", "features": ["n1_1h"]})
        reader = client.do_get(flight.Ticket(ticket.encode()))
        followed: list[int] = []

        def follow(reader: Any = reader, followed: list[int] = followed) -> None:
            try:
                while True:
                    followed.append(reader.read_chunk().data.num_rows)
            except (flight.FlightError, pa.ArrowException):
                return

        thread = threading.Thread(target=follow)
        thread.start()
        told["one"].append(write())
        reader.cancel()
        thread.join()
        client.close()
    medians = {name: statistics.median(values) for name, values in told.items()}
    say(f"rows in, {INGEST_ROWS} a request: {medians}")
    return medians


def snake(words: str) -> str:
    return words.replace(" ", "_")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    folder = options.folder / "flight"
    file = pipeline(folder, [view(f"c{FEATURES}", FEATURES)])
    headrace = Headrace(options.headrace, folder / "engine", file)
    try:
        headrace.load(KEYS, amount)
        found = batches(headrace, options)
        followed = subscribed(headrace, options)
        return {
            "figures": {
                f"{snake(shape)}_{way}_rows_per_s": rate
                for shape, told in found.items()
                for way, rate in told.items()
            }
            | {f"rows_in_per_s_{who}_following": rate for who, rate in followed.items()},
            "ratios": {
                f"{snake(shape)}_flight_vs_http": told["flight"] / told["http"]
                for shape, told in found.items()
            },
        }
    finally:
        headrace.close()
