"""The lookup client against a small server: what it measures, and what it holds the engine to."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator

import lookups
import pytest
import status

STARTING = -2  # in a script: 503, the state is not there yet


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers with the epochs of `script` in turn; 0 is an error, -1 a closed connection."""

    protocol_version = "HTTP/1.1"
    script: list[int]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        epoch = self.script.pop(0)
        if epoch < 0:
            self.close_connection = True
            return
        results = [
            {"values": [1], "statuses": ["PRESENT"]},
            {"values": [None], "statuses": ["NOT_FOUND"]},
        ]
        names = ["origin.flights_1h", "origin.mean_delay_1h"]
        answer = {
            "metadata": {"feature_names": names},
            "results": results,
            "headrace": {"epoch": epoch},
        }
        if epoch == STARTING:
            answer = {"detail": "starting: reading the log"}
        body = json.dumps(answer).encode()
        self.send_response(200 if epoch > 0 else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def ask(port: int, epochs: list[int]) -> dict[str, object]:
    Answers.script = list(epochs)
    record = lookups.Record()
    client = lookups.Client(port, record)
    for _ in epochs:
        client.ask(lookups.body("departure", ["ORD", "LAX"]))
    return lookups.document(record, 1.0)


def test_answers_are_counted(port: int) -> None:
    found = ask(port, [5, 5, 6])
    assert (found["answered"], found["features"], found["epoch_went_back"]) == (3, 2, 0)
    assert found["statuses"] == {"PRESENT": 3, "NOT_FOUND": 3}


def test_an_epoch_that_goes_back_is_seen(port: int) -> None:
    assert ask(port, [5, 4, 6])["epoch_went_back"] == 1


def test_a_new_connection_may_be_behind_the_old_one(port: int) -> None:
    found = ask(port, [5, -1, 4])
    assert (found["epoch_went_back"], found["reconnects"], found["answered"]) == (0, 1, 2)


def test_an_engine_that_is_starting_is_asked_again(port: int) -> None:
    found = ask(port, [5, STARTING, 4])
    assert (found["unanswered"], found["answered"], found["errors"]) == (1, 2, {})


def test_errors_are_kept_apart(port: int) -> None:
    found = ask(port, [5, 0])
    assert found["answered"] == 1
    errors = found["errors"]
    assert isinstance(errors, dict)
    assert sum(errors.values()) == 1


def figures(size: float) -> dict[str, float]:
    return {"p50_ms": size, "p99_ms": size * 2, "worst_ms": size * 3}


def test_the_worse_of_two_processes_is_reported() -> None:
    one = status.read({"fdatasync": figures(1), "stages": {"ingest": figures(4)}})
    other = status.read(
        {"fdatasync": figures(2), "stages": {"ingest": figures(3), "serve": figures(1)}}
    )
    sync, stages = status.worse(one, other)
    assert sync == status.Percentiles(2, 4, 6)
    assert stages["ingest"] == status.Percentiles(4, 8, 12)
    assert stages["serve"] == status.Percentiles(1, 2, 3)


def test_a_table_is_complete_when_nothing_is_to_come() -> None:
    def at(epoch: int, pending: int) -> status.Status:
        table = {"name": "flights", "committed_epoch": epoch, "pending_rows": pending}
        return status.read({"tables": [table]})

    assert status.table_is_complete(at(7, 0), 7)
    assert not status.table_is_complete(at(6, 0), 7)
    assert not status.table_is_complete(at(7, 3), 7)
