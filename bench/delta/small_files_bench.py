"""./dev bench small-files: what small files cost the readers of a table, and what is left of it
after OPTIMIZE, by packing and in Z-order.

An engine publishes --rows rows of ten columns, ingested at --rate a second with a commit every
50 ms, as one that is read fresh. Then `headrace optimize` packs its table, and `headrace optimize
--z-order user,at` puts it in order. The three versions are measured side by side: two other engines
read them, each run in a process of its own (--runs times in turn, the median; files are in the page
cache): DuckDB's delta_scan and delta-rs's QueryBuilder, a sum over all rows and one over the rows
of one user. Opening, which reads the log, is counted in. What the selective scan must read is told
by the statistics in Delta's log: files whose bounds for `user` hold the value, and their bytes, as
our own reader passes over files; beside it what DuckDB says that it scanned.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import machine
import pyarrow as pa
import pyarrow.parquet as pq

PIPELINE = """headrace: 1
pipeline: small-files
promise: {budget: {p99: 300ms}}
clock: events
memory: 6GiB
streams:
  events: {contract: events.yaml, source: {flight: push}, time: {event: at, late: 1d}}
views:
  user: {from: events, by: user, over: [1h], features: {n: count(*)}}
services: {user: {features: [user.*]}}
consumers:
  support: {reads: events, pattern: "user = ? and at > now - 7d"}
tables: {events: {commit: 50ms}}
"""
FIELDS = {
    "id": "integer",
    "user": "integer",
    "at": "timestamp",
    "amount": "number",
    "score": "number",
    "kind": "string",
    "country": "string",
}
USERS = 10_000
WANTED = 4711

SCANS = {
    "duckdb": """
import sys, time, duckdb
c = duckdb.connect()
c.execute('SET threads = 2')
{load}
begin = time.perf_counter()
scan = "delta_scan('" + sys.argv[1] + "', version=" + sys.argv[2] + ")"
query = "SELECT count(*), sum(amount) FROM " + scan + {where}
got = c.execute(query).fetchall()
print(time.perf_counter() - begin, got[0][0])
""",
    "delta-rs": """
import sys, time, pyarrow as pa
from deltalake import DeltaTable, QueryBuilder
begin = time.perf_counter()
builder = QueryBuilder().register('t', DeltaTable(sys.argv[1], version=int(sys.argv[2])))
query = 'SELECT count(*) AS n, sum(amount) AS s FROM t' + {where}
got = pa.table(builder.execute(query).read_all())
print(time.perf_counter() - begin, got.column('n')[0].as_py())
""",
}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def load_delta() -> str:
    """A line of Python that loads DuckDB's extension out of its wheel."""
    found = importlib.util.find_spec("duckdb_extension_delta")
    assert found and found.submodule_search_locations
    extension = next(Path(found.submodule_search_locations[0]).rglob("delta.duckdb_extension"))
    return f"c.execute(\"LOAD '{extension}'\")"


def make_rows(path: Path, rows: int) -> None:
    import numpy as np

    draw = np.random.default_rng(1)
    kinds = pa.array([f"kind {k}" for k in range(20)])
    countries = pa.array([f"c{k}" for k in range(60)])
    table = pa.table(
        {
            "id": np.arange(rows, dtype=np.int64),
            "user": draw.integers(0, USERS, rows),
            "at": pa.array(
                1_750_000_000_000_000 + np.arange(rows) * 1000 + draw.integers(0, 1000, rows),
                pa.timestamp("us", "UTC"),
            ),
            "amount": draw.integers(0, 1_000_000, rows) / 100,
            "score": draw.random(rows),
            "kind": kinds.take(pa.array(draw.integers(0, 20, rows))),
            "country": countries.take(pa.array(draw.integers(0, 60, rows))),
        }
    )
    pq.write_table(table, path, row_group_size=1 << 17)


class Engine:
    def __init__(self, headrace: Path, folder: Path, pipeline: str = PIPELINE) -> None:
        self.headrace = headrace
        self.folder = folder
        (folder / "pipeline.yaml").write_text(pipeline)
        properties = "".join(
            f"      - {{name: {name}, logicalType: {kind}, required: true}}\n"
            for name, kind in FIELDS.items()
        )
        (folder / "events.yaml").write_text(
            "apiVersion: v3.1.0\nkind: DataContract\nid: events\nversion: 1.0.0\nstatus: active\n"
            f"schema:\n  - name: events\n    logicalType: object\n    properties:\n{properties}"
        )
        self.table = folder / "data" / "tables" / "events"
        ready = folder / "ready.json"
        command = [headrace, "serve", folder / "pipeline.yaml", "--data", folder / "data"]
        command += ["--ready-file", ready, "--http", "127.0.0.1:0", "--flight", "127.0.0.1:0"]
        command += ["--resp", "127.0.0.1:0"]
        with (folder / "serve.log").open("wb") as log:
            self.process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log)
        while not ready.exists():
            if self.process.poll() is not None:
                raise SystemExit((folder / "serve.log").read_text())
            time.sleep(0.02)
        told = json.loads(ready.read_text())
        self.http = f"127.0.0.1:{told['http']}"
        self.flight = f"127.0.0.1:{told['flight']}"

    def run(self, *words: str | Path) -> str:
        done = subprocess.run(
            [str(self.headrace), *map(str, words)], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise SystemExit(done.stderr)
        return done.stdout

    def settle(self) -> dict[str, Any]:
        while True:
            status = json.loads(self.run("status", "--http", self.http, "--json").splitlines()[-1])
            table: dict[str, Any] = status["tables"][0]
            if table["pending_rows"] == 0:
                return table
            time.sleep(0.1)

    def optimize(self, *words: str) -> dict[str, Any]:
        out = self.run("optimize", "events", *words, "--http", self.http, "--json")
        document: dict[str, Any] = json.loads(out.splitlines()[-1])
        return document


def live_files(table: Path, version: int) -> list[dict[str, Any]]:
    """A version's adds."""
    from deltalake import DeltaTable

    actions = pa.table(DeltaTable(str(table), version=version).get_add_actions(flatten=True))
    files: list[dict[str, Any]] = actions.to_pylist()
    return files


def duckdb_scanned(load: str, table: Path, version: int, where: str) -> str:
    """What EXPLAIN ANALYZE says of files."""
    program = (
        f"import duckdb\nc = duckdb.connect()\n{load}\n"
        f'print(c.execute("EXPLAIN ANALYZE SELECT sum(amount) FROM '
        f"delta_scan('{table}', version={version})\" + {where!r}).fetchall()[0][1])"
    )
    text = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"Scanning Files:\D*(\d+/\d+)", text)
    return found.group(1) if found else ""


