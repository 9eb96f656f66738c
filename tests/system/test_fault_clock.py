"""The wall clock jumps, as after a wrong battery or the first answer of a time server: nothing that
runs is taken for late, and nothing is lost. Only the wall clock does; the kernel's monotonic one,
by which everything waits, never jumps."""

import os
import random
import signal
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Callable

import httpx
import pytest

from fake_engine import fake, fake_berth  # noqa: F401  (fixtures)
from harness import ROOT, Berth, eventually

DAY = 86400


class WallClock:
    """The wall clock of the server and of all that it starts: so many seconds off."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.touch()
        self.jump_to(0)

    def jump_to(self, seconds: int) -> None:
        self.off = seconds
        with self.file.open("r+b") as file:  # the same file: it is mapped
            file.write(seconds.to_bytes(8, sys.byteorder, signed=True))

    def shows(self, text: str) -> bool:
        """Whether a time that Berth wrote down a moment ago is this clock's."""
        written = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return abs(written - datetime.now(timezone.utc) - timedelta(seconds=self.off)) < \
            timedelta(minutes=10)


@pytest.fixture
def clock(stopped_berth: Berth, tmp_path: Path) -> WallClock:
    library = tmp_path / "wall_clock.so"
    subprocess.run(["clang-19", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library,
                    ROOT / "tests/fakes/wall_clock.c"], check=True)
    wall_clock = WallClock(tmp_path / "clock")
    stopped_berth.settings |= {"LD_PRELOAD": str(library), "WALL_CLOCK_FILE": str(wall_clock.file)}
    return wall_clock


@pytest.fixture
def serving(clock: WallClock, fake_berth: Berth, fake: Callable[..., str]) -> Berth:
    fake("")
    fake_berth.wait_ready("faulty")
    return fake_berth


def ask(berth: Berth) -> None:
    berth.api("POST", "/v1/completions", json={"model": "faulty", "prompt": "x"})


def deploy_another(berth: Berth, tiny_file: Path) -> dict:
    """A deployment that waits for its order to start: {replicas: 0}."""
    return berth.api("POST", "/api/v1/models", 201, json={
        "name": "another", "source": str(tiny_file), "backend_version": "fake", "replicas": 0})


def test_an_engine_goes_on_while_the_clock_jumps(clock: WallClock, serving: Berth,
                                                 tiny_file: Path, rounds: int):
    before = serving.instances("faulty")[0]
    jumps = [3650 * DAY, -3650 * DAY, 3600, -3600, 0]
    jumps += [random.randint(-900 * DAY, 900 * DAY) for _ in range(rounds)]
    for seconds in jumps:
        clock.jump_to(seconds)
        another = deploy_another(serving, tiny_file)
        assert clock.shows(another["created_at"]), "the jump did not reach the server"
        ask(serving)
        serving.remove("another")
        now = serving.instances("faulty")[0]
        assert [now[key] for key in ("name", "state", "pid", "attempt", "failures")] == \
            [before[key] for key in ("name", "state", "pid", "attempt", "failures")]
        worker = serving.api("GET", "/api/v1/workers")["items"][0]
        assert worker["state"] == "ready"


def test_a_crashed_engine_is_started_again_while_the_clock_jumps(clock: WallClock, serving: Berth):
    for seconds in (400 * DAY, -400 * DAY):
        before = serving.wait_ready("faulty")[0]
        os.kill(before["pid"], signal.SIGKILL)
        clock.jump_to(seconds)
        eventually("another process serves", lambda: any(
            one["state"] == "ready" and one["pid"] != before["pid"]
            for one in serving.instances("faulty")))
        ask(serving)


def test_a_server_that_starts_in_the_past_finds_its_engine(clock: WallClock, serving: Berth):
    before = serving.instances("faulty")[0]
    assert serving.process
    serving.stop(signal.SIGKILL)
    clock.jump_to(-2000 * DAY)
    serving.start()
    now = serving.wait_ready("faulty")[0]
    assert (now["pid"], now["attempt"]) == (before["pid"], before["attempt"])
    ask(serving)


def test_a_watch_goes_on_while_the_clock_jumps(clock: WallClock, serving: Berth, tiny_file: Path):
    since = serving.api("GET", "/api/v1/models")["revision"]
    with httpx.stream("GET", f"{serving.url}/api/v1/watch?kinds=model&since={since}",
                      headers={"Authorization": f"Bearer {serving.key}"}, timeout=60) as answer:
        lines = answer.iter_lines()
        for seconds in (1000 * DAY, -1000 * DAY):
            clock.jump_to(seconds)
            deploy_another(serving, tiny_file)
            serving.remove("another")
            assert "event: delete" in lines, "the watch ended"
