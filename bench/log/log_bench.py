"""How fast events become durable, beside the disk and two peers: `./dev bench log`.

A producer has one batch under way and sends the next as soon as the last is acknowledged. What is
measured is acknowledged events a second, and the time of a batch from the begin of its sending to
its acknowledgement, for 1 and 16 producers, batches of 1 and of 1,000, events of 100 bytes and
1 KB. Everything runs on this machine's loopback and disk, in one run, in turn; an acknowledgement
means that fdatasync has returned, unless the text says `os`.

  disk          pwrite + fdatasync over a file of zeros, one sync for a batch of each producer: no
                server could do with less. With 1 producer and batches of 1: one sync an event.
  bare server   the same behind a socket: one thread, no checks, no order, nothing remembered. What
                is between it and the disk are sockets and wake-ups.
  Headrace      the binary, mode `fsync`, one stream with a contract of three fields, numbered
                batches (a repeat counts once), no view, no table. Single events come over the Redis
                protocol (FEATURES.PUSH), batches of 1,000 over Arrow Flight; kept HTTP connections
                (and Flight for single events) stand beside it.
  Redis         streams, `appendonly yes`, `appendfsync always`, XADD; a batch of 1,000 is one
                MULTI / EXEC, which is faster here than plain pipelining.
  Kafka         4.3, KRaft, one node, one partition, `flush.messages=1`, `acks=all`, the idempotent
                producer that is its default. A batch of 1,000 leaves as one request (batch.size
                holds it, linger.ms=1000, flush()), a single event at once (linger.ms=0). For 16
                producers of single events also one client shared by 16 threads, which gathers
                their events; the better of the two counts.

Beside these: Headrace with one view and a table; and mode `os` next to Kafka without flush.

An event is JSON text of that length; over Flight it is columns of that length. The clients are in
C++, Kafka's in Java, one process that stays warm. A ratio over 1 means that Headrace is better;
each is taken within a run, against the best peer of that run, and the median of --runs (3) counts.
`targets` is the ratio over what was asked for: at least 1 is met. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import machine
import pipelines
from engine import HOST, DemoFailure, Engine
from kafka_broker import KafkaBroker
from redis_server import RedisServer
from servers import Measured, PeerFailure, free_port, stop

SYNC_LIMIT_TARGET = 0.9
PEER_TARGET = 2.0
PEERS = ("redis", "kafka", "kafka_shared")
LABELS = {
    "disk": "the disk alone",
    "bare": "bare sync server",
    "headrace": "Headrace",
    "headrace_other": "Headrace",
    "headrace_third": "Headrace",
    "headrace_view_table": "Headrace, with a view and a table",
    "redis": "Redis streams, appendfsync always",
    "kafka": "Kafka, flush.messages=1, a client each",
    "kafka_shared": "Kafka, flush.messages=1, one client for all",
    "headrace_os": "Headrace, mode os",
    "kafka_os": "Kafka, not flushed",
}


@dataclass(frozen=True)
class Case:
    producers: int
    batch: int
    event_bytes: int

    @property
    def name(self) -> str:
        return f"p{self.producers}_b{self.batch}_{self.event_bytes}B"

    @property
    def title(self) -> str:
        producers = "1 producer" if self.producers == 1 else f"{self.producers} producers"
        size = "100-byte" if self.event_bytes == 100 else f"{self.event_bytes:,}-byte"
        return f"{producers}, {size} events, batches of {self.batch:,}"

    @property
    def sync_binds(self) -> bool:
        """Whether each event needs a sync of its own."""
        return self.producers == 1 and self.batch == 1

    @property
    def ways_in(self) -> tuple[str, ...]:
        """What a user would send such batches with, and the other ways."""
        return ("resp", "http", "flight") if self.batch == 1 else ("flight", "http")


CASES = [Case(p, b, size) for b in (1, 1000) for p in (1, 16) for size in (100, 1000)]
OS_CASES = [case for case in CASES if case.event_bytes == 100]
Run = dict[str, dict[str, Measured]]  # by case, then by who


def say(text: str = "") -> None:
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Bench:
    headrace: Path
    load_client: Path
    kafka_jars: Path
    folder: Path
    warm_up_s: float
    measured_s: float

    def load(self, target: str, where: str, case: Case) -> Measured:
        """One measurement by the client in C++."""
        command = [str(self.load_client), target, where, str(case.producers)]
        command += [str(case.event_bytes), str(case.batch)]
        command += [str(self.warm_up_s), str(self.measured_s)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode != 0:
            raise PeerFailure(f"{target}, {case.title}: {done.stderr.strip()[-300:]}")
        return Measured.read(json.loads(done.stdout))

    @contextmanager
    def engine(self, name: str, *parts: str) -> Iterator[Engine]:
        """A fresh engine; its folder is removed in the end, as a run writes gigabytes."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        pipeline = pipelines.write(folder, name, *parts)
        ports = (
            "--http",
            f"{HOST}:{free_port()}",
            "--flight",
            f"{HOST}:{free_port()}",
            "--resp",
            f"{HOST}:{free_port()}",
        )
        engine = Engine(self.headrace, pipeline, folder, ports)
        engine.start()
        try:
            yield engine
            engine.stop()
        finally:
            engine.abandon()
            shutil.rmtree(folder / "data", ignore_errors=True)

    def kafka_load(
        self, kafka: KafkaBroker, topic: str, case: Case, sharing: str = "own"
    ) -> Measured:
        shape = (case.producers, case.event_bytes, case.batch)
        return kafka.measure(topic, *shape, (self.warm_up_s, self.measured_s), sharing)

    def headrace_load(self, engine: Engine, way_in: str, case: Case) -> Measured:
        assert engine.ready
        return self.load(way_in, str(getattr(engine.ready, way_in)), case)


