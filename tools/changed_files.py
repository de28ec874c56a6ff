"""Which files of the tree to look at, and whether one has changed since it was last found good."""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

# Without a branch to compare with (a fresh clone of main), the last commits are what is new.
COMMITS_LOOKED_AT = 5
QUOTED_INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def git_lines(root: Path, *arguments: str) -> list[str]:
    done = subprocess.run(
        ["git", *arguments], cwd=root, capture_output=True, text=True, check=False
    )
    return done.stdout.splitlines() if done.returncode == 0 else []


def base_commit(root: Path) -> str | None:
    """Where this left origin/main; else COMMITS_LOOKED_AT commits ago; None = the beginning."""
    head = git_lines(root, "rev-parse", "HEAD")
    base = git_lines(root, "merge-base", "HEAD", "origin/main")
    if base and base != head:
        return base[0]
    old = git_lines(root, "rev-list", "--skip", str(COMMITS_LOOKED_AT), "--max-count=1", "HEAD")
    return old[0] if old else None


def all_files(root: Path) -> list[str]:
    return git_lines(root, "ls-files", "--cached", "--others", "--exclude-standard")


def changed_files(root: Path) -> list[str]:
    """Files that differ from the base commit, newest commit first; uncommitted ones before all."""
    base = base_commit(root)
    if base is None:
        return all_files(root)
    uncommitted = git_lines(root, "ls-files", "--modified", "--others", "--exclude-standard")
    committed = git_lines(root, "log", "--format=", "--name-only", f"{base}..HEAD")
    return list(dict.fromkeys(uncommitted + committed))


class Fingerprints:
    """A file's bytes together with those of every file of src/ that it includes, as one hash."""

    def __init__(self, root: Path, salt: str) -> None:
        self._root = root
        self._salt = salt
        self._included: dict[str, tuple[str, list[str]]] = {}

    def of(self, name: str) -> str:
        digest = hashlib.sha256(self._salt.encode())
        seen, waiting = {name}, [name]
        while waiting:
            current = waiting.pop()
            own, includes = self._read(current)
            digest.update(f"{current} {own}".encode())
            new = [other for other in includes if other not in seen]
            seen.update(new)
            waiting += new
        return digest.hexdigest()

    def _read(self, name: str) -> tuple[str, list[str]]:
        if name not in self._included:
            text = (self._root / name).read_text(errors="replace")
            targets = [f"src/{target}" for target in QUOTED_INCLUDE.findall(text)]
            present = [target for target in targets if (self._root / target).is_file()]
            self._included[name] = (hashlib.sha256(text.encode()).hexdigest(), present)
        return self._included[name]
