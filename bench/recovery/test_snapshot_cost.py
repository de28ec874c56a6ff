"""Snapshots are found by their file; a p99 beside one is compared with the quiet behind it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import snapshot_cost
from sender import SteadySender
from servers import PeerFailure
from snapshot_cost import SnapshotWatch, Written


class FakeSender(SteadySender):
    """Acknowledged every 10 ms: slow while a snapshot is written, fast else."""

    def __init__(self, slow: list[Written]) -> None:
        self._slow = slow

    def latencies_between(self, begin: float, end: float) -> list[float]:
        times = [begin + i / 100 for i in range(int((end - begin) * 100))]
        return [3.0 if any(w.begin <= at < w.end for w in self._slow) else 2.0 for at in times]


def test_each_snapshot_is_compared_with_the_quiet_behind_it() -> None:
    written = [Written(10.0, 12.0, 100), Written(20.0, 22.0, 100), Written(22.5, 25.0, 100)]
    # The second has no quiet second behind it.
    assert snapshot_cost.compare(written, FakeSender(written)) == [(3.0, 2.0)]


def test_a_snapshot_lasts_as_long_as_its_file_has_the_name(tmp_path: Path) -> None:
    with SnapshotWatch(tmp_path) as watch:
        path = tmp_path / "writing.state"
        path.write_bytes(b"12345")
        time.sleep(0.1)
        path.write_bytes(b"1234567890")
        time.sleep(0.1)
        path.rename(tmp_path / "snapshot-00000000000000000007.state")
        watch.wait_for(1, 5)
    assert watch.written[0].size == 10
    assert watch.written[0].end > watch.written[0].begin
    snapshot_cost.wait_for_first(tmp_path, 0.1)


def test_no_snapshot_in_time_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(PeerFailure):
        snapshot_cost.wait_for_first(tmp_path, 0.05)
    with SnapshotWatch(tmp_path) as watch, pytest.raises(PeerFailure):
        watch.wait_for(1, 0.05)
