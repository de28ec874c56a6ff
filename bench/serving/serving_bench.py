"""Features over the Redis protocol beside Redis, over HTTP beside Feast, and push and get.

`./dev bench serving`. The part over HTTP is described in http_bench.py, push and get in
push_bench.py, batches of keys over Flight in flight_bench.py, answers beside ingest in
ingest_bench.py; --part takes one of them. Over the Redis protocol: `HMGET` of 20 fields of a random
key of --keys, 50 connections of redis-benchmark, without a pipeline and with one of 16, against
`headrace serve`, against Redis with the same keys, fields and values in hashes, nothing saved, and
against a server that answers each command with one constant reply: the ceiling of client and
sockets. They take turns, --runs times each; the figures are medians. The replies of 1,000 keys are
to be the same bytes. Client and servers share the cores, and what is not measured is idle. Ours
computes each field from the key's events as of now, Redis gives back what was written: equal
answers, not equal work.

A ratio over 1 means that Headrace is better; in `targets` at least 1 is met. The last line is one
JSON object.
"""

from __future__ import annotations

import argparse
import csv
import json
import socket
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flight_bench
import http_bench
import ingest_bench
import machine
import push_bench
from constant_server import ConstantServer
from payments_server import Headrace, key, say
from redis_server import RedisServer
from servers import HOST, PeerFailure

HERE = Path(__file__).parent
WINDOWS = ("1h", "6h", "12h", "1d")
FEATURES = ("n", "spend", "mean", "top", "low")
FIELDS = [f"{feature}_{window}" for feature in FEATURES for window in WINDOWS]
CONNECTIONS = 50
PIPELINES = (1, 16)
TARGETS = {1: 1.1, 16: 1.7}
TARGET_OF_CEILING = 0.7
SAMPLED_KEYS = 1000


def amount(number: int) -> float:
    return number % 1000 + 0.25


def values(number: int) -> list[str]:
    return ["1"] * len(WINDOWS) + [str(amount(number))] * (len(FIELDS) - len(WINDOWS))


def command(*words: str) -> bytes:
    parts = [f"*{len(words)}\r\n"] + [f"${len(word)}\r\n{word}\r\n" for word in words]
    return "".join(parts).encode()


