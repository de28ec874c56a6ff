"""The power loop at CI's length. `./dev test --long power` is the long one."""

from __future__ import annotations

from pathlib import Path

import power_loop
import pytest
from power_disk import why_not

CYCLES = 1_000


@pytest.mark.skipif(bool(why_not()), reason=f"NOT RUN: {why_not()}")
def test_no_acknowledged_row_is_lost_or_doubled(tmp_path: Path) -> None:
    given = ["--cycles", f"{CYCLES}", "--workers", "4", "--seed", "5", "--folder", str(tmp_path)]
    summary = power_loop.run(power_loop.arguments(given))
    assert "failure" not in summary, summary["failure"]
    assert summary["cycles"] >= CYCLES and summary["rows"] > 0
    assert summary["unsynced_sectors"] > 0 and summary["unsynced_names"] > 0
    assert summary["cuts_at_operations"] > CYCLES / 3
    assert summary["cuts_with_an_unsynced_record"] > CYCLES / 6
    assert summary["failed_syncs"] > CYCLES / 20
    assert summary["segments_let_go"] > 0 and summary["epochs_let_go"] > 0
    tried = set(summary["by_cycle"])
    assert tried == {*power_loop.CYCLES, power_loop.LETTING_GO}, "a cycle was never tried"
