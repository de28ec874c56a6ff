"""The SIGKILL loop at CI's length. `./dev test --long kill` is the long one."""

from __future__ import annotations

from pathlib import Path

import kill_loop


def test_no_acknowledged_row_is_lost_or_doubled(tmp_path: Path) -> None:
    given = ["--kills", "100", "--workers", "2", "--seed", "20260101", "--folder", str(tmp_path)]
    given += ["--rows", "250", "--pause", "0.03", "--life", "0.5", "--commit", "200ms"]
    given += ["--kills-per-round", "50", "--compare-every", "13", "--log-bytes-max", "64MiB"]
    summary = kill_loop.run(kill_loop.arguments(given))
    assert "failure" not in summary, summary["failure"]
    assert summary["kills"] >= 100 and summary["rows"] > 0
    assert summary["starts_from_snapshot"] > 0
    assert summary["segments_let_go"] > 0 and summary["epochs_let_go"] > 0
    assert summary["rewritings"] > 10
    tried = set(summary["by_ending"])
    assert tried == {*kill_loop.ENDINGS, kill_loop.LETTING_GO}, "an ending was never tried"
