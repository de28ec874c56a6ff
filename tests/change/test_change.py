"""A definition changed under the real binary: reads meanwhile, SIGKILL in the middle, and back."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import engine_under_load
from engine_under_load import BINARY, WITHIN_S

KEYS = 50
BATCHES = 60
BATCH_ROWS = 10_000

PIPELINE = """headrace: 1
pipeline: changing
promise: {{budget: {{p99: 300ms}}}}
clock: events
streams:
  events: {{contract: events.yaml, source: {{http: push}}, time: {{event: at, late: 1h}}}}
views:
  key:
    from: events
    by: key
    over: {over}
    features: {{n: count(*), total: sum(amount), last_note: last(note)}}
services:
  counts: {{features: [key.n_1h]}}
tables: {{events: {{commit: 500ms}}}}
"""


class Engine(engine_under_load.Engine):
    """An engine that is always started with the file of before the changes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.sent = 0  # the epoch of the newest rows
        self.write("pipeline.yaml", "[1h]")
        self.write("wide.yaml", "[1h, 7d]")

    def write(self, file: str, over: str) -> None:
        (self.folder / file).write_text(PIPELINE.format(over=over))

    def start(self) -> None:
        super().start()
        self.wait_ready()

    def ask(self, method: str, path: str, body: str | None = None) -> dict[str, Any]:
        status, text, _ = self.request(method, path, body)
        assert status == 200, text
        document: dict[str, Any] = json.loads(text)
        return document

    def send(self, batch: int) -> None:
        rows = []
        for row in range(batch * BATCH_ROWS, (batch + 1) * BATCH_ROWS):
            second = row // 4
            at = f"2026-01-{1 + second // 86400:02}T{second // 3600 % 24:02}:{second // 60 % 60:02}"
            note = f'"note {row % 7}"'
            rows.append(
                f'{{"key":"k{row * 7 % KEYS}","at":"{at}:{second % 60:02}Z","amount":{row % 100},'
                f'"note":{note}}}'
            )
        self.sent = self.ask("POST", "/streams/events/events", "\n".join(rows))["epoch"]

    def features(self, names: list[str], **more: int) -> dict[str, Any]:
        keys = [f"k{key}" for key in range(KEYS)]
        query = {"features": names, "entities": {"key": keys}, **more}
        return self.ask("POST", "/get-online-features", json.dumps(query))

    def wide(self) -> str:
        """With all that was sent: what is acknowledged is visible a moment later."""
        names = ["key:n_7d", "key:total_7d", "key:last_note_7d", "key:n_1h"]
        answer = self.features(names, min_epoch=self.sent, deadline_ms=30_000)
        return json.dumps(answer["results"])

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        address = ["--http", f"127.0.0.1:{self.http}"]
        return subprocess.run(
            [str(BINARY), *words, *address], text=True, capture_output=True, timeout=WITHIN_S
        )

    def apply(self, file: str, *options: str) -> subprocess.CompletedProcess[str]:
        return self.command("apply", str(self.folder / file), *options)

    def state(self) -> str:
        change = self.ask("GET", "/definition").get("change", {})
        return str(change.get("state", "none"))


@contextmanager
def reading(engine: Engine) -> Iterator[list[str]]:
    """Reads what both definitions answer until it ends; gives what went wrong."""
    wrong: list[str] = []
    done = threading.Event()
    reads = [0]

    def read() -> None:
        epoch = 0
        while not done.is_set():
            try:
                answer = engine.features(["key:n_1h", "key:total_1h"])
            except (AssertionError, OSError, http.client.HTTPException) as error:
                wrong.append(str(error))
                continue
            now = int(answer["headrace"]["epoch"])
            if now < epoch:
                wrong.append(f"epoch {now} after {epoch}")
            epoch = now
            reads[0] += 1

    thread = threading.Thread(target=read)
    thread.start()
    yield wrong
    done.set()
    thread.join()
    assert reads[0] > 0


