"""What a producer takes for a wrong answer."""

from __future__ import annotations

from typing import Any

import batches
from producers import Lives, Producer, Refused, Traffic
from record import Record


class ReadOnly:
    """Answers as a log whose disk failed, and then the next life begins."""

    window = 1
    listed_max = 100

    def __init__(self, lives: Lives) -> None:
        self.lives = lives

    def connect(self, ports: dict[str, Any]) -> None:
        pass

    def send(self, sequences: list[int], rows: list[batches.Rows]) -> list[dict[str, Any]]:
        self.lives.end()
        self.lives.errors_expected = not self.lives.errors_expected
        self.lives.over = True
        raise Refused("500", "the log is read-only")

    def close(self) -> None:
        pass


def violations(errors_expected: bool) -> list[str]:
    record, lives = Record(5, ["http-0"]), Lives()
    lives.errors_expected = errors_expected
    lives.begin({"http": 1})
    Producer(0, ReadOnly(lives), record, lives, Traffic()).run()
    return record.violations


def test_an_answer_is_held_against_the_life_that_gave_it() -> None:
    assert violations(errors_expected=True) == []
    assert "an unexpected answer: 500" in violations(errors_expected=False)[0]
