"""An instance's log: what the engine says, as it says it, headed by what is in force; and the
worker's own."""

import datetime
import os
import signal
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from harness import BERTH, Berth, eventually, running


def test_the_log_begins_with_what_is_in_force(berth: Berth, tiny: str):
    log = berth.log(berth.instances(tiny)[0]["name"])
    head = log[:4000]
    assert "--ctx-size" in head
    assert "llama" in head.lower()


def test_tail_gives_the_last_lines(berth: Berth, tiny: str):
    name = berth.instances(tiny)[0]["name"]
    whole = berth.log(name).splitlines()
    tail = berth.log(name, "--tail", "3").splitlines()
    assert len(tail) == 3 and len(whole) > 3


def test_follow_shows_lines_as_they_are_written(berth: Berth, tiny: str):
    name = berth.instances(tiny)[0]["name"]
    # Python hands an ignored SIGINT on, as of a run in the background.
    follow = subprocess.Popen([BERTH, "logs", "-f", "--tail", "1", name], env=berth.env,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    os.set_blocking(follow.stdout.fileno(), False)
    try:
        seen = bytearray()

        def more() -> int:
            try:
                seen.extend(os.read(follow.stdout.fileno(), 65536))
            except BlockingIOError:
                pass
            return len(seen)

        eventually("the last line came", more, 15)
        before = len(seen)
        berth.openai().completions.create(model=tiny, prompt="x", max_tokens=2)
        eventually("the request's lines came", lambda: more() > before, 15)
        assert follow.poll() is None
        follow.send_signal(signal.SIGINT)
        assert follow.wait(10) in (0, 130, -signal.SIGINT)
    finally:
        if follow.poll() is None:
            follow.kill()
        follow.wait(10)


def test_the_log_of_the_attempt_before_is_kept(own_berth: Berth, tiny_file):
    own_berth.deploy("twice", tiny_file)
    instance = own_berth.wait_ready("twice")[0]
    os.kill(instance["pid"], signal.SIGKILL)
    eventually("a new attempt is ready", lambda: (
        (one := own_berth.instances("twice")[0])["state"] == "ready"
        and one["attempt"] > instance["attempt"]), 60)
    assert own_berth.log(instance["name"], "--previous")
    assert own_berth.log(instance["name"])


def killed_and_ready_again(server: Berth, model: str) -> dict:
    before = server.wait_ready(model)[0]
    os.kill(before["pid"], signal.SIGKILL)
    eventually("a new attempt is ready", lambda: (
        (one := server.instances(model)[0])["state"] == "ready"
        and one["attempt"] > before["attempt"]), 60)
    return server.instances(model)[0]


def test_since_gives_what_was_written_from_then_on(own_berth: Berth, tiny_file: Path):
    own_berth.deploy("late", tiny_file)
    name = own_berth.wait_ready("late")[0]["name"]
    whole = own_berth.log(name)
    assert own_berth.log(name, "--since", "1h") == whole
    loaded = datetime.datetime.now(datetime.timezone.utc)
    two_later = loaded + datetime.timedelta(seconds=2.1)
    eventually("two seconds have passed",
               lambda: datetime.datetime.now(datetime.timezone.utc) > two_later, 10)
    assert own_berth.log(name, "--since", two_later.isoformat()) == ""
    own_berth.openai().completions.create(model="late", prompt="x", max_tokens=2)
    lines = eventually("the request's lines came",
                       lambda: own_berth.log(name, "--since", two_later.isoformat()), 15)
    assert lines and whole.splitlines()[0] not in lines
    # An attempt that comes later is told too, behind the one before.
    killed_and_ready_again(own_berth, "late")
    both = own_berth.log(name, "--since", two_later.isoformat())
    assert both.startswith(lines[:20]) and "attempt 2 of" in both
    assert "attempt 2 of" not in own_berth.log(name, "--since", "1h", "--previous")


def test_a_since_that_is_no_time_is_refused(berth: Berth, tiny: str):
    run = berth.cli("logs", berth.instances(tiny)[0]["name"], "--since", "yesterday", check=False)
    assert run.returncode != 0 and "yesterday" in run.stderr and "10m" in run.stderr


def test_follow_goes_on_with_the_next_attempt(own_berth: Berth, tiny_file: Path):
    own_berth.deploy("again", tiny_file)
    name = own_berth.wait_ready("again")[0]["name"]
    out = own_berth.home / "followed"
    with out.open("w") as file:
        follow = subprocess.Popen([BERTH, "logs", "-f", "--since", "1h", name], env=own_berth.env,
                                  stdout=file, stderr=subprocess.PIPE)
    try:
        eventually("the first attempt's head came", lambda: "attempt 1 of" in out.read_text(), 15)
        killed_and_ready_again(own_berth, "again")
        eventually("the second attempt's head came", lambda: "attempt 2 of" in out.read_text(), 15)
        assert out.read_text().count("# environment:") == 2
        own_berth.remove("again")
        assert follow.wait(20) == 0  # the instance is gone
    finally:
        if follow.poll() is None:
            follow.kill()
        follow.communicate(timeout=10)


@pytest.fixture
def forgetful(tmp_path: Path) -> Iterator[Berth]:
    with running(tmp_path, BERTH_KEEP_LOGS="1") as server:
        yield server


def test_only_as_many_logs_are_kept_as_is_set(forgetful: Berth, tiny_file: Path):
    forgetful.deploy("short", tiny_file)
    instance = killed_and_ready_again(forgetful, "short")
    folder = forgetful.data / "worker/instances" / instance["name"]
    names = sorted(path.name for path in folder.rglob("attempt-*"))
    assert names == ["attempt-2.log", "attempt-2.log.times"]
    assert forgetful.cli("logs", instance["name"], "--previous", check=False).returncode != 0


def test_the_worker_s_own_log_can_be_read(own_berth: Berth, tiny_file: Path):
    worker = eventually("the worker is there",
                        lambda: own_berth.api("GET", "/api/v1/workers")["items"], 30)[0]["name"]
    own_berth.deploy("told", tiny_file)
    instance = killed_and_ready_again(own_berth, "told")
    text = own_berth.cli("logs", "--worker", worker).stdout
    assert instance["name"] in text and "SIGKILL" in text
    assert own_berth.cli("logs", "--worker", worker, "--tail", "1").stdout.count("\n") == 1
    assert own_berth.cli("logs", "--worker", worker, "--since", "1h").stdout == text
    assert own_berth.key not in text
    nobody = own_berth.cli("logs", "--worker", "nobody", check=False)
    assert nobody.returncode != 0 and "nobody" in nobody.stderr
    assert own_berth.cli("logs", check=False).returncode != 0