WHERES = {"full": "", "selective": f" WHERE user = {WANTED}"}


def describe_version(name: str, table: Path, version: int) -> dict[str, Any]:
    files = live_files(table, version)
    sizes = sorted(int(file["size_bytes"]) for file in files)
    fitting = [f for f in files if f["min.user"] <= WANTED <= f["max.user"]]
    since = (
        max(f["max.at"] for f in files)
        - (max(f["max.at"] for f in files) - min(f["min.at"] for f in files)) * 0.1
    )
    narrow = [f for f in fitting if f["max.at"] >= since]
    return {
        "table": name,
        "version": version,
        "files": len(files),
        "bytes": sum(sizes),
        "median_file_bytes": sizes[len(sizes) // 2],
        "selective_files": len(fitting),
        "selective_bytes": sum(int(f["size_bytes"]) for f in fitting),
        "narrow_files": len(narrow),  # of the same user, in the last tenth of the time
        "narrow_bytes": sum(int(f["size_bytes"]) for f in narrow),
        "duckdb_scanned": duckdb_scanned(load_delta(), table, version, WHERES["selective"]),
    }


def measure(table: Path, results: list[dict[str, Any]], runs: int) -> None:
    """Seconds of each scan, and that all readers get the same rows of all versions."""
    times: dict[tuple[int, str], list[float]] = {}
    rows: dict[str, set[str]] = {}
    load = load_delta()
    for _ in range(runs):
        for number, result in enumerate(results):
            for (reader, program), (scan, where) in itertools.product(
                SCANS.items(), WHERES.items()
            ):
                text = program.replace("{load}", load).replace("{where}", repr(where))
                command = [sys.executable, "-c", text, str(table), str(result["version"])]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode != 0:
                    raise SystemExit(done.stderr)
                seconds, count = done.stdout.split()
                times.setdefault((number, f"{reader}_{scan}_s"), []).append(float(seconds))
                rows.setdefault(scan, set()).add(count)
    for scan, counts in rows.items():
        if len(counts) != 1:
            raise SystemExit(f"readers or versions disagree: {scan} {counts}")
        for result in results:
            result[f"{scan}_rows"] = int(next(iter(counts)))
    for (number, key), values in times.items():
        results[number][key] = round(statistics.median(values), 3)


def prepare(options: argparse.Namespace) -> dict[str, Any]:
    """The table in its three states, and what was done to it."""
    from deltalake import DeltaTable

    shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True)
    make_rows(options.folder / "events.parquet", options.rows)
    engine = Engine(options.headrace, options.folder)
    versions: dict[str, int] = {}

    def note(name: str) -> None:
        versions[name] = DeltaTable(str(engine.table)).version()

    try:
        source = options.folder / "events.parquet"
        words = ("--flight", engine.flight, "--http", engine.http, "--rate", str(options.rate))
        engine.run("ingest", "events", source, *words)
        written = engine.settle()
        note("as written")
        packed = engine.optimize()
        note("packed")
        ordered = engine.optimize("--z-order", "user,at", "--target-size", options.target)
        note("in Z-order")
    finally:
        engine.process.terminate()
        engine.process.wait()
    return {
        "rows": options.rows,
        "commits": written["commits"],
        "pack": packed["done"],
        "z_order": ordered["done"],
        "versions": versions,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--headrace", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rate", type=int, default=80_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--target", default="256KiB", help="file size in Z-order")
    parser.add_argument("--no-scans", action="store_true", help="only make the table")
    parser.add_argument("--again", action="store_true", help="scan the table of the last run")
    options = parser.parse_args()
    state = options.folder / "state.json"
    if not options.again:
        state.parent.mkdir(parents=True, exist_ok=True)
        done = prepare(options)
        state.write_text(json.dumps(done))
    if options.no_scans:
        return
    document = json.loads(state.read_text())
    table = options.folder / "data" / "tables" / "events"
    results = [describe_version(name, table, at) for name, at in document["versions"].items()]
    measure(table, results, options.runs)
    for result in results:
        say(json.dumps(result))
    share = results[2]["selective_bytes"] / results[2]["bytes"]
    document |= {"bench": "small-files", "machine": machine.describe(), "tables": results}
    document |= {"selective_share_of_bytes": round(share, 4)}
    print(json.dumps(document))


if __name__ == "__main__":
    main()
