"""Crowds of connections that never become a request, over every protocol: nobody else waits for
them, memory stays in the budget, and those that are one too many are told to come back.

A few hundred connections of each kind; 10,000 with HEADRACE_TEST_LONG=1. -s prints the figures: how
long others waited at the most, and what a connection takes.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import select
import socket
import ssl
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.flight as flight
import pytest
from certificates import Pair, make_ca, make_pair
from test_overload import SLACK, check_memory, empty_mib, raise_open_files, row

from engine_under_load import BINARY, LONG, WITHIN_S, Engine

__all__ = ["empty_mib"]

CROWD = 10_000 if LONG else 400
AT_LENGTH = pytest.mark.at_length
HEAD = b"POST /get-online-features HTTP/1.1\r\nHost: localhost\r\nA: "
GUEST = ("--name", "guest", "--scope", "admin,restricted")
COMMAND = b"*2\r\n$4\r\nECHO\r\n$1000\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"


class Guests:
    """An engine, how it is reached, and who asks it beside the crowd."""

    def __init__(self, folder: Path, memory_mib: int, tokens: bool, ca: Pair | None) -> None:
        options: list[str] = []
        self.token = ""
        self.context: ssl.SSLContext | None = None
        self.ca = ca
        if tokens:
            made = subprocess.run(
                [BINARY, "token", "create", "--file", folder / "tokens", *GUEST],
                capture_output=True,
                text=True,
                check=True,
            )
            self.token = made.stdout.strip()
            options += ["--tokens", str(folder / "tokens")]
        if ca:
            pair = make_pair(folder, "engine", ca)
            options += ["--tls-cert", str(pair.cert), "--tls-key", str(pair.key)]
            self.context = ssl.create_default_context(cafile=str(ca.cert))
        self.engine = Engine(folder, memory_mib, *options)
        self.engine.start()
        self.engine.wait_ready()
        self.ports: dict[str, int] = json.loads(self.engine.ready_file.read_text())
        # Fewer where the system lets the process have fewer open files.
        few = re.search(r"few_open_files.* connections_max=(\d+)", self.engine.log.read_text())
        self.most = int(few[1]) if few else 16_384

    def raw(self, protocol: str) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.ports[protocol]), timeout=WITHIN_S)

    def secured(self, protocol: str) -> socket.socket:
        made = self.raw(protocol)
        return (
            made
            if not self.context
            else self.context.wrap_socket(made, False, True, True, "localhost")
        )

    def ask(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        if self.context:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                "127.0.0.1", self.ports["http"], timeout=WITHIN_S, context=self.context
            )
        else:
            connection = http.client.HTTPConnection(
                "127.0.0.1", self.ports["http"], timeout=WITHIN_S
            )
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def status(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.ask("GET", "/status")[1])
        return document

    def ask_http(self) -> None:
        body = json.dumps({"features": ["key:n_1h"], "entities": {"key": ["k1"]}})
        status, told = self.ask("POST", "/get-online-features", body)
        assert status == 200, told

    def ask_resp(self) -> None:
        with self.secured("resp") as peer:
            if self.token:
                peer.sendall(b"AUTH %s\r\n" % self.token.encode())
                assert peer.recv(100) == b"+OK\r\n"
            peer.sendall(b"HGET key:k1 n_1h\r\n")
            told = peer.recv(100)
            if not told:  # in TLS 1.3 the client is ready before the engine has heard its last word
                raise ConnectionResetError
            assert told == b"$1\r\n1\r\n"

    def ask_flight(self) -> None:
        scheme, roots = ("grpc", {})
        if self.ca:
            scheme, roots = "grpc+tls", {"tls_root_certs": self.ca.cert.read_bytes()}
        header = (b"authorization", b"Bearer " + self.token.encode())
        options = flight.FlightCallOptions(headers=[header] if self.token else [])
        with flight.connect(f"{scheme}://localhost:{self.ports['flight']}", **roots) as client:
            assert len(list(client.list_flights(options=options))) == 1


@contextlib.contextmanager
def guests(
    folder: Path, memory_mib: int = 256, tokens: bool = False, ca: Pair | None = None
) -> Iterator[Guests]:
    made = Guests(folder, memory_mib, tokens, ca)
    try:
        status, told = made.ask("POST", "/streams/events/events", row("k1"))
        assert status == 200, told
        yield made
        assert made.engine.stop() == 0
    finally:
        made.engine.process.kill()


def patiently(ask: Callable[[], Any]) -> Any:
    """As clients do that are turned away before they said anything: again, until they get in."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        try:
            return ask()
        except (ssl.SSLError, ConnectionError, flight.FlightUnavailableError):
            assert time.monotonic() < deadline
            time.sleep(0.01)


