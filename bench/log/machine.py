"""What every report of a benchmark says: the machine, what its disk did in that run, figures."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any


def describe() -> dict[str, Any]:
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown",
    )
    command = ["git", "rev-parse", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(pages / 2**30, 1),
        "cpu": cpu,
        "kernel": os.uname().release,
        "commit": commit,
        "load_before": os.getloadavg()[0],
    }


def fsync_of_disk(load_client: Path, folder: Path, seconds: float) -> dict[str, float]:
    """Milliseconds of pwrite + fdatasync, 4 KiB at a time, over a file filled with zeros before."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(load_client), "disk", str(folder), "1", "4096", "1", "0.2", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    return {name: float(found[name]) for name in ("p50_ms", "p99_ms", "worst_ms")}


def stolen_s() -> float:
    """Since the boot: what this machine's cores would have worked, and its host gave to others."""
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return int(words[8]) / os.sysconf("SC_CLK_TCK")


def rounded(figures: dict[str, float]) -> dict[str, float]:
    """To four digits: more than a run can tell."""
    return {name: float(f"{figure:.4g}") for name, figure in figures.items()}
