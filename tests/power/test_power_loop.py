"""Power loss under the real binary at CI's length. `./dev test --long power` is the long one."""

from __future__ import annotations

from pathlib import Path

import power_loop
import pytest
from power_disk import why_not


@pytest.mark.skipif(bool(why_not()), reason=f"NOT RUN: {why_not()}")
def test_no_acknowledged_row_is_lost_or_doubled(tmp_path: Path) -> None:
    given = ["--cycles", "24", "--seed", "5", "--folder", str(tmp_path), "--cycles-per-round", "12"]
    given += ["--pause", "0.03", "--life", "0.4", "--compare-every", "6"]
    summary = power_loop.run(power_loop.arguments(given))
    assert "failure" not in summary, summary
    assert summary["cycles"] == 24 and summary["rows"] > 0
    assert summary["unsynced_sectors"] > 0 and summary["unsynced_names"] > 0
    assert summary["failed_syncs"] > 0
