"""Reads the log's bytes as docs/internals/log-format.md describes them, and nothing of the engine's
code: rows with their positions, and who was answered what.

Every record's magic, log id, epoch and link to the record before it are checked; XXH3 is left to
the engine, which checks it at each start.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from record import Violation

SECTOR = 512
HEADER = struct.Struct("<QIIQQ16sQQ")
MAGIC = int.from_bytes(b"HRE1", "little")
WIDTHS = {2: "<i4", 3: "<i8", 4: "<f4", 5: "<f8", 8: "<i4", 9: "<i8", 10: "<i8"}
TEXT_TYPES = (6, 7)


@dataclasses.dataclass
class Outcome:
    producer: str
    sequence: int
    key: str  # the idempotency key, or empty
    accepted: int
    refused: int


@dataclasses.dataclass
class Epoch:
    number: int
    outcomes: list[Outcome]
    columns: dict[str, Any]  # by field name, of the one stream; empty without rows


class Cursor:
    def __init__(self, data: memoryview, position: int) -> None:
        self.data = data
        self.position = position

    def take(self, form: str) -> Any:
        values = struct.unpack_from("<" + form, self.data, self.position)
        self.position += struct.calcsize("<" + form)
        return values[0] if len(values) == 1 else values

    def text(self) -> str:
        return bytes(self.raw(self.take("I"))).decode()

    def raw(self, size: int) -> memoryview:
        found = self.data[self.position : self.position + size]
        self.position += size
        return found

    def pad(self) -> None:  # records begin at multiples of 512
        self.position += -self.position % 8

    def buffer(self) -> memoryview:
        size = self.take("Q")
        self.pad()
        found = self.raw(size)
        self.pad()
        return found


def segments(folder: Path) -> list[tuple[int, Path]]:
    """(first epoch, file), in order."""
    return sorted(
        (int(match.group(1)), path)
        for path in folder.iterdir()
        if (match := re.fullmatch(r"epoch-(\d{20})\.log", path.name))
    )


class LogReader:
    """Epochs after `after`, in order. Reads beside a running engine: what is behind the last whole
    record is not looked at."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = bytes.fromhex((folder / "LOG").read_text().split("\n")[1])
        self.schema: dict[int, str] = {}

    def first_epoch(self) -> int:
        return segments(self.folder)[0][0]

    def epochs(self, after: int) -> Iterator[Epoch]:
        found = segments(self.folder)
        begin = max([i for i, (first, _) in enumerate(found) if first <= after + 1], default=0)
        previous: int | None = None
        checksum: int | None = None
        for _, path in found[begin:]:
            data = memoryview(path.read_bytes())
            offset = 0
            while offset + HEADER.size <= len(data):
                head = HEADER.unpack_from(data, offset)
                if head[1] != MAGIC or head[5] != self.id:
                    break
                number, size = head[4], head[3]
                if previous is not None and (number != previous + 1 or head[6] != checksum):
                    raise Violation(f"{path.name}: epoch {number} does not follow {previous}")
                previous, checksum = number, head[0]
                epoch = self._decode(data, offset, number, keep=number > after)
                if epoch is not None:
                    yield epoch
                offset += -(-(HEADER.size + size) // SECTOR) * SECTOR

    def _decode(self, data: memoryview, record: int, number: int, keep: bool) -> Epoch | None:
        cursor = Cursor(data, record + HEADER.size)
        if cursor.take("Q") != number:
            raise Violation(f"epoch {number}: the payload names another")
        cursor.take("qqqQq")
        for _ in range(cursor.take("I")):  # preface
            cursor.text()
            self._learn(cursor.raw(cursor.take("I")))
        for _ in range(cursor.take("I")):  # control entries
            kind = cursor.take("B")
            cursor.text()
            entry = cursor.raw(cursor.take("I"))
            if kind == 2:
                self._learn(entry)
        if not keep:
            return None
        for _ in range(cursor.take("I")):  # refused rows
            cursor.take("I")
            for _ in range(cursor.take("I")):
                cursor.take("I")
                for _ in range(4):
                    cursor.raw(cursor.take("I"))
        outcomes = [self._outcome(cursor) for _ in range(cursor.take("I"))]
        columns: dict[str, Any] = {}
        for _ in range(cursor.take("I")):
            cursor.take("I")
            cursor.pad()
            columns = self._batch(cursor)
        return Epoch(number, outcomes, columns)

    def _learn(self, entry: memoryview) -> None:
        cursor = Cursor(entry, 4)
        for _ in range(cursor.take("I")):
            field = cursor.take("I")
            self.schema[field] = cursor.text()
            cursor.take("BB")

    def _outcome(self, cursor: Cursor) -> Outcome:
        cursor.take("I")
        producer = cursor.text()
        sequence, flags = cursor.take("QB")
        key = cursor.text() if flags & 1 else ""
        accepted = cursor.take("I")
        if flags & 2:
            cursor.take("I")  # its first row
        refused = cursor.take("I")
        cursor.raw(4 * refused)
        return Outcome(producer, sequence, key, accepted, refused)

    def _batch(self, cursor: Cursor) -> dict[str, Any]:
        rows, count = cursor.take("II")
        columns: dict[str, Any] = {}
        for _ in range(count):
            field, kind, flags = cursor.take("IBB")
            if flags & 1:
                cursor.buffer()
            if kind in TEXT_TYPES:
                offsets = np.frombuffer(cursor.buffer(), dtype="<i4")
                text = bytes(cursor.buffer()).decode()
                columns[self.schema[field]] = np.array(
                    [text[a:b] for a, b in itertools.pairwise(offsets)]
                )
            else:
                values = np.frombuffer(cursor.buffer(), dtype=WIDTHS[kind])
                columns[self.schema[field]] = values[:rows]
        return columns
