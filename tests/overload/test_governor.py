"""Training beside a pressed engine waits, and says so; the same training without the governor, and
one that a test holds back, do what they should.

Whether training waits is judged with a promise of 3 us, which no machine keeps: a timer alone is
later than its share of it. With HEADRACE_TEST_LONG=1 the answers' times are measured as well, with
a promise that a busy machine breaks, with and without training and governor, three times each;
those figures are printed (-s), not judged.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine_under_load import BINARY, LONG, WITHIN_S, Engine, run

ROWS = 4_000_000 if LONG else 300_000
LABELS = 400_000 if LONG else 50_000
SECONDS = 30.0
ROUNDS = 3
BUDGET_MS = 6.0  # of a stage, where answers are measured: a third of the pipeline's promise
TIGHT = "3us"  # a promise of which every stage takes more than it may
PRESSED_WITHIN_S = 5.0  # of the burst's beginning
HELD_S = 2.0  # longer than training takes here if nothing holds it
BEGIN_US = 1_767_261_600_000_000


def prepare(folder: Path) -> None:
    at = pa.array([BEGIN_US + i * 100 for i in range(ROWS)], pa.timestamp("us", "UTC"))
    keys = pa.array([f"k{i % 5000}" for i in range(ROWS)])
    amount = pa.array([float(i % 97) for i in range(ROWS)])
    notes = pa.array([f"note {i % 1000}" for i in range(ROWS)])
    events = pa.table({"key": keys, "at": at, "amount": amount, "note": notes})
    pq.write_table(events, folder / "events.parquet")
    labels = events.select(["key", "at"]).slice(ROWS - LABELS)
    pq.write_table(labels, folder / "labels.parquet")


def engine_with_rows(folder: Path, promise: str, *options: str) -> Engine:
    engine = Engine(folder, 2048, *options)
    pipeline = folder / "pipeline.yaml"
    text = pipeline.read_text().replace("p99: 300ms", f"p99: {promise}")
    pipeline.write_text(text.replace("commit: 500ms", "commit: 2s"))
    engine.start()
    engine.wait_ready()
    address = f"127.0.0.1:{engine.flight}"
    done = run("ingest", "events", folder / "events.parquet", "--flight", address)
    assert done.returncode == 0, done
    return engine


class Asking:
    """A client that asks for answers at a steady rate and notes how long each took from its due."""

    def __init__(self, engine: Engine, per_second: float) -> None:
        self.engine = engine
        self.pause = 1 / per_second
        self.took_ms: list[float] = []
        self.enough = threading.Event()
        self.thread = threading.Thread(target=self.ask)

    def ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.engine.http, timeout=60)
        entities = {"key": [f"k{i}" for i in range(20)]}
        body = json.dumps({"feature_service": "everything", "entities": entities})
        while not self.enough.is_set():
            asked = time.monotonic()
            connection.request("POST", "/get-online-features", body)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
            self.took_ms.append((time.monotonic() - asked) * 1000)
            self.enough.wait(max(0.0, asked + self.pause - time.monotonic()))
        connection.close()

    def late(self) -> str:
        late = sum(took > BUDGET_MS for took in self.took_ms)
        ordered = sorted(self.took_ms)
        p99 = ordered[int(0.99 * (len(ordered) - 1))]
        return f"{late} of {len(ordered)} answers over {BUDGET_MS:.0f} ms, p99 {p99:.1f} ms"


def train(folder: Path, output: str) -> subprocess.Popen[str]:
    command = [str(BINARY), "train", "--data", str(folder / "data"), "--service", "everything"]
    command += ["--labels", str(folder / "labels.parquet"), "--time", "at"]
    command += ["-o", str(folder / output), "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def class_of(engine: Engine, work: str) -> dict[str, Any]:
    classes = engine.status()["background"]["classes"]
    found: dict[str, Any] = {each["work"]: each for each in classes}[work]
    return found


def wait_until_paused(engine: Engine, within_s: float) -> bool:
    """Whether training is told to wait by then."""
    end = time.monotonic() + within_s
    while class_of(engine, "training")["state"] != "paused":
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def one_round(folder: Path, engine: Engine, output: str | None) -> dict[str, Any]:
    """Answers at a steady rate while rows come in, tables are committed and training runs (if it
    has an output), from when the engine is pressed."""
    burst = f"burst-{output}-{time.monotonic_ns()}"
    command = [str(BINARY), "ingest", "events", str(folder / "events.parquet"), "--rate", "40000"]
    command += ["--flight", f"127.0.0.1:{engine.flight}", "--producer", burst]
    asking = Asking(engine, 200)
    ingest = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    asking.thread.start()
    if "background" in engine.status():
        wait_until_paused(engine, PRESSED_WITHIN_S)
    else:
        time.sleep(1)
    training = train(folder, output) if output else None
    time.sleep(SECONDS)
    asking.enough.set()
    asking.thread.join()
    background = engine.status().get("background")
    ingest.terminate()
    ingest.wait()
    done = {"asking": asking, "background": background}
    if training:
        engine.stop()  # whose notice goes with it, however busy this machine is
        out, err = training.communicate(timeout=900)
        assert training.returncode == 0, err
        done["report"] = json.loads(out.splitlines()[-1])
    return done


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("governor")
    prepare(folder)
    return folder


def link(prepared: Path, folder: Path) -> None:
    for name in ("events.parquet", "labels.parquet"):
        (folder / name).symlink_to(prepared / name)


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    link(prepared, tmp_path)
    return tmp_path


def test_training_waits_while_the_engine_is_pressed(folder: Path) -> None:
    engine = engine_with_rows(folder, TIGHT)
    try:
        assert wait_until_paused(engine, WITHIN_S), engine.status()["background"]
        training = train(folder, "pressed.parquet")
        assert training.stderr is not None
        said = training.stderr.readline()
        assert "waiting for the engine" in said, said + training.stderr.read()
        time.sleep(HELD_S)  # it comes to where it waits, and does not end
        assert training.poll() is None
        told = class_of(engine, "training")
        assert told["pauses"] > 0 and told["paused_s"] > 0, told
        assert "of its budget" in told["why"], told
    finally:
        engine.stop()
    out, err = training.communicate(timeout=300)
    assert training.returncode == 0, err
    assert json.loads(out.splitlines()[-1])["waited_s"] > 0


def test_training_does_not_wait_without_a_governor(folder: Path) -> None:
    engine = engine_with_rows(folder, TIGHT, "--no-governor")
    try:
        assert "background" not in engine.status()
        training = train(folder, "not_governed.parquet")
        out, err = training.communicate(timeout=300)
    finally:
        engine.stop()
    assert training.returncode == 0 and "waiting" not in err, err
    assert json.loads(out.splitlines()[-1])["waited_s"] == 0


@pytest.mark.at_length
def test_answers_with_and_without(prepared: Path, tmp_path: Path) -> None:
    arms = {
        "no training     ": ((), None),
        "with governor   ": ((), "training.parquet"),
        "without governor": (("--no-governor",), "training.parquet"),
    }
    for number in range(ROUNDS):
        for how, (options, output) in arms.items():
            folder = tmp_path / f"{number} {how.strip()}"
            folder.mkdir()
            link(prepared, folder)
            engine = engine_with_rows(folder, f"{int(BUDGET_MS * 3)}ms", *options)
            try:
                done = one_round(folder, engine, output)
            finally:
                engine.stop()
            waited = done["report"]["waited_s"] if output else 0.0
            print(f"\n{how}: {done['asking'].late()}; training waited {waited:.1f} s")
            if options:
                assert done["background"] is None and waited == 0
                continue
            for each in done["background"]["classes"]:
                if each["pauses"]:
                    print(f"  {each['work']}: {each['pauses']} pauses, {each['paused_s']:.1f} s")


def test_training_waits_for_a_notice_and_goes_on_without_its_writer(folder: Path) -> None:
    """The notice is a file, so a test can be the pressed engine."""
    engine = engine_with_rows(folder, "300ms")
    engine.stop()
    notice = folder / "data/PAUSED"
    valid_until_us = int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1e6) + 4_000_000
    notice.write_text(
        f"headrace pause 1\nvalid_until_boot_us {valid_until_us}\nwhy a test says so\n"
    )
    training = train(folder, "waited.parquet")
    out, err = training.communicate(timeout=300)
    assert training.returncode == 0, err
    assert "waiting for the engine" in err and "a test says so" in err and "going on" in err, err
    assert json.loads(out.splitlines()[-1])["waited_s"] > 0
    again = train(folder, "at_once.parquet")
    out, err = again.communicate(timeout=300)
    assert again.returncode == 0 and "waiting" not in err, err
    waited = pq.read_table(folder / "waited.parquet")
    assert waited.equals(pq.read_table(folder / "at_once.parquet"))
