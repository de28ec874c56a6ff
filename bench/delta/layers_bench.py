"""./dev bench layers: what each layer of a pipeline costs while it runs.

One stream of --rate rows a second for --seconds, three tables of it: raw rows, cleaned ones (a
derived stream that leaves out four of five), and all rows in the order that a reader filters by
(Z-order every 10 s). Each with a commit every --commit. What the engine measured of each
(`layer` of GET /status): from durable to visible, files, bytes, write amplification; beside it what
`headrace check` said before. A ratio is what was said over what was measured: `check` knows of a
rate, not of how many rows a filter leaves nor of how often files are rewritten.
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


# What `check` says of it, and what the engine measures.
COMPARED = {
    "visible": ("visible_mean_ms", "visible_p50_ms"),
    "bytes_per_row": ("bytes_per_row", "bytes_per_row"),
    "write_amplification": ("write_amplification", "write_amplification"),
}


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
    for line in table_of(layers):
        print(line, file=sys.stderr)
    ratios = {
        f"{name}_{what}_planned_vs_measured": layer["planned"][planned] / layer[measured]
        for name, layer in layers.items()
        for what, (planned, measured) in COMPARED.items()
    }
    document = {"bench": "layers", "ratios": machine.rounded(ratios), "figures": layers}
    document |= {"stages": status["stages"], "machine": machine.describe()}
    print(json.dumps(document))


def table_of(layers: dict[str, dict[str, Any]]) -> list[str]:
    lines = [
        f"{'':<20} {'visible p50, p99':>18} {'commit p50':>11} {'rows':>9} {'files':>6}"
        f" {'bytes a row':>12} {'written / data':>15}"
    ]
    for name, layer in layers.items():
        planned = layer["planned"]
        lines += [
            f"{name + ', ' + layer['kind']:<20}"
            f" {layer['visible_p50_ms']:8.0f}, {layer['visible_p99_ms']:5.0f} ms"
            f" {layer['commit_p50_ms']:8.1f} ms {layer['rows']:9,} {layer['files']:6,}"
            f" {layer['bytes_per_row']:12.1f} {layer['write_amplification']:15.2f}",
            f"{'  check had said':<20}"
            f" {planned['visible_mean_ms']:8.0f}, {planned['visible_max_ms']:5.0f} ms"
            f"{planned['bytes_per_row']:42.1f} {planned['write_amplification']:15.2f}",
        ]
    return lines


if __name__ == "__main__":
    main()
