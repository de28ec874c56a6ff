"""./dev bench delta: what a commit costs as the table grows, and what opening a long table costs,
beside delta-rs in the same run.

Commits: 1,000 rows of ten columns, one writer, on the local disk. Ours sync the data file, its
folder, the version and its folder (four syncs) before they count; delta-rs makes no sync at all.
Ours are measured over --commits, delta-rs's over --peer-commits; each kept its table open. Rows
are made before the clock starts, on both sides.

Opening: a table whose log names --files files (which nobody opens), read through a checkpoint
that we wrote: ours into a list of files with their statistics, delta-rs's DeltaTable() and its
file list. Each in a fresh process, --runs times in turn, the median; memory is the most that the
process had, without what the interpreter and the imports take (measured apart and printed).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import machine

FIRST = 50
WINDOW = 50

PEER_COMMITS = """
import sys, time, pyarrow as pa, numpy as np
from deltalake import DeltaTable, write_deltalake
folder, commits, rows = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def batch(first):
    i = np.arange(first, first + rows, dtype=np.int64)
    m = (i * 2654435761) % (1 << 40)
    return pa.table({
        'id': i, 'user': m % 100000,
        'at': pa.array(1750000000000000 + i * 1000, pa.timestamp('us', 'UTC')),
        'amount': (m % 1000000) / 100, 'score': (m % 977) / 977,
        'kind': pa.array([f'kind {k}' for k in m % 20]),
        'country': pa.array([f'c{k}' for k in m % 60]),
        '_epoch': np.full(rows, first // rows), '_row': np.arange(rows, dtype=np.int32),
        '_known_at': pa.array(np.full(rows, 1750000000000000), pa.timestamp('us', 'UTC'))})
write_deltalake(folder, batch(0).slice(0, 0))
table = DeltaTable(folder)
for n in range(1, commits + 1):
    data = batch(n * rows)
    begin = time.perf_counter()
    write_deltalake(table, data, mode='append')
    print(f'{(time.perf_counter() - begin) * 1000:.3f}')
"""
PEER_OPEN = """
import json, resource, sys, time
from deltalake import DeltaTable
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
begin = time.perf_counter()
table = DeltaTable(sys.argv[1])
opened = (time.perf_counter() - begin) * 1000
files = len(table.file_uris())
listed = (time.perf_counter() - begin) * 1000
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({'open_ms': opened, 'with_files_ms': listed, 'files': files,
                  'peak_mib': peak, 'before_mib': before}))