def load_redis(redis: RedisServer, keys: int) -> None:
    def commands() -> Iterator[bytes]:
        for i in range(keys):
            pairs = [word for pair in zip(FIELDS, values(i), strict=True) for word in pair]
            yield command("HSET", f"card:{key(i)}", *pairs)

    pipe = subprocess.Popen(
        ["redis-cli", "-p", str(redis.port), "--pipe"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert pipe.stdin is not None
    for line in commands():
        pipe.stdin.write(line)
    pipe.stdin.close()
    if pipe.wait() != 0:
        raise PeerFailure("Redis did not take the hashes")


def exchange(port: int, asked: bytes, answers: int) -> bytes:
    """The bytes of the answers: arrays of len(FIELDS) bulk strings, or what came at once."""
    with socket.create_connection((HOST, port), timeout=60) as connection:
        connection.sendall(asked)
        got = b""
        while got.count(b"\r\n") < answers * (1 + 2 * len(FIELDS)) and not (
            answers == 1 and got.endswith(b"\r\n")
        ):
            part = connection.recv(1 << 20)
            if not part:
                break
            got += part
        return got


def check_equal(ours: int, theirs: int, keys: int) -> bytes:
    """The reply of the first key."""
    step = max(1, keys // SAMPLED_KEYS)
    asked = [command("HMGET", f"card:{key(i)}", *FIELDS) for i in range(0, keys, step)]
    a, b = (exchange(port, b"".join(asked), len(asked)) for port in (ours, theirs))
    if a != b:
        raise PeerFailure(f"the replies differ: {a[:200]!r} and {b[:200]!r}")
    say(f"{len(asked)} replies of both are the same {len(a):,} bytes")
    return b"".join(line + b"\r\n" for line in a.split(b"\r\n")[: 1 + 2 * len(FIELDS)])


def load(port: int, keys: int, pipeline: int, requests: int) -> dict[str, float]:
    words = ["redis-benchmark", "-h", HOST, "-p", str(port), "-c", str(CONNECTIONS), "--csv"]
    words += ["-P", str(pipeline), "-n", str(requests), "-r", str(keys)]
    words += ["HMGET", "card:c__rand_int__", *FIELDS]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    head, row = list(csv.reader(done.stdout.strip().splitlines()))[-2:]
    found = dict(zip(head, row, strict=True))
    return {
        "per_s": float(found["rps"]),
        "p50_ms": float(found["p50_latency_ms"]),
        "p99_ms": float(found["p99_latency_ms"]),
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    headrace = Headrace(options.headrace, options.folder / "headrace", HERE / "pipeline.yaml")
    redis = RedisServer(options.folder / "redis", ("--appendonly", "no"))
    try:
        say(f"loading {options.keys:,} keys into both")
        headrace.load(options.keys, amount)
        load_redis(redis, options.keys)
        reply = options.folder / "reply.resp"
        reply.write_bytes(check_equal(headrace.resp, redis.port, options.keys))
        constant = ConstantServer(options.constant_server, "resp", reply)
        ports = {"headrace": headrace.resp, "redis": redis.port, "constant": constant.port}
        figures: dict[str, float] = {}
        ratios: dict[str, float] = {}
        for pipeline in PIPELINES:
            requests = options.requests * (4 if pipeline > 1 else 1)
            runs: dict[str, list[dict[str, float]]] = {name: [] for name in ports}
            for _ in range(options.runs):
                for name, port in ports.items():
                    runs[name].append(load(port, options.keys, pipeline, requests))
            for name, found in runs.items():
                for what in ("per_s", "p50_ms", "p99_ms"):
                    median = statistics.median(run[what] for run in found)
                    figures[f"{name}_pipeline_{pipeline}_{what}"] = median
            rate, p99 = (
                [figures[f"{name}_pipeline_{pipeline}_{what}"] for name in ports]
                for what in ("per_s", "p99_ms")
            )
            ratios[f"hmget_pipeline_{pipeline}_vs_redis"] = rate[0] / rate[1]
            ratios[f"hmget_pipeline_{pipeline}_p99_vs_redis"] = p99[1] / p99[0]
            ratios[f"hmget_pipeline_{pipeline}_vs_constant"] = rate[0] / rate[2]
            say(
                f"pipeline {pipeline:2}: {rate[0]:9,.0f} HMGET/s, p99 {p99[0]:.2f} ms;"
                f" Redis {rate[1]:9,.0f}, {p99[1]:.2f} ms; constant reply {rate[2]:9,.0f}"
            )
        constant.close()
    finally:
        redis.close()
        headrace.close()
    targets = {
        f"hmget_pipeline_{pipeline}": ratios[f"hmget_pipeline_{pipeline}_vs_redis"] / wanted
        for pipeline, wanted in TARGETS.items()
    }
    targets["hmget_pipeline_16_of_ceiling"] = (
        ratios["hmget_pipeline_16_vs_constant"] / TARGET_OF_CEILING
    )
    targets |= {
        f"hmget_pipeline_{pipeline}_p99": ratios[f"hmget_pipeline_{pipeline}_p99_vs_redis"]
        for pipeline in PIPELINES
    }
    return {"ratios": ratios, "targets": targets, "figures": figures}


def shapes(text: str) -> list[tuple[int, int]]:
    """Rows and features of "1x20,100x250"."""
    return [
        (int(rows), int(features)) for rows, features in (s.split("x") for s in text.split(","))
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--headrace", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=200_000, help="of a run; 4 times piped")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="20,000 keys, one short run")
    parser.add_argument(
        "--part", choices=("resp", "http", "push", "flight", "ingest", "all"), default="all"
    )
    parser.add_argument("--lookup-client", type=Path, required=True)
    parser.add_argument("--constant-server", type=Path, required=True)
    parser.add_argument("--connections", type=int, default=50, help="over HTTP")
    parser.add_argument("--seconds", type=float, default=4, help="of a run over HTTP")
    parser.add_argument("--push-seconds", type=float, default=8, help="of a run of pushes")
    parser.add_argument("--flight-seconds", type=float, default=3, help="of a run over Flight")
    parser.add_argument("--ingest-seconds", type=float, default=8, help="of a run beside ingest")
    parser.add_argument(
        "--shapes", type=shapes, default=http_bench.SHAPES, help="over HTTP: 1x20,100x250 ..."
    )
    parser.add_argument("--latencies", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--views", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    if options.quick:
        options.keys, options.requests, options.runs = 20_000, 20_000, 1
        options.seconds, options.push_seconds, options.flight_seconds = 1, 2, 1
        options.ingest_seconds = 2
    about = machine.describe()
    parts = {
        "resp": measure,
        "http": http_bench.measure,
        "push": push_bench.measure,
        "flight": flight_bench.measure,
        "ingest": ingest_bench.measure,
    }
    document: dict[str, Any] = {"bench": "serving", "ratios": {}, "targets": {}, "figures": {}}
    for name, part in parts.items():
        if options.part in (name, "all"):
            for what, found in part(options).items():
                document[what] |= machine.rounded(found)
    document |= {"keys": options.keys, "runs": options.runs, "machine": about}
    (options.folder / "serving.json").write_text(json.dumps(document, indent=2) + "\n")
    print(json.dumps(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
