"""TLS at the real binary: HTTP, RESP and Flight, by clients that people have."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.flight as flight
import pytest
import redis
from certificates import Pair, make_ca, make_pair
from engine_process import BINARY, ROOT, EngineProcess
from payments_engine import CONTRACT, PIPELINE, payment
from test_hostile_requests import HOSTILE

PATIENCE_S = 60.0


class SecuredEngine(EngineProcess):
    """An engine that speaks TLS, asked over TLS."""

    def __init__(self, folder: Path, ca: Pair, pair: Pair, options: tuple[str, ...] = ()) -> None:
        self.ca = ca
        self.pair = pair
        self.client: Pair | None = None
        tls = ("--tls-cert", str(pair.cert), "--tls-key", str(pair.key))
        super().__init__(folder, folder / "data", options=(*tls, *options))

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.ca.cert))
        if self.client:
            context.load_cert_chain(self.client.cert, self.client.key)
        return context

    def connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(
            "127.0.0.1", self.ports["http"], timeout=PATIENCE_S, context=self.context()
        )

    def request(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, str]:
        connection = self.connect()
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def raw(self, port: str) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.ports[port]), timeout=PATIENCE_S)

    def secured(self, port: str, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        context = context or self.context()
        return context.wrap_socket(self.raw(port), server_hostname="localhost")

    def redis(self) -> Any:
        files: dict[str, Any] = {"ssl_ca_certs": str(self.ca.cert)}
        if self.client:
            files |= {"ssl_certfile": str(self.client.cert), "ssl_keyfile": str(self.client.key)}
        return redis.Redis(port=self.ports["resp"], ssl=True, **files)

    def flight(self) -> Any:
        files: dict[str, Any] = {"tls_root_certs": self.ca.cert.read_bytes()}
        if self.client:
            files |= {
                "cert_chain": self.client.cert.read_bytes(),
                "private_key": self.client.key.read_bytes(),
            }
        return flight.connect(f"grpc+tls://localhost:{self.ports['flight']}", **files)

    def headrace(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([BINARY, *words], capture_output=True, text=True)

    @property
    def http_address(self) -> str:
        return f"https://127.0.0.1:{self.ports['http']}"

    def tls(self) -> dict[str, Any]:
        document: dict[str, Any] = self.status()["tls"]
        return document


def files_in(folder: Path) -> None:
    (folder / "pipeline.yaml").write_text(PIPELINE)
    (folder / "payments.yaml").write_text(CONTRACT)


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_ca(tmp_path_factory.mktemp("ca"), "test-ca")


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, ca: Pair) -> Iterator[SecuredEngine]:
    folder = tmp_path_factory.mktemp("tls")
    files_in(folder)
    engine = SecuredEngine(folder, ca, make_pair(folder, "engine", ca))
    try:
        assert engine.wait_ready(), engine.printed()
        engine.send_events("payments", payment("c1", "s1", 2.5))
        yield engine
        assert engine.stop() == 0
    finally:
        engine.kill()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_http(secured: SecuredEngine) -> None:
    status, text = secured.request("GET", "/health")
    assert status == 200, text
    body = json.dumps({"feature_service": "scoring", "entities": {"card": ["c1"], "shop": ["s1"]}})
    status, text = secured.request("POST", "/get-online-features", body)
    assert status == 200, text
    assert 2.5 in [result["values"][0] for result in json.loads(text)["results"]]


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl is installed")
def test_curl(secured: SecuredEngine) -> None:
    command = ["curl", "-sS", "--cacert", str(secured.ca.cert), secured.http_address + "/status"]
    asked = subprocess.run(command, capture_output=True, text=True)
    assert asked.returncode == 0, asked.stderr
    assert json.loads(asked.stdout)["state"] == "ready"
    stranger = subprocess.run(
        ["curl", "-sS", secured.http_address + "/health"], capture_output=True, text=True
    )
    assert stranger.returncode == 60, stranger.stderr  # it does not believe the CA


def test_the_protocol_is_chosen(secured: SecuredEngine) -> None:
    context = secured.context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with secured.secured("http", context) as connection:
        assert connection.selected_alpn_protocol() == "http/1.1"
        assert connection.version() == "TLSv1.3"
    context = secured.context()
    context.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError):
        secured.secured("http", context)


def test_old_versions_and_ciphers_are_refused(secured: SecuredEngine) -> None:
    context = secured.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with secured.secured("http", context) as connection:
        assert connection.version() == "TLSv1.2"
        cipher = str(connection.cipher())
        assert "GCM" in cipher or "CHACHA" in cipher
    context.set_ciphers("AES128-SHA256:AES256-GCM-SHA384:ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        secured.secured("http", context)
    context = secured.context()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        secured.secured("http", context)


def test_resp(secured: SecuredEngine) -> None:
    client = secured.redis()
    assert client.ping()
    assert client.hget("card:c1", "spend_1h") == b"2.5"
    pipeline = client.pipeline(transaction=False)
    for _ in range(500):
        pipeline.hmget("card:c1", ["n_1h", "spend_1h"])
    assert pipeline.execute() == [[b"1", b"2.5"]] * 500


@pytest.mark.skipif(shutil.which("redis-cli") is None, reason="no redis-cli is installed")
def test_redis_cli(secured: SecuredEngine) -> None:
    address = ["-p", str(secured.ports["resp"]), "--tls", "--cacert", str(secured.ca.cert)]
    asked = subprocess.run(
        ["redis-cli", *address, "HGET", "card:c1", "n_1h"], capture_output=True, text=True
    )
    if "Unrecognized option" in asked.stdout + asked.stderr:
        pytest.skip("this redis-cli speaks no TLS")
    assert asked.stdout.strip() == "1", asked.stderr


def test_flight(secured: SecuredEngine) -> None:
    client = secured.flight()
    assert [str(info.descriptor.path[0], "utf8") for info in client.list_flights()] == ["payments"]
    with pytest.raises(flight.FlightError):
        list(flight.connect(f"grpc://localhost:{secured.ports['flight']}").list_flights())


def test_large_bodies(secured: SecuredEngine) -> None:
    rows = [payment("big", f"s{i}", 1) for i in range(20_000)]
    secured.send_events("payments", "\n".join(rows))
    assert secured.redis().hget("card:big", "n_1h") == b"20000"
    many = {"features": ["card:n_1h"], "entities": {"card": ["big"] * 4000}}
    status, text = secured.request("POST", "/get-online-features", json.dumps(many))
    assert status == 200, text[:500]
    assert json.loads(text)["results"][-1]["values"] == [20_000] * 4000


def test_plain_clients_are_told(secured: SecuredEngine) -> None:
    told = EngineProcess.request(secured, "GET", "/health")
    assert told[0] == 400
    assert "https://" in told[1]
    with pytest.raises(redis.ResponseError, match="speaks TLS"):
        redis.Redis(port=secured.ports["resp"], lib_name=None, lib_version=None).ping()
    assert secured.tls()["plain_clients"] >= 2
    assert "protocols.plain_client_on_tls_port" in secured.printed()


def test_tls_clients_on_a_plain_port_are_logged(tmp_path: Path) -> None:
    files_in(tmp_path)
    engine = EngineProcess(tmp_path, tmp_path / "data")
    try:
        assert engine.wait_ready(), engine.printed()
        for port in ("http", "resp"):
            plain = socket.create_connection(("127.0.0.1", engine.ports[port]))
            with pytest.raises(ssl.SSLError):
                ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")
            assert engine.printed().count("protocols.tls_client_on_plain_port") == (
                1 if port == "http" else 2
            )
        assert engine.request("GET", "/health")[0] == 200
        assert "tls" not in engine.status()
    finally:
        engine.kill()


def test_commands(secured: SecuredEngine, tmp_path: Path) -> None:
    tls = ("--tls-ca", secured.ca.cert)
    told = secured.headrace("status", "--http", secured.http_address, *tls)
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith(("healthy: ", "slipping: p99")), told.stdout
    assert "days_left" in told.stdout
    events = tmp_path / "events.ndjson"
    events.write_text(payment("from-cli", "s1", 4) + "\n")
    sent = secured.headrace("ingest", "payments", events, "--http", secured.http_address, *tls)
    assert sent.returncode == 0, sent.stderr
    got = secured.headrace("get", "card", "card=from-cli", "--http", secured.http_address, *tls)
    assert got.returncode == 0, got.stderr
    assert "4" in got.stdout
    address = f"grpc+tls://localhost:{secured.ports['flight']}"
    scanned = secured.headrace("scan", "payments", "--flight", address, *tls)
    assert scanned.returncode == 0, scanned.stderr
    assert "from-cli" in scanned.stdout


def test_commands_say_what_is_wrong(secured: SecuredEngine, tmp_path: Path) -> None:
    other = make_ca(tmp_path, "other-ca")
    at_http = ("status", "--http", secured.http_address)
    flight_address = f"grpc+tls://localhost:{secured.ports['flight']}"
    for words in (
        at_http,
        (*at_http, "--tls-ca", other.cert),
        ("scan", "payments", "--flight", flight_address, "--tls-ca", other.cert),
    ):
        told = secured.headrace(*words)
        assert told.returncode == 6, told.stderr
        assert "unknown issuer" in told.stderr
        assert "--tls-ca" in told.stderr
    plain = secured.headrace("status", "--http", f"127.0.0.1:{secured.ports['http']}")
    assert plain.returncode != 0
    assert "https://" in plain.stderr
    missing = secured.headrace(*at_http, "--tls-ca", tmp_path / "nothing.pem")
    assert missing.returncode != 0
    assert "nothing.pem" in missing.stderr


def test_start_says_what_is_wrong(tmp_path: Path, ca: Pair) -> None:
    files_in(tmp_path)
    good = make_pair(tmp_path, "good", ca)
    another = make_pair(tmp_path, "another", ca)
    shown = make_pair(tmp_path, "shown", ca)
    shown.key.chmod(0o644)
    swapped = tmp_path / "swapped.pem"
    swapped.write_bytes(good.cert.read_bytes())
    swapped.chmod(0o600)
    cases: list[tuple[tuple[str | Path, ...], str]] = [
        (("--tls-cert", good.cert), "--tls-key"),
        (("--tls-cert", good.cert, "--tls-key", another.key), "another-key.pem"),
        (("--tls-cert", good.key, "--tls-key", swapped), "swapped"),
        (("--tls-cert", good.cert, "--tls-key", shown.key), "chmod 600"),
        (("--tls-cert", tmp_path / "none.pem", "--tls-key", good.key), "none.pem"),
        (("--tls-cert", good.cert, "--tls-key", good.key, "--tls-client-ca", good.key), "swapped"),
    ]
    if days_in_the_past_work(tmp_path, ca):
        expired = Pair(tmp_path / "expired.pem", tmp_path / "expired-key.pem")
        cases.append((("--tls-cert", expired.cert, "--tls-key", expired.key), "expired"))
    for options, says in cases:
        command = [str(BINARY), "serve", f"{tmp_path}/pipeline.yaml", "--data", f"{tmp_path}/data"]
        told = subprocess.run([*command, *options], capture_output=True, text=True)
        assert told.returncode not in (0, 1), options
        assert says in told.stderr, told.stderr


def days_in_the_past_work(folder: Path, ca: Pair) -> bool:
    """Some versions of openssl make no certificate that has expired."""
    try:
        make_pair(folder, "expired", ca, days=-1)
    except subprocess.CalledProcessError:
        return False
    return True


def test_no_foreign_address_without_knowing_who_calls(tmp_path: Path, ca: Pair) -> None:
    files_in(tmp_path)
    pair = make_pair(tmp_path, "engine", ca)
    tls = ["--tls-cert", str(pair.cert), "--tls-key", str(pair.key)]
    command = [str(BINARY), "serve", f"{tmp_path}/pipeline.yaml", "--data", f"{tmp_path}/data"]
    told = subprocess.run([*command, *tls, "--http", "0.0.0.0:0"], capture_output=True, text=True)
    assert told.returncode == 6
    assert "--tls-client-ca" in told.stderr
    # Whoever asks for certificates of clients knows who calls.
    ready = tmp_path / "ready.json"
    known = ["--tls-client-ca", str(ca.cert), "--ready-file", str(ready), "--no-resp"]
    ports = ["--http", "0.0.0.0:0", "--flight", "0.0.0.0:0"]
    engine = subprocess.Popen([*command, *tls, *known, *ports], stderr=subprocess.DEVNULL)
    try:
        until(ready.exists)
    finally:
        engine.terminate()
        assert engine.wait() == 0


def test_client_certificates(tmp_path: Path, ca: Pair) -> None:
    files_in(tmp_path)
    clients = make_ca(tmp_path, "clients-ca")
    options = ("--tls-client-ca", str(clients.cert))
    engine = SecuredEngine(tmp_path, ca, make_pair(tmp_path, "engine", ca), options)
    try:
        assert engine.wait_ready(), engine.printed()
        engine.client = make_pair(tmp_path, "scoring", clients)
        assert engine.request("GET", "/health")[0] == 200
        assert engine.redis().ping()
        assert list(engine.flight().list_flights())
        tls = ("--tls-ca", ca.cert, "--tls-cert", engine.client.cert)
        told = engine.headrace(
            "status", "--http", engine.http_address, *tls, "--tls-key", engine.client.key
        )
        assert told.returncode == 0, told.stderr
        assert engine.tls()["client_certificates"] is True
        for wrong in (None, make_pair(tmp_path, "stranger", ca)):
            engine.client = wrong
            with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
                engine.request("GET", "/health")
            with pytest.raises((redis.ConnectionError, ssl.SSLError)):
                engine.redis().ping()
            with pytest.raises(flight.FlightError):
                list(engine.flight().list_flights())
        refused = engine.headrace("status", "--http", engine.http_address, "--tls-ca", ca.cert)
        assert refused.returncode != 0
        assert "client certificate" in refused.stderr
    finally:
        engine.kill()


def test_new_certificates_under_load(tmp_path: Path, ca: Pair) -> None:
    files_in(tmp_path)
    engine = SecuredEngine(tmp_path, ca, make_pair(tmp_path, "engine", ca))
    failures: list[str] = []
    stop = threading.Event()
    asked = [0, 0, 0]
    repeated = [0]

    def ask_http() -> None:
        connection = engine.connect()
        while not stop.is_set():
            connection.request("GET", "/health")
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                failures.append(f"HTTP {answer.status}")
            asked[0] += 1

    def ask_resp() -> None:
        client = engine.redis()
        while not stop.is_set():
            client.ping()
            asked[1] += 1

    def ask_flight() -> None:
        client = engine.flight()
        while not stop.is_set():
            try:
                # Not list_flights: pyarrow takes a call that the server cancels for a SIGINT there.
                client.get_flight_info(flight.FlightDescriptor.for_path("payments"))
                asked[2] += 1
            except (flight.FlightUnavailableError, flight.FlightCancelledError):
                # The port is closed for a moment: repeat.
                repeated[0] += 1
                time.sleep(0.02)

    def noting(work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except Exception as error:
                failures.append(repr(error))

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    try:
        assert engine.wait_ready(), engine.printed()
        threads = [noting(work) for work in (ask_http, ask_resp, ask_flight)]
        until(lambda: min(asked) > 10)
        for number in range(3):
            name = f"next-{number}"
            (tmp_path / name).mkdir()
            renewed = make_pair(tmp_path / name, name, ca)
            renewed.cert.replace(engine.pair.cert)
            renewed.key.replace(engine.pair.key)
            until_subject(engine, name)
            until_asked_more(asked)
        for port in ("http", "resp"):
            with engine.secured(port) as connection:
                subject = connection.getpeercert()["subject"]  # type: ignore[index]
                assert (("commonName", "next-2"),) in subject
        until(lambda: flight_subject(engine) == "next-2")
        stop.set()
        for thread in threads:
            thread.join()
        assert failures == []

        # A pair that is broken changes nothing, and is told of.
        engine.pair.key.write_text("nothing")
        until(lambda: "problem" in engine.tls())
        assert str(engine.pair.key) in engine.tls()["problem"]
        until(lambda: "wiring.tls_not_read" in engine.printed())
        assert engine.request("GET", "/health")[0] == 200
        assert "headrace_protocols_tls_files_in_force 0" in engine.request("GET", "/metrics")[1]
        assert engine.stop() == 0
    finally:
        stop.set()
        engine.kill()


def until_subject(engine: SecuredEngine, name: str) -> None:
    until(lambda: engine.tls()["subject"] == f"CN={name}")


def until_asked_more(asked: list[int]) -> None:
    before = list(asked)
    until(lambda: all(now > then + 5 for now, then in zip(asked, before, strict=True)))


def flight_subject(engine: SecuredEngine) -> str:
    context = engine.context()
    context.set_alpn_protocols(["h2"])
    try:
        connection = engine.secured("flight", context)
    except OSError:  # the port is closed for a moment
        return ""
    with connection:
        certificate: Any = connection.getpeercert()
        return str(dict(part[0] for part in certificate["subject"])["commonName"])


def test_a_stream_of_batches_survives_new_certificates(tmp_path: Path, ca: Pair) -> None:
    """A DoPut under way goes on at the server before; one that lasts longer is told to repeat."""
    files_in(tmp_path)
    engine = SecuredEngine(tmp_path, ca, make_pair(tmp_path, "engine", ca))
    try:
        assert engine.wait_ready(), engine.printed()
        scan = engine.flight()
        (tmp_path / "new").mkdir()
        renewed = make_pair(tmp_path / "new", "renewed", ca)
        schema = scan.get_flight_info(flight.FlightDescriptor.for_path("payments")).schema
        named = schema.with_metadata({"headrace.producer": "p1"})
        writer, reader = scan.do_put(flight.FlightDescriptor.for_path("payments"), named)
        row = {"card": "c", "shop": "s", "at": None, "amount": 1.0}
        at = pa.scalar(int(time.time() * 1e6), pa.timestamp("us", "UTC"))
        arrays = [
            pa.array([at.as_py() if field.name == "at" else row[field.name]], field.type)
            for field in schema
        ]
        assert reader.read() is not None  # the greeting
        renewed.cert.replace(engine.pair.cert)
        renewed.key.replace(engine.pair.key)
        until(lambda: flight_subject(engine) == "renewed")
        metadata = json.dumps({"sequence": 1}).encode()
        writer.write_with_metadata(pa.record_batch(arrays, schema=schema), metadata)
        assert b'"sequence":1' in reader.read().to_pybytes()
        writer.close()
    finally:
        engine.kill()


def test_half_handshakes_are_bounded(tmp_path: Path, ca: Pair) -> None:
    files_in(tmp_path)
    engine = SecuredEngine(tmp_path, ca, make_pair(tmp_path, "engine", ca))
    outgoing, incoming = ssl.MemoryBIO(), ssl.MemoryBIO()
    half = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        half.do_handshake()
    hello = outgoing.read()
    connections: list[socket.socket] = []
    try:
        assert engine.wait_ready(), engine.printed()
        before = engine.status()["memory"]
        for _ in range(1100):
            connections.append(engine.raw("http"))
            connections[-1].sendall(hello)
        until(lambda: engine_counts(engine, "turned_away") > 0 or handshakes_over(engine))
        memory = engine.status()["memory"]
        assert memory["charged_mb"] <= before["charged_mb"] + 110
        for connection in connections:
            connection.close()
        until(lambda: engine.tls()["handshakes"]["under_way"] == 0)
        assert engine.request("GET", "/health")[0] == 200
        assert engine.status()["memory"]["charged_mb"] <= before["charged_mb"] + 2
        assert engine.stop() == 0
    finally:
        for connection in connections:
            connection.close()
        engine.kill()


def engine_counts(engine: SecuredEngine, name: str) -> int:
    """Over a connection that may itself be turned away."""
    try:
        return int(engine.tls()["handshakes"][name])
    except (OSError, http.client.HTTPException):
        return 0


def handshakes_over(engine: SecuredEngine) -> bool:
    return engine_counts(engine, "failed") > 0


@pytest.mark.parametrize("protocol", ["http", "resp"])
def test_hostile_requests_over_tls(tmp_path: Path, ca: Pair, protocol: str) -> None:
    subprocess.run([HOSTILE, "write", tmp_path], check=True)
    engine = SecuredEngine(tmp_path, ca, make_pair(tmp_path, "engine", ca))
    try:
        assert engine.wait_ready(), engine.printed()
        requests = Path(__file__).parents[1] / f"hostile/{protocol}.requests"
        port = str(engine.ports[protocol])
        asked = subprocess.run(
            [HOSTILE, protocol, requests, "--port", port, "--tls-ca", ca.cert],
            capture_output=True,
            text=True,
        )
        assert asked.returncode == 0, asked.stdout[-8000:] + asked.stderr[-2000:]
        assert engine.stop() == 0
    finally:
        engine.kill()


def test_the_commands_of_the_documentation(tmp_path: Path) -> None:
    """security.md says how to make a CA and a certificate: those commands, as they stand there."""
    text = (ROOT / "docs/operating/security.md").read_text()
    block = text[text.index("## TLS") :].split("```")[1]
    commands = [line[2:] for line in block.splitlines() if line.startswith("$ ")]
    assert len(commands) == 4
    for command in commands:
        subprocess.run(command, shell=True, check=True, cwd=tmp_path, capture_output=True)
    files_in(tmp_path)
    pair = Pair(tmp_path / "cert.pem", tmp_path / "key.pem")
    engine = SecuredEngine(tmp_path, Pair(tmp_path / "ca.pem", tmp_path / "ca-key.pem"), pair)
    try:
        assert engine.wait_ready(), engine.printed()
        assert engine.request("GET", "/health")[0] == 200
        assert engine.tls()["days_left"] in (89, 90)
        assert "warning" not in engine.tls()
        assert engine.redis().ping()
        assert list(engine.flight().list_flights())
    finally:
        engine.kill()


def test_a_certificate_that_ends_soon_is_warned_of(tmp_path: Path, ca: Pair) -> None:
    files_in(tmp_path)
    engine = SecuredEngine(tmp_path, ca, make_pair(tmp_path, "engine", ca, days=10))
    try:
        assert engine.wait_ready(), engine.printed()
        assert "wiring.tls_expires_soon" in engine.printed()
        assert "expires soon" in engine.tls()["warning"]
        metrics = engine.request("GET", "/metrics")[1]
        name = "headrace_protocols_tls_certificate_left_seconds "
        left = [line for line in metrics.splitlines() if line.startswith(name)]
        assert 9 * 86_400 < float(left[0].removeprefix(name)) <= 10 * 86_400
    finally:
        engine.kill()
