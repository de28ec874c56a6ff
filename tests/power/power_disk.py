"""Mounts headrace_power_disk, and cuts its power."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DISK = Path(
    os.environ.get("HEADRACE_POWER_DISK", ROOT / "build/release/tests/power/headrace_power_disk")
)
MOUNTED_WITHIN_S = 300.0


def why_not() -> str:
    """Why power can't be cut here; empty when it can."""
    if os.geteuid() != 0:
        return "mounting needs root"
    if not Path("/dev/fuse").exists():
        return "there is no /dev/fuse"
    if not DISK.exists():
        return f"{DISK.name} is not built: install the packages of tools/apt-faults.txt, then build"
    return ""


class PowerDisk:
    """A mount at `home`/disk in front of `home`/backing. Cut ends it; mount again after. In a
    `with` it is mounted, and unmounted at the end."""

    def __init__(self, home: Path) -> None:
        self.backing = home / "backing"
        self.disk = home / "disk"
        self.socket = home / "power.sock"
        self.process: subprocess.Popen[bytes] | None = None
        self.backing.mkdir(parents=True, exist_ok=True)
        self.disk.mkdir(exist_ok=True)

    def __enter__(self) -> PowerDisk:
        try:
            self.mount()
        except BaseException:
            self.unmount()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.unmount()

    def mount(self) -> Path:
        command = [str(DISK), str(self.backing), str(self.disk), str(self.socket)]
        self.process = subprocess.Popen(command)
        deadline = time.monotonic() + MOUNTED_WITHIN_S
        while not os.path.ismount(self.disk):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.disk} can't be mounted")
            time.sleep(0.005)
        return self.disk

    def command(self, line: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.socket))
            connection.sendall(line.encode())
            answer = b""
            while part := connection.recv(4096):
                answer += part
        text = answer.decode().strip()
        if text.startswith("error"):
            raise RuntimeError(f"{line}: {text}")
        return text

    def figures(self, line: str = "stat") -> dict[str, int]:
        words = (word.split("=") for word in self.command(line).split())
        return {name: int(value) for name, value in words}

    def cut(self, seed: int) -> dict[str, int]:
        """The power goes; what was unsynced at that moment. The engine must be dead by then."""
        found = self.figures(f"cut {seed}")
        self.unmount()
        return found

    def cut_at(self, nth: int, seed: int) -> None:
        """Time stands still at the Nth write, sync or rename from now on; 0: it does not."""
        self.command(f"cut-at {nth} {seed}")

    def stands_still(self, within_s: float) -> bool:
        return self.command(f"wait {int(within_s * 1000)}") == "still=1"

    def cut_here(self, seed: int, end: Callable[[], None]) -> dict[str, int]:
        """As cut, and the disk stays mounted with what survived. `end` returns when the engine, to
        which SIGKILL was sent, is gone."""
        found = self.figures(f"cut-here {seed}")
        try:
            end()
        finally:
            self.command("on")
        return found

    def delay_syncs(self, max_us: int, seed: int) -> None:
        self.command(f"sync-delay {max_us} {seed}")

    def flush(self) -> None:
        self.command("flush")
        self.unmount()

    def fail_sync(self, nth: int, seed: int) -> None:
        self.command(f"fail-sync {nth} {seed}")

    def sync_failed(self, within_s: float) -> bool:
        """Waits for the sync that is to fail."""
        return self.command(f"wait-failed {int(within_s * 1000)}") == "failed=1"

    def unmount(self) -> None:
        if self.process is None:
            return
        subprocess.run(["umount", "-l", str(self.disk)], check=False, stderr=subprocess.DEVNULL)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
