"""The Python of docs/how-to/flight.md runs as it stands, but for the port."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

from engine_process import ROOT
from payments_engine import payment, serving

PAGE = ROOT / "docs/how-to/flight.md"


def test_the_page_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    assert len(blocks) >= 3
    with serving(tmp_path) as engine:
        lines = "\n".join(payment(f"c{i}", "s", 1) for i in range(500))
        engine.send_events("payments", lines)
        stop = threading.Event()

        def write() -> None:
            while not stop.wait(0.05):
                engine.send_events("payments", payment("c7", "s", 1))

        writer = threading.Thread(target=write)
        writer.start()
        names: dict[str, Any] = {}
        try:
            for block in blocks:
                text = block.replace("127.0.0.1:8815", f"127.0.0.1:{engine.ports['flight']}")
                exec(compile(text, str(PAGE), "exec"), names)
        finally:
            stop.set()
            writer.join()
        assert names["features"].num_rows == 10_000
        assert names["copy"]["c7"]["n_1h"] > 1
        assert names["position"] > 0
