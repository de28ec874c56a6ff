"""The rooms of src/ and who includes whom: reads #include lines, finds what breaks the order.

The order of the rooms is the order of the headrace_room() lines in CMakeLists.txt: a room may
include itself and the rooms named before it. Folders inside a room have their own, smaller rules.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

ROOM_LINE = re.compile(r"^headrace_room\((\w+)", re.MULTILINE)
INCLUDE_LINE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')

# Folders of one room that never include one another: each is an adapter of its own.
SIBLINGS = {
    "ingest": {"http", "kafka", "flight", "files"},
    "serving": {"http", "resp", "flight"},
    "tables": {"delta", "iceberg", "hudi"},
}
# Folders of one room that are used only upwards in this order.
FOLDER_ORDER = {
    "pipeline": ["expressions", "aggregates", "state", "windows", "joins", "views"],
}


@dataclass(frozen=True)
class Finding:
    """One broken rule, at a place."""

    path: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: [{self.rule}] {self.message}"


@dataclass(frozen=True)
class Include:
    """One #include "..." of a file in src/, both ends relative to src/."""

    source: Path
    line: int
    target: Path

    @property
    def source_folder(self) -> str:
        return folder_of(self.source)

    @property
    def target_folder(self) -> str:
        return folder_of(self.target)


def folder_of(path: Path) -> str:
    """The folder directly inside the room, or "" for a file of the room itself."""
    return path.parts[1] if len(path.parts) > 2 else ""


def room_order(root: Path) -> list[str]:
    return ROOM_LINE.findall((root / "CMakeLists.txt").read_text())


def read_includes(root: Path, rooms: set[str]) -> list[Include]:
    """Every include of a room's file by a file in src/, tests among them."""
    src = root / "src"
    found: list[Include] = []
    for path in sorted(src.rglob("*")):
        if path.suffix not in {".h", ".cc"}:
            continue
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            match = INCLUDE_LINE.match(line)
            if not match or match.group(1) != '"':
                continue
            target = Path(match.group(2))
            if target.parts[0] in rooms:
                found.append(Include(path.relative_to(src), number, target))
    return found


def check_room_order(includes: list[Include], order: list[str]) -> list[Finding]:
    rank = {room: index for index, room in enumerate(order)}
    findings = []
    for include in includes:
        here, there = include.source.parts[0], include.target.parts[0]
        if here in rank and rank[there] > rank[here]:
            findings.append(
                finding(include, "room-order", f"{here} may not include {there}, which is below it")
            )
    return findings


def check_folders(includes: list[Include]) -> list[Finding]:
    """Sibling adapters apart, and the folders of a room without cycles."""
    findings = []
    edges: dict[str, dict[tuple[str, str], Include]] = defaultdict(dict)
    for include in includes:
        room = include.source.parts[0]
        here, there = include.source_folder, include.target_folder
        if room != include.target.parts[0] or here == there or not here or not there:
            continue
        edges[room].setdefault((here, there), include)
        siblings = SIBLINGS.get(room, set())
        order = FOLDER_ORDER.get(room, [])
        if here in siblings and there in siblings:
            text = f"{room}/{here} and {room}/{there} are siblings: give what they share a name"
            findings.append(finding(include, "siblings", text))
        elif here in order and there in order and order.index(there) > order.index(here):
            text = f"{room}/{here} may not include {room}/{there}, which is below it"
            findings.append(finding(include, "folder-order", text))
    for room, pairs in edges.items():
        findings += check_cycles(room, pairs)
    return findings


def check_cycles(room: str, pairs: dict[tuple[str, str], Include]) -> list[Finding]:
    """Reports each include that leads back to its own folder through others of the room."""
    findings = []
    for (here, there), include in pairs.items():
        seen, waiting = {there}, [there]
        while waiting:
            at = waiting.pop()
            following = {b for a, b in pairs if a == at} - seen
            seen |= following
            waiting += sorted(following)
        if here in seen:
            text = f"{room}/{here} and {room}/{there} include each other, perhaps through others"
            findings.append(finding(include, "folder-cycle", text))
    return findings


def finding(include: Include, rule: str, message: str) -> Finding:
    return Finding(f"src/{include.source}", include.line, rule, message)


def draw(includes: list[Include], order: list[str]) -> str:
    """The graph as text: per room, the rooms it includes and how often."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for include in includes:
        here, there = include.source.parts[0], include.target.parts[0]
        if here != there:
            counts[here][there] += 1
    width = max(map(len, order), default=0)
    lines = []
    for room in order:
        used = [f"{other} {counts[room][other]}" for other in order if counts[room][other]]
        lines.append(f"{room:<{width}}  <- {', '.join(used) or '(nothing)'}")
    return "\n".join(lines)
