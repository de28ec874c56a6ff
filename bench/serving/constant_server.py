"""`headrace_constant_server` as a child process: the ceiling of client and sockets."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Literal

from servers import PeerFailure, free_port, stop


class ConstantServer:
    """`answer` is a body of HTTP, or a whole reply of RESP."""

    def __init__(self, program: Path, protocol: Literal["http", "resp"], answer: Path) -> None:
        self.port = free_port()
        words = [str(program), protocol, str(self.port), str(answer)]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            raise PeerFailure("the constant server did not start")

    def close(self) -> None:
        stop(self._process)
