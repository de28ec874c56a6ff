"""A jumping wall clock under the real binary at CI's length. `./dev test --long clock` is the long
one."""

from __future__ import annotations

from pathlib import Path

import clock_loop
import pytest


@pytest.mark.skipif(bool(clock_loop.why_not()), reason=f"NOT RUN: {clock_loop.why_not()}")
def test_no_window_breaks_and_nothing_expires_early(tmp_path: Path) -> None:
    given = ["--jumps", "6", "--every", "1.5", "--seed", "1", "--folder", str(tmp_path)]
    summary = clock_loop.run(clock_loop.arguments(given))
    assert "failure" not in summary, summary["failure"]
    assert summary["jumps"] == 6 and summary["restarts"] > 0
    assert summary["repeats"] > 0 and summary["expired"] > 0
