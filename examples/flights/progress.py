"""What the demo says while it works, on stderr: a bar on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

BAR_WIDTH = 30
LINE_EVERY_S = 5.0


class Progress:
    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._started = time.monotonic()
        self._last_line = 0.0
        self._bar_drawn = False

    def say(self, text: str) -> None:
        self._end_bar()
        print(f"[{time.monotonic() - self._started:5.1f} s] {text}", file=sys.stderr, flush=True)

    def advance(self, name: str, done: int, total: int) -> None:
        """Shows how far a step is; cheap enough to call in a loop."""
        share = min(1.0, done / total) if total else 1.0
        if self._terminal:
            filled = round(share * BAR_WIDTH)
            bar = "#" * filled + "." * (BAR_WIDTH - filled)
            print(f"\r  {name:<24} [{bar}] {done:>11,} of {total:,}", end="", file=sys.stderr)
            sys.stderr.flush()
            self._bar_drawn = True
        elif time.monotonic() - self._last_line >= LINE_EVERY_S:
            self._last_line = time.monotonic()
            self.say(f"{name}: {done:,} of {total:,}")

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Says what begins, and how long it took."""
        started = time.monotonic()
        self.say(name)
        yield
        self.say(f"{name}: done in {time.monotonic() - started:.1f} s")

    def _end_bar(self) -> None:
        if self._bar_drawn:
            print(file=sys.stderr)
            self._bar_drawn = False
