"""The demo's last words: one JSON document, and the page of text made from it and nothing else.

Every figure in both was measured in this run; what was not measured is absent.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import damage

Document = dict[str, Any]
Check = tuple[bool, str]

BUDGET_MS = 200.0


def failures(doc: Document) -> list[str]:
    """What did not hold, worst first; empty when the demo succeeded."""
    return [text for held, text in checks(doc) if not held]


def checks(doc: Document) -> list[Check]:
    rows, table, kill, verify = doc["rows"], doc["table"], doc["kill"], doc["verify"]
    readers = table["rows"]
    found = sum(rows["found"].values())
    return [
        (kill["lost"] == 0, f"{kill['lost']:,} accepted rows are not in the table"),
        (kill["doubled"] == 0, f"{kill['doubled']:,} rows are in the table twice"),
        (
            verify["mismatches"] == 0,
            f"{verify['mismatches']:,} served answers differ when recomputed",
        ),
        (verify["corruption_found"] == 1, "the corrupted value was not found by verify"),
        (verify["checked"] > doc["lookup"]["answered"] * 0.9, "not all answers were verified"),
        (table["equal"], f"the table is not the accepted rows: {readers}"),
        (len(set(readers.values())) == 1, f"readers disagree on the table: {readers}"),
        (rows["in"] == rows["accepted"] + rows["refused"], "rows in are not accepted + refused"),
        (rows["accepted"] == rows["expected_accepted"], "another number of rows was accepted"),
        (found == rows["damaged"], f"{found:,} of {rows['damaged']:,} damaged rows were found"),
        (rows["unexpected"] == 0, f"{rows['unexpected']:,} dead letters nobody damaged"),
        (
            doc["training"]["rows"] == doc["training"]["labels"],
            "labels are missing in the training set",
        ),
        (doc["lookup"]["errors"] == 0, f"{doc['lookup']['errors']:,} lookups answered an error"),
        (doc["lookup"]["epoch_went_back"] == 0, "an answer's epoch went back on one connection"),
        (doc["promise"]["kept"], "the promise of 200 ms was missed"),
    ]


def render(doc: Document) -> str:
    blocks = [headline, promise, nothing_lost, three_answers, speed, where_the_time_went, look]
    lines = [f"FAILED: {text}" for text in doc["failures"]]
    for block in blocks:
        lines += block(doc)
    return "\n".join(paint(line) for line in lines)


def paint(line: str) -> str:
    if not sys.stdout.isatty():
        return line
    if line.startswith("FAILED") or line.endswith("MISSED"):
        return f"\033[31m{line}\033[0m"
    return line.replace("KEPT", "\033[32mKEPT\033[0m") if line.endswith("KEPT") else line


def headline(doc: Document) -> list[str]:
    machine, sync = doc["machine"], doc["fdatasync"]
    line = f"Headrace demo: {doc['rows']['in']:,} real US flights, early 2001"
    about = f"{machine['cores']} cores, {machine['memory_gib']:.0f} GiB"
    if sync:
        about += f", fdatasync p50 {sync['p50_ms']:.1f} p99 {sync['p99_ms']:.1f} ms"
    return [f"{line}       {about}"]


def promise(doc: Document) -> list[str]:
    word = "KEPT" if doc["promise"]["kept"] else "MISSED"
    sent = f"PROMISE {doc['promise']['budget_ms']:.0f} ms at p99, event sent -> answer possible"
    lines = [f"{sent:<100}{word}", f"  {'stage ms':<28}{'p50':>8}{'p99':>8}{'worst':>9}"]
    names = {
        "ingest": "accepted -> durable",
        "transform": "durable -> visible",
        "visible": "accepted -> visible",
        "lookup": "lookup over HTTP",
    }
    for key, name in names.items():
        stage = doc["promise"]["stages"].get(key)
        if stage:
            figures = f"{stage['p50_ms']:>8.1f}{stage['p99_ms']:>8.1f}{stage['worst_ms']:>9.1f}"
            lines.append(f"  {name:<28}{figures}")
    together = doc["promise"].get("p99_ms")
    if together is not None:
        lines.append(f"  {'visible + lookup, p99s added':<36}{together:>8.1f}")
    return lines


def nothing_lost(doc: Document) -> list[str]:
    rows, kill = doc["rows"], doc["kill"]
    parts = [f"{rows['found'][kind]:,} {damage.NAMES[kind]}" for kind in damage.FIELDS]
    found = sum(rows["found"].values())
    back = f"back in {kill['back_s']:.1f} s, resumed at epoch {kill['resumed_epoch']:,}"
    after = f"{kill['lost']:,} rows lost, {kill['doubled']:,} doubled"
    return [
        "NOTHING LOST",
        row(
            "rows in", rows["in"], f"=  {rows['accepted']:,} accepted + {rows['refused']:,} refused"
        ),
        row("refused", rows["refused"], "=  " + " + ".join(parts)),
        row("damaged by demo", rows["damaged"], f"{found:,} found, with field, rule and payload"),
        row("SIGKILL at row", kill["at_row"], f"{back}; {after}"),
        row("as they came", rows["duplicates_but_for_id"], oddities(doc)),
    ]


def oddities(doc: Document) -> str:
    early = doc["rows"]["landed_before_scheduled"]
    return (
        f"rows are duplicates but for the id, {early} landed before their scheduled departure; kept"
    )


def three_answers(doc: Document) -> list[str]:
    table, training, verify = doc["table"], doc["training"], doc["verify"]
    same = "the same multiset" if table["equal"] else "NOT the same multiset"
    files = f"; {table['commits']:,} commits, {table['files']:,} files"
    aucs = f"AUC {training['auc']:.3f}, last delay alone {training['auc_last_delay']:.3f}"
    known = "as known just before each flight (arrival assumed = event time)"
    named = f"value corrupted on purpose: found, named ({verify['corruption']})"
    if not verify["corruption_found"]:
        named = "value corrupted on purpose: NOT found"
    return [
        "ONE LOG, THREE ANSWERS",
        row(
            "table flights",
            table["rows"]["headrace"],
            f"rows by us, by DuckDB, by delta-rs: {same} (digest {table['digest'][:8]}){files}",
        ),
        row(
            "training set",
            training["rows"],
            f"rows in {training['seconds']:.1f} s, {known}; {aucs}",
        ),
        row("verified", verify["checked"], f"answers recomputed: {verify['mismatches']:,} differ"),
        row("can it fail?", 1, named),
    ]


def speed(doc: Document) -> list[str]:
    ingest, lookup, memory, disk = doc["ingest"], doc["lookup"], doc["memory"], doc["disk"]
    budget = f"of a budget of {memory['budget_mb']:,.0f}" if memory.get("budget_mb") else ""
    sizes = (
        f"disk {disk['total_mb']:.0f} MB (log {disk['log_mb']:.0f}, table {disk['table_mb']:.0f})"
    )
    asked = (
        f"{lookup['features']} features, one at a time, beside the ingest, {lookup['per_s']:.0f}/s"
    )
    return [
        "SPEED",
        row("ingest", ingest["events_per_s"], "/s  durable, all views (Flight, batches of 4,096)"),
        row("lookups", lookup["answered"], f"answered; {asked}"),
        row("memory MB", memory["peak_mb"], f"at the peak {budget:<24}{sizes}"),
    ]


def where_the_time_went(doc: Document) -> list[str]:
    parts = [f"{name} {minutes(seconds)}" for name, seconds in doc["seconds"].items()]
    return ["WHERE THE TIME WENT   " + " | ".join(parts)]


def look(doc: Document) -> list[str]:
    serve = f"headrace serve examples/flights/pipeline.yaml --data {doc['data']}"
    return [
        f"LOOK     {serve}",
        "         headrace get origin origin=ORD   headrace deadletters flights   (beside it)",
        "AGAIN    ./dev demo --quick   (200,000 flights)",
    ]


def row(name: str, number: float, text: str) -> str:
    return f"  {name:<16}{number:>12,.0f}     {text}"


def minutes(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{int(seconds // 60)} m {int(seconds % 60)} s"


Block = Callable[[Document], list[str]]
