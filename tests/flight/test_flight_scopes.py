"""What tokens allow over Flight: views and services by name, restricted columns refused by name."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight
import pytest
from flight_client import exchanged, keys
from test_tokens import Guarded, create

SCOPES = {
    "service": "read:scoring",
    "view": "read:card",
    "read": "read",
    "everything": "read,restricted",
    "both": "push:payments,read:scoring",
}
SCORING = keys(card=["c1"], shop=["s"], limit=[1.0])


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("scopes")
    made = Guarded(folder)
    try:
        for name, scope in SCOPES.items():
            made.tokens[name] = create(folder, name, scope)
        assert made.engine.wait_ready(), made.engine.printed()
        deadline = time.monotonic() + 60
        while made.ask("both", "GET", "/status")[0] == 401 and time.monotonic() < deadline:
            time.sleep(0.05)
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        row = {"card": "c1", "shop": "s", "at": at, "amount": 2.5, "email": "a@b"}
        status, _ = made.ask("pusher", "POST", "/streams/payments/events", row)
        assert status == 200
        yield made
        assert made.engine.stop() == 0
    finally:
        made.engine.kill()


def options(guarded: Guarded, who: str) -> Any:
    return guarded.call(who) if who else None


def read(guarded: Guarded, who: str, command: Any, rows: pa.RecordBatch) -> pa.RecordBatch:
    return exchanged(guarded.flight(), command, rows, options=options(guarded, who))[0]


def get(guarded: Guarded, who: str, **ticket: Any) -> pa.Table:
    ticket_bytes = flight.Ticket(json.dumps(ticket).encode())
    return guarded.flight().do_get(ticket_bytes, guarded.call(who)).read_all()


def test_keys(guarded: Guarded) -> None:
    card = keys(card=["c1"])
    assert read(guarded, "service", {"service": "scoring"}, SCORING).num_rows == 1
    assert read(guarded, "view", {"features": ["card.*"]}, card).num_rows == 1
    with pytest.raises(flight.FlightUnauthorizedError, match="needs=read:card"):
        read(guarded, "service", {"features": ["card.*"]}, card)
    with pytest.raises(flight.FlightUnauthorizedError, match="read:place"):
        read(guarded, "view", {"features": ["card:n_1d", "place:n_1d"]}, SCORING)
    with pytest.raises(flight.FlightUnauthorizedError, match="needs read"):
        read(guarded, "pusher", {"service": "scoring"}, SCORING)
    with pytest.raises(flight.FlightUnauthenticatedError):
        read(guarded, "", {"service": "scoring"}, SCORING)


def test_restricted_features_are_refused_by_name(guarded: Guarded) -> None:
    card = keys(card=["c1"])
    told = read(guarded, "read", {"features": ["person:n_1d"]}, card)
    assert told.column("n_1d").to_pylist() == [1]
    for command in ({"features": ["person:mail_1d"]}, {"service": "letters"}):
        with pytest.raises(flight.FlightUnauthorizedError, match=r"`person\.mail_1d`"):
            read(guarded, "read", command, card)
        mails = read(guarded, "everything", command, card)
        assert mails.column("mail_1d").to_pylist() == ["a@b"]


def test_changes(guarded: Guarded) -> None:
    told = exchanged(
        guarded.flight(), {"features": ["card.*"]}, keys(card=["c1"]), options=guarded.call("view")
    )
    asked = {"from_epoch": 0, "until_epoch": told[1]["epoch"]}
    assert get(guarded, "view", changes="card", **asked).num_rows == 1
    with pytest.raises(flight.FlightUnauthorizedError, match="read:person"):
        get(guarded, "view", changes="person", **asked)
    with pytest.raises(flight.FlightUnauthorizedError, match=r"person\.mail_1d"):
        get(guarded, "read", changes="person", **asked)
    assert get(guarded, "everything", changes="person", **asked).num_rows == 1


def test_changes_tell_no_restricted_keys(guarded: Guarded) -> None:
    known = exchanged(
        guarded.flight(),
        {"features": ["mailbox.*"]},
        keys(email=["a@b"]),
        options=guarded.call("read"),
    )
    assert known[0].column("n_1d").to_pylist() == [1]
    asked = {"changes": "mailbox", "from_epoch": 0, "until_epoch": known[1]["epoch"]}
    with pytest.raises(flight.FlightUnauthorizedError, match=r"`email`.*needs=restricted"):
        get(guarded, "read", **asked)
    assert get(guarded, "everything", **asked).column("email").to_pylist() == ["a@b"]


def test_scans_without_restricted_columns(guarded: Guarded) -> None:
    for who in ("service", "view"):
        with pytest.raises(flight.FlightUnauthorizedError, match="read"):
            get(guarded, who, scan="payments")
    seen = get(guarded, "everything", scan="payments")
    assert "email" in seen.column_names
    told = get(guarded, "read", scan="payments")
    assert "email" not in told.column_names and told.num_rows == seen.num_rows
    assert told.schema.metadata[b"headrace.withheld"] == b"email"
    assert get(guarded, "read", scan="payments", columns=["card"]).num_rows == 1
    for asked in (
        {"columns": ["email"]},
        {"where": "email = 'a@b'"},
        {"columns": ["card"], "where": "amount > 1 and email is not null"},
    ):
        with pytest.raises(flight.FlightUnauthorizedError, match="`email`"):
            get(guarded, "read", scan="payments", **asked)
        assert get(guarded, "everything", scan="payments", **asked).num_rows == 1
    command = flight.FlightDescriptor.for_command(b'{"scan":"payments"}')
    info = guarded.flight().get_flight_info(command, guarded.call("read"))
    assert "email" not in info.schema.names
    assert b"email" not in info.endpoints[0].ticket.ticket
    with pytest.raises(flight.FlightUnauthorizedError):
        guarded.flight().get_flight_info(command, guarded.call("view"))
