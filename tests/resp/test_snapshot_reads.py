"""Millions of reads beside writes: none is torn, none goes back, none is older than its token.

Each batch adds a payment to every card, and a payment counts in two views. So in one snapshot all
cards have the same count in both views, whatever the epoch. There are two I/O threads, to which
connections are dealt in turn. HEADRACE_TEST_LONG=1 asks for ten million; -s prints the figures.
"""

from __future__ import annotations

import json
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from engine_process import EngineProcess
from payments_engine import serving

LONG = os.environ.get("HEADRACE_TEST_LONG") == "1"
READS = 10_000_000 if LONG else 100_000
READERS = 2
PIPELINED = 500
CARDS = 100
CARDS_READ = 4  # by one command, in both views
REVOKED = b"-TRYAGAIN"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    folder: Path = tmp_path_factory.mktemp("snapshots")
    with serving(folder, "--io-threads", "2") as process:
        yield process


class Reader:
    """One connection; `read` asks once in a pipeline and judges the answers."""

    def __init__(self, port: int, seed: int) -> None:
        self.stream = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.random = random.Random(seed)
        self.reads = self.refused = 0
        self.newest = 0
        self.distinct: set[int] = set()
        self.wrong: list[bytes] = []

    def read(self) -> None:
        commands = []
        for _ in range(PIPELINED):
            cards = self.random.sample(range(CARDS), CARDS_READ)
            keys = [f"card.n_1d:c{c} place.n_1d:c{c}:a" for c in cards]
            commands.append("MGET " + " ".join(keys) + "\r\n")
        self.stream.sendall("".join(commands).encode())
        for answer in self.answers():
            self.reads += 1
            self.judge(answer)

    def answers(self) -> list[bytes]:
        """The answers' lines, without those that say how many and how long."""
        head = b"*%d" % (2 * CARDS_READ)
        begun = b""
        told: list[bytes] = []
        while len(told) < PIPELINED:
            begun += self.stream.recv(1 << 20)
            *lines, begun = begun.split(b"\r\n")
            at = 0
            while at < len(lines):
                size = 1 if lines[at].startswith(b"-") else 1 + 4 * CARDS_READ
                if at + size > len(lines):
                    break
                assert size == 1 or lines[at] == head, lines[at]
                told.append(
                    b" ".join(lines[at : at + 1] if size == 1 else lines[at + 2 : at + size : 2])
                )
                at += size
            begun = b"\r\n".join([*lines[at:], begun])
        return told

    def judge(self, answer: bytes) -> None:
        if answer.startswith(REVOKED):
            self.refused += 1
            return
        counts = set(answer.split())
        count = int(answer.split()[0]) if len(counts) == 1 and answer[:1].isdigit() else -1
        if count < self.newest:
            self.wrong.append(answer)
        self.newest = max(self.newest, count)
        self.distinct.add(count)


def pay_with_every_card(engine: EngineProcess) -> int:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    rows = [
        json.dumps({"card": f"c{i}", "shop": "a", "at": at, "amount": 1.0}) for i in range(CARDS)
    ]
    return engine.send_events("payments", "\n".join(rows))


def test_reads_beside_writes(engine: EngineProcess) -> None:
    own: Any = redis.Redis(port=engine.ports["resp"], protocol=3, decode_responses=True)
    asked = ("FEATURES.GET", "scoring", "MIN_EPOCH")
    batches = stale = 0

    def pay_and_ask() -> None:
        nonlocal batches, stale
        epoch = pay_with_every_card(engine)
        batches += 1
        keys = ("KEY", "card", f"c{batches % CARDS}", "shop", "a")
        told = own.execute_command(*asked, epoch, "DEADLINE", 60_000, *keys)
        stale += told["features"]["n_1h"] != batches

    threads_of = Path(f"/proc/{engine.process.pid}/task").glob("*/comm")
    names = [file.read_text().strip() for file in threads_of]
    assert sum(name.startswith("hr-io-") for name in names) == 2, names
    pay_and_ask()
    readers = [Reader(engine.ports["resp"], seed) for seed in range(READERS)]

    def read_enough(reader: Reader) -> None:
        while reader.reads < READS / READERS and not reader.wrong:
            reader.read()

    threads = [threading.Thread(target=read_enough, args=(reader,)) for reader in readers]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        pay_and_ask()
    reads = sum(reader.reads for reader in readers)
    refused = sum(reader.refused for reader in readers)
    seen = max(len(reader.distinct) for reader in readers)
    print(
        f"\n{reads:,} reads of {2 * CARDS_READ} values of two views while {batches:,} batches came,"
        f" {seen:,} versions seen; {refused} refused, retryably; {stale} of {batches:,} reads with"
        f" a token were stale"
    )
    assert not [reader.wrong for reader in readers if reader.wrong]
    assert not stale
    assert reads - refused > READS / 2 and seen > 10