"""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def times_of(command: list[str | Path]) -> list[float]:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(line) for line in done.stdout.split()]


def around(times: list[float], commit: int) -> float:
    """The median of the commits up to this one."""
    return statistics.median(times[max(0, commit - WINDOW) : commit])


def last_line(command: list[str | Path]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def sync_p50_ms(folder: Path) -> float:
    """pwrite of 4 KiB and fdatasync, appended to a file: what one of our four syncs costs."""
    times = []
    file = os.open(folder / "sync", os.O_CREAT | os.O_WRONLY)
    for number in range(200):
        begin = time.perf_counter()
        os.pwrite(file, bytes(4096), number * 4096)
        os.fdatasync(file)
        times.append((time.perf_counter() - begin) * 1000)
    os.close(file)
    return statistics.median(times)


def measure_commits(options: argparse.Namespace) -> dict[str, float]:
    ours_folder, peer_folder = options.folder / "ours", options.folder / "peer"
    say(f"delta-rs: {options.peer_commits} commits of {options.rows} rows")
    peer = times_of(
        [
            sys.executable,
            "-c",
            PEER_COMMITS,
            peer_folder,
            str(options.peer_commits),
            str(options.rows),
        ]
    )
    say(f"ours: {options.commits} commits of {options.rows} rows")
    ours = times_of(
        [options.program, "commits", ours_folder, str(options.commits), str(options.rows)]
    )
    figures = {
        "ours_first_50_p50_ms": around(ours, FIRST),
        "ours_at_500_p50_ms": around(ours, min(500, len(ours))),
        f"ours_at_{len(ours)}_p50_ms": around(ours, len(ours)),
        "ours_p99_ms": statistics.quantiles(ours, n=100)[98],
        "delta_rs_first_50_p50_ms": around(peer, FIRST),
        f"delta_rs_at_{len(peer)}_p50_ms": around(peer, len(peer)),
        "delta_rs_p99_ms": statistics.quantiles(peer, n=100)[98],
    }
    say("\ncommits of 1,000 rows, p50 in ms of 50 commits")
    for name, figure in figures.items():
        say(f"  {name:<28} {figure:8.2f}")
    return figures


def measure_opening(options: argparse.Namespace) -> dict[str, float]:
    table = options.folder / "long"
    say(f"\na table of {options.files} files")
    subprocess.run([options.program, "make", table, str(options.files)], check=True)
    checkpoint = next((table / "_delta_log").glob("*.checkpoint.parquet"))
    ours, peer = [], []
    for _ in range(options.runs):
        ours.append(last_line([options.program, "open", table]))
        peer.append(last_line([sys.executable, "-c", PEER_OPEN, table]))
    assert all(run["files"] == options.files for run in ours + peer)

    def median(runs: list[dict[str, Any]], name: str) -> float:
        return float(statistics.median(run[name] for run in runs))

    figures = {
        "checkpoint_mib": checkpoint.stat().st_size / 2**20,
        "ours_open_ms": median(ours, "open_ms"),
        "ours_open_for_append_ms": median(ours, "open_for_append_ms"),
        "ours_peak_mib": median(ours, "peak_mib"),
        "delta_rs_open_ms": median(peer, "open_ms"),
        "delta_rs_with_files_ms": median(peer, "with_files_ms"),
        "delta_rs_peak_mib": median(peer, "peak_mib"),
        "delta_rs_before_mib": median(peer, "before_mib"),
    }
    for name, figure in figures.items():
        say(f"  {name:<28} {figure:8.1f}")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--commits", type=int, default=5000)
    parser.add_argument("--peer-commits", type=int, default=500)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--part", choices=["all", "commits", "opening"], default="all")
    options = parser.parse_args()
    shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True)
    begin = time.monotonic()
    about = machine.describe()
    figures = {"disk_fdatasync_p50_ms": sync_p50_ms(options.folder)}
    say(f"one fdatasync of this disk: {figures['disk_fdatasync_p50_ms']:.2f} ms, p50")
    ratios: dict[str, float] = {}
    if options.part != "opening":
        figures |= measure_commits(options)
        last = options.commits
        ratios |= {
            "delta_rs_first_50/ours_first_50": figures["delta_rs_first_50_p50_ms"]
            / figures["ours_first_50_p50_ms"],
            "delta_rs_last/ours_last": figures[f"delta_rs_at_{options.peer_commits}_p50_ms"]
            / figures[f"ours_at_{last}_p50_ms"],
            "ours_first_50/ours_last": figures["ours_first_50_p50_ms"]
            / figures[f"ours_at_{last}_p50_ms"],
            "delta_rs_p99/ours_p99": figures["delta_rs_p99_ms"] / figures["ours_p99_ms"],
        }
    if options.part != "commits":
        figures |= measure_opening(options)
        ratios |= {
            "delta_rs_open/ours_open": figures["delta_rs_with_files_ms"] / figures["ours_open_ms"],
            "delta_rs_peak/ours_peak": figures["delta_rs_peak_mib"] / figures["ours_peak_mib"],
        }
    say("")
    for name, ratio in ratios.items():
        say(f"  {name:<34} {ratio:6.2f}")
    shutil.rmtree(options.folder)
    report = {"bench": "delta", "ratios": ratios, "figures": figures, "machine": about}
    print(json.dumps(report | {"took_s": round(time.monotonic() - begin, 1)}))


if __name__ == "__main__":
    main()
