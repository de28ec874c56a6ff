"""What no library of gRPC sends to the Flight port, frame by frame: silent calls take places and no
more, broken frames end their connection, and the next client is served."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.flight as flight
import pytest
from engine_process import EngineProcess
from flight_client import connect, exchanged, keys
from http2_frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    FrameConnection,
    call,
    call_fields,
    field,
    frame,
    on_stream,
)
from payments_engine import send, serving

FEATURES = {"features": ["card:n_1d"]}
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    with serving(tmp_path_factory.mktemp("frames")) as process:
        send(process, "c1", "s", 1)
        yield process


def reads(engine: EngineProcess) -> None:
    told, _ = exchanged(connect(engine), FEATURES, keys(card=["c1"]))
    assert told.column("n_1d").to_pylist() == [1], engine.printed()


@pytest.fixture(autouse=True)
def goes_on(engine: EngineProcess) -> Iterator[None]:
    yield
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return reads(engine)
        except flight.FlightUnavailableError:  # places that become free
            assert time.monotonic() < deadline
            time.sleep(0.05)


def threads(engine: EngineProcess) -> int:
    status = Path(f"/proc/{engine.process.pid}/status").read_text()
    return int(status.split("Threads:")[1].split()[0])


@pytest.mark.parametrize("verb", ["DoPut", "DoExchange"])
def test_calls_that_say_nothing(engine: EngineProcess, verb: str) -> None:
    """gRPC waits for their first message: 64 places, and the other verbs have theirs."""
    before = threads(engine)
    peers = [FrameConnection(engine.ports["flight"]) for _ in range(4)]
    refused: list[bytes] = []
    for peer in peers:
        peer.send(b"".join(call(verb, 2 * i + 1) for i in range(50)))
    for peer in peers:
        peer.socket.settimeout(2)
        with contextlib.suppress(TimeoutError):
            while (each := peer.next()) is not None:
                if each[0] == HEADERS:
                    refused.append(each[3])
    assert len(refused) == 200 - 64
    assert any(b"64 " + verb.encode() + b" calls are open" in text for text in refused), refused[:1]
    assert threads(engine) < before + 64 + 30
    if verb == "DoPut":
        reads(engine)
    else:
        with pytest.raises(flight.FlightUnavailableError, match="64 DoExchange calls are open"):
            reads(engine)
    assert len(list(connect(engine).list_flights())) == 1
    assert engine.status()["state"] == "ready"
    for peer in peers:
        peer.close()


def test_calls_that_are_taken_back(engine: EngineProcess) -> None:
    """Rapid reset (CVE-2023-44487): each call is ended by its own client at once."""
    peer = FrameConnection(engine.ports["flight"])
    reset = frame(RST_STREAM, 0, 0, (8).to_bytes(4, "big"))
    with contextlib.suppress(OSError):  # it may be closed for that
        for begin in range(1, 40_001, 1_000):
            streams = range(begin, begin + 1_000, 2)
            peer.send(b"".join(call("DoExchange", i) + on_stream(reset, i) for i in streams))
    assert threads(engine) < 1_000
    peer.close()


BROKEN = {
    "no settings": PREFACE + call("ListFlights", 1),
    "settings of no length": PREFACE + frame(SETTINGS, 0, 0, b"\x00\x03\x00"),
    "settings of a stream": PREFACE + frame(SETTINGS, 0, 1),
    "settings acknowledged with a body": PREFACE + frame(SETTINGS, ACK, 0, b"\x00" * 6),
    "a frame over the size": PREFACE + frame(SETTINGS) + frame(DATA, 0, 1, b"x" * 70_000),
    "data of no call": PREFACE + frame(SETTINGS) + frame(DATA, 0, 1, b"x"),
    "a stream of the server": PREFACE + frame(SETTINGS) + call("DoPut", 2),
    "a stream that goes back": PREFACE + frame(SETTINGS) + call("DoPut", 5) + call("DoPut", 3),
    "headers of no stream": PREFACE + frame(SETTINGS) + call("DoPut", 0),
    "a continuation of nothing": PREFACE
    + frame(SETTINGS)
    + frame(CONTINUATION, END_HEADERS, 1, b""),
    "a block in two": PREFACE
    + frame(SETTINGS)
    + frame(HEADERS, 0, 1, call_fields("DoPut"))
    + frame(PING, 0, 0, b"x" * 8),
    "an index that is not there": PREFACE
    + frame(SETTINGS)
    + frame(HEADERS, 4, 1, b"\xff\xff\xff\x7f"),
    "a string that is longer": PREFACE
    + frame(SETTINGS)
    + frame(HEADERS, 4, 1, b"\x00\x7f\xff\xff\x7fa"),
    "a window over its end": PREFACE
    + frame(SETTINGS)
    + frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"),
    "a window of nothing": PREFACE + frame(SETTINGS) + frame(WINDOW_UPDATE, 0, 0, b"\x00" * 4),
    "a ping of no length": PREFACE + frame(SETTINGS) + frame(PING, 0, 0, b"x"),
    "a farewell of a stream": PREFACE + frame(SETTINGS) + frame(GOAWAY, 0, 3, b"\x00" * 8),
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_broken_frames(engine: EngineProcess, name: str) -> None:
    """The connection ends, or, where gRPC overlooks it, is of no further use to anybody else."""
    peer = FrameConnection(engine.ports["flight"], BROKEN[name])
    peer.socket.settimeout(0.5)
    with contextlib.suppress(TimeoutError):
        peer.until_closed()
    peer.close()


def test_heads_that_never_end(engine: EngineProcess) -> None:
    """Continuation flood (CVE-2024-27919 and others): fields go on and on in one head."""
    before = engine.status()["memory"]["used_mb"]
    peer = FrameConnection(engine.ports["flight"])
    peer.send(frame(HEADERS, 0, 1, call_fields("DoPut")))
    fields = field(b"a", b"b" * 100) * 100
    with contextlib.suppress(OSError):
        for _ in range(20_000):  # 200 MB, of which gRPC has up to 70 in its buffers
            peer.send(frame(CONTINUATION, 0, 1, fields))
    assert engine.status()["memory"]["used_mb"] < before + 120
    peer.close()


def test_floods_that_ask_for_answers(engine: EngineProcess) -> None:
    """Pings and settings each have an answer, and nobody reads them."""
    before = engine.status()["memory"]["used_mb"]
    for flood in (frame(PING, 0, 0, b"x" * 8), frame(SETTINGS, 0, 0, b"")):
        peer = FrameConnection(engine.ports["flight"])
        peer.socket.settimeout(5)
        with contextlib.suppress(OSError):  # closed, or not read any more
            for _ in range(1_000):
                peer.send(flood * 1_000)
        peer.close()
    assert engine.status()["memory"]["used_mb"] < before + 64


@pytest.mark.parametrize("end", [b"", b"\x00", b"\x01\x00\x00\x00\x00", b"\x00\xff\xff\xff\xff"])
def test_messages_that_lie(engine: EngineProcess, end: bytes) -> None:
    """A length prefix that is cut, compressed without a coding, or longer than what follows."""
    for verb in ("DoPut", "DoExchange", "DoGet", "GetFlightInfo", "DoAction", "ListFlights"):
        peer = FrameConnection(engine.ports["flight"])
        peer.send(call(verb, 1) + frame(DATA, END_STREAM, 1, end))
        kinds = []
        while (each := peer.next()) is not None:
            kinds.append(each[0])
            if each[0] == RST_STREAM or (each[0] == HEADERS and each[1] & END_STREAM):
                break
        assert HEADERS in kinds or RST_STREAM in kinds
        peer.close()
