"""What a snapshot costs while it is written: ingest's times beside it, and the disk's bandwidth."""

from __future__ import annotations

import itertools
import statistics
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from sender import SteadySender
from servers import PeerFailure

LOOK_EVERY_S = 0.01
SETTLE_S = 0.25  # after a snapshot's end, before its quiet time counts
QUIET_MIN_S = 1.0
ROUND_WITHIN_S = 120.0


@dataclass(frozen=True)
class Written:
    """One snapshot: when its file was there, on the monotonic clock, and how long it became."""

    begin: float
    end: float
    size: int

    @property
    def bytes_per_s(self) -> float:
        return self.size / (self.end - self.begin)


@dataclass
class SnapshotWatch:
    """Looks at the folder all the time: `writing.state` is there while a snapshot is written."""

    folder: Path
    written: list[Written] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> SnapshotWatch:
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        assert self._thread
        self._thread.join()

    def wait_for(self, count: int, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while len(self.written) < count:
            if time.monotonic() > deadline:
                raise PeerFailure(f"{len(self.written)} snapshots of {count} in {within_s:.0f} s")
            time.sleep(LOOK_EVERY_S)

    def _look(self) -> None:
        begin, before = 0.0, None
        while not self._stop.wait(LOOK_EVERY_S):
            newest = max(self.folder.glob("snapshot-*.state"), default=None)
            if (self.folder / "writing.state").exists():
                begin = begin or time.monotonic()
                continue
            if begin and newest and newest != before:
                self.written.append(Written(begin, time.monotonic(), newest.stat().st_size))
            begin, before = 0.0, newest


def wait_for_first(folder: Path, within_s: float) -> None:
    """Until there is a whole snapshot, whoever wrote it."""
    deadline = time.monotonic() + within_s
    while not list(folder.glob("snapshot-*.state")):
        if time.monotonic() > deadline:
            raise PeerFailure(f"no snapshot in {folder} within {within_s:.0f} s")
        time.sleep(LOOK_EVERY_S)


def p99(values: list[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


def compare(written: list[Written], sender: SteadySender) -> list[tuple[float, float]]:
    """For each snapshot and the quiet time behind it: ingest's p99 in both, in milliseconds."""
    found: list[tuple[float, float]] = []
    for this, following in itertools.pairwise(written):
        quiet_from = this.end + SETTLE_S
        if following.begin - quiet_from < QUIET_MIN_S:
            continue
        beside = sender.latencies_between(this.begin, this.end)
        quiet = sender.latencies_between(quiet_from, following.begin)
        if beside and quiet:
            found.append((p99(beside), p99(quiet)))
    return found


def measure(snapshots: Path, sender: SteadySender, rounds: int) -> dict[str, float]:
    """While `sender` goes on: `rounds` snapshots, each with the quiet time behind it."""
    with SnapshotWatch(snapshots) as watch:
        pairs: list[tuple[float, float]] = []
        count = 1
        while len(pairs) < rounds:
            count += 1
            watch.wait_for(count, ROUND_WITHIN_S)
            if count > 3 * rounds + 2:
                raise PeerFailure("snapshots follow one another without a quiet second between")
            pairs = compare(watch.written, sender)
        rates = [one.bytes_per_s for one in watch.written]
    return {
        "ingest_p99_beside_snapshot_ms": statistics.median(beside for beside, _ in pairs),
        "ingest_p99_quiet_ms": statistics.median(quiet for _, quiet in pairs),
        "ingest_p99_times": statistics.median(beside / quiet for beside, quiet in pairs),
        "snapshot_mb_per_s": statistics.median(rates) / 1e6,
        "snapshot_s": statistics.median(one.end - one.begin for one in watch.written),
        "snapshot_gib": watch.written[-1].size / 2**30,
    }
