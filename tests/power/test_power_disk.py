"""The disk that loses its power does what it says: without a sync things go, with one they stay."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from power_disk import PowerDisk, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=f"NOT RUN: {why_not()}")

SEEDS = range(40)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[PowerDisk]:
    made = PowerDisk(tmp_path)
    yield made
    made.unmount()


def sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(fd)
    os.close(fd)


def put(path: Path, content: bytes, sync: bool) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.pwrite(fd, content, 0)
    if sync:
        os.fsync(fd)
    os.close(fd)


def survivors(
    disk: PowerDisk, prepare: Callable[[Path], None], act: Callable[[Path], None]
) -> list[dict[str, bytes]]:
    """What each of many cuts leaves of `act`, after `prepare` was made durable."""
    found = []
    for seed in SEEDS:
        root = disk.mount()
        for path in root.iterdir():
            path.unlink()
        prepare(root)
        disk.flush()
        act(disk.mount())
        disk.cut(seed)
        found.append({path.name: path.read_bytes() for path in disk.backing.iterdir()})
    return found


def nothing(_: Path) -> None:
    pass


def test_synced_file_in_a_synced_folder_stays(disk: PowerDisk) -> None:
    def act(root: Path) -> None:
        put(root / "a", b"x" * 2000, sync=True)
        sync_folder(root)

    assert all(found == {"a": b"x" * 2000} for found in survivors(disk, nothing, act))


def test_unsynced_bytes_go_and_tear_at_sectors(disk: PowerDisk) -> None:
    def prepare(root: Path) -> None:
        put(root / "a", b"o" * 4096, sync=True)
        sync_folder(root)

    def act(root: Path) -> None:
        put(root / "a", b"n" * 4096, sync=False)

    contents = {found["a"] for found in survivors(disk, prepare, act)}
    assert b"o" * 4096 in contents and b"n" * 4096 in contents
    assert any(b"o" in content and b"n" in content for content in contents), "none was torn"
    for content in contents:
        sectors = [content[at : at + 512] for at in range(0, len(content), 512)]
        assert all(sector in (b"o" * 512, b"n" * 512) for sector in sectors)


def test_new_file_needs_both_syncs(disk: PowerDisk) -> None:
    def only_file(root: Path) -> None:
        put(root / "a", b"x" * 100, sync=True)

    def only_folder(root: Path) -> None:
        put(root / "a", b"x" * 100, sync=False)
        sync_folder(root)

    names = [set(found) for found in survivors(disk, nothing, only_file)]
    assert set() in names and {"a"} in names
    contents = [found["a"] for found in survivors(disk, nothing, only_folder)]
    assert b"" in contents and b"x" * 100 in contents


def test_rename_and_removal_need_the_folder(disk: PowerDisk) -> None:
    def prepare(root: Path) -> None:
        put(root / "old", b"1", sync=True)
        put(root / "gone", b"2", sync=True)
        sync_folder(root)

    def act(root: Path) -> None:
        (root / "old").rename(root / "new")
        (root / "gone").unlink()

    names = [frozenset(found) for found in survivors(disk, prepare, act)]
    assert set(names) >= {frozenset({"old", "gone"}), frozenset({"new"})}
    assert all(("old" in found) != ("new" in found) for found in names), "a rename is whole"

    def act_and_sync(root: Path) -> None:
        act(root)
        sync_folder(root)

    assert all(set(found) == {"new"} for found in survivors(disk, prepare, act_and_sync))


def test_link_needs_the_folder(disk: PowerDisk) -> None:
    def prepare(root: Path) -> None:
        put(root / "a", b"1", sync=True)
        sync_folder(root)

    def act(root: Path) -> None:
        os.link(root / "a", root / "b")

    names = [frozenset(found) for found in survivors(disk, prepare, act)]
    assert set(names) == {frozenset({"a"}), frozenset({"a", "b"})}


def test_failed_sync_drops_pages_and_the_next_proves_nothing(disk: PowerDisk) -> None:
    lost = 0
    for seed in range(10):
        root = disk.mount()
        put(root / "a", b"o" * 8192, sync=True)
        sync_folder(root)
        disk.flush()
        root = disk.mount()
        disk.fail_sync(1, seed)
        fd = os.open(root / "a", os.O_RDWR)
        os.pwrite(fd, b"n" * 8192, 0)
        with pytest.raises(OSError, match="Input/output"):
            os.fsync(fd)
        assert disk.figures()["failed_syncs"] == 1
        os.fsync(fd)
        assert os.pread(fd, 8192, 0) == b"n" * 8192, "the page cache still shows it"
        os.close(fd)
        disk.cut(seed)
        lost += b"o" in (disk.backing / "a").read_bytes()
    assert lost == 10


def test_a_sector_written_again_after_a_failed_sync_is_synced_again(disk: PowerDisk) -> None:
    root = disk.mount()
    put(root / "a", b"o" * 4096, sync=True)
    sync_folder(root)
    disk.fail_sync(1, 3)
    fd = os.open(root / "a", os.O_RDWR)
    os.pwrite(fd, b"n" * 4096, 0)
    with pytest.raises(OSError, match="Input/output"):
        os.fsync(fd)
    os.pwrite(fd, b"n" * 4096, 0)
    os.fsync(fd)
    os.close(fd)
    disk.cut(1)
    assert (disk.backing / "a").read_bytes() == b"n" * 4096


def test_the_sync_that_is_to_fail_is_waited_for(disk: PowerDisk) -> None:
    root = disk.mount()
    disk.fail_sync(2, 1)
    put(root / "a", b"1" * 512, sync=True)
    assert not disk.sync_failed(0.01)
    fd = os.open(root / "b", os.O_WRONLY | os.O_CREAT)
    with pytest.raises(OSError, match="Input/output"):
        os.fsync(fd)
    os.close(fd)
    assert disk.sync_failed(60)


def test_shrinking_is_undone_too(disk: PowerDisk) -> None:
    def prepare(root: Path) -> None:
        put(root / "a", b"o" * 3000, sync=True)
        sync_folder(root)

    def act(root: Path) -> None:
        os.truncate(root / "a", 700)

    contents = [found["a"] for found in survivors(disk, prepare, act)]
    assert b"o" * 3000 in contents and b"o" * 700 in contents


def test_a_cut_on_a_mounted_disk_leaves_what_survives(disk: PowerDisk) -> None:
    root = disk.mount()
    put(root / "a", b"o" * 4096, sync=True)
    sync_folder(root)
    seen = set()
    for seed in SEEDS:
        put(root / "a", b"o" * 4096, sync=True)
        fd = os.open(root / "a", os.O_RDWR)
        os.pwrite(fd, b"n" * 4096, 0)
        put(root / "b", b"", sync=False)
        figures = disk.cut_here(seed, lambda: None)
        assert (figures["unsynced_sectors"], figures["unsynced_log_sectors"]) == (8, 0)
        with pytest.raises(OSError, match="Input/output"):
            os.fsync(fd)
        with pytest.raises(OSError, match="Input/output"):
            os.pwrite(fd, b"x", 0)
        os.close(fd)
        content = (root / "a").read_bytes()
        sectors = {content[at : at + 512] for at in range(0, len(content), 512)}
        assert len(content) == 4096 and sectors <= {b"o" * 512, b"n" * 512}
        seen |= {(len(sectors), (root / "b").exists())}
        assert disk.figures()["unsynced_sectors"] == 0
        (root / "b").unlink(missing_ok=True)
        sync_folder(root)
    assert seen == {(1, True), (1, False), (2, True), (2, False)}


def test_the_power_is_back_after_an_end_that_fails(disk: PowerDisk) -> None:
    """What is kept after a failure is brought to the backing folder."""
    root = disk.mount()
    put(root / "a", b"1" * 512, sync=True)
    sync_folder(root)

    def end() -> None:
        raise RuntimeError("what the engine printed")

    with pytest.raises(RuntimeError, match="printed"):
        disk.cut_here(1, end)
    disk.flush()
    assert (disk.backing / "a").read_bytes() == b"1" * 512


def test_files_keep_the_time_of_their_last_write(disk: PowerDisk) -> None:
    """Else all are of 1970, and as old as anything that lets files go would want."""
    began = time.time()
    root = disk.mount()
    put(root / "a", b"1" * 512, sync=True)
    put(root / "b", b"2" * 512, sync=True)
    sync_folder(root)
    os.utime(root / "b", (5, 7))
    disk.cut_here(1, lambda: None)
    assert began - 1 < (root / "a").stat().st_mtime < time.time() + 1
    assert (root / "b").stat().st_mtime == 7
    put(root / "b", b"3" * 512, sync=False)
    assert (root / "b").stat().st_mtime > began - 1
    written = (root / "a").stat().st_mtime
    disk.flush()
    assert disk.mount().joinpath("a").stat().st_mtime == written


def test_time_stands_still_at_the_nth_operation(disk: PowerDisk) -> None:
    """A process that is killed then sees nothing of the operation's end."""
    root = disk.mount()
    put(root / "epoch-1.log", b"o" * 512, sync=True)
    sync_folder(root)
    script = "import os, sys; fd = os.open(sys.argv[1], os.O_RDWR)\n"
    script += "for i in range(9): os.pwrite(fd, b'n' * 512, 512 * i); print(i, flush=True)"
    disk.cut_at(4, 1)
    command = [sys.executable, "-c", script, str(root / "epoch-1.log")]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert disk.stands_still(60)
    writer.kill()
    figures = disk.cut_here(2, lambda: (writer.wait(), None)[1])
    assert writer.stdout is not None and writer.stdout.read() == b"0\n1\n2\n"
    assert figures["unsynced_log_sectors"] == 4, "zeros that nobody wrote do not count"
    assert not disk.stands_still(0.01)


def test_a_sync_takes_its_time_and_others_go_on(disk: PowerDisk) -> None:
    root = disk.mount()
    fd = os.open(root / "a", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b"1" * 512, 0)
    disk.delay_syncs(600_000, 3)
    syncing = threading.Thread(target=os.fsync, args=(fd,))
    syncing.start()
    put(root / "b", b"2" * 512, sync=False)
    assert syncing.is_alive(), "a write to another file waits for no sync"
    assert disk.figures()["unsynced_sectors"] == 2
    syncing.join()
    assert disk.figures()["unsynced_sectors"] == 1
    os.close(fd)
