"""The peer: Redis with as many bytes in memory and as many keys, killed, and loading its file."""

from __future__ import annotations

import shutil
import socket
import time
from pathlib import Path

from redis_server import RedisServer
from servers import HOST

KEY_BYTES = 80  # what a key and its place in the table take besides the value
# The values are mostly zeros: compressed they would be no bytes to load.
OPTIONS = ("--enable-debug-command", "local", "--rdbcompression", "no")


def restart_s(folder: Path, state_bytes: int, keys: int) -> tuple[float, float]:
    """Seconds from the exec until it answers, and the GiB of its file."""
    shutil.rmtree(folder, ignore_errors=True)
    server = RedisServer(folder, OPTIONS)
    try:
        value_bytes = max(1, state_bytes // keys - KEY_BYTES)
        server.call("DEBUG", "POPULATE", str(keys), "card", str(value_bytes))
        # The rewrite makes the base file, in Redis's binary format: its fastest to load.
        server.call("BGREWRITEAOF")
        while "aof_rewrite_in_progress:1" in server.call("INFO", "persistence"):
            time.sleep(0.1)
    finally:
        server.kill()
    file_bytes = sum(path.stat().st_size for path in folder.rglob("*.rdb"))
    begin = time.monotonic()
    again = RedisServer(folder, OPTIONS, keep=True)
    try:
        while not answers(again.port):
            time.sleep(0.002)
        return time.monotonic() - begin, file_bytes / 2**30
    finally:
        again.kill()
        shutil.rmtree(folder, ignore_errors=True)


def answers(port: int) -> bool:
    """While it loads, every command but a few is answered with an error."""
    with socket.create_connection((HOST, port), timeout=5) as connection:
        connection.sendall(b"GET card:1\r\n")
        return connection.recv(64).startswith(b"$")
