"""Feeds the prepared parts through a running engine, kills it once on the way, and measures.

1. flights-a.parquet over Arrow Flight, undisturbed: the speed is measured here.
2. flights-b.ndjson over HTTP.
3. flights-c.parquet over Arrow Flight; with its first rows, so half-way, the engine gets SIGKILL
   and is started again, while `headrace ingest` finds it again and repeats what was not
   acknowledged.
Lookups run beside all of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import prepare
import pyarrow.parquet as pq
import status
from engine import HOST, DemoFailure, Engine, finish_json
from progress import Progress
from status import Status

LOOKUPS_PER_S = 500
BATCH_ROWS = 4096
POLL_S = 0.1
# The last part begins half-way through the flights: the kill comes when a sixteenth of it is in.
KILL_AT = 16
# A part this small is over before a kill can land in its middle: it is fed at a steady rate.
SMALL_PART_ROWS, SMALL_PART_RATE = 500_000, 25_000
TABLE_WITHIN_S = 60.0
COUNTS = ("rows", "accepted", "refused", "repeated", "epoch")


@dataclass(frozen=True)
class Kill:
    at_row: int
    back_s: float
    resumed_epoch: int


@dataclass(frozen=True)
class Ingested:
    """What `headrace ingest --json` said of one part."""

    rows: int
    accepted: int
    refused: int
    repeated: int
    epoch: int  # of the last acknowledgement
    seconds: float


@dataclass
class Replay:
    """Everything that was measured while the rows went in."""

    parts: dict[str, Ingested] = field(default_factory=dict)
    kill: Kill | None = None
    before_kill: Status | None = None
    final: Status | None = None
    lookups: dict[str, Any] = field(default_factory=dict)
    table_lag_s: float = 0.0
    seconds: float = 0.0


def ingest(engine: Engine, part: Path, *options: str) -> subprocess.Popen[str]:
    assert engine.ready
    return engine.command(
        *("ingest", "flights", str(part), "--batch", str(BATCH_ROWS), "--retry-for", "60s"),
        *("--http", f"{HOST}:{engine.ready.http}", "--flight", f"{HOST}:{engine.ready.flight}"),
        *options,
        "--json",
    )


def ingested(document: dict[str, Any]) -> Ingested:
    figures = {name: document[name] for name in COUNTS}
    return Ingested(**{k: int(v) for k, v in figures.items()}, seconds=float(document["seconds"]))


def rows_in(engine: Engine) -> int:
    now = status.read(engine.request("GET", "/status"))
    return now.accepted + now.refused


def feed(
    engine: Engine, part: Path, before: int, expected: prepare.Expected, progress: Progress
) -> Ingested:
    """One part to its end, undisturbed."""
    process = ingest(engine, part)
    while process.poll() is None:
        progress.advance(part.name, rows_in(engine) - before, expected["parts"][part.name])
        time.sleep(POLL_S)
    return ingested(finish_json(process, "ingest"))


def feed_with_kill(
    engine: Engine,
    part: Path,
    before: int,
    expected: prepare.Expected,
    progress: Progress,
    replay: Replay,
) -> Ingested:
    """One part, with the engine killed and started again when the first of it is in."""
    total = expected["parts"][part.name]
    small = total < SMALL_PART_ROWS
    process = ingest(engine, part, *(["--rate", str(SMALL_PART_RATE)] if small else []))
    while process.poll() is None:
        at = rows_in(engine)
        progress.advance(part.name, at - before, total)
        if replay.kill is None and at - before >= total // KILL_AT:
            replay.before_kill = status.read(engine.request("GET", "/status"))
            killed = time.monotonic()
            engine.kill()
            ready = engine.start()
            replay.kill = Kill(at, time.monotonic() - killed, ready.epoch)
            progress.say(
                f"SIGKILL at row {at:,}; back in {replay.kill.back_s:.1f} s, epoch {ready.epoch:,}"
            )
        time.sleep(POLL_S / 5 if replay.kill is None else POLL_S)
    if replay.kill is None:
        raise DemoFailure(
            f"{part.name} was in before its first rows had been seen: no kill was tried"
        )
    return ingested(finish_json(process, "ingest"))


def busiest_routes(folder: Path, count: int) -> list[list[str]]:
    """The keys to ask for: the busiest routes, and a few that do not exist."""
    table = pq.read_table(folder / "flights-a.parquet", columns=["origin", "destination"])
    grouped = table.group_by(["origin", "destination"]).aggregate([([], "count_all")])
    ordered = grouped.sort_by([("count_all", "descending"), ("origin", "ascending")]).slice(
        0, count
    )
    routes = zip(ordered["origin"].to_pylist(), ordered["destination"].to_pylist(), strict=True)
    return [[origin, destination] for origin, destination in routes] + [
        ["ZZZ", "ZZZ"],
        ["ORD", "ZZZ"],
    ]


def start_lookups(engine: Engine, folder: Path) -> subprocess.Popen[str]:
    assert engine.ready
    keys = folder / "keys.json"
    keys.write_text(json.dumps(busiest_routes(folder, 500)))
    script = Path(__file__).parent / "lookups.py"
    command = [sys.executable, str(script), "--port", str(engine.ready.http)]
    command += ["--rate", str(LOOKUPS_PER_S), "--keys", str(keys)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_table(engine: Engine, epoch: int, progress: Progress) -> tuple[Status, float]:
    """Until the table holds every row up to `epoch`; the status then, and how long that took."""
    started = time.monotonic()
    progress.say("waiting for the table to hold the last row")
    while True:
        now = status.read(engine.request("GET", "/status"))
        waited = time.monotonic() - started
        if status.table_is_complete(now, epoch):
            return now, waited
        if waited > TABLE_WITHIN_S:
            where = f"it holds epoch {now.table_epoch} of {epoch}, {now.table_pending} rows to come"
            raise DemoFailure(f"the table was not complete after {TABLE_WITHIN_S:.0f} s: {where}")
        time.sleep(POLL_S / 5)


def run(engine: Engine, prepared: Path, expected: prepare.Expected, progress: Progress) -> Replay:
    """The whole replay on a started engine; it is still running afterwards."""
    replay = Replay()
    started = time.monotonic()
    lookups = start_lookups(engine, prepared)
    try:
        before = 0
        for name in ("flights-a.parquet", "flights-b.ndjson"):
            replay.parts[name] = feed(engine, prepared / name, before, expected, progress)
            before += expected["parts"][name]
        name = "flights-c.parquet"
        part = prepared / name
        replay.parts[name] = feed_with_kill(engine, part, before, expected, progress, replay)
        epoch = replay.parts[name].epoch
        replay.final, replay.table_lag_s = wait_for_table(engine, epoch, progress)
    finally:
        lookups.terminate()
    replay.lookups = finish_json(lookups, "lookups")
    replay.seconds = time.monotonic() - started
    return replay


def pick_key_to_corrupt(engine: Engine) -> tuple[str, str]:
    """A route whose origin had a flight in its last six hours, so that a wrong row must show."""
    for origin in ("ORD", "DFW", "ATL", "LAX", "PHX"):
        answer = ask(engine, origin, "LAX" if origin != "LAX" else "ORD")
        values = dict(zip(answer["metadata"]["feature_names"], answer["results"], strict=True))
        count = next(v for k, v in values.items() if k.endswith("flights_6h"))["values"][0]
        if count:
            return origin, "LAX" if origin != "LAX" else "ORD"
    raise DemoFailure("no airport had a flight in its last six hours: nothing to corrupt")


def ask(engine: Engine, origin: str, destination: str) -> Any:
    entities = {"origin": [origin], "destination": [destination]}
    return engine.request(
        "POST", "/get-online-features", {"feature_service": "departure", "entities": entities}
    )
