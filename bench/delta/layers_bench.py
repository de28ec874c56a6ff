"""./dev bench layers: what each layer of a pipeline costs while it runs.

One stream of --rate rows a second for --seconds, three tables of it: raw rows, cleaned ones (a
derived stream that leaves out four of five), and all rows in the order that a reader filters by
(Z-order every 10 s). Each with a commit every --commit. What the engine measured of each
(`layer` of GET /status): from durable to visible, files, bytes, write amplification; beside it what
`headrace check` said before.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import machine
from small_files_bench import Engine, make_rows

PIPELINE = """headrace: 1
pipeline: layers
promise: {budget: {p99: 300ms}}
clock: events
streams:
  events:
    contract: events.yaml
    source: {flight: push}
    time: {event: at, late: 1d}
    rate: {mean: RATE/s}
  large: {from: events, where: amount > 8000}
  by_user: {from: events, derive: {cents: cast(amount * 100 as bigint)}}
views:
  user: {from: events, by: user, over: [1h], features: {spent: sum(amount)}}
consumers:
  auditor: {reads: large}
  support: {reads: by_user, pattern: "user = ? and at > now - 7d"}
tables:
  events: {commit: COMMIT}
  large: {commit: COMMIT}
  by_user: {commit: COMMIT, optimize: {every: 10s, z_order: [user, at], target: 1MiB}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--headrace", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--commit", default="1s")
    options = parser.parse_args()
    shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True)
    make_rows(options.folder / "events.parquet", options.rate * options.seconds)
    text = PIPELINE.replace("RATE", str(options.rate)).replace("COMMIT", options.commit)
    engine = Engine(options.headrace, options.folder, text)
    try:
        checked = json.loads(
            engine.run("check", options.folder / "pipeline.yaml", "--json").splitlines()[-1]
        )
        words = ("--flight", engine.flight, "--http", engine.http, "--rate", str(options.rate))
        engine.run("ingest", "events", options.folder / "events.parquet", *words)
        engine.settle()
        status = json.loads(engine.run("status", "--http", engine.http, "--json").splitlines()[-1])
    finally:
        engine.process.terminate()
        engine.process.wait()
    layers: dict[str, dict[str, Any]] = {}
    for table, planned in zip(status["tables"], checked["layers"], strict=True):
        measured = table["layer"]
        layers[table["name"]] = {
            "kind": measured["kind"],
            "visible_p50_ms": measured["visible"]["p50_ms"],
            "visible_p99_ms": measured["visible"]["p99_ms"],
            "commit_p50_ms": table["commit_p50_ms"],
            "commits": table["commits"],
            "files": table["files"],
            "rows": table["rows"],
            "bytes_per_row": measured["bytes_per_row"],
            "write_amplification": measured["write_amplification"],
            "planned": planned,
        }
    for name, layer in layers.items():
        print(name, json.dumps(layer), file=sys.stderr)
    document = {"bench": "layers", "layers": layers, "stages": status["stages"]}
    print(json.dumps(document | {"machine": machine.describe()}))


if __name__ == "__main__":
    main()
