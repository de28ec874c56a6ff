"""The independent record: what was sent, and what the engine acknowledged. It lives in the driver's
process, which no fault touches.
"""

from __future__ import annotations

import dataclasses
import threading
import time

import batches
import numpy as np
from batches import Ints


class Violation(AssertionError):
    """A promise that was broken, in one sentence."""


@dataclasses.dataclass
class Sent:
    """One batch. `epoch` is 0 until it is acknowledged."""

    size: int
    moment: int  # microseconds since the record began; event times follow from it
    good: int
    epoch: int = 0
    abandoned: bool = False  # unanswered and never sent again: whole in the log, or absent


class ProducerRecord:
    """The batches of one producer; batch `sequence` is `sent[sequence - 1]`. One thread adds."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []

    def columns(self, begin: int) -> tuple[Ints, Ints, Ints, Ints, Ints]:
        """Size, moment, good rows, epoch and whether abandoned, from batch index `begin` on."""
        rows = [(b.size, b.moment, b.good, b.epoch, int(b.abandoned)) for b in self.sent[begin:]]
        table = np.array(rows, dtype=np.int64).reshape(-1, 5)
        return table[:, 0], table[:, 1], table[:, 2], table[:, 3], table[:, 4]


class Record:
    def __init__(self, seed: int, names: list[str]) -> None:
        self.seed = seed
        self.names = names
        self.producers = [ProducerRecord() for _ in names]
        self._began = time.monotonic_ns()
        self._lock = threading.Lock()
        self.rows_acknowledged = 0
        self.rows_refused = 0
        self.batches_acknowledged = 0
        self.batches_repeated = 0  # answers that said `repeated`
        self.refusals: dict[str, int] = {}  # retryable refusals and errors, by status or code
        self.violations: list[str] = []

    def new_batch(self, producer: int, rows_mean: int | None) -> tuple[int, batches.Rows]:
        """The producer's next batch, now on record as sent; the largest without a mean."""
        record = self.producers[producer]
        sequence = len(record.sent) + 1
        size = batches.ROWS_MAX
        if rows_mean is not None:
            size = batches.batch_size(self.seed, producer, sequence, rows_mean)
        moment = (time.monotonic_ns() - self._began) // 1000
        rows = batches.rows_of_batch(self.seed, producer, sequence, size, moment)
        good = int((rows.flaw == batches.GOOD).sum())
        record.sent.append(Sent(size, moment, good))
        return sequence, rows

    def rows_again(self, producer: int, sequence: int) -> batches.Rows:
        sent = self.producers[producer].sent[sequence - 1]
        return batches.rows_of_batch(self.seed, producer, sequence, sent.size, sent.moment)

    def acknowledge(
        self,
        producer: int,
        sequence: int,
        answer: dict[str, object],
        rows: batches.Rows,
        listed_max: int,
    ) -> None:
        """Holds an answer against the batch, and against its first answer when it had one."""
        sent = self.producers[producer].sent[sequence - 1]
        name = f"producer {producer}, batch {sequence}"
        epoch = answer["epoch"]
        expected = {
            "accepted": sent.good,
            "refused_rows": sent.size - sent.good,
            "durability": "fsync",
        }
        for field, value in expected.items():
            if answer.get(field) != value:
                self.violate(f"{name}: {field} is {answer.get(field)}, not {value}: {answer}")
        self._check_refused(name, answer, rows, listed_max)
        if not isinstance(epoch, int) or epoch <= 0:
            self.violate(f"{name}: acknowledged without an epoch: {answer}")
            return
        if sent.epoch not in (0, epoch):
            self.violate(f"{name}: acknowledged in epoch {sent.epoch}, and again in {epoch}")
        if sent.epoch != 0 and not answer["repeated"]:
            self.violate(f"{name}: a repeat was not seen as one: {answer}")
        with self._lock:
            self.batches_repeated += bool(answer["repeated"])
            if sent.epoch == 0:
                self.rows_acknowledged += sent.good
                self.rows_refused += sent.size - sent.good
                self.batches_acknowledged += 1
        sent.epoch = epoch

    def _check_refused(
        self, name: str, answer: dict[str, object], rows: batches.Rows, listed_max: int
    ) -> None:
        wanted = [(int(i), batches.RULES[int(rows.flaw[i])]) for i in np.flatnonzero(rows.flaw)]
        listed = answer["refused"]
        assert isinstance(listed, list)
        found = [(row["row"], row["rule"]) for row in listed]
        if found != wanted[:listed_max]:
            self.violate(f"{name}: refused {found}, not {wanted}")

    def refused(self, code: str) -> None:
        """A whole batch was refused, retryably."""
        with self._lock:
            self.refusals[code] = self.refusals.get(code, 0) + 1

    def violate(self, sentence: str) -> None:
        with self._lock:
            self.violations.append(sentence)