@contextmanager
def bare_server(bench: Bench) -> Iterator[str]:
    process = subprocess.Popen(
        [str(bench.load_client), "server", str(bench.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    try:
        yield process.stdout.readline().strip()
    finally:
        stop(process)


def in_turn(who: dict[str, Callable[[], Measured]], run: int) -> dict[str, Measured]:
    """Measures all of them, each run beginning with another."""
    names = list(who)
    start = run % len(names)
    return {name: who[name]() for name in names[start:] + names[:start]}


@dataclass(frozen=True)
class Compared:
    """Who is measured like for like: mode `fsync`, and the log alone."""

    bench: Bench
    engine: Engine
    bare_port: str
    redis: RedisServer
    kafka: KafkaBroker

    def who(self, case: Case) -> dict[str, Callable[[], Measured]]:
        bench = self.bench
        first, other, *third = case.ways_in
        found: dict[str, Callable[[], Measured]] = {
            "disk": partial(bench.load, "disk", str(bench.folder), case),
            "bare": partial(bench.load, "frames", self.bare_port, case),
            "headrace": partial(bench.headrace_load, self.engine, first, case),
            "headrace_other": partial(bench.headrace_load, self.engine, other, case),
            "redis": partial(self._redis, case),
            "kafka": partial(bench.kafka_load, self.kafka, "synced", case),
        }
        if third:
            found["headrace_third"] = partial(bench.headrace_load, self.engine, third[0], case)
        if case.producers > 1 and case.batch == 1:
            found["kafka_shared"] = partial(
                bench.kafka_load, self.kafka, "synced", case, sharing="shared"
            )
        return found

    def _redis(self, case: Case) -> Measured:
        form = "redis" if case.batch == 1 else "redis-multi"
        measured = self.bench.load(form, str(self.redis.port), case)
        self.redis.forget("events")
        return measured


def compare(bench: Bench, kafka: KafkaBroker, run: int) -> Run:
    """Every case, everybody in turn."""
    redis = RedisServer(bench.folder / "redis")
    try:
        with bare_server(bench) as bare_port, bench.engine("fsync") as engine:
            compared = Compared(bench, engine, bare_port, redis, kafka)
            return {case.name: in_turn(compared.who(case), run) for case in CASES}
    finally:
        redis.close()
        shutil.rmtree(redis.folder, ignore_errors=True)


def beside(bench: Bench, kafka: KafkaBroker, found: Run) -> None:
    """What is not compared like for like with the peers above."""
    with bench.engine("view_table", pipelines.VIEW_AND_TABLE) as engine:
        for case in CASES:
            measured = bench.headrace_load(engine, case.ways_in[0], case)
            found[case.name]["headrace_view_table"] = measured
    for case in OS_CASES:
        found[case.name]["kafka_os"] = bench.kafka_load(kafka, "unsynced", case)
    with bench.engine("os", pipelines.MODE_OS) as engine:
        for case in OS_CASES:
            measured = bench.headrace_load(engine, case.ways_in[0], case)
            found[case.name]["headrace_os"] = measured


def ratios_of_run(found: Run) -> dict[str, float]:
    """Of one run: more than 1 means that Headrace is better."""
    ratios: dict[str, float] = {}
    for case in CASES:
        who = found[case.name]
        ours = who["headrace"]
        peers = [who[name] for name in PEERS if name in who]
        rate = max(peer.events_per_s for peer in peers)
        ratios[f"{case.name}_rate_vs_sync_limit"] = ours.events_per_s / who["disk"].events_per_s
        ratios[f"{case.name}_rate_vs_bare_server"] = ours.events_per_s / who["bare"].events_per_s
        ratios[f"{case.name}_rate_vs_best_peer"] = ours.events_per_s / rate
        ratios[f"{case.name}_p99_vs_best_peer"] = min(p.p99_ms for p in peers) / ours.p99_ms
        if "headrace_os" in who:
            ours, kafka = who["headrace_os"], who["kafka_os"]
            ratios[f"{case.name}_os_rate_vs_kafka"] = ours.events_per_s / kafka.events_per_s
            ratios[f"{case.name}_os_p99_vs_kafka"] = kafka.p99_ms / ours.p99_ms
    return ratios


def targets(ratios: dict[str, float]) -> dict[str, float]:
    """What was measured over what was asked for: at least 1 is met."""
    found: dict[str, float] = {}
    for case in CASES:
        if case.sync_binds:
            limit = ratios[f"{case.name}_rate_vs_sync_limit"]
            found[f"{case.name}_sync_limit"] = limit / SYNC_LIMIT_TARGET
        else:
            found[f"{case.name}_rate"] = ratios[f"{case.name}_rate_vs_best_peer"] / PEER_TARGET
        found[f"{case.name}_p99"] = ratios[f"{case.name}_p99_vs_best_peer"]
    return found


def medians(runs: list[Run]) -> Run:
    return {
        case: {
            who: Measured(
                *(
                    statistics.median(getattr(run[case][who], figure) for run in runs)
                    for figure in ("events_per_s", "p50_ms", "p99_ms")
                )
            )
            for who in runs[0][case]
        }
        for case in runs[0]
    }


def median_ratios(runs: list[Run]) -> dict[str, float]:
    each = [ratios_of_run(run) for run in runs]
    return {name: statistics.median(ratios[name] for ratios in each) for name in each[0]}


def label(who: str, case: Case) -> str:
    ours = ("headrace", "headrace_other", "headrace_third")
    way_in = dict(zip(ours, case.ways_in, strict=False)).get(who)
    names = {"http": "HTTP", "flight": "Arrow Flight", "resp": "RESP"}
    return f"{LABELS[who]}, {names[way_in]}" if way_in else LABELS[who]


def tell(found: Run, ratios: dict[str, float]) -> None:
    for case in CASES:
        say(f"\n{case.title}")
        say(f"  {'':44}{'events/s':>12}{'p50 ms':>10}{'p99 ms':>10}")
        for who in LABELS:
            if measured := found[case.name].get(who):
                say(
                    f"  {label(who, case):44}{measured.events_per_s:>12,.0f}"
                    f"{measured.p50_ms:>10.3f}{measured.p99_ms:>10.3f}"
                )
        wanted = f"wanted {SYNC_LIMIT_TARGET}" if case.sync_binds else "a limit, no target"
        say(f"  to the disk alone {ratios[f'{case.name}_rate_vs_sync_limit']:.2f} ({wanted})")
        wanted = "beside it" if case.sync_binds else f"wanted {PEER_TARGET:g}"
        rate = ratios[f"{case.name}_rate_vs_best_peer"]
        p99 = ratios[f"{case.name}_p99_vs_best_peer"]
        say(f"  to the best peer {rate:.2f} in rate ({wanted}), {p99:.2f} in p99 (wanted 1)")


def figures(found: Run) -> dict[str, float]:
    return {
        f"{case}_{who}_{figure}": getattr(measured, figure)
        for case, everybody in found.items()
        for who, measured in everybody.items()
        for figure in ("events_per_s", "p50_ms", "p99_ms")
    }


def measure(bench: Bench, count: int) -> dict[str, Any]:
    about = machine.describe()
    about["fdatasync_before"] = machine.fsync_of_disk(bench.load_client, bench.folder, 2.0)
    runs: list[Run] = []
    kafka = KafkaBroker(bench.kafka_jars, bench.folder / "kafka")
    try:
        say("warming up Kafka's two JVMs")
        for case in CASES:
            bench.kafka_load(kafka, "synced", case)
        for run in range(count):
            begin = time.monotonic()
            runs.append(compare(bench, kafka, run))
            beside(bench, kafka, runs[-1])
            say(f"run {run + 1} of {count}: {time.monotonic() - begin:.0f} s")
    finally:
        kafka.close()
        shutil.rmtree(bench.folder / "kafka" / "data", ignore_errors=True)
    about["fdatasync_after"] = machine.fsync_of_disk(bench.load_client, bench.folder, 2.0)
    found, ratios = medians(runs), median_ratios(runs)
    tell(found, ratios)
    return {
        "bench": "log",
        "ratios": machine.rounded(ratios),
        "targets": machine.rounded(targets(ratios)),
        "figures": machine.rounded(figures(found)),
        "machine": about,
        "runs": count,
    }


def main() -> int:
    # So that the servers are ended, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--headrace", type=Path, required=True)
    parser.add_argument("--load-client", type=Path, required=True)
    parser.add_argument("--kafka-jars", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each measurement")
    parser.add_argument("--quick", action="store_true", help="one run of 0.5 s each")
    options = parser.parse_args()
    runs, seconds = (1, 0.5) if options.quick else (options.runs, options.seconds)
    bench = Bench(
        headrace=options.headrace,
        load_client=options.load_client,
        kafka_jars=options.kafka_jars,
        folder=options.folder,
        warm_up_s=0.3,
        measured_s=seconds,
    )
    bench.folder.mkdir(parents=True, exist_ok=True)
    try:
        document = measure(bench, runs)
    except (DemoFailure, PeerFailure) as failure:
        say(f"FAILED: {failure}")
        return 1
    (options.folder / "log.json").write_text(json.dumps(document, indent=2) + "\n")
    print(json.dumps(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
