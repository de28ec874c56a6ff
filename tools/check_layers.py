#!/usr/bin/env python3
"""Holds the tree to the house's order: rooms, headers, names, system calls. `./dev check` runs it.

Exit 0 when nothing is wrong, 1 with one line per finding (path:line: [rule] message).
--graph draws which room includes which.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import house_rules
import layers
from layers import Finding

BINARY_SUFFIXES = {".parquet", ".png", ".bin", ".gz"}


def tracked_files(root: Path) -> list[Path]:
    """Files git knows or would add, relative to the root; every file where there is no git."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        return sorted(p.relative_to(root) for p in root.rglob("*") if p.is_file())
    return sorted(Path(name) for name in listing.stdout.splitlines() if (root / name).is_file())


def check_rooms_present(root: Path, order: list[str]) -> list[Finding]:
    findings = []
    for room in sorted(p.name for p in (root / "src").glob("*") if p.is_dir()):
        if room not in order:
            message = f"src/{room} has no headrace_room({room} ...) line"
            findings.append(Finding("CMakeLists.txt", 1, "unknown-room", message))
        if not (root / "src" / room / "README.md").is_file():
            message = "a room says in a README.md what it answers"
            findings.append(Finding(f"src/{room}", 1, "room-readme", message))
    return findings


def check_files(root: Path) -> list[Finding]:
    findings = []
    for path in tracked_files(root):
        findings += house_rules.check_name(path)
        if path.suffix in BINARY_SUFFIXES:
            continue
        try:
            text = (root / path).read_text()
        except UnicodeDecodeError:
            continue
        findings += house_rules.check_text(path, text)
        if path.suffix in {".cc", ".h"}:
            findings += house_rules.check_cpp(path, text)
    return findings


def check_tree(root: Path) -> list[Finding]:
    order = layers.room_order(root)
    includes = layers.read_includes(root, set(order))
    findings = check_rooms_present(root, order)
    findings += layers.check_room_order(includes, order)
    findings += layers.check_folders(includes)
    findings += check_files(root)
    return sorted(findings, key=lambda f: (f.path, f.line, f.rule))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graph", action="store_true", help="draw the rooms and what they include")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    options = parser.parse_args(arguments)
    if options.graph:
        order = layers.room_order(options.root)
        print(layers.draw(layers.read_includes(options.root, set(order)), order))
        return 0
    findings = check_tree(options.root)
    for found in findings:
        print(found)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