def test_changed_under_reads_killed_and_changed_again(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    engine.start()
    try:
        for batch in range(BATCHES):
            engine.send(batch)
        shown = engine.command("diff", str(tmp_path / "wide.yaml"))
        assert shown.returncode == 0 and "rebuilt from 600,000 rows of history" in shown.stdout, (
            shown
        )
        assert re.search(r"^ +adds \w+_7d", shown.stdout, re.MULTILINE), shown.stdout

        # The change, under reads and new rows.
        with reading(engine) as wrong:
            applied = engine.apply("wide.yaml")
            engine.send(BATCHES)
        assert applied.returncode == 0 and "cut over at epoch" in applied.stdout, applied
        assert wrong == []
        wide = engine.wide()

        # SIGKILL after it: the change is whole, though the start is given the file of before.
        engine.stop(signal.SIGKILL)
        engine.start()
        assert engine.wide() == wide

        # Back and forth: the second one is kept up, and is at once.
        with reading(engine) as wrong:
            back = engine.command("rollback")
            assert back.returncode == 0 and "back from definition " in back.stdout, back
            again = engine.command("rollback", "--json")
        assert again.returncode == 0 and wrong == [], again
        change = json.loads(again.stdout.splitlines()[-1])["change"]
        assert change["rows_done"] == 0 and change["state"] == "done"
        assert engine.wide() == wide

        # SIGKILL while it builds: the next start begins it again by itself, and says so.
        wider = tmp_path / "wider.yaml"
        wider.write_text(PIPELINE.format(over="[1h, 7d, 30d]"))
        command = [str(BINARY), "apply", str(wider), "--http", f"127.0.0.1:{engine.http}"]
        applying = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        while engine.state() != "building":
            assert applying.poll() is None
        applying.send_signal(signal.SIGINT)  # ends the command, not the change
        _, said = applying.communicate(timeout=WITHIN_S)
        assert applying.returncode == 130 and "`headrace status` shows it" in said, said
        while engine.ask("GET", "/definition")["change"]["rows_done"] == 0:
            assert engine.state() == "building"
        assert engine.state() == "building"
        engine.stop(signal.SIGKILL)
        engine.start()
        applied = engine.apply("wider.yaml")  # waits for what is under way, or finds it done
        assert applied.returncode == 0, applied
        status = engine.ask("GET", "/status")["change"]
        assert (status["state"], status["begun"]) == ("done", 2), status
        assert engine.wide() == wide

        # What a fresh engine answers that had the file from the first row on.
        fresh_folder = tmp_path / "fresh"
        fresh_folder.mkdir()
        fresh = Engine(fresh_folder)
        fresh.write("pipeline.yaml", "[1h, 7d]")
        fresh.start()
        try:
            for batch in range(BATCHES + 1):
                fresh.send(batch)
            assert fresh.wide() == wide
        finally:
            fresh.stop(signal.SIGKILL)
    finally:
        engine.stop(signal.SIGKILL)


def test_refusals_and_their_exit_codes(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    engine.start()
    try:
        engine.send(0)
        (tmp_path / "less.yaml").write_text(
            PIPELINE.format(over="[1h]").replace(
                "counts: {features: [key.n_1h]}", "counts: {features: [key.total_1h]}"
            )
        )
        refused = engine.apply("less.yaml")
        assert refused.returncode == 6 and "loses key.n_1h" in refused.stderr, refused
        assert engine.apply("less.yaml", "--dry-run").returncode == 0
        assert engine.apply("less.yaml", "--break-consumers").returncode == 0
        (tmp_path / "wrong.yaml").write_text(PIPELINE.format(over="[1h]").replace("sum(", "smu("))
        assert engine.apply("wrong.yaml").returncode == 2
        assert engine.apply("pipeline.yaml", "--from", "then").returncode == 2
        folder = engine.command(
            "diff", str(tmp_path / "wide.yaml"), "--data", str(tmp_path / "data")
        )
        assert folder.returncode == 0 and "10,000 rows of history" in folder.stdout, folder
    finally:
        engine.stop(signal.SIGTERM)
