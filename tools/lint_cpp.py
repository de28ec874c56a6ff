#!/usr/bin/env python3
"""Lints C++: clang-tidy for sources, "compiles alone" for headers; two at a time, within a limit.

A file found good is not looked at again until it, a file of src/ that it includes, or .clang-tidy
changes. Files not reached within --seconds are counted and named; that is no failure, since the
next run goes on where this one stopped.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from changed_files import Fingerprints, all_files, changed_files

AT_ONCE = 2
SOURCE_FOLDERS = ("src/", "apps/", "include/")
TIDY = "clang-tidy-19"


@dataclass(frozen=True)
class Verdict:
    """What one file's linter said; `seconds` None when it was not reached."""

    name: str
    good: bool
    seconds: float | None
    output: str


@dataclass(frozen=True)
class Linter:
    root: Path
    build: Path
    deadline: float

    def lint(self, name: str) -> Verdict:
        if time.monotonic() > self.deadline:
            return Verdict(name, good=True, seconds=None, output="")
        started = time.monotonic()
        command = self.header_command(name) if name.endswith(".h") else self.tidy_command(name)
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - started
        good = done.returncode == 0
        return Verdict(name, good, seconds, "" if good else done.stdout + done.stderr[-4000:])

    def tidy_command(self, name: str) -> list[str]:
        command = [TIDY, "-p", str(self.build), "--quiet"]
        return [*command, "--extra-arg=-Wno-unknown-warning-option", name]

    def header_command(self, name: str) -> list[str]:
        flags = ["-std=c++23", "-march=x86-64-v2", "-Wall", "-Wextra", "-Isrc", "-Iinclude"]
        return [
            "g++",
            *flags,
            "-Wno-pragma-once-outside-header",
            "-fsyntax-only",
            "-x",
            "c++",
            name,
        ]


def wanted(names: list[str], root: Path, build: Path) -> list[str]:
    """C++ files of the product; sources only where the build knows how to compile them."""
    entries = json.loads((build / "compile_commands.json").read_text())
    compiled = {Path(entry["file"]) for entry in entries}
    return [
        name
        for name in names
        if name.startswith(SOURCE_FOLDERS)
        and (root / name).is_file()
        and (name.endswith(".h") or (name.endswith(".cc") and root / name in compiled))
    ]


def report(verdicts: list[Verdict], known_good: int) -> int:
    bad = [v for v in verdicts if not v.good]
    skipped = [v for v in verdicts if v.seconds is None]
    looked_at = len(verdicts) - len(skipped)
    for verdict in bad:
        print(f"-- {verdict.name}\n{verdict.output.strip()}")
    print(
        f"lint: {looked_at} files looked at, {known_good} unchanged since found good, "
        f"{len(bad)} with findings, {len(skipped)} not reached in time"
    )
    if skipped:
        print("lint: not reached: " + " ".join(v.name for v in skipped))
    return 1 if bad else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--stamps", type=Path, required=True, help="folder remembering good files")
    parser.add_argument("--seconds", type=float, default=600.0, help="time limit (default 600)")
    parser.add_argument("--all", action="store_true", help="the whole tree, without a time limit")
    options = parser.parse_args()
    root = Path(__file__).resolve().parent.parent
    options.stamps.mkdir(parents=True, exist_ok=True)

    names = wanted(all_files(root) if options.all else changed_files(root), root, options.build)
    fingerprints = Fingerprints(root, (root / ".clang-tidy").read_text())
    stamps = {name: options.stamps / fingerprints.of(name) for name in names}
    fresh = [name for name in names if not stamps[name].exists()]
    deadline = float("inf") if options.all else time.monotonic() + options.seconds
    linter = Linter(root, options.build, deadline)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        verdicts = list(pool.map(linter.lint, fresh))
    for verdict in verdicts:
        if verdict.good and verdict.seconds is not None:
            stamps[verdict.name].touch()
    return report(verdicts, len(names) - len(fresh))


if __name__ == "__main__":
    sys.exit(main())
