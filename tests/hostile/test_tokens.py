"""Tokens at the real binary: made, shown over each protocol, revoked; no address without them."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.flight as flight
import pytest
import redis
from engine_process import BINARY, EngineProcess
from test_hostile_requests import HOSTILE

SCOPES = {
    "reader": "read:scoring",
    "pusher": "push:payments",
    "watcher": "watch",
    "admin": "admin",
    "all": "read,restricted",
}
PATIENCE_S = 60.0


def create(folder: Path, name: str, scope: str) -> str:
    command: list[str | Path] = [BINARY, "token", "create", "--file", folder / "tokens"]
    made = subprocess.run(
        [*command, "--name", name, "--scope", scope], capture_output=True, text=True, check=True
    )
    return made.stdout.strip()


class Guarded:
    """An engine that asks for tokens, and one token for each of SCOPES."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([HOSTILE, "write", folder], check=True)
        self.folder = folder
        self.tokens = {name: create(folder, name, scope) for name, scope in SCOPES.items()}
        options = ("--tokens", str(folder / "tokens"))
        self.engine = EngineProcess(folder, folder / "data", options=options)

    def ask(self, name: str, method: str, path: str, body: Any = None) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {self.tokens[name]}"} if name else {}
        return self.engine.request(
            method, path, None if body is None else json.dumps(body), headers
        )

    def redis(self, name: str) -> Any:
        return redis.Redis(port=self.engine.ports["resp"], password=self.tokens[name])

    def flight(self) -> Any:
        return flight.connect(f"grpc://127.0.0.1:{self.engine.ports['flight']}")

    def call(self, name: str) -> Any:
        header = (b"authorization", b"Bearer " + self.tokens[name].encode())
        return flight.FlightCallOptions(headers=[header] if name else [])


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    made = Guarded(tmp_path_factory.mktemp("tokens"))
    try:
        assert made.engine.wait_ready(), made.engine.printed()
        yield made
        assert made.engine.stop() == 0
    finally:
        made.engine.kill()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_file_has_no_token(guarded: Guarded) -> None:
    text = (guarded.folder / "tokens").read_text()
    assert all(name in text for name in SCOPES)
    assert not any(token[3:] in text for token in guarded.tokens.values())
    assert not any(token in guarded.engine.printed() for token in guarded.tokens.values())


