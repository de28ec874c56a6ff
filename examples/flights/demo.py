"""The main job on three million real flights: answers, a table, a training set, and the proof.

`./dev demo` runs it. Exit 0 when everything held, else 1, and the first line says what did not.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lookups
import prepare
import proofs
import pyarrow.parquet as pq
import replay
import status
import summary
import train_example
from engine import HOST, DemoFailure, Engine
from progress import Progress
from replay import Replay
from summary import Document

PIPELINE = Path(__file__).parent / "pipeline.yaml"


def machine() -> dict[str, Any]:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {"cores": os.cpu_count(), "memory_gib": pages / 2**30}


def megabytes(folder: Path) -> float:
    return sum(p.stat().st_blocks * 512 for p in folder.rglob("*") if p.is_file()) / 1e6


def disk(engine: Engine) -> dict[str, float]:
    total, table = megabytes(engine.data), megabytes(engine.table)
    return {"total_mb": total, "table_mb": table, "log_mb": total - table}


def corrupt_one_answer(engine: Engine) -> tuple[str, int]:
    """Flips a bit in live state, then asks once; the key, and the epoch of the answer."""
    origin, destination = replay.pick_key_to_corrupt(engine)
    engine.request("POST", "/debug/flip", {"view": "origin", "key": {"origin": origin}})
    return origin, lookups.epoch_of(replay.ask(engine, origin, destination))


def by_name(answer: Any) -> dict[str, Any]:
    return dict(zip(answer["metadata"]["feature_names"], answer["results"], strict=True))


def check_get(engine: Engine) -> None:
    """`headrace get` shows what Feast's endpoint answers, value for value."""
    assert engine.ready
    address = f"{HOST}:{engine.ready.http}"
    keys = ("origin=ORD", "destination=LAX")
    shown = engine.run_json("get", "--service", "departure", *keys, "--http", address)
    if by_name(shown) != by_name(replay.ask(engine, "ORD", "LAX")):
        raise DemoFailure("headrace get and POST /get-online-features differ for ORD, LAX")


def train(engine: Engine, prepared: Path, folder: Path) -> dict[str, Any]:
    out = folder / "training.parquet"
    arguments = ["train", "--data", str(engine.data), "--labels", str(prepared / "labels.parquet")]
    arguments += ["--service", "departure", "--time", "date", "--exclude", "flight_id"]
    started = time.monotonic()
    engine.run_json(*arguments, "-o", str(out))
    seconds = time.monotonic() - started
    outcome = train_example.train(pq.read_table(out))
    labels = pq.read_metadata(prepared / "labels.parquet").num_rows
    return {**asdict(outcome), "seconds": seconds, "labels": labels}


