"""The producer that goes on whatever happens: headrace_steady_sender, and what it was told."""

from __future__ import annotations

import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from servers import PeerFailure, stop


@dataclass(frozen=True)
class Acknowledged:
    """The newest batch that was acknowledged, and the epoch that holds it."""

    batch: int = 0
    epoch: int = 0


class SteadySender:
    """Batches of `batch_rows` at `rows_per_s`; 0 is as fast as it goes."""

    def __init__(
        self,
        binary: Path,
        port: int,
        rows_per_s: int,
        batch_rows: int,
        cards: int,
        producer: str = "steady",
    ) -> None:
        self.batch_rows = batch_rows
        command = [str(binary), str(port), producer]
        command += [str(rows_per_s), str(batch_rows), str(cards)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._changed = threading.Condition()
        self._newest = Acknowledged()
        self._lost = 0
        self._latencies: list[tuple[float, float]] = []  # when acknowledged, ms since due
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def newest(self) -> Acknowledged:
        with self._changed:
            return self._newest

    def losses(self) -> int:
        with self._changed:
            return self._lost

    def newest_after_loss(self, losses_before: int, within_s: float) -> Acknowledged:
        """Once the sender saw its connection end: nothing more comes from the old process."""
        with self._changed:
            self._changed.wait_for(lambda: self._lost > losses_before, within_s)
            return self._newest

    def wait_for_batch(self, batch: int, within_s: float) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._newest.batch >= batch, within_s):
                raise PeerFailure(f"batch {batch} not acknowledged within {within_s:.0f} s")

    def latencies_between(self, begin: float, end: float) -> list[float]:
        """Milliseconds from due to acknowledged, of batches acknowledged in that time."""
        with self._changed:
            return [ms for at, ms in self._latencies if begin <= at < end]

    def finish(self) -> Acknowledged:
        """No new batches; returns when what was sent is acknowledged."""
        stop(self._process)
        self._reader.join()
        if self._process.returncode != 0:
            raise PeerFailure(f"the sender ended with {self._process.returncode}: see its message")
        return self.newest()

    def abandon(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            words = line.split()
            now = time.monotonic()
            with self._changed:
                if words[0] == "ack":
                    self._newest = Acknowledged(int(words[1]), int(words[2]))
                    self._latencies.append((now, int(words[3]) / 1000))
                elif words[0] == "connected":
                    # Durable, though the acknowledgement was lost with the process.
                    batch = max(self._newest.batch, int(words[1]))
                    self._newest = Acknowledged(batch, self._newest.epoch)
                else:
                    self._lost += 1
                self._changed.notify_all()