def test_http(guarded: Guarded) -> None:
    ask = guarded.ask
    assert ask("", "GET", "/health")[0] == 200
    assert ask("", "GET", "/status")[0] == 401
    assert ask("watcher", "GET", "/status")[0] == 200
    assert ask("reader", "GET", "/status")[0] == 403
    row = {"card": "c1", "shop": "s", "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    assert ask("pusher", "POST", "/streams/payments/events", row)[0] == 200
    assert ask("reader", "POST", "/streams/payments/events", row)[0] == 403
    keys = {"card": ["c1"], "shop": ["s"], "limit": [1]}
    lookup = {"feature_service": "scoring", "entities": keys}
    assert ask("reader", "POST", "/get-online-features", lookup)[0] == 200
    assert ask("pusher", "POST", "/get-online-features", lookup)[0] == 403
    letters = {"feature_service": "letters", "entities": {"card": ["c1"]}}
    assert ask("admin", "POST", "/get-online-features", letters)[0] == 403
    assert ask("all", "POST", "/get-online-features", letters)[0] == 200


def test_resp(guarded: Guarded) -> None:
    assert guarded.redis("all").exists("card:nobody") == 0
    with pytest.raises(redis.exceptions.NoPermissionError):
        guarded.redis("pusher").hgetall("card:c1")
    with pytest.raises(redis.exceptions.AuthenticationError):
        redis.Redis(port=guarded.engine.ports["resp"]).hgetall("card:c1")
    with pytest.raises(redis.exceptions.AuthenticationError):
        redis.Redis(port=guarded.engine.ports["resp"], password="hr_00").hgetall("card:c1")


def test_flight(guarded: Guarded) -> None:
    client = guarded.flight()
    descriptor = flight.FlightDescriptor.for_path("payments")
    with pytest.raises(flight.FlightUnauthenticatedError):
        client.get_flight_info(descriptor)
    schema = client.get_flight_info(descriptor, guarded.call("reader")).schema
    writer, reader = client.do_put(descriptor, schema, guarded.call("pusher"))
    assert b'"last_sequence"' in reader.read().to_pybytes()
    writer.close()
    with pytest.raises(flight.FlightUnauthorizedError):
        writer, reader = client.do_put(descriptor, schema, guarded.call("reader"))
        reader.read()
        writer.close()
    action = flight.Action("last_sequence", b'{"stream":"payments","producer":"p"}')
    assert list(client.do_action(action, guarded.call("pusher")))
    with pytest.raises(flight.FlightUnauthorizedError):
        list(client.do_action(action, guarded.call("reader")))


def test_a_removed_line_ends_open_connections(guarded: Guarded) -> None:
    name = "short-lived"
    guarded.tokens[name] = create(guarded.folder, name, "read,watch")
    until(lambda: guarded.ask(name, "GET", "/status")[0] == 200)
    kept = guarded.redis(name)
    assert kept.ping()
    tokens = guarded.folder / "tokens"
    lines = tokens.read_text().splitlines(keepends=True)
    tokens.write_text("".join(line for line in lines if not line.startswith(name)))
    until(lambda: guarded.ask(name, "GET", "/status")[0] == 401)
    with pytest.raises(redis.exceptions.AuthenticationError):
        kept.ping()
    assert guarded.ask("watcher", "GET", "/status")[0] == 200


def test_commands_show_the_token_of_the_environment(guarded: Guarded) -> None:
    command: list[str | Path] = [
        BINARY,
        "status",
        "--http",
        f"127.0.0.1:{guarded.engine.ports['http']}",
    ]
    assert subprocess.run(command, capture_output=True).returncode == 10
    environment = {"HEADRACE_TOKEN": guarded.tokens["watcher"]}
    assert subprocess.run(command, capture_output=True, env=environment).returncode == 0


@pytest.mark.parametrize("server", ["--http", "--flight", "--resp"])
def test_no_other_address_without_tokens(tmp_path: Path, server: str) -> None:
    subprocess.run([HOSTILE, "write", tmp_path], check=True)
    command: list[str | Path] = [
        BINARY,
        "serve",
        tmp_path / "pipeline.yaml",
        "--data",
        tmp_path / "data",
    ]
    for each in ("--http", "--flight", "--resp"):
        command += [each, "0.0.0.0:0" if each == server else "127.0.0.1:0"]
    started = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert started.returncode == 6, started.stderr
    assert "headrace token create" in started.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("scope", ["", "write", "read:", "restricted", "watch:x"])
def test_a_scope_that_is_none_makes_no_token(tmp_path: Path, scope: str) -> None:
    command: list[str | Path] = [
        BINARY,
        "token",
        "create",
        "--file",
        tmp_path / "tokens",
        "--name",
        "x",
    ]
    made = subprocess.run([*command, "--scope", scope], capture_output=True, text=True)
    assert made.returncode != 0
    assert made.stdout == ""
    assert not (tmp_path / "tokens").exists()


def test_the_file_keeps_its_rights(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    create(tmp_path, "first", "watch")
    assert tokens.stat().st_mode & 0o7777 == 0o600
    tokens.chmod(0o640)
    create(tmp_path, "second", "watch")
    assert tokens.stat().st_mode & 0o7777 == 0o640
    if os.geteuid() == 0:
        os.chown(tokens, 12345, 54321)
        create(tmp_path, "third", "watch")
        assert (tokens.stat().st_uid, tokens.stat().st_gid) == (12345, 54321)
        assert tokens.stat().st_mode & 0o7777 == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["tokens"]


def test_a_link_to_the_file_stays_one(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (tmp_path / "tokens").symlink_to("kept/of-all")
    (kept / "of-all").write_text("# people\n")
    create(tmp_path, "first", "watch")
    assert (tmp_path / "tokens").is_symlink()
    assert (kept / "of-all").read_text().startswith("# people\nfirst")


def test_two_at_once_lose_nothing(tmp_path: Path) -> None:
    names = [f"n{i}" for i in range(16)]
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(lambda name: create(tmp_path, name, "watch"), names))
    lines = (tmp_path / "tokens").read_text().splitlines()
    assert sorted(line.split()[0] for line in lines) == sorted(names)
