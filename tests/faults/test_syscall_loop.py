"""Failing system calls under the real binary at CI's length. `./dev test --long syscalls` sweeps
over every visit of every call."""

from __future__ import annotations

from pathlib import Path

import pytest
import syscall_loop


@pytest.mark.skipif(bool(syscall_loop.why_not()), reason=f"NOT RUN: {syscall_loop.why_not()}")
def test_nothing_in_doubt_is_acknowledged(tmp_path: Path) -> None:
    given = ["--seed", "3", "--folder", str(tmp_path), "--calls", "fdatasync", "--nth-max", "4"]
    given += ["--random", "20", "--life", "0.4", "--pause", "0.02"]
    summary = syscall_loop.run(syscall_loop.arguments(given))
    assert "failure" not in summary, summary["failure"]
    assert summary["complete"] and summary["cases"] == 24
    assert summary["hit"] > 0 and summary["refusals"] > 0 and summary["rows"] > 0