class Others:
    """Asks over every protocol, each time on a new connection, while the crowd stands there."""

    def __init__(self, engine: Guests, without: str = "", turned_away: str = "") -> None:
        asked: dict[str, Callable[[], None]] = {
            "http": engine.ask_http,
            "resp": engine.ask_resp,
            "flight": engine.ask_flight,
        }
        self.asked = {name: ask for name, ask in asked.items() if name != without}
        self.patient = set(self.asked) if engine.context else {turned_away}
        self.longest = dict.fromkeys(self.asked, 0.0)
        self.count = 0
        self.wrong: list[BaseException] = []
        self.asked_once = threading.Event()  # everybody, while the crowd was there
        self.enough = threading.Event()
        self.thread = threading.Thread(target=self.go_on)

    def go_on(self) -> None:
        try:
            while not self.enough.wait(0.02):
                for name, ask in self.asked.items():
                    begun = time.monotonic()
                    patiently(ask) if name in self.patient else ask()
                    self.longest[name] = max(self.longest[name], time.monotonic() - begun)
                    self.count += 1
                self.asked_once.set()
        except BaseException as error:
            self.wrong.append(error)
        finally:
            self.asked_once.set()

    def __enter__(self) -> Others:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.asked_once.wait(WITHIN_S)
        self.enough.set()
        self.thread.join(WITHIN_S)
        waited = ", ".join(
            f"{name} {longest * 1000:.0f} ms" for name, longest in self.longest.items()
        )
        print(f"\n{self.count} requests of others, the longest: {waited}")
        assert not self.wrong, self.wrong
        assert self.count > 0


def gather(
    stack: contextlib.ExitStack, engine: Guests, protocol: str, count: int
) -> list[socket.socket]:
    room = raise_open_files(count + 500) - 500
    if protocol != "flight":
        room = min(room, engine.most - 100)
    count = min(count, room)
    return [stack.enter_context(engine.raw(protocol)) for _ in range(count)]


def ends(crowd: list[socket.socket], within_s: float = WITHIN_S) -> Counter[str]:
    """What each connection was told until the engine closed it; those left open count as such."""
    told: dict[int, bytes] = {each.fileno(): b"" for each in crowd}
    waiting = {each.fileno(): each for each in crowd}
    poll = select.poll()
    for number in waiting:
        poll.register(number, select.POLLIN)
    deadline = time.monotonic() + within_s
    while waiting and time.monotonic() < deadline:
        for number, _ in poll.poll(200):
            part = b""
            with contextlib.suppress(ConnectionError):
                part = waiting[number].recv(4096)
            told[number] += part
            if not part:
                poll.unregister(number)
                del waiting[number]
    kinds = Counter(
        bytes(text).split(b"\r\n")[0].decode("latin1")
        for n, text in told.items()
        if n not in waiting
    )
    return kinds + Counter({"open": len(waiting)})


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_ca(tmp_path_factory.mktemp("ca"), "test-ca")


@pytest.mark.parametrize("protocol", ["http", "resp"])
@pytest.mark.parametrize("tokens", [False, True], ids=["open", "tokens"])
def test_idle(tmp_path: Path, empty_mib: float, protocol: str, tokens: bool) -> None:
    """They stay, and cost less than they are charged; without a token RESP gives them 10 s."""
    with guests(tmp_path, tokens=tokens) as engine, contextlib.ExitStack() as stack:
        before = engine.engine.memory()["resident"]
        with Others(engine):
            crowd = gather(stack, engine, protocol, CROWD)
            connections = engine.status()["memory"]["accounts_mb"]["connections"]
            each_kib = (engine.engine.memory()["resident"] - before) * 1024 / len(crowd)
            charged_kib = connections * 1024 / len(crowd)
        print(f"{len(crowd)} idle: {each_kib:.1f} KiB resident each, {charged_kib:.1f} charged")
        check_memory(engine.engine, empty_mib, "idle") if not tokens else None
        if tokens and protocol == "resp":
            assert ends(crowd) == {"-ERR no token came in time": len(crowd)}
        else:
            assert ends(crowd, within_s=1.0) == {"open": len(crowd)}


