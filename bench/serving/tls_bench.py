"""What TLS costs, by clients that people have: redis-benchmark, wrk, openssl s_time.

    .dev/venv/bin/python bench/serving/tls_bench.py [--seconds 3] [--folder DIR]

One engine after the other over the same data, without and with TLS (1.3, a P-256 certificate):
rates of HMGET and of /get-online-features over 50 open connections; whole handshakes a second, from
one client, one after the other; and the round trips of one open connection while
nothing else happens and while four clients do nothing but handshakes. Needs redis-tools, wrk and
openssl. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BINARY = ROOT / "build/release/apps/headrace/headrace"
CARD = "c000000000001"
CONNECTIONS = 50
ROUND_TRIPS = 20_000
CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def make_certificate(folder: Path) -> None:
    request = ["openssl", "req", "-x509", *CURVE, "-subj", "/CN=localhost", "-days", "2"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"]
    subprocess.run([*request, *names, *files], check=True, capture_output=True)


class Engine:
    def __init__(self, folder: Path, tls: bool) -> None:
        self.cert = folder / "cert.pem" if tls else None
        ready = folder / "ready.json"
        ready.unlink(missing_ok=True)
        words = [str(BINARY), "serve", f"{HERE}/pipeline.yaml", "--data", f"{folder}/data"]
        words += ["--ready-file", str(ready)]
        for name in ("http", "flight", "resp"):
            words += [f"--{name}", "127.0.0.1:0"]
        if tls:
            words += ["--tls-cert", f"{folder}/cert.pem", "--tls-key", f"{folder}/key.pem"]
        with (folder / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log)
        while not ready.exists():
            if self.process.poll() is not None:
                raise SystemExit(f"headrace serve did not start: {folder}/serve.log")
            time.sleep(0.05)
        self.ports: dict[str, Any] = json.loads(ready.read_text())

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()

    def load(self) -> None:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        row = json.dumps({"card": CARD, "at": at, "amount": 2.5})
        url = f"http://127.0.0.1:{self.ports['http']}/streams/payments/events"
        urllib.request.urlopen(url, data=row.encode(), timeout=60).read()
        time.sleep(1)

    def features(self) -> list[str]:
        """Of the view card."""
        url = f"http://127.0.0.1:{self.ports['http']}/views"
        views = json.loads(urllib.request.urlopen(url, timeout=60).read())["views"]
        card = next(view for view in views if view["name"] == "card")
        return [feature["name"] for feature in card["features"]][:20]

    def hmget(self, names: list[str], pipeline: int, seconds: float) -> dict[str, float]:
        tls = ["--tls", "--cacert", str(self.cert)] if self.cert else []
        count = int(seconds * (60_000 if pipeline == 1 else 200_000))
        words = ["redis-benchmark", "-p", str(self.ports["resp"]), *tls, "-c", str(CONNECTIONS)]
        words += ["-P", str(pipeline), "-n", str(count), "--csv", "HMGET", f"card:{CARD}", *names]
        told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        cells = told.strip().splitlines()[-1].replace('"', "").split(",")
        return {"per_s": float(cells[-7]), "p50_ms": float(cells[-4]), "p99_ms": float(cells[-2])}

    def features_over_http(self, names: list[str], seconds: float, folder: Path) -> dict[str, Any]:
        body = json.dumps(
            {"features": [f"card:{name}" for name in names], "entities": {"card": [CARD]}}
        )
        script = folder / "post.lua"
        script.write_text(
            f'wrk.method = "POST"\nwrk.body = [[{body}]]\n'
            'wrk.headers["Content-Type"] = "application/json"\n'
        )
        scheme = "https" if self.cert else "http"
        url = f"{scheme}://127.0.0.1:{self.ports['http']}/get-online-features"
        words = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{int(seconds)}s", "--latency"]
        words += ["-s", str(script), url]
        told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        rate = re.search(r"Requests/sec:\s+([\d.]+)", told)
        tail = re.search(r"^\s+99%\s+(\S+)", told, re.MULTILINE)
        if rate is None or tail is None or "Non-2xx" in told:
            raise SystemExit(told)
        return {"per_s": float(rate[1]), "p99": tail[1]}

    def handshakes(self, seconds: float) -> float:
        """Whole ones, a second of real time."""
        words = ["openssl", "s_time", "-connect", f"127.0.0.1:{self.ports['resp']}", "-new"]
        begin = time.monotonic()
        told = subprocess.run(
            [*words, "-time", str(int(seconds))], capture_output=True, text=True, check=False
        ).stdout
        made = re.findall(r"(\d+) connections in", told)
        return float(made[0]) / (time.monotonic() - begin) if made else 0.0

    def round_trips(self) -> dict[str, float]:
        plain = socket.create_connection(("127.0.0.1", self.ports["resp"]))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = ssl.create_default_context(cafile=str(self.cert))
        connection = context.wrap_socket(plain, server_hostname="localhost")
        times = []
        for _ in range(ROUND_TRIPS):
            begin = time.perf_counter()
            connection.sendall(b"PING\r\n")
            connection.recv(64)
            times.append(time.perf_counter() - begin)
        times.sort()
        return {
            "p50_us": round(times[len(times) // 2] * 1e6, 1),
            "p99_us": round(times[len(times) * 99 // 100] * 1e6, 1),
            "most_us": round(times[-1] * 1e6, 1),
        }

    def round_trips_beside_handshakes(self) -> dict[str, float]:
        words = ["openssl", "s_time", "-connect", f"127.0.0.1:{self.ports['resp']}", "-new"]
        storm = [
            subprocess.Popen([*words, "-time", "60"], stdout=subprocess.DEVNULL) for _ in range(4)
        ]
        try:
            time.sleep(0.5)
            return self.round_trips()
        finally:
            for each in storm:
                each.kill()
                each.wait()

    def resident_bytes(self) -> int:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", text)
        return int(found[1]) * 1024 if found else 0

    def bytes_per_idle_connection(self, count: int = 1000) -> int:
        context = ssl.create_default_context(cafile=str(self.cert)) if self.cert else None
        before = self.resident_bytes()
        held: list[socket.socket] = []
        for _ in range(count):
            plain = socket.create_connection(("127.0.0.1", self.ports["resp"]))
            held.append(
                context.wrap_socket(plain, server_hostname="localhost") if context else plain
            )
            held[-1].sendall(b"PING\r\n")
            held[-1].recv(64)
        grown = self.resident_bytes() - before
        for each in held:
            each.close()
        return grown // count


def measure(engine: Engine, names: list[str], seconds: float, folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {
        "hmget": engine.hmget(names, 1, seconds),
        "hmget_pipeline_16": engine.hmget(names, 16, seconds),
        "http": engine.features_over_http(names, seconds, folder),
        "bytes_per_idle_connection": engine.bytes_per_idle_connection(),
    }
    if engine.cert:
        found |= {
            "handshakes_per_s": engine.handshakes(seconds),
            "round_trip": engine.round_trips(),
            "round_trip_beside_handshakes": engine.round_trips_beside_handshakes(),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="headrace-tls-"))
    folder.mkdir(parents=True, exist_ok=True)
    make_certificate(folder)
    found: dict[str, Any] = {}
    names: list[str] = []
    for name, tls in (("plain", False), ("tls", True)):
        engine = Engine(folder, tls)
        try:
            if not tls:
                engine.load()
                names = engine.features()
            found[name] = measure(engine, names, options.seconds, folder)
        finally:
            engine.stop()
    if options.folder is None:
        shutil.rmtree(folder)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
