"""A Redis of the Debian package whose every write is synced before it is answered."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from servers import HOST, free_port, stop, wait_for_port

START_WITHIN_S = 120.0


class RedisServer:
    """`appendonly yes`, `appendfsync always`; the file is never rewritten while we measure."""

    def __init__(self, folder: Path, more: tuple[str, ...] = (), keep: bool = False) -> None:
        self.folder = folder
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        options = {
            "bind": HOST,
            "port": str(self.port),
            "dir": str(folder),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
            "auto-aof-rewrite-percentage": "0",
        }
        command = ["redis-server"]
        for name, value in options.items():
            command += [f"--{name}", value]
        command += more
        with (folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for_port(self.port, START_WITHIN_S, self._process)

    def call(self, *words: str) -> str:
        command = ["redis-cli", "-p", str(self.port), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def forget(self, stream: str) -> None:
        """Gives its memory back; the file keeps its commands."""
        self.call("DEL", stream)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        stop(self._process)
