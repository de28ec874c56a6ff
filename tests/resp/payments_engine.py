"""An engine whose views clients of Redis read."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine_process import EngineProcess

PIPELINE = """\
headrace: 1
pipeline: payments
promise: {budget: {p99: 200ms}}
streams:
  payments:
    contract: payments.yaml
    source: {http: push}
    time: {event: at, late: 1h}
views:
  card:
    from: payments
    by: card
    over: [1h, 1d]
    features: {n: count(*), spend: sum(amount), shops: "last_n(shop, 2)", big: last(amount > 5)}
  place: {from: payments, by: [card, shop], over: [1d], features: {n: count(*)}}
  own: {from: payments, by: card, self: included, features: {n: count(*)}}
  others: {from: payments, by: card, self: excluded, features: {n: count(*)}}
services:
  scoring: {features: [card.*, place.n_1d], max_lag: 1h}
  counts: {features: [own.n, others.n], defaults: {own.n: 1}}
consumers:
  model: {reads: service counts, at_deadline: last_known}
"""
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: payments
version: 1.0.0
status: active
schema:
  - name: payments
    logicalType: object
    properties:
      - {name: card, logicalType: string, required: true}
      - {name: shop, logicalType: string, required: true}
      - {name: at, logicalType: timestamp, required: true}
      - {name: amount, logicalType: number}
"""


@contextmanager
def serving(folder: Path) -> Iterator[EngineProcess]:
    (folder / "pipeline.yaml").write_text(PIPELINE)
    (folder / "payments.yaml").write_text(CONTRACT)
    process = EngineProcess(folder, folder / "data")
    try:
        assert process.wait_ready(), process.printed()
        yield process
        assert process.stop() == 0
    finally:
        process.kill()


def payment(card: str, shop: str, amount: float) -> str:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return json.dumps({"card": card, "shop": shop, "at": at, "amount": amount})


def send(engine: EngineProcess, card: str, shop: str, amount: float) -> int:
    row = payment(card, shop, amount)
    status, text = engine.request("POST", "/streams/payments/events", row)
    assert status == 200, text
    epoch: int = json.loads(text)["epoch"]
    return epoch
