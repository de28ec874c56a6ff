"""Refused rows, page by page, whole and masked, over HTTP and by `headrace deadletters`."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_process import BINARY, EngineProcess
from payments_engine import CONTRACT, PIPELINE, serving

ROWS = 25_000  # of one request, and so of one epoch
PAGE = 10_000
LARGE = 3_000  # of 4 KB each: more than an answer holds


class Refused:
    """An engine with refused rows of three epochs."""

    def __init__(self, engine: EngineProcess) -> None:
        wide = "x" * 4000
        self.engine = engine
        self.epochs = [
            refuse(engine, "\n".join(f'{{"card":{row}}}' for row in range(ROWS))),
            refuse(engine, "\n".join(f'{{"card":{row},"shop":"{wide}"}}' for row in range(LARGE))),
            refuse(engine, '{"card":1}'),
        ]
        counts = (ROWS, LARGE, 1)
        self.places = [
            (epoch, row)
            for epoch, rows in zip(self.epochs, counts, strict=True)
            for row in range(rows)
        ]


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Refused]:
    with serving(tmp_path_factory.mktemp("letters")) as process:
        yield Refused(process)


def refuse(engine: EngineProcess, lines: str) -> int:
    """The epoch that has the refused rows."""
    status, told = engine.request("POST", "/streams/payments/events", lines)
    outcome = json.loads(told)
    assert status == 422 and outcome["accepted"] == 0, told
    epoch: int = outcome["epoch"]
    return epoch


def page(
    engine: EngineProcess, query: str, headers: dict[str, str] | None = None
) -> tuple[list[dict[str, Any]], str | None]:
    connection = http.client.HTTPConnection("127.0.0.1", engine.ports["http"], timeout=300)
    connection.request("GET", f"/deadletters?{query}", headers=headers or {})
    answer = connection.getresponse()
    text, following = answer.read(), answer.getheader("Headrace-Next")
    connection.close()
    assert answer.status == 200, text
    letters: list[dict[str, Any]] = json.loads(text)
    return letters, following


def run(
    engine: EngineProcess, *arguments: str, token: str = ""
) -> subprocess.CompletedProcess[str]:
    address = f"127.0.0.1:{engine.ports['http']}"
    return subprocess.run(
        [BINARY, "deadletters", "--http", address, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | ({"HEADRACE_TOKEN": token} if token else {}),
    )


def places(letters: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(letter["epoch"], letter["row"]) for letter in letters]


@pytest.mark.parametrize("limit", [PAGE, 777])
def test_pages_go_through_an_epoch(refused: Refused, limit: int) -> None:
    found: list[tuple[int, int]] = []
    after: str | None = "0"
    while after is not None:
        letters, after = page(refused.engine, f"stream=payments&limit={limit}&after={after}")
        assert letters, "a page has at least one"
        found += places(letters)
    assert found == refused.places


def test_an_epoch_alone_is_passed_whole(refused: Refused) -> None:
    engine = refused.engine
    one, two, three = refused.epochs
    assert places(page(engine, f"after={two}")[0]) == [(three, 0)]
    assert page(engine, f"after={three}") == ([], None)
    letters, following = page(engine, f"after={one}.{ROWS - 1}&limit=1")
    assert places(letters) == [(one, ROWS - 1)]
    assert following == f"{one}.{ROWS}"
    assert places(page(engine, f"after={following}&limit=1")[0]) == [(two, 0)]
    letters, following = page(engine, f"after={two}.{LARGE}&limit=1")
    assert (places(letters), following) == ([(three, 0)], None)


def test_the_command_goes_on_by_itself(refused: Refused) -> None:
    told = run(refused.engine, "payments", "--limit", "100000", "--json")
    assert places(json.loads(told.stdout.splitlines()[-1])) == refused.places
    assert told.stderr == ""


def test_the_command_says_that_there_are_more(refused: Refused) -> None:
    one, two, _ = refused.epochs
    last = run(refused.engine, "payments", "--limit", "10000").stdout.splitlines()[-1]
    assert f"more: headrace deadletters payments --after {one}.10000" in last
    told = run(refused.engine, "--limit", "20000", "--json")
    assert places(json.loads(told.stdout)) == refused.places[:20_000]
    assert f"more: headrace deadletters --after {one}.20000" in told.stderr
    told = run(refused.engine, "--limit", "20000", "--after", f"{one}.20000", "--json")
    assert places(json.loads(told.stdout)) == refused.places[20_000:]
    assert told.stderr == ""
    assert run(refused.engine, "--after", str(two)).stdout.splitlines()[-1] == "1 refused row"


PRIVATE = CONTRACT.replace(
    "{name: card, logicalType: string, required: true}",
    "{name: card, logicalType: string, required: true, classification: restricted}",
)
AT = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
WRONG = '{"card":"c-77","shop":"s","at":"2026-01-01T10:00:00Z","amount":"much"}'


class Guarded:
    """An engine that asks for tokens, with a refused row."""

    def __init__(self, folder: Path) -> None:
        (folder / "pipeline.yaml").write_text(PIPELINE)
        (folder / "payments.yaml").write_text(PRIVATE)
        self.tokens = {
            "some": self.create(folder, "some", "admin"),
            "every": self.create(folder, "every", "admin,restricted"),
        }
        options = ("--tokens", str(folder / "tokens"))
        self.engine = EngineProcess(folder, folder / "data", options=options)

    @staticmethod
    def create(folder: Path, name: str, scope: str) -> str:
        command: list[str | Path] = [BINARY, "token", "create", "--file", folder / "tokens"]
        made = subprocess.run(
            [*command, "--name", name, "--scope", scope], capture_output=True, text=True, check=True
        )
        return made.stdout.strip()

    def bearer(self, name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[name]}"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    made = Guarded(tmp_path_factory.mktemp("guarded"))
    try:
        assert made.engine.wait_ready(), made.engine.printed()
        told = made.engine.request("POST", "/streams/payments/events", WRONG, made.bearer("some"))
        assert told[0] == 422, told
        yield made
        assert made.engine.stop() == 0
    finally:
        made.engine.kill()


def test_whoever_may_see_restricted_values_gets_what_came(guarded: Guarded) -> None:
    letter = page(guarded.engine, "", guarded.bearer("every"))[0][0]
    assert letter["payload"] == WRONG
    assert "masked" not in letter
    told = run(guarded.engine, token=guarded.tokens["every"])
    assert "c-77" in told.stdout and "masked" not in told.stdout


def test_others_are_told_that_it_is_masked(guarded: Guarded) -> None:
    letter = page(guarded.engine, "", guarded.bearer("some"))[0][0]
    assert json.loads(letter["payload"])["card"] == "***"
    assert letter["masked"] is True
    told = run(guarded.engine, token=guarded.tokens["some"])
    assert "c-77" not in told.stdout
    assert "admin,restricted" in told.stdout.splitlines()[-1]
    told = run(guarded.engine, "--json", token=guarded.tokens["some"])
    assert json.loads(told.stdout)[0]["masked"] is True
    assert "admin,restricted" in told.stderr


def test_where_nobody_is_asked_for_a_token_everybody_gets_what_came(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    (tmp_path / "payments.yaml").write_text(PRIVATE)
    process = EngineProcess(tmp_path, tmp_path / "data")
    try:
        assert process.wait_ready(), process.printed()
        refuse(process, WRONG)
        letter = page(process, "")[0][0]
        assert letter["payload"] == WRONG and "masked" not in letter
        mended = json.loads(letter["payload"]) | {"amount": 1.5, "at": AT}
        process.send_events("payments", json.dumps(mended))
        assert process.stop() == 0
    finally:
        process.kill()
