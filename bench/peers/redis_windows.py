"""What trailing windows take in Redis: a sorted set a card, scored by time.

A member is `milliseconds:cents`, as a window's sum has to be read from the members; count and sum
of any trailing window are then ZRANGEBYSCORE and an addition. Persistence is off.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from redis_server import RedisServer
from servers import HOST

EVENT = struct.Struct("<qqd")
PIPELINED = 10_000


def read_events(path: Path, events: int) -> Iterator[tuple[int, int, int]]:
    """Card, milliseconds, cents."""
    with path.open("rb") as file:
        for card, at_ms, amount in EVENT.iter_unpack(file.read(events * EVENT.size)):
            yield card, at_ms, round(amount * 100)


def command(card: int, at_ms: int, cents: int) -> bytes:
    words = (b"ZADD", b"card:%d" % card, b"%d" % at_ms, b"%d:%d" % (at_ms, cents))
    return b"*4\r\n" + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def sorted_set_bytes(folder: Path, path: Path, events: int) -> int:
    """Of used_memory, what the sets of the first events take."""
    server = RedisServer(folder, ("--appendonly", "no"))
    try:
        before = used_memory(server)
        with socket.create_connection((HOST, server.port)) as connection:
            replies = connection.makefile("rb")
            waiting: list[bytes] = []
            for event in read_events(path, events):
                waiting.append(command(*event))
                if len(waiting) == PIPELINED:
                    send(connection, replies, waiting)
            send(connection, replies, waiting)
        return used_memory(server) - before
    finally:
        server.close()


def send(connection: socket.socket, replies: object, waiting: list[bytes]) -> None:
    connection.sendall(b"".join(waiting))
    for _ in waiting:
        assert replies.readline() == b":1\r\n"  # type: ignore[attr-defined]
    waiting.clear()


def used_memory(server: RedisServer) -> int:
    for line in server.call("INFO", "memory").splitlines():
        if line.startswith("used_memory:"):
            return int(line.split(":")[1])
    raise ValueError("Redis does not say how much memory it uses")
