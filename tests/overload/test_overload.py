"""More than it can take: the memory stays bounded, refusals say so, what was accepted stays.

After each load the engine's highest resident memory (VmHWM) is held against the budget of its
pipeline file, a tenth more, and what an engine without any load takes. -s prints the figures.
"""

from __future__ import annotations

import contextlib
import json
import resource
import select
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.flight as flight
import pytest

from engine_under_load import LONG, WITHIN_S, Engine, serving

SLACK = 1.10
BEGIN_US = 1_767_261_600_000_000


@pytest.fixture(scope="module")
def empty_mib(tmp_path_factory: pytest.TempPathFactory) -> float:
    """What an engine takes that nobody asks anything."""
    with serving(tmp_path_factory.mktemp("empty")) as engine:
        engine.status()
        peak = engine.memory()["peak"]
    print(f"\nempty process: {peak:.0f} MiB")
    return peak


def check_memory(engine: Engine, empty_mib: float, load: str) -> None:
    memory = engine.memory()
    limit = engine.memory_mib * SLACK + empty_mib
    charged = engine.status()["memory"]["charged_mb"]
    print(
        f"\n{load}: peak {memory['peak']:.0f} MiB of {limit:.0f} (budget {engine.memory_mib},"
        f" empty {empty_mib:.0f}); now {memory['resident']:.0f} resident, {charged:.0f} charged"
    )
    assert memory["peak"] <= limit


