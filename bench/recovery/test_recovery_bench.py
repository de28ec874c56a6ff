"""The arithmetic of `./dev bench recovery`, and what counts as lost, doubled and silent."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pipelines_of_payments
import pytest
import recovery_bench
import restarts
from restarts import Inside, Liveness, Restart
from sender import Acknowledged
from servers import HOST


@pytest.fixture
def healthy() -> Iterator[int]:
    """The port of a server that answers everything, and the newest batch it knows of is 7."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(b"ok")

        def do_POST(self) -> None:
            self.answer(b'{"results":[{"values":[1]},{"values":[7]}],"headrace":{"epoch":3}}')

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer((HOST, 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_silence_counts_from_the_exec(healthy: int) -> None:
    begin = time.monotonic() - 5.0
    assert Liveness(healthy, begin).finish() >= 5.0


def test_nobody_there_is_silence_to_the_end() -> None:
    begin = time.monotonic()
    liveness = Liveness(1, begin)
    time.sleep(0.1)
    assert liveness.finish() >= 0.1


def test_an_answer_counts_only_with_everything_acknowledged(healthy: int, tmp_path: Path) -> None:
    engine = restarts.Engine(tmp_path / "none", tmp_path / "none.yaml", tmp_path)
    engine.http = healthy
    assert engine._answers(Acknowledged(batch=7, epoch=3))
    assert not engine._answers(Acknowledged(batch=8, epoch=3))
    assert not engine._answers(Acknowledged(batch=7, epoch=4))


def test_the_worst_of_fifty_is_their_p99() -> None:
    starts = [Restart(float(i), i / 100, Inside(1, 0.5, 100 * i, 0.1)) for i in range(1, 51)]
    figures = recovery_bench.restart_figures(starts)
    assert figures["ready_p50_s"] == 26.0
    assert figures["ready_p99_s"] == figures["ready_worst_s"] == 50.0
    assert figures["longest_silence_s"] == 0.5
    assert figures["tail_rows_p50"] == 2550.0
    assert figures["without_snapshot"] == 0.0


def test_one_lost_row_misses_the_target() -> None:
    figures = {
        "ready_p99_s": 1.5,
        "longest_silence_s": 2.0,
        "replay_rows_per_s": 2e6,
        "rows_lost": 1.0,
        "rows_doubled": 0.0,
    }
    assert recovery_bench.targets(figures) == {
        "ready_p99": 2.0,
        "alive_within": 0.5,
        "replay": 2.0,
        "rows_kept_once": 0.0,
    }


def test_the_pipeline_promises_what_is_given(tmp_path: Path) -> None:
    assert "\nrecovery: 3s\n" in pipelines_of_payments.write(tmp_path, "3s").read_text()


def test_what_the_engine_says_of_a_start_is_read() -> None:
    line = {"snapshot_bytes": "7", "load_ms": "500", "replayed_rows": "9", "replay_ms": "40"}
    assert Inside.read(line) == Inside(7, 0.5, 9, 0.04)
    assert Inside.read({}) == Inside()


def test_the_last_line_about_an_event_is_read(tmp_path: Path) -> None:
    engine = restarts.Engine(tmp_path / "none", tmp_path / "none.yaml", tmp_path)
    log = "t info wiring.recovered rows=1 took_ms=5\nt info other a=1\n"
    (tmp_path / "serve.log").write_text(log + "t info wiring.recovered rows=2 took_ms=9\n")
    assert engine.last_logged("wiring.recovered") == {"rows": "2", "took_ms": "9"}
    assert engine.last_logged("wiring.nothing") == {}
