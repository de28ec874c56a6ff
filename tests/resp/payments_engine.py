"""An engine whose views clients of Redis read."""

from __future__ import annotations

import json
import time
from contextlib import AbstractContextManager
from pathlib import Path

from engine_process import EngineProcess, serving_files

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
  hasty: {features: [own.n, others.n]}
consumers:
  quick: {reads: service hasty, provisional: allowed}
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


def serving(folder: Path, *options: str) -> AbstractContextManager[EngineProcess]:
    files = {"pipeline.yaml": PIPELINE, "payments.yaml": CONTRACT}
    return serving_files(folder, files, options)


def change(engine: EngineProcess, pipeline: str = PIPELINE, contract: str = CONTRACT) -> None:
    """Another definition is in force."""
    body = {"pipeline": pipeline, "contracts": {"payments.yaml": contract}}
    status, told = engine.request("POST", "/definition", json.dumps(body))
    assert status in (200, 202), told
    state = "building"
    while state in ("building", "cutting_over"):
        time.sleep(0.01)
        state = json.loads(engine.request("GET", "/definition")[1])["change"]["state"]
    assert state == "done"


def payment(card: str, shop: str, amount: float) -> str:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return json.dumps({"card": card, "shop": shop, "at": at, "amount": amount})


def send(engine: EngineProcess, card: str, shop: str, amount: float) -> int:
    return engine.send_events("payments", payment(card, shop, amount))
