"""`headrace serve` as a child process, and payments to ask about."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from servers import HOST, PeerFailure, free_port, stop

ROWS_PER_REQUEST = 20_000
READY_WITHIN_S = 60


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def key(number: int) -> str:
    """As redis-benchmark writes a random number."""
    return f"c{number:012d}"


class Headrace:
    """Of a pipeline file with a stream `payments`, and a service `scoring` over the key `card`."""

    def __init__(self, binary: Path, folder: Path, pipeline: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        ready = folder / "ready.json"
        words = [str(binary), "serve", str(pipeline), "--data", str(folder / "data")]
        for name in ("http", "flight", "resp"):
            words += [f"--{name}", f"{HOST}:{free_port()}"]
        with (folder / "serve.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*words, "--ready-file", str(ready)], stdout=log, stderr=log
            )
        deadline = time.monotonic() + READY_WITHIN_S
        while not ready.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise PeerFailure(f"headrace serve did not start: {folder}/serve.log")
            time.sleep(0.05)
        ports = json.loads(ready.read_text())
        self.resp = int(ports["resp"])
        self.http = int(ports["http"])
        self.flight = int(ports["flight"])
        self.pid = self._process.pid

    def load(self, keys: int, amount: Callable[[int], float]) -> None:
        """One payment of each card; returns when lookups see them."""
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        epoch = 0
        for begin in range(0, keys, ROWS_PER_REQUEST):
            rows = [
                f'{{"card":"{key(i)}","at":"{at}","amount":{amount(i)}}}'
                for i in range(begin, min(keys, begin + ROWS_PER_REQUEST))
            ]
            while True:
                status, text = self._post("/streams/payments/events", "\n".join(rows))
                told = json.loads(text)
                if status == 200 and told["accepted"] == len(rows):
                    break
                if status not in (429, 503):
                    raise PeerFailure(f"a batch was not accepted: {told}")
                time.sleep(0.05)
            epoch = told["epoch"]
        body = {"feature_service": "scoring", "entities": {"card": [key(0)]}}
        asked = json.dumps(body | {"min_epoch": epoch, "deadline_ms": 60_000})
        if self._post("/get-online-features", asked)[0] != 200:
            raise PeerFailure("the last epoch did not become visible")

    def status(self) -> dict[str, Any]:
        connection = http.client.HTTPConnection(HOST, self.http, timeout=120)
        try:
            connection.request("GET", "/status")
            document: dict[str, Any] = json.loads(connection.getresponse().read())
            return document
        finally:
            connection.close()

    def _post(self, path: str, body: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(HOST, self.http, timeout=120)
        try:
            connection.request("POST", path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def close(self) -> None:
        stop(self._process)
