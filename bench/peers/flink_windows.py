"""Flink's jobs over the file of card events (flink/TrailingWindows.java), a JVM for each run."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers import PeerFailure

OPENED = ("lang", "util", "util.concurrent", "nio", "time", "net", "io", "text", "math")
HEAP = "8g"
LIMIT_S = 900


@dataclass(frozen=True)
class FlinkWindows:
    jars: Path
    classes: Path  # javac's output

    def run(self, events_file: Path, events: int, mode: str) -> dict[str, Any]:
        """Events a second of the job alone, without the start of the JVM."""
        opened = [f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in OPENED]
        opened += ["--add-opens=java.base/sun.nio.ch=ALL-UNNAMED"]
        opened += ["--add-opens=java.base/java.lang.reflect=ALL-UNNAMED"]
        command = ["java", *opened, f"-Xmx{HEAP}", "-Dorg.slf4j.simpleLogger.defaultLogLevel=off"]
        command += ["-cp", f"{self.classes}:{self.jars}/*", "TrailingWindows"]
        command += [str(events_file), str(events), mode]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if not lines:
            raise PeerFailure(f"Flink, {mode}: {(done.stderr or done.stdout).strip()[-500:]}")
        found: dict[str, Any] = json.loads(lines[-1])
        return found
