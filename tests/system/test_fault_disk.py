"""Disks that are full or fail while the server runs: what can not be kept is refused and told, what
runs goes on, and everything mends itself when there is space."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Iterator

import pytest

from harness import CACHE, Berth, eventually, load_of

MIB = 1 << 20


@contextlib.contextmanager
def mounted(folder: Path, *arguments: str) -> Iterator[None]:
    assert os.geteuid() == 0, "this test mounts: run it as root"
    folder.mkdir(parents=True)
    subprocess.run(["mount", *arguments, folder], check=True)
    try:
        yield
    finally:
        # Whatever still looks at it (a process just ended, a scan) is gone in a moment.
        eventually(f"{folder} is unmounted", lambda: subprocess.run(
            ["umount", folder], capture_output=True).returncode == 0, 20)


def share_packs(data: Path) -> None:
    for shared in ("packs", "tools", "cache"):
        (CACHE / "test-packs" / shared).mkdir(parents=True, exist_ok=True)
        (data / shared).symlink_to(CACHE / "test-packs" / shared)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Berth]:
    """A stopped server whose data folder lies on a disk of 32 MiB of its own."""
    data = tmp_path / "data"
    with mounted(data, "-t", "tmpfs", "-o", "size=32m,mode=0700", "tmpfs"):
        share_packs(data)
        berth = Berth(tmp_path)
        yield berth
        berth.close()


class Ballast:
    """Takes all the space of a folder's disk, and gives it back."""

    def __init__(self, folder: Path):
        self.file = folder / "ballast"

    def fill(self) -> None:
        """Again and again, for what others free meanwhile."""
        with self.file.open("ab", buffering=0) as file:
            for size in (MIB, 4096, 1):
                with contextlib.suppress(OSError):
                    while file.write(b"\0" * size):
                        pass

    def drop(self) -> None:
        self.file.unlink()


def add(berth: Berth, name: str, file: Path):
    return berth.http("POST", "/api/v1/models", json={
        "name": name, "source": str(file), "replicas": 0, "env": {"FILLER": "x" * 50_000}})


def refused(berth: Berth, file: Path) -> dict:
    """Writes until one is refused for want of space: SQLite may still have some laid out."""
    for i in range(2000):
        answer = add(berth, f"filler-{time.monotonic_ns()}", file)
        if answer.status_code >= 300:
            assert answer.status_code == 503, answer.text
            return answer.json()["error"]
    raise AssertionError("the disk does not fill up")


def answers(berth: Berth, model: str) -> bool:
    # The same tokens each time: those of random weights need not be UTF-8, which an engine that logs
    # them does not forgive.
    return bool(berth.openai().completions.create(model=model, prompt="x", max_tokens=2,
                                                  temperature=0, seed=1).choices)


def test_a_full_disk_refuses_changes_and_requests_go_on(small: Berth, tiny_file: Path):
    small.start()
    small.deploy("serving", tiny_file)
    engine = small.wait_ready("serving")[0]["pid"]
    server = small.process.pid
    ballast = Ballast(small.data)
    ballast.fill()
    error = refused(small, tiny_file)
    assert str(small.data) in error["message"] and "full" in error["message"]
    there = {one["name"] for one in small.api("GET", "/api/v1/models")["items"]}
    for _ in range(30):
        assert answers(small, "serving")
    assert add(small, "more", tiny_file).status_code == 503
    run = small.cli("scale", "serving", "2", check=False)
    assert run.returncode == 1 and str(small.data) in run.stderr
    ballast.drop()
    eventually("changes are taken again", lambda: add(small, "after", tiny_file).status_code < 300)
    assert {one["name"] for one in small.api("GET", "/api/v1/models")["items"]} >= there | {"after"}
    assert answers(small, "serving")
    assert (small.process.pid, small.instances("serving")[0]["pid"]) == (server, engine)
    told = [line for line in small.output if "is full" in line]
    assert 1 <= len(told) <= 20, told


def test_an_engine_that_dies_on_a_full_disk_is_back_when_there_is_space(small: Berth,
                                                                        tiny_file: Path):
    small.start()
    small.deploy("serving", tiny_file)
    engine = small.wait_ready("serving")[0]["pid"]
    worker = [pid for pid, argv in small.left_over().items() if " worker " in argv]
    ballast = Ballast(small.data)
    ballast.fill()
    os.kill(engine, signal.SIGKILL)
    eventually("it is gone", lambda: not Path(f"/proc/{engine}").exists(), 10)
    assert load_of([small.process.pid, *worker], 6) < 1.5, "it tries again without a pause"
    ballast.fill()
    ballast.drop()

    def back() -> bool:
        found = small.instances("serving")
        return [one["state"] for one in found] == ["ready"] and found[0]["pid"] != engine
    eventually("another engine is ready", back, 90)
    eventually("it answers", lambda: answers(small, "serving"), 10)
    engines = [argv for argv in small.left_over().values() if str(tiny_file) in argv
               and "berth-shim" not in argv]
    assert len(engines) == 1, engines
    assert [pid for pid, argv in small.left_over().items() if " worker " in argv] == worker


