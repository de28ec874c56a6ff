"""Power loss under the real binary at CI's length. `./dev test --long power` is the long one."""

from __future__ import annotations

from pathlib import Path

import power_loop
import pytest
from power_disk import why_not


@pytest.mark.skipif(bool(why_not()), reason=f"NOT RUN: {why_not()}")
def test_no_acknowledged_row_is_lost_or_doubled(tmp_path: Path) -> None:
    given = ["--cycles", "60", "--seed", "5", "--folder", str(tmp_path), "--cycles-per-round", "60"]
    given += ["--rows", "300", "--pause", "0.01", "--life", "0.4", "--compare-all-every", "30"]
    summary = power_loop.run(power_loop.arguments(given))
    assert "failure" not in summary, summary
    assert summary["cycles"] >= 60 and summary["rows"] > 0
    assert summary["unsynced_sectors"] > 0 and summary["unsynced_names"] > 0
    assert summary["cuts_at_operations"] > 30
    assert summary["cuts_with_an_unsynced_record"] > 10
    assert summary["failed_syncs"] > 0
    assert summary["segments_let_go"] > 0 and summary["epochs_let_go"] > 0
