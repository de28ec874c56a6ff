"""Every hostile request against the real binary, over sockets; afterwards it answers as before."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from engine_process import ROOT, EngineProcess

HOSTILE = Path(
    os.environ.get("HEADRACE_HOSTILE", ROOT / "build/release/tests/hostile/headrace_hostile")
)


@pytest.mark.parametrize("protocol", ["http", "resp"])
def test_hostile_requests_over_sockets(tmp_path: Path, protocol: str) -> None:
    subprocess.run([HOSTILE, "write", tmp_path], check=True)
    engine = EngineProcess(tmp_path, tmp_path / "data")
    try:
        assert engine.wait_ready(), engine.printed()
        before = engine.status()["memory"]["charged_mb"]
        requests = Path(__file__).with_name(f"{protocol}.requests")
        asked = subprocess.run(
            [HOSTILE, protocol, requests, "--port", str(engine.ports[protocol])],
            capture_output=True,
            text=True,
        )
        assert asked.returncode == 0, asked.stdout[-8000:] + asked.stderr[-2000:]
        assert engine.status()["memory"]["charged_mb"] <= before + 16
        assert engine.stop() == 0
    finally:
        engine.kill()
