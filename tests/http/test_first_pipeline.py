"""The commands of docs/how-to/first-pipeline.md do what the page says, on other ports."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from engine_process import BINARY, ROOT, EngineProcess, serving_files

PAGE = ROOT / "docs/how-to/first-pipeline.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
PAYLOADS = "import json, sys; [print(row['payload']) for row in json.load(sys.stdin)]"

REDIS_CLI = shutil.which("redis-cli") is not None


def blocks_of(language: str) -> list[str]:
    return [text for of, text in BLOCK.findall(PAGE.read_text()) if of == language]


def commands(engine: EngineProcess) -> list[str]:
    """Each block of the page but for the first, which starts the engine."""
    address = f"127.0.0.1:{engine.ports['http']}"
    changes = (
        (r"headrace (get|deadletters|apply) ", rf"{BINARY} \1 --http {address} "),
        (r"localhost:6566", address),
        (r"redis-cli ", f"redis-cli -p {engine.ports['resp']} " if REDIS_CLI else "# "),
        (r"jq -r '.*?'", f'{sys.executable} -c "{PAYLOADS}"'),
    )
    blocks = blocks_of("")
    assert len(blocks) == 5 and "headrace serve" in blocks[0]
    for pattern, text in changes:
        blocks = [re.sub(pattern, text, block) for block in blocks]
    return blocks[1:]


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page's commands need curl")
def test_the_page_runs(tmp_path: Path) -> None:
    contract, pipeline = blocks_of("yaml")
    files = {"orders.yaml": contract, "shop.yaml": pipeline, "pipeline.yaml": pipeline}
    with serving_files(tmp_path, files) as engine:
        first, push, refused, again = commands(engine)
        now = first.splitlines()[0]

        def run(block: str) -> list[str]:
            script = f"set -e\n{now}\n{block}"
            done = subprocess.run(
                ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
            )
            return done.stdout.splitlines()

        told = run(first)
        assert json.loads(told[0])["accepted"] == 1
        assert any(re.match(r" *spend +25\.0 +PRESENT", line) for line in told), told
        assert not REDIS_CLI or told[-2:] == ["25", "PRESENT"]
        assert json.loads(run(push)[0])["features"] == {"orders_1h": 2, "spend": 34.5}
        assert any("amount range" in line for line in run(refused))
        text = (tmp_path / "orders.yaml").read_text()
        (tmp_path / "orders.yaml").write_text(
            text.replace(", logicalTypeOptions: {minimum: 0}", "")
        )
        for repeated in (False, True):
            last = json.loads(run(again)[-1])
            assert (last["accepted"], last["repeated"]) == (1, repeated)