def table(engine: Engine, prepared: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """The table by two readers against the accepted rows; and what the kill lost or doubled."""
    accepted = proofs.accepted_rows(prepared)
    ours = proofs.read_account(engine.table)
    duckdb = proofs.compare(accepted, proofs.read_with_duckdb(engine.table))
    delta_rs = proofs.compare(accepted, proofs.read_with_delta_rs(engine.table))
    figures = {
        "rows": {"headrace": ours.rows, "duckdb": duckdb.rows, "delta_rs": delta_rs.rows},
        "equal": duckdb.equal and delta_rs.equal,
        "digest": duckdb.digest,
        "commits": ours.commits,
        "files": ours.files,
    }
    harm = {
        "lost": max(duckdb.lost, delta_rs.lost),
        "doubled": max(duckdb.doubled, delta_rs.doubled),
    }
    return figures, harm


def promise(done: Replay) -> tuple[dict[str, Any], dict[str, float] | None]:
    """Kept when the p99s of becoming visible and of a lookup stay inside the budget together."""
    assert done.final
    sync, stages = status.worse(done.before_kill, done.final)
    figures = {name: stage.as_json() for name, stage in stages.items()}
    lookup = status.percentiles(done.lookups)
    together = None
    if lookup:
        figures["lookup"] = lookup.as_json()
    if lookup and "visible" in stages:
        together = stages["visible"].p99 + lookup.p99
    kept = together is not None and together <= summary.BUDGET_MS
    document = {"kept": kept, "budget_ms": summary.BUDGET_MS, "p99_ms": together, "stages": figures}
    return document, sync.as_json() if sync else None


def rows(
    done: Replay, letters: proofs.DeadLetterProof, expected: prepare.Expected
) -> dict[str, Any]:
    assert done.final
    return {
        "in": done.final.accepted + done.final.refused,
        "accepted": done.final.accepted,
        "expected_accepted": expected["accepted"],
        "refused": done.final.refused,
        "damaged": expected["refused"],
        "found": letters.found,
        "unexpected": letters.unexpected,
        "misnamed": letters.misnamed[:10],
        "duplicates_but_for_id": expected["duplicates_but_for_id"],
        "landed_before_scheduled": expected["landed_before_scheduled"],
    }


def lookup_figures(done: Replay) -> dict[str, Any]:
    asked = done.lookups
    figures = {
        k: asked[k] for k in ("answered", "unanswered", "features", "epoch_went_back", "statuses")
    }
    figures |= {k: asked[k] for k in ("p50_ms", "p99_ms", "worst_ms") if k in asked}
    figures["errors"] = sum(asked["errors"].values())
    figures["per_s"] = asked["answered"] / asked["seconds"]
    return figures


def run(options: argparse.Namespace, progress: Progress) -> Document:
    folder: Path = options.folder
    started = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    prepared = folder / "prepared"
    with progress.step("prepare the flights"):
        expected = prepare.prepare(options.source, prepared, quick=options.quick)
    answers = folder / "answers.log"
    faults = ("--answers", str(answers), "--demo-faults")
    engine = Engine(options.headrace, PIPELINE, folder, options=faults)
    try:
        ready = engine.start()
        progress.say(f"headrace serves: http {ready.http}, flight {ready.flight}")
        with progress.step("replay"):
            done = replay.run(engine, prepared, expected, progress)
        check_get(engine)
        letters = proofs.dead_letters(engine, expected["refused"])
        letter_proof = proofs.check_dead_letters(letters, prepared)
        corrupted_key, corrupted_epoch = corrupt_one_answer(engine)
        engine.stop()
    finally:
        engine.abandon()
    with progress.step("read the table with DuckDB and delta-rs"):
        table_figures, harm = table(engine, prepared)
    with progress.step("training set"):
        training = train(engine, prepared, folder)
    with progress.step("verify every answer"):
        verified = proofs.verify(engine, answers, corrupted_key, corrupted_epoch)
    promised, sync = promise(done)
    assert done.kill and done.final
    first = done.parts["flights-a.parquet"]
    seconds = {"install": options.install_seconds, "build": options.build_seconds}
    seconds["run"] = time.monotonic() - started
    document: Document = {
        "demo": "flights",
        "quick": options.quick,
        "promise": promised,
        "rows": rows(done, letter_proof, expected),
        "table": table_figures,
        "training": training,
        "verify": {k: v for k, v in vars(verified).items() if k != "document"},
        "kill": {**vars(done.kill), **harm},
        "ingest": {"events_per_s": first.rows / first.seconds, "rows": first.rows},
        "visible": promised["stages"].get("visible"),
        "lookup": lookup_figures(done),
        "fdatasync": sync,
        "memory": {"peak_mb": engine.peak_kb / 1024, "budget_mb": done.final.memory_budget_mb},
        "disk": disk(engine),
        "seconds": {name: value for name, value in seconds.items() if value is not None},
        "machine": machine(),
        "data": os.path.relpath(engine.data),
    }
    document["failures"] = summary.failures(document)
    return document


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--headrace", type=Path, required=True, help="the binary")
    parser.add_argument("--source", type=Path, required=True, help="flights-3m.parquet")
    parser.add_argument("--folder", type=Path, required=True, help="made anew for this run")
    parser.add_argument("--quick", action="store_true", help="the first 200,000 flights")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--install-seconds", type=float)
    parser.add_argument("--build-seconds", type=float)
    options = parser.parse_args()
    try:
        document = run(options, Progress())
    except DemoFailure as failure:
        document = {"demo": "flights", "promise": {"kept": False}, "failures": [str(failure)]}
        print(json.dumps(document) if options.json else summary.paint(f"FAILED: {failure}"))
        return 1
    print(json.dumps(document) if options.json else summary.render(document))
    return 1 if document["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
