"""What no honest client sends over Flight: each is answered, and the engine goes on as it was."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight
import pytest
from engine_process import EngineProcess
from flight_client import Exchange, connect, exchanged, keys
from payments_engine import send, serving

FEATURES = {"features": ["card:n_1d"]}
ENDED = (flight.FlightError, pa.ArrowException, StopIteration, OSError)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    with serving(tmp_path_factory.mktemp("hostile")) as process:
        send(process, "c1", "s", 1)
        yield process


@pytest.fixture(autouse=True)
def goes_on(engine: EngineProcess) -> Iterator[None]:
    yield
    told, _ = exchanged(connect(engine), FEATURES, keys(card=["c1"]))
    assert told.column("n_1d").to_pylist() == [1], engine.printed()


TICKETS: list[bytes] = [
    b"",
    b"\x00",
    b"\xff\xfe",
    b"{",
    b"[]",
    b"7",
    b"null",
    b'"scan"',
    b"{}",
    b'{"changes":null}',
    b'{"changes":{"changes":"card"}}',
    b'{"changes":"card","changes":7}',
    b'{"changes":"card","from_epoch":18446744073709551616}',
    b'{"changes":"card","from_epoch":1e400}',
    b'{"changes":"card","marker_ms":-1}',
    b'{"changes":"card","scan":"payments"}',
    b'{"service":"scoring"}',
    b'{"push":"payments"}',
    b'{"scan":"payments","where":"' + b"(" * 20_000 + b'"}',
    b'{"changes":"' + b"x" * 70_000 + b'"}',
    b"[" * 200_000,
    b'{"a":' * 100_000,
    b" " * 1_000_000,
]


@pytest.mark.parametrize("number", range(len(TICKETS)))
def test_tickets(engine: EngineProcess, number: int) -> None:
    with pytest.raises(pa.ArrowException):
        connect(engine).do_get(flight.Ticket(TICKETS[number])).read_all()
    with pytest.raises(pa.ArrowException):
        exchanged(connect(engine), TICKETS[number] or b" ", keys(nothing=["c1"]))
    with pytest.raises(pa.ArrowException):
        descriptor = flight.FlightDescriptor.for_command(TICKETS[number] or b" ")
        connect(engine).get_flight_info(descriptor)


def test_texts_at_random(engine: EngineProcess) -> None:
    """Documents with a byte changed, cut or doubled; the seed is the test's."""
    chance = random.Random(11)
    client = connect(engine)
    honest = [json.dumps(FEATURES).encode(), b'{"changes":"card","from_epoch":1,"until_epoch":1}']
    for _ in range(300):
        text = bytearray(chance.choice(honest))
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(text))
            text[at : at + 1] = chance.choice([b"", bytes([chance.randrange(256)]), text[at:] * 2])
        if b"changes" in text and b"until_epoch" not in text:
            continue  # it may be one that never ends
        with contextlib.suppress(pa.ArrowException):
            client.do_get(flight.Ticket(bytes(text))).read_all()
        with contextlib.suppress(pa.ArrowException, StopIteration):
            exchanged(client, bytes(text), keys(card=["c1"]))


def test_wrong_descriptors_and_schemas(engine: EngineProcess) -> None:
    client = connect(engine)
    for descriptor in (
        flight.FlightDescriptor.for_path("payments"),
        flight.FlightDescriptor.for_path(),
    ):
        writer, reader = client.do_exchange(descriptor)
        with pytest.raises(pa.ArrowException):
            writer.begin(keys(card=["c1"]).schema)
            reader.read_chunk()
        with contextlib.suppress(pa.ArrowException):
            writer.close()
    deep: Any = pa.int8()
    for _ in range(60):
        deep = pa.list_(deep)
    for kind in (
        deep,
        pa.struct([("a", pa.int8())]),
        pa.null(),
        pa.decimal128(38),
        pa.duration("s"),
    ):
        rows = pa.RecordBatch.from_arrays([pa.nulls(1, kind)], ["card"])
        with pytest.raises(pa.ArrowException):
            exchanged(client, FEATURES, rows)
    wide = pa.RecordBatch.from_pydict({f"c{i}": [1] for i in range(5_000)} | {"card": ["c1"]})
    assert exchanged(client, FEATURES, wide)[0].num_rows == 1


