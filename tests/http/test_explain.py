"""Values explained at the real binary: the command, POST /explain, tokens, and a flipped bit."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from math import fsum
from pathlib import Path
from typing import Any

import pytest
from engine_process import BINARY, EngineProcess

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
    where: status = 'ok'
    over: [1h]
    features: {n: count(*), spend: sum(amount), big: count(*) where amount > 50}
  route:
    from: payments
    by: [card, shop]
    over: [1h]
    precision: 5m
    features: {spend: sum(amount)}
  letters: {from: payments, by: card, over: [1h], features: {last: last(email)}}
inputs: {cart: float64}
on_request: {ratio: cart / card.spend_1h}
tables: {payments: {commit: 1s}}
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
      - {name: status, logicalType: string, required: true}
      - {name: amount, logicalType: number}
      - {name: email, logicalType: string, classification: restricted}
"""
READY_WITHIN_S = 60.0


def payment(ago_s: float, amount: float | None, status: str = "ok") -> str:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - ago_s))
    row = {"card": "c=1", "shop": "it's", "at": at, "status": status, "email": "a@example.org"}
    return json.dumps(row | ({} if amount is None else {"amount": amount}))


class Explained:
    """An engine that may be lied to, with a token for each kind of reader."""

    def __init__(self, folder: Path) -> None:
        (folder / "pipeline.yaml").write_text(PIPELINE)
        (folder / "payments.yaml").write_text(CONTRACT)
        self.tokens = {
            name: self.create(folder, name, scope)
            for name, scope in {
                "all": "read,restricted,push,admin",
                "card": "read:card,read:letters",
                "other": "read:route",
            }.items()
        }
        options = ("--tokens", str(folder / "tokens"), "--demo-faults")
        self.engine = EngineProcess(folder, folder / "data", options=options)

    @staticmethod
    def create(folder: Path, name: str, scope: str) -> str:
        command: list[str | Path] = [BINARY, "token", "create", "--file", folder / "tokens"]
        made = subprocess.run(
            [*command, "--name", name, "--scope", scope], capture_output=True, text=True, check=True
        )
        return made.stdout.strip()

    def post(self, path: str, body: Any, token: str = "all") -> tuple[int, Any]:
        text = body if isinstance(body, str) else json.dumps(body)
        headers = {"Authorization": f"Bearer {self.tokens[token]}"}
        status, told = self.engine.request("POST", path, text, headers)
        return status, json.loads(told)

    def explain(self, **asked: Any) -> dict[str, Any]:
        question = {"view": "card", "key": {"card": "c=1"}, "feature": "spend_1h"} | asked
        status, told = self.post("/explain", question)
        assert status == 200, told
        explanation: dict[str, Any] = told
        return explanation

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BINARY, *words, "--http", str(self.engine.ports["http"])],
            capture_output=True,
            text=True,
            check=False,
            env={"HEADRACE_TOKEN": self.tokens["all"]},
        )

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("explain", *words)


@pytest.fixture(scope="module")
def payments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Explained]:
    made = Explained(tmp_path_factory.mktemp("explain"))
    try:
        assert made.engine.wait_ready(READY_WITHIN_S), made.engine.printed()
        rows = [
            payment(7000, 5.25),
            payment(1000, 0.1),
            payment(900, 0.2),
            payment(800, None),
            payment(700, 99, "refused"),
            payment(10, 60),
        ]
        for row in rows:
            # The first one is older than what may be late: with a row of its own it is the first.
            status, told = made.post("/streams/payments/events", row)
            assert status in (200, 422), told
        assert made.post("/streams/payments/events", payment(950, 0.3))[0] == 200
        yield made
        assert made.engine.stop() == 0
    finally:
        made.engine.kill()


def test_rows_of_the_state(payments: Explained) -> None:
    told = payments.explain()
    assert (told["source"], told["same_bits"]) == ("state", True)
    assert told["recomputed"]["value"] == told["served"]["value"] == fsum([0.1, 0.2, 60, 0.3])
    assert told["counts"]["counts"] == 4 and told["counts"]["null_argument"] == 1
    times = [row["event_time"] for row in told["rows"]]
    assert times == sorted(times, reverse=True)
    late = [row for row in told["rows"] if "late_by_us" in row]
    assert [row["value"] for row in late] == [0.3]
    # Nothing tells yet when the newest epoch became visible, nor the one before it, if the newest
    # was sealed first.
    oldest = min(row["epoch"] for row in told["rows"])
    assert all(row["known_at"] for row in told["rows"] if row["epoch"] == oldest)


def test_rows_of_table_and_log(payments: Explained) -> None:
    told = payments.explain(source="table")
    assert (told["source"], told["same_bits"]) == ("table", True)
    assert told["counts"]["not_of_view"] == 1
    refused = [row for row in told["rows"] if row["verdict"] == "not_of_view"]
    assert [row["value"] for row in refused] == [99]
    assert all(row["known_at"] for row in told["rows"])
    tiled = payments.explain(view="route", key={"card": "c=1", "shop": "it's"}, source="table")
    assert tiled["same_bits"] is True and tiled["tiles"]["precision"] == "5m"


def test_an_earlier_epoch(payments: Explained) -> None:
    now = payments.explain()
    rows = {row["epoch"]: row for row in now["rows"]}
    epochs = sorted(rows)
    before = payments.explain(epoch=epochs[-1] - 1, served=fsum([0.1, 0.2, 60]))
    assert before["counts"]["not_there_yet"] == 1
    assert before["served"] is None
    assert before["same_bits"] is True
    ahead = {"view": "card", "key": {"card": "c=1"}, "feature": "n_1h", "epoch": 10**9}
    assert payments.post("/explain", ahead)[0] == 503