@pytest.mark.parametrize(
    ("protocol", "begun", "drop", "told"),
    [
        ("http", HEAD, b"a", "HTTP/1.1 408 Request Timeout"),
        pytest.param("resp", COMMAND, b"", "-ERR the command came too slowly", marks=AT_LENGTH),
    ],
)
def test_requests_that_never_end(
    tmp_path: Path, empty_mib: float, protocol: str, begun: bytes, drop: bytes, told: str
) -> None:
    """Slowloris: a head that grows by a byte now and then; a command that stops in the middle."""
    with guests(tmp_path) as engine, contextlib.ExitStack() as stack, Others(engine):
        crowd = gather(stack, engine, protocol, CROWD)
        for each in crowd:
            each.sendall(begun)
        begun_at = time.monotonic()
        while drop and time.monotonic() < begun_at + 6:
            for each in crowd:
                with contextlib.suppress(ConnectionError):
                    each.sendall(drop)
            time.sleep(1)
        assert ends(crowd) == {told: len(crowd)}
        check_memory(engine.engine, empty_mib, f"{len(crowd)} requests that never end")


@pytest.mark.parametrize("protocol", ["http", "resp"])
def test_half_handshakes(tmp_path: Path, ca: Pair, protocol: str) -> None:
    """Over the number of handshakes at once the oldest goes, and the newest is computed first: an
    honest client gets through."""
    outgoing, incoming = ssl.MemoryBIO(), ssl.MemoryBIO()
    half = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        half.do_handshake()
    hello = outgoing.read()
    with guests(tmp_path, ca=ca) as engine, contextlib.ExitStack() as stack, Others(engine):
        crowd = gather(stack, engine, protocol, max(CROWD, 1_500))
        for each in crowd:
            with contextlib.suppress(ConnectionError):
                each.sendall(hello)
        assert patiently(engine.status)["tls"]["handshakes"]["under_way"] <= 1024
        memory = engine.engine.memory()["peak"]
        print(f"{len(crowd)} half handshakes: peak {memory:.0f} MiB")
        assert ends(crowd)["open"] == 0
        assert patiently(engine.status)["tls"]["handshakes"]["under_way"] <= 2


@pytest.mark.parametrize("greeting", [b"", PREFACE], ids=["silent", "greeted"])
@pytest.mark.parametrize("tokens", [False, True], ids=["open", "tokens"])
def test_flight_connections(
    tmp_path: Path, empty_mib: float, greeting: bytes, tokens: bool
) -> None:
    """Flight keeps 1,024 and closes those that said nothing for the longest. A client that has just
    connected can't be told from a crowd that has, too: it may have to try again, and gets in."""
    with (
        guests(tmp_path, tokens=tokens) as engine,
        contextlib.ExitStack() as stack,
        Others(engine, turned_away="flight"),
    ):
        crowd = gather(stack, engine, "flight", max(CROWD, 1_500))
        for each in crowd:
            with contextlib.suppress(ConnectionError):
                each.sendall(greeting)
        deadline = time.monotonic() + WITHIN_S
        left = len(crowd)
        while left > 1024:
            assert time.monotonic() < deadline, left
            left = ends(crowd, within_s=0.5)["open"]
        print(f"{len(crowd)} Flight connections: {left} left, {engine.engine.memory()}")
        assert left > 900
        assert engine.engine.memory()["peak"] <= 256 * SLACK + empty_mib


@AT_LENGTH
@pytest.mark.parametrize(
    ("protocol", "told"),
    [
        ("http", "HTTP/1.1 503 Service Unavailable"),
        ("resp", "-ERR max number of clients reached: close some, or come back later"),
    ],
)
def test_one_too_many(tmp_path: Path, empty_mib: float, protocol: str, told: str) -> None:
    other = "resp" if protocol == "http" else "http"
    with guests(tmp_path, memory_mib=1024) as engine, contextlib.ExitStack() as stack:
        raise_open_files(engine.most + 500)
        made = [stack.enter_context(engine.raw(protocol)) for _ in range(engine.most + 100)]
        late = made[engine.most :]
        kinds = ends(late)
        assert kinds == {told: len(late)}, kinds
        getattr(engine, f"ask_{other}")()
        engine.ask_flight()
        stack.close()
        deadline = time.monotonic() + WITHIN_S
        while True:
            with contextlib.suppress(AssertionError, ConnectionError, http.client.HTTPException):
                getattr(engine, f"ask_{protocol}")()
                break
            assert time.monotonic() < deadline
            time.sleep(0.05)
        check_memory(engine.engine, empty_mib, f"{engine.most} connections")
