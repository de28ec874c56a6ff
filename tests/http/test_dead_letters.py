"""Refused rows, page by page, over HTTP and by `headrace deadletters`."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from engine_process import BINARY, EngineProcess
from payments_engine import serving

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