def row(key: str, second: int = 0, note: str = "") -> str:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(BEGIN_US // 1_000_000 + second))
    return json.dumps({"key": key, "at": at, "amount": 1.0, "note": note})


def fill(engine: Engine, keys: int) -> None:
    for begin in range(0, keys, 1000):
        lines = [row(f"k{i}") for i in range(begin, min(keys, begin + 1000))]
        status, body = engine.post("\n".join(lines))
        assert status == 200, body


def query(keys: int) -> bytes:
    body = json.dumps(
        {"features": ["key:*"], "entities": {"key": [f"k{i % 1000}" for i in range(keys)]}}
    )
    head = "POST /get-online-features HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


def connect(engine: Engine, receive_bytes: int = 0) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if receive_bytes:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    made.settimeout(WITHIN_S)
    made.connect(("127.0.0.1", engine.http))
    return made


@contextlib.contextmanager
def in_background(work: list[threading.Thread]) -> Iterator[None]:
    for thread in work:
        thread.start()
    try:
        yield
    finally:
        for thread in work:
            thread.join(WITHIN_S)


def test_slow_readers(tmp_path: Path, empty_mib: float) -> None:
    readers = 100
    requests_each = 200 if LONG else 40
    with serving(tmp_path) as engine:
        fill(engine, 1000)
        request = query(4096)
        enough = threading.Event()

        def read_slowly() -> None:
            with connect(engine, receive_bytes=4096) as reader:
                reader.setblocking(False)
                unsent = memoryview(request * requests_each)
                while not enough.is_set():
                    with contextlib.suppress(BlockingIOError, ConnectionError):
                        unsent = unsent[reader.send(unsent[: 1 << 20]) :] if unsent else unsent
                    with contextlib.suppress(BlockingIOError, ConnectionError):
                        reader.recv(1)
                    enough.wait(1.0)

        with in_background([threading.Thread(target=read_slowly) for _ in range(readers)]):
            end = time.monotonic() + (60 if LONG else 8)
            while time.monotonic() < end:
                assert engine.request("GET", "/health")[0] == 200
                time.sleep(0.1)
            replies = engine.status()["memory"]["accounts_mb"]["replies"]
            check_memory(engine, empty_mib, f"{readers} slow readers ({replies:.0f} MiB unsent)")
            enough.set()
        answered = {"key": ["k1"]}
        deadline = time.monotonic() + WITHIN_S
        while True:
            status, body, fields = engine.request(
                "POST",
                "/get-online-features",
                json.dumps({"features": ["key:n_1h"], "entities": answered}),
            )
            if status == 200:
                break
            assert status == 503 and "retry-after" in fields, body
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert json.loads(body)["results"][1]["values"] == [1]


def raise_open_files(wanted: int) -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
        return wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    return max(soft, min(wanted, hard))


def test_idle_connections(tmp_path: Path, empty_mib: float) -> None:
    wanted = 10_000 if LONG else 3_000
    count = min(wanted, raise_open_files(wanted + 500) - 500)
    with serving(tmp_path) as engine, contextlib.ExitStack() as stack:
        fill(engine, 10)
        before = engine.memory()["resident"]
        for _ in range(count):
            stack.enter_context(connect(engine))
        assert engine.request("GET", "/health")[0] == 200
        connections = engine.status()["memory"]["accounts_mb"]["connections"]
        per_connection = (engine.memory()["resident"] - before) * 1024 / count
        print(
            f"\n{count} idle connections: {per_connection:.1f} KiB resident each,"
            f" {connections * 1024 / count:.1f} KiB charged each"
        )
        check_memory(engine, empty_mib, f"{count} idle connections")
        assert engine.post(row("k1", 1))[0] == 200
        assert connections * 1024 / count >= per_connection


def test_one_connection_too_many_is_told_so(tmp_path: Path, empty_mib: float) -> None:
    """With a small budget its share for connections ends before anything else does."""
    raise_open_files(20_000)
    with serving(tmp_path, 64) as engine, contextlib.ExitStack() as stack:
        made = [stack.enter_context(connect(engine)) for _ in range(64 * 1024 // 8 + 200)]
        ready = select.poll()
        for each in made:
            ready.register(each, select.POLLIN)
        first, _ = ready.poll(WITHIN_S * 1000)[0]
        refused = next(each for each in made if each.fileno() == first).recv(4096)
        assert refused.startswith(b"HTTP/1.1 503 ") and b"Retry-After" in refused, refused
        assert b"too many connections" in refused
        stack.close()
        deadline = time.monotonic() + WITHIN_S
        while engine.request("GET", "/health")[0] != 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        check_memory(engine, empty_mib, "connections until refused")


class Tally:
    """What producers were told."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.statuses: Counter[int] = Counter()
        self.accepted = 0
        self.took_ms: list[float] = []
        self.without_retry: list[str] = []

    def note(self, status: int, body: str, fields: dict[str, str], took_s: float) -> None:
        with self.lock:
            self.statuses[status] += 1
            if status == 200:
                self.accepted += json.loads(body)["accepted"]
                self.took_ms.append(took_s * 1000)
            elif "retry-after" not in fields:
                self.without_retry.append(body)

    def quantile(self, q: float) -> float:
        return sorted(self.took_ms)[int(q * (len(self.took_ms) - 1))] if self.took_ms else 0.0


def test_http_producers_that_are_too_fast(tmp_path: Path, empty_mib: float) -> None:
    tally = Tally()
    with serving(tmp_path) as engine:
        body = "\n".join(row(f"k{i % 3000}", i % 60, "x" * 300) for i in range(20_000))
        end = time.monotonic() + (120 if LONG else 8)

        def push() -> None:
            while time.monotonic() < end:
                asked = time.monotonic()
                with contextlib.suppress(ConnectionError, TimeoutError):
                    status, text, fields = engine.request("POST", "/streams/events/events", body)
                    tally.note(status, text, fields, time.monotonic() - asked)

        with in_background([threading.Thread(target=push) for _ in range(48)]):
            pass
        print(
            f"\nHTTP, 48 producers: {dict(tally.statuses)}, {tally.accepted} rows, accepted in"
            f" p50 {tally.quantile(0.5):.0f} ms, p99 {tally.quantile(0.99):.0f} ms"
        )
        check_memory(engine, empty_mib, "HTTP producers")
        assert tally.statuses[200] > 0 and set(tally.statuses) <= {200, 429, 503}
        assert not tally.without_retry, tally.without_retry[:1]
        engine.stop(signal.SIGKILL)
        engine.start()
        engine.wait_ready()
        # A producer whose connection broke was told nothing; here none did.
        assert engine.status()["rows"]["accepted"] == tally.accepted


@pytest.mark.parametrize("count", [2_000, 20_000])
def test_flight_producers_that_are_too_fast(tmp_path: Path, empty_mib: float, count: int) -> None:
    accepted: list[int] = []
    errors: list[str] = []
    with serving(tmp_path) as engine:
        at = pa.array([BEGIN_US + i for i in range(count)], pa.timestamp("us", "UTC"))
        keys = pa.array([f"k{i % 3000}" for i in range(count)])
        notes = pa.array(["x" * 300] * count)
        amount = pa.array([1.0] * count)
        batch = pa.record_batch({"key": keys, "at": at, "amount": amount, "note": notes})
        end = time.monotonic() + (120 if LONG else 8)

        def push() -> None:
            client = flight.connect(f"grpc://127.0.0.1:{engine.flight}")
            while time.monotonic() < end:
                try:
                    writer, reader = client.do_put(
                        flight.FlightDescriptor.for_path("events"), batch.schema
                    )
                    reader.read()
                    for _ in range(20):
                        writer.write_batch(batch)
                        answer = reader.read()
                        if answer is None:  # the call was ended: close tells why
                            break
                        told = json.loads(answer.to_pybytes())
                        if "error" in told:
                            break
                        accepted.append(told["accepted"])
                    writer.done_writing()
                    writer.close()
                except (flight.FlightError, pa.ArrowException) as error:
                    errors.append(f"{type(error).__name__}: {error}")
                    time.sleep(0.01)

        with in_background([threading.Thread(target=push) for _ in range(16)]):
            pass
        print(
            f"\nFlight, 16 producers of {count} rows: {sum(accepted)} rows, {len(errors)} refusals"
        )
        check_memory(engine, empty_mib, "Flight producers")
        assert accepted
        assert all("Unavailable" in error or "ResourceExhausted" in error for error in errors), [
            error for error in errors if "Unavailable" not in error
        ][:2]
        durable = engine.status()["rows"]["accepted"]
        assert durable >= sum(accepted)
        engine.stop(signal.SIGKILL)
        engine.start()
        engine.wait_ready()
        assert engine.status()["rows"]["accepted"] == durable


def one_note(note: str) -> pa.RecordBatch:
    at = pa.array([BEGIN_US], pa.timestamp("us", "UTC"))
    return pa.record_batch({"key": ["k1"], "at": at, "amount": [1.0], "note": [note]})


def put(engine: Engine, batch: pa.RecordBatch, compression: str | None) -> None:
    with flight.connect(f"grpc://127.0.0.1:{engine.flight}") as client:
        written = pa.ipc.IpcWriteOptions(compression=compression)
        options = flight.FlightCallOptions(write_options=written)
        path = flight.FlightDescriptor.for_path("events")
        writer, reader = client.do_put(path, batch.schema, options)
        reader.read()
        writer.write_batch(batch)
        writer.done_writing()
        while reader.read() is not None:
            pass
        writer.close()


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_flight_bodies_that_inflate(tmp_path: Path, empty_mib: float, compression: str) -> None:
    """Some kilobytes that say they are half a gigabyte."""
    with serving(tmp_path) as engine:
        put(engine, one_note("x" * 100_000), compression)
        with pytest.raises(flight.FlightUnavailableError, match="Flight messages hold"):
            put(engine, one_note("x" * 500_000_000), compression)
        check_memory(engine, empty_mib, f"a body that inflates ({compression})")
        put(engine, one_note("x" * 100_000), compression)
        assert engine.status()["rows"]["accepted"] == 2


def test_a_flight_message_larger_than_the_budget(tmp_path: Path, empty_mib: float) -> None:
    """gRPC gathers it whole: once the budget is used up, its connection is closed. How far it got
    by then depends on how fast it came; here it is printed."""
    with serving(tmp_path) as engine:
        batch = one_note("x" * 1_500_000_000)
        with pytest.raises((flight.FlightError, pa.ArrowException)):
            put(engine, batch, None)
        print(f"\na message of 1,431 MiB: peak {engine.memory()['peak']:.0f} MiB")
        assert engine.memory()["peak"] < 1_431
        deadline = time.monotonic() + WITHIN_S
        while engine.memory()["resident"] > engine.memory_mib * SLACK + empty_mib:
            assert time.monotonic() < deadline, engine.memory()
            time.sleep(0.1)
        while True:
            with contextlib.suppress(flight.FlightUnavailableError):
                put(engine, one_note("x"), None)
                break
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert engine.status()["rows"]["accepted"] == 1


@pytest.mark.parametrize("kind", ["notes", "keys"])
def test_wide_rows(tmp_path: Path, empty_mib: float, kind: str) -> None:
    """A state that only grows: at the budget's end rows are refused, and answers go on."""
    with serving(tmp_path) as engine:
        refused: Counter[int] = Counter()
        accepted = 0
        for i in range(3000 if LONG else 800):
            wide = (
                row(f"k{i}", i, "n" * 900_000) if kind == "notes" else row(f"{i}" + "k" * 200_000)
            )
            status, body, fields = engine.request("POST", "/streams/events/events", wide)
            if status == 200:
                accepted += json.loads(body)["accepted"]
                continue
            assert status in (429, 503) and "retry-after" in fields, body
            refused[status] += 1
            if sum(refused.values()) > 20:
                break
        print(f"\nwide {kind}: {accepted} accepted, refused {dict(refused)}")
        check_memory(engine, empty_mib, f"wide {kind}")
        assert engine.request("GET", "/ready")[0] == 200
        assert engine.status()["rows"]["accepted"] == accepted


def test_a_state_that_fills_the_budget_lets_its_table_go_on(tmp_path: Path) -> None:
    """Rows are refused from then on; what was accepted comes into the table all the same."""
    with serving(tmp_path, 1024) as engine:
        accepted = refused = 0
        for i in range(2000):  # budgets below 1 GiB have a smaller share for tables (limits.md)
            lines = [row(f"k{i}-{j}", i % 60, f"{i} {j} " + "n" * 600) for j in range(4000)]
            status, text = engine.post("\n".join(lines))
            if status == 200:
                accepted += json.loads(text)["accepted"]
                continue
            assert status in (429, 503), text
            refused += 1
            if refused > 200:
                break
        assert refused > 200, f"{accepted} rows and the budget never filled"
        print(f"\n{accepted} rows fill {engine.status()['memory']}")
        deadline = time.monotonic() + WITHIN_S
        while engine.status()["tables"][0]["rows"] < accepted:
            assert time.monotonic() < deadline, engine.status()["tables"]
            time.sleep(0.1)


def test_bodies_that_lie(tmp_path: Path, empty_mib: float) -> None:
    with serving(tmp_path) as engine, contextlib.ExitStack() as stack:
        # 200 promise 100 MB each and send a little of it; 200 stop inside their heads.
        for _ in range(200):
            half = stack.enter_context(connect(engine))
            half.sendall(
                b"POST /streams/events/events HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                b"Content-Length: 100000000\r\n\r\n" + b"x" * 20_000
            )
            head = stack.enter_context(connect(engine))
            head.sendall(b"POST /streams/events/events HTTP/1.1\r\nHost:")
        # Several send chunks without an end.
        answers: list[bytes] = []

        def chunk_for_ever() -> None:
            with connect(engine) as endless:
                endless.sendall(
                    b"POST /streams/events/events HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                    b"Transfer-Encoding: chunked\r\n\r\n"
                )
                chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
                with contextlib.suppress(ConnectionError):
                    for _ in range(400):
                        endless.sendall(chunk)
                with contextlib.suppress(ConnectionError):
                    answers.append(endless.recv(4096))

        with in_background([threading.Thread(target=chunk_for_ever) for _ in range(4)]):
            pass
        assert answers and all(
            answer.startswith((b"HTTP/1.1 413", b"HTTP/1.1 503")) for answer in answers
        ), answers
        assert engine.post(row("k1"))[0] == 200
        check_memory(engine, empty_mib, "bodies that lie")


def test_a_table_that_cannot_be_written(tmp_path: Path, empty_mib: float) -> None:
    """A file stands where the table's folder belongs: the log holds the rows until it is full,
    then they are refused while answers go on; once mended, the table catches up and rows come in.
    """
    (tmp_path / "data/tables").mkdir(parents=True)
    in_its_place = tmp_path / "data/tables/events"
    in_its_place.write_text("not a folder")
    engine = Engine(tmp_path)
    pipeline = tmp_path / "pipeline.yaml"
    pipeline.write_text(pipeline.read_text() + "log: {bytes_max: 128MiB}\n")
    engine.start()
    try:
        engine.wait_ready()
        body = "\n".join(row(f"k{i % 3000}", i % 60, "x" * 300) for i in range(20_000))
        accepted = 0
        refused = ""
        for _ in range(100):
            status, text = engine.post(body)
            if status == 200:
                accepted += json.loads(text)["accepted"]
            elif status == 507:
                refused = text
                break
            else:
                assert status in (429, 503), text
                time.sleep(0.05)
        assert refused, f"{accepted} rows were accepted and the log never filled"
        table = engine.status()["tables"][0]
        print(f"\n{accepted} rows, then {json.loads(refused)['detail']}; table: {table['reason']}")
        assert table["state"] == "retrying" and table["commits"] == 0
        assert "a file is where a folder belongs" in table["reason"]
        assert "move the file away" in table["reason"]
        asked = json.dumps({"features": ["key:n_1h"], "entities": {"key": ["k1"]}})
        assert engine.request("POST", "/get-online-features", asked)[0] == 200
        check_memory(engine, empty_mib, "a table that can't be written")
        in_its_place.unlink()
        deadline = time.monotonic() + WITHIN_S
        while engine.status()["tables"][0]["rows"] < accepted:
            assert time.monotonic() < deadline, engine.status()["tables"]
            time.sleep(0.1)
        while engine.post(row("k1", 61))[0] != 200:
            assert time.monotonic() < deadline, engine.post(row("k1", 61))
            time.sleep(0.2)
    finally:
        engine.stop()