def test_bytes_that_are_no_text(engine: EngineProcess) -> None:
    offsets = pa.array([0, 3], pa.int32()).buffers()[1]
    text = pa.StringArray.from_buffers(1, offsets, pa.py_buffer(b"\xff\xfe\xfd"))
    rows = pa.RecordBatch.from_arrays([text], ["card"])
    with pytest.raises(pa.ArrowInvalid, match="UTF8"):
        exchanged(connect(engine), FEATURES, rows)


def test_offsets_that_lead_outside(engine: EngineProcess) -> None:
    for bad in ((0, 1 << 30), (5, 1), (-7, 1)):
        offsets = bytearray(struct.pack("<2i", 0, 3))
        text = pa.StringArray.from_buffers(1, pa.py_buffer(offsets), pa.py_buffer(b"abc"))
        rows = pa.RecordBatch.from_arrays([text], ["card"])
        offsets[:] = struct.pack("<2i", *bad)
        with pytest.raises(ENDED):
            exchanged(connect(engine), FEATURES, rows)


def test_huge_batches(engine: EngineProcess) -> None:
    client = connect(engine)
    with pytest.raises(pa.ArrowInvalid, match="over 4096"):
        exchanged(client, FEATURES, keys(card=["x" * 20] * 1_000_000))
    long = exchanged(client, FEATURES, keys(card=["y" * 8_000_000]))[0]
    assert long.column("n_1d__status").to_pylist() == ["NOT_FOUND"]
    many = {"features": ["card.*"] * 700}
    with pytest.raises(pa.ArrowException):
        exchanged(client, many, keys(card=["c1"] * 4096))


def test_metadata_that_is_none(engine: EngineProcess) -> None:
    client = connect(engine)
    rows = keys(card=["c1"])
    wrong: list[Any] = [[], {"x": 1}, {"min_epoch": "1"}, {"as_of": "noon"}]
    for asked in [*wrong, {"as_of": "1700-01-01T00:00:00Z"}]:
        with pytest.raises(pa.ArrowException):
            exchanged(client, FEATURES, rows, asked)
    exchange = Exchange(client, FEATURES, rows.schema)
    exchange.writer.write_metadata(b"{}")
    with pytest.raises(ENDED):
        exchange.take()


def test_answers_that_nobody_reads(engine: EngineProcess) -> None:
    """Batches are sent, and no answer is taken: the call stops being read; nothing grows."""
    rows = keys(card=[f"c{i}" for i in range(4096)])
    exchange = Exchange(connect(engine), {"features": ["card.*"]}, rows.schema)
    stop = threading.Event()

    def write() -> None:
        with contextlib.suppress(pa.ArrowException):
            while not stop.is_set():
                exchange.send(rows)

    writer = threading.Thread(target=write, daemon=True)
    before = engine.status()["memory"]
    writer.start()
    time.sleep(3)
    told, _ = exchanged(connect(engine), FEATURES, keys(card=["c1"]))
    assert told.num_rows == 1
    after = engine.status()["memory"]
    stop.set()
    exchange.reader.cancel()
    writer.join(30)
    assert after["used_mb"] - before["used_mb"] < 200, (before, after)


def test_many_calls_that_say_nothing(engine: EngineProcess) -> None:
    """One call more than there may be is refused, retryably; when they go, places are free."""
    clients = [connect(engine) for _ in range(4)]
    rows = keys(card=["c1"])
    open_calls = [Exchange(clients[i % 4], FEATURES, rows.schema) for i in range(64)]
    for each in open_calls:
        each.ask(rows)
    with pytest.raises(flight.FlightUnavailableError, match="64 DoExchange calls are open"):
        exchanged(connect(engine), FEATURES, rows)
    for each in open_calls:
        each.reader.cancel()
    deadline = time.monotonic() + 60
    while True:
        try:
            exchanged(connect(engine), FEATURES, rows)
            return
        except flight.FlightUnavailableError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_clients_that_go_away(engine: EngineProcess) -> None:
    for _ in range(30):
        client = connect(engine)
        reader = client.do_get(flight.Ticket(b'{"changes":"card","marker_ms":50}'))
        reader.read_chunk()
        reader.cancel()
        client.close()
        exchange = Exchange(connect(engine), FEATURES, keys(card=["c1"]).schema)
        exchange.send(keys(card=["c1"] * 4096))
        exchange.reader.cancel()


def test_bytes_that_are_no_grpc(engine: EngineProcess) -> None:
    chance = random.Random(5)
    for start in (b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"):
        for _ in range(10):
            address = ("127.0.0.1", engine.ports["flight"])
            with socket.create_connection(address) as stream, contextlib.suppress(OSError):
                stream.sendall(start + chance.randbytes(2_000))
