"""A contract changed under the real binary: producers go on with the schema of before, SIGKILL
around the cut-over, and starts that are given the file of before."""

from __future__ import annotations

import http.client
import json
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder

import engine_under_load
from engine_under_load import CONTRACT, LONG, WITHIN_S, run

PIPELINE = """headrace: 1
pipeline: evolving
promise: {{budget: {{p99: 300ms}}}}
clock: events
streams:
  events: {{contract: {contract}, source: {{http: push}}, time: {{event: at, late: 1h}}}}
views:
  key: {{from: events, by: key, over: [24h], features: {{n: count(*), total: sum(amount){more}}}}}
services: {{counts: {{features: [key.n_24h, key.total_24h]}}}}
tables: {{events: {{commit: 20ms}}}}
"""
BATCH_ROWS = 50
KEYS = 5
KILLS = 60 if LONG else 6


class Engine(engine_under_load.Engine):
    """An engine that is always started with the file of before the change."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.sequence = 0
        (folder / "pipeline.yaml").write_text(PIPELINE.format(contract="events.yaml", more=""))
        (folder / "after.yaml").write_text(
            PIPELINE.format(contract="after_contract.yaml", more=", channels: count(channel)")
        )
        (folder / "after_contract.yaml").write_text(
            CONTRACT.replace(
                "      - {name: key,",
                "      - {name: channel, logicalType: string}\n      - {name: key,",
            )
        )

    def send(self, channel: bool = False) -> None:
        """A batch that counts once, however often it has to be sent."""
        rows = []
        for row in range(self.sequence * BATCH_ROWS, (self.sequence + 1) * BATCH_ROWS):
            at = f"2026-01-01T{row // 3600 % 24:02}:{row // 60 % 60:02}:{row % 60:02}Z"
            more = ',"channel":"c"' if channel else ""
            rows.append(f'{{"key":"k{row % KEYS}","at":"{at}","amount":1{more}}}')
        headers = {"Headrace-Producer": "p", "Headrace-Sequence": str(self.sequence + 1)}
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=WITHIN_S)
        try:
            connection.request("POST", "/streams/events/events", "\n".join(rows), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        assert answer.status == 200, text
        assert json.loads(text)["accepted"] == BATCH_ROWS, text
        self.sequence += 1

    def counts(self, *names: str) -> list[Any]:
        body = {
            "features": list(names),
            "entities": {"key": [f"k{key}" for key in range(KEYS)]},
        }
        deadline = time.monotonic() + WITHIN_S
        while True:
            status, text, _ = self.request("POST", "/get-online-features", json.dumps(body))
            assert status == 200, text
            values = [each["values"] for each in json.loads(text)["results"]][-len(names) :]
            if sum(value or 0 for value in values[0]) == self.sequence * BATCH_ROWS:
                return values
            assert time.monotonic() < deadline, values
            time.sleep(0.01)


@pytest.mark.parametrize("number", range(KILLS))
def test_killed_around_the_cut_over(tmp_path: Path, number: int) -> None:
    draw = random.Random(number)
    engine = Engine(tmp_path)
    engine.start()
    try:
        engine.wait_ready()
        for _ in range(20):
            engine.send()
        body = json.dumps(
            {
                "pipeline": (tmp_path / "after.yaml").read_text(),
                "contracts": {
                    "after_contract.yaml": (tmp_path / "after_contract.yaml").read_text()
                },
            }
        )
        killer = threading.Timer(draw.uniform(0, 0.15), engine.stop, [signal.SIGKILL])
        killer.start()
        try:
            engine.request("POST", "/definition", body)
            for _ in range(200):
                engine.send()
        except (OSError, AssertionError, http.client.HTTPException):
            pass  # it died; what was not acknowledged is sent again
        killer.join()

        # Whole, or not at all; and what was asked for and durable begins again by itself.
        engine.start()
        engine.wait_ready()
        engine.send()
        applied = run("apply", str(tmp_path / "after.yaml"), "--http", f"127.0.0.1:{engine.http}")
        assert applied.returncode == 0, f"seed {number}: {applied.stderr}"
        engine.send(channel=True)
        engine.send()
        n, total, channels = engine.counts("key:n_24h", "key:total_24h", "key:channels_24h")
        assert n == total, f"seed {number}"
        assert sum(channels) == BATCH_ROWS, f"seed {number}"
        engine.stop(signal.SIGKILL)
        engine.start()
        engine.wait_ready()
        assert engine.counts("key:n_24h", "key:channels_24h") == [n, channels], f"seed {number}"
        assert engine.stop() == 0
        table = DeltaTable(str(tmp_path / "data/tables/events"))
        query = (
            "SELECT count(*) n, count(channel) c, count(distinct _epoch * 16777216 + _row) p FROM t"
        )
        counted = pa.table(QueryBuilder().register("t", table).execute(query).read_all())
        rows = engine.sequence * BATCH_ROWS
        said = list(counted.to_pylist()[0].values())
        assert said == [rows, BATCH_ROWS, rows], f"seed {number}"
    finally:
        engine.stop(signal.SIGKILL)