def test_a_worker_that_starts_on_a_full_disk_keeps_its_engines(small: Berth, tiny_file: Path):
    small.start()
    small.deploy("serving", tiny_file)
    engine = small.wait_ready("serving")[0]["pid"]
    worker = next(pid for pid, argv in small.left_over().items() if " worker " in argv)
    ballast = Ballast(small.data)
    ballast.fill()
    os.kill(worker, signal.SIGKILL)
    for _ in range(100):
        assert answers(small, "serving")
    ballast.drop()
    eventually("another worker has joined", lambda: sum(
        "joined the server" in line for line in small.output) == 2, 40)
    eventually("the engine is known again", lambda: [
        (one["state"], one["pid"]) for one in small.instances("serving")] == [("ready", engine)])
    assert answers(small, "serving")


def test_a_server_killed_on_a_full_disk_loses_nothing_that_was_acknowledged(small: Berth,
                                                                            tiny_file: Path):
    small.start("--no-worker")
    ballast = Ballast(small.data)
    acknowledged = {f"m{i}" for i in range(5) if add(small, f"m{i}", tiny_file).status_code < 300}
    ballast.fill()
    for i in range(5, 200):
        if add(small, f"m{i}", tiny_file).status_code >= 300:
            break
        acknowledged.add(f"m{i}")
    small.stop(signal.SIGKILL)
    run = small.cli("serve", "--no-worker", "--listen", f"127.0.0.1:{small.port}", check=1,
                    timeout=30)
    assert str(small.data) in run.stderr, run.stderr
    ballast.drop()
    small.start("--no-worker")
    assert {one["name"] for one in small.api("GET", "/api/v1/models")["items"]} == acknowledged


def test_a_first_start_on_a_full_disk_is_refused_and_leaves_nothing_behind(small: Berth):
    ballast = Ballast(small.data)
    ballast.fill()
    before = {path.name for path in small.data.iterdir()}
    run = small.cli("serve", "--no-worker", "--listen", f"127.0.0.1:{small.port}", check=1,
                    timeout=30)
    assert str(small.data) in run.stderr, run.stderr
    assert any(word in run.stderr for word in ("full", "No space left")), run.stderr
    left = {path.name for path in small.data.iterdir() if path.stat().st_size} - before
    assert not left
    ballast.drop()
    small.start("--no-worker")
    assert small.api("GET", "/api/v1/models")["items"] == []


def test_an_engine_whose_log_finds_no_space_runs_on(small: Berth, tiny_file: Path):
    small.start()
    small.deploy("chatty", tiny_file, "--", "--verbose")
    before = small.wait_ready("chatty")[0]
    ballast = Ballast(small.data)
    for _ in range(30):
        ballast.fill()
        assert answers(small, "chatty")
    assert Path(f"/proc/{before['pid']}").exists()
    ballast.drop()

    def written() -> int:
        return sum(file.stat().st_size for file in small.data.glob("worker/instances/*/*/*.log*"))

    kept = written()
    assert kept > 0
    eventually("the log goes on", lambda: answers(small, "chatty") and written() > kept)
    assert small.instances("chatty")[0]["pid"] == before["pid"]


def test_a_pack_that_does_not_fit_is_refused_with_folder_and_size(small: Berth):
    (small.data / "packs").unlink()
    small.start()
    pack = eventually("the worker tells its packs", lambda: next(
        (one for one in small.api("GET", "/api/v1/engines")["items"]
         if one["state"] == "available"), None))["pack"]["name"]
    run = small.cli("engines", "install", pack, check=1)
    assert str(small.data) in run.stderr
    assert "make room" in run.stderr and "MiB" in run.stderr, run.stderr


# --- a disk that fails ----------------------------------------------------------------------------

def test_a_disk_that_becomes_read_only_refuses_changes_and_requests_go_on(tmp_path: Path,
                                                                          tiny_file: Path):
    """As ext4 does by itself when the disk below it fails."""
    image, data = tmp_path / "disk.img", tmp_path / "data"
    with image.open("wb") as file:
        file.truncate(64 * MIB)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(mounted(data, "-o", "loop", str(image)))
        share_packs(data)
        berth = Berth(tmp_path)
        stack.callback(berth.close)
        berth.start()
        berth.deploy("serving", tiny_file)
        berth.wait_ready("serving")
        acknowledged = {one["name"] for one in berth.api("GET", "/api/v1/models")["items"]}
        subprocess.run(["sync", "-f", data], check=True)
        subprocess.run(["mount", "-o", "remount,abort", data], check=True)
        error = add(berth, "refused", tiny_file)
        assert error.status_code == 503, error.text
        assert str(data) in error.json()["error"]["message"]
        for _ in range(20):
            assert answers(berth, "serving")
        assert {one["name"] for one in berth.api("GET", "/api/v1/models")["items"]} == acknowledged
        berth.stop()
    with mounted(tmp_path / "again", "-o", "loop", str(image)):
        again = Berth(tmp_path, settings={"BERTH_DATA": str(tmp_path / "again")})
        again.data = tmp_path / "again"
        again.start("--no-worker")
        names = {one["name"] for one in again.api("GET", "/api/v1/models")["items"]}
        again.close()
        assert names == acknowledged
