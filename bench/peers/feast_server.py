"""Feast's own feature server over Redis, as a child process: one worker that is not restarted.

By default the worker is replaced after 1,000 requests, which stalls it for about a second each
time; `--max-requests 0` keeps it. Its values come from the measurement, so that both sides answer
the same.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from redis_server import RedisServer
from servers import HOST, free_port, stop, wait_for_port

START_WITHIN_S = 120.0


class FeastServer:
    def __init__(self, folder: Path) -> None:
        folder = folder.resolve()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._folder = folder
        self._redis = RedisServer(folder / "redis", ("--appendonly", "no"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        config = {
            "project": "bench",
            "provider": "local",
            "registry": str(folder / "registry.db"),
            "online_store": {"type": "redis", "connection_string": f"{HOST}:{self._redis.port}"},
            "entity_key_serialization_version": 3,
        }
        (folder / "feature_store.yaml").write_text(json.dumps(config))

    def load(self, views: Mapping[str, Mapping[str, Sequence[float]]], keys: Sequence[str]) -> None:
        """Views of `card`: {view: {feature: values, one a key}}; whole numbers are Int64."""
        import pandas as pd
        from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType, types

        store = FeatureStore(str(self._folder))
        card = Entity(name="card", join_keys=["card"], value_type=ValueType.STRING)
        none = FileSource(name="none", path=str(self._folder / "none"), timestamp_field="at")
        made = []
        for name, features in views.items():
            fields = [
                Field(name=f, dtype=types.Int64 if isinstance(v[0], int) else types.Float64)
                for f, v in features.items()
            ]
            made.append(FeatureView(name=name, entities=[card], schema=fields, source=none))
        store.apply([card, none, *made])
        at = datetime.now(UTC)
        for name, features in views.items():
            count = len(next(iter(features.values())))
            frame = pd.DataFrame({"card": keys[:count], "at": [at] * count} | dict(features))
            store.write_to_online_store(name, frame)

    def serve(self) -> None:
        command = [str(Path(sys.executable).parent / "feast"), "serve", "-h", HOST]
        command += ["-p", str(self.port), "-w", "1", "--max-requests", "0", "--no-access-log"]
        with (self._folder / "serve.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                stdout=log,
                stderr=log,
                env=os.environ | {"FEAST_USAGE": "False"},
            )
        wait_for_port(self.port, START_WITHIN_S, self._process)

    def close(self) -> None:
        if self._process is not None:
            stop(self._process)
        self._redis.close()
