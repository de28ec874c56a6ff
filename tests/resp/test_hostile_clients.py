"""Clients that send nonsense, torn and damaged commands, and leave: the engine goes on as before.

HEADRACE_RESP_SEED repeats one run; HEADRACE_RESP_CONNECTIONS makes it longer.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
from pathlib import Path
from typing import Any

import pytest
import redis
from payments_engine import send, serving

CONNECTIONS = int(os.environ.get("HEADRACE_RESP_CONNECTIONS", "1500"))
NAMES = [
    *("HMGET", "HGET", "HGETALL", "HEXISTS", "EXISTS", "TYPE", "GET", "MGET", "PING", "ECHO"),
    *("FEATURES.GET", "FEATURES.LIST", "HELLO", "AUTH", "SELECT", "CLIENT", "COMMAND", "CONFIG"),
    *("INFO", "RESET", "QUIT", "SET", "\xff"),
]
WORDS = [
    *("card:c1", "place:c1:s%3A1", "place:c1", "card.n_1h:c1", "n_1h", "spend_1d", "_epoch"),
    *("_status", "_status:n_1h", "_lag", "_as_of", "x", "", "KEY", "MIN_EPOCH", "DEADLINE"),
    *("AS_OF", "scoring", "card", "c1", "shop", "2", "3", "18446744073709551615", "-1"),
    *("2026-01-01T00:00:00Z", "SETNAME", "GET", "docs", "%", "%4", "%zz", ":", "a:b:c:d:e"),
    *("card:" + "z" * 5000, "\x00\xff"),
]


def command(random_: random.Random) -> bytes:
    if random_.random() < 0.1:
        return random_.randbytes(random_.randint(0, 60))
    chosen = [random_.choice(NAMES), *random_.choices(WORDS, k=random_.randint(0, 8))]
    words = [word.encode("latin1") for word in chosen]
    if random_.random() < 0.15:
        return b" ".join(words) + b"\r\n"
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def damaged(random_: random.Random, sent: bytes) -> bytes:
    if not sent or random_.random() < 0.8:
        return sent
    changed = bytearray(sent)
    for _ in range(3):
        changed[random_.randrange(len(changed))] = random_.randrange(256)
    return bytes(changed)


def one_connection(random_: random.Random, port: int) -> None:
    """Sends in pieces, ends its output, reads until the engine has closed."""
    sent = damaged(random_, b"".join(command(random_) for _ in range(random_.randint(1, 40))))
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as peer,
        contextlib.suppress(ConnectionError),
    ):
        begin = 0
        while begin < len(sent):
            end = begin + random_.randint(1, 400)
            peer.sendall(sent[begin:end])
            begin = end
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(1 << 16):
            pass


@pytest.mark.parametrize("seed", [int(os.environ.get("HEADRACE_RESP_SEED", "1"))])
def test_nonsense_is_answered_or_refused(tmp_path: Path, seed: int) -> None:
    random_ = random.Random(seed)
    with serving(tmp_path) as engine:
        send(engine, "c1", "s:1", 1.5)
        before = engine.status()["memory"]["used_mb"]
        for _ in range(CONNECTIONS):
            one_connection(random_, engine.ports["resp"])
        reader: Any = redis.Redis(port=engine.ports["resp"], decode_responses=True)
        assert reader.hget("card:c1", "n_1h") == "1"
        assert engine.status()["memory"]["used_mb"] < before + 64
        assert reader.info()["connected_clients"] == 1