def test_the_command(payments: Explained) -> None:
    shown = payments.command("card", "card=c=1", "spend_1h")
    assert shown.returncode == 0, shown.stderr
    assert "every bit as it is served" in shown.stdout
    assert "the window begins (after this instant)" in shown.stdout
    assert "late by" in shown.stdout
    one_column = payments.command("card", "c=1", "spend_1h", "--json")
    assert json.loads(one_column.stdout)["same_bits"] is True
    of_two = payments.command("route", "card=c=1", "shop=it's", "spend_1h")
    assert of_two.returncode == 0, of_two.stderr
    wrong = payments.command("card", "c=1", "spend_1h", "--served", "12.5")
    assert wrong.returncode == 1 and "NOT THE SAME BITS" in wrong.stdout
    assert payments.command("card", "c=1", "spend_2h").returncode == 3
    assert payments.command("HR0214").returncode == 0


def test_the_window_ends_above_a_row_of_the_same_second(payments: Explained) -> None:
    newest = payments.explain()["rows"][0]["event_time"]
    as_of = newest.removesuffix("Z") + ".250Z"
    shown = payments.command("card", "card=c=1", "spend_1h", "--as-of", as_of)
    assert shown.returncode == 0, shown.stderr
    table = shown.stdout[shown.stdout.index("event time") :]
    assert table.index(f"{as_of}  the window ends") < table.index(newest)


def test_features_of_an_earlier_epoch(payments: Explained) -> None:
    last = payments.explain()["rows"][0]["epoch"]
    asked: dict[str, Any] = {"features": ["card:spend_1h", "route:spend_1h"]}
    asked |= {"entities": {"card": ["c=1", "nobody"], "shop": ["it's", "it's"]}}
    answers = {}
    for source in ("state", "table"):
        only = asked | ({"features": ["card:spend_1h"]} if source == "state" else {})
        status, told = payments.post(f"/get-features-at?epoch={last}&source={source}", only)
        assert status == 200, told
        assert told["headrace"]["epoch"] == last and told["headrace"]["source"] == source
        values = {
            name: result["values"]
            for name, result in zip(told["metadata"]["feature_names"], told["results"], strict=True)
        }
        answers[source] = next(v for name, v in values.items() if "spend" in name)
    assert answers["state"] == answers["table"]
    assert answers["state"][1] is None
    for entities in ({"card": [], "shop": ["it's"]}, {"card": ["c=1"], "shop": []}):
        status, told = payments.post("/get-features-at", asked | {"entities": entities})
        assert status == 422 and "the columns before it" in json.dumps(told), told
    got = payments.run("get", "card", "card=c=1", "--epoch", str(last), "--json")
    assert json.loads(got.stdout)["headrace"]["epoch"] == last


def test_get_names_an_input_that_is_missing(payments: Explained) -> None:
    got = payments.run("get", "ratio", "card=c=1")
    assert got.returncode == 2 and "missing request input `cart`" in got.stderr, got
    assert "next: give it a value: cart=VALUE" in got.stderr and "Required" not in got.stderr
    assert payments.run("get", "ratio", "card=c=1", "cart=5").returncode == 0
    assert "usage: headrace get" in payments.run("get").stderr


def test_last_events(payments: Explained) -> None:
    question = {"view": "card", "key": {"card": "c=1"}, "last": 2}
    status, told = payments.post("/last-events", question)
    assert status == 200 and told["source"] == "state", told
    assert [row["values"]["amount"] for row in told["rows"]] == [60, None]
    of_table = payments.post("/last-events", question | {"source": "table"})[1]
    assert [row | {"known_at": ""} for row in of_table["rows"]] == [
        row | {"known_at": ""} for row in told["rows"]
    ]
    before = payments.post("/last-events", question | {"epoch": told["rows"][0]["epoch"] - 1})[1]
    assert before["rows"][0] == told["rows"][1]
    whole = {"stream": "payments", "key": {"shop": "it's", "status": "refused"}}
    status, told = payments.post("/last-events", whole)
    assert status == 200 and told["source"] == "table", told
    assert [row["values"]["email"] for row in told["rows"]] == ["a@example.org"]
    assert payments.post("/last-events", whole, "card")[0] == 403
    assert payments.post("/last-events", question, "card")[0] == 200
    letters = {"view": "letters", "key": {"card": "c=1"}}
    assert payments.post("/last-events", letters, "card")[0] == 403
    for wrong in ({"last": 0}, {"key": {"crad": "x"}}, {"stream": "payments"}, {"more": 1}):
        assert payments.post("/last-events", question | wrong)[0] == 422, wrong
    shown = payments.run("events", "card", "card=c=1", "--last", "3")
    assert "the state keeps rows of the last 1h10m" in shown.stdout


def test_scopes(payments: Explained) -> None:
    question = {"view": "card", "key": {"card": "c=1"}, "feature": "n_1h"}
    assert payments.post("/explain", question, "card")[0] == 200
    assert payments.post("/explain", question, "other")[0] == 403
    letters = {"view": "letters", "key": {"card": "c=1"}, "feature": "last_1h"}
    status, told = payments.post("/explain", letters, "card")
    assert status == 403 and "a@example.org" not in json.dumps(told)
    assert payments.post("/explain", letters)[0] == 200


# The last one: the engine is not what it was.
def test_a_flipped_bit_is_shouted(payments: Explained) -> None:
    flip = {"view": "card", "key": {"card": "c=1"}}
    assert payments.post("/debug/flip", flip) == (200, {"flipped": True})
    told = payments.explain(source="table")
    assert told["same_bits"] is False
    shown = payments.command("card", "c=1", "spend_1h", "--source", "table")
    assert shown.returncode == 1 and "NOT THE SAME BITS" in shown.stdout
