"""Engines that die, workers that die, servers that start again."""

import contextlib
import os
import signal
import sys
from pathlib import Path

from fake_engine import FAKE
from harness import Berth, eventually
from machines import cluster


def restarted(berth: Berth, model: str, pid: int) -> dict:
    """Waits until another engine than `pid` is ready."""
    return eventually("another engine is ready", lambda: next(
        (one for one in berth.instances(model)
         if one["state"] == "ready" and one["pid"] not in (None, pid)), None), 90)


def test_a_killed_engine_is_started_again_and_the_exit_is_kept(own_berth: Berth, tiny_file: Path):
    own_berth.deploy("phoenix", tiny_file)
    before = own_berth.wait_ready("phoenix")[0]
    os.kill(before["pid"], signal.SIGKILL)
    after = restarted(own_berth, "phoenix", before["pid"])
    assert after["name"] == before["name"]
    assert after["last_exit"]["signal"] == 9
    assert own_berth.openai().completions.create(model="phoenix", prompt="x", max_tokens=1).choices


def test_an_engine_that_dies_at_start_tells_its_last_lines(own_berth: Berth, tiny_file: Path):
    run = own_berth.deploy("dies", tiny_file, "--", "--chat-template", "{% broken", check=1)
    assert "dies" in run.stderr and "exit code" in run.stderr
    assert "chat template" in run.stderr, "the engine's own words are missing"
    instance = own_berth.wait_state("dies", "failed")
    assert instance["reason"]
    assert instance["last_exit"]["exit_code"] == 1
    assert any("chat template" in line for line in instance["last_exit"]["last_lines"])
    assert "failed" in own_berth.cli("ps").stdout


def test_a_file_that_breaks_under_a_running_engine_is_told(own_berth: Berth, tiny_file: Path,
                                                           tmp_path: Path):
    file = tmp_path / "breaks.gguf"
    file.write_bytes(tiny_file.read_bytes())
    own_berth.deploy("breaks", file)
    pid = own_berth.wait_ready("breaks")[0]["pid"]
    with file.open("r+b") as handle:
        handle.truncate(file.stat().st_size // 2)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    instance = own_berth.wait_state("breaks", "failed", seconds=90)
    assert instance["reason"] and instance["last_exit"]["last_lines"]


def test_a_server_that_starts_again_finds_its_models(own_berth: Berth, tiny_file: Path):
    own_berth.deploy("stays", tiny_file, "--replicas", 2)
    own_berth.wait_ready("stays", 2)
    own_berth.stop()
    own_berth.start()
    own_berth.wait_ready("stays", 2)
    assert own_berth.openai().completions.create(model="stays", prompt="x", max_tokens=1).choices


def test_engines_can_be_left_and_are_found_again(own_berth: Berth, tiny_file: Path):
    own_berth.stop()
    own_berth.start("--leave-engines")
    own_berth.deploy("left", tiny_file)
    before = own_berth.wait_ready("left")[0]
    own_berth.stop()
    assert Path(f"/proc/{before['pid']}").exists(), "the engine was ended"
    own_berth.start()
    after = own_berth.wait_ready("left")[0]
    assert (after["name"], after["pid"]) == (before["name"], before["pid"])
    assert own_berth.openai().completions.create(model="left", prompt="x", max_tokens=1).choices


def test_a_killed_worker_comes_back_and_its_engines_stay(own_berth: Berth, tiny_file: Path):
    own_berth.deploy("kept", tiny_file)
    engine = own_berth.wait_ready("kept")[0]["pid"]
    worker = next(pid for pid, argv in own_berth.left_over().items() if " worker " in argv)
    os.kill(worker, signal.SIGKILL)
    eventually("another worker runs", lambda: [
        pid for pid, argv in own_berth.left_over().items() if " worker " in argv and pid != worker], 30)
    after = own_berth.wait_ready("kept")[0]
    assert after["pid"] == engine
    assert own_berth.openai().completions.create(model="kept", prompt="x", max_tokens=1).choices


def test_a_killed_server_loses_nothing(own_berth: Berth, tiny_file: Path):
    own_berth.deploy("durable", tiny_file)
    own_berth.wait_ready("durable")
    own_berth.stop(signal.SIGKILL)
    own_berth.start()
    own_berth.wait_ready("durable")
    assert own_berth.openai().completions.create(model="durable", prompt="x", max_tokens=1).choices


def test_a_server_that_ends_while_its_worker_is_dead_ends_the_engines(own_berth: Berth,
                                                                      tiny_file: Path):
    own_berth.deploy("orphan", tiny_file)
    own_berth.wait_ready("orphan")
    worker = next(pid for pid, argv in own_berth.left_over().items() if " worker " in argv)
    os.kill(worker, signal.SIGKILL)
    own_berth.stop()
    eventually("nothing is left", lambda: not own_berth.left_over(), 15)


def test_an_engine_that_one_worker_can_not_start_is_started_on_another(
        tmp_path: Path, tiny_file: Path):
    with cluster(tmp_path, "--no-worker") as made:
        def join(name: str, *program: str) -> None:
            machine = made.machine(name)
            machine.berth.add_pack("fake", list(program))
            machine.start("--server", made.url, "--token", made.token())
            made.wait_worker(name)

        join("box-1", "/bin/false")
        made.server.api("POST", "/api/v1/models", 201, json={
            "name": "chat", "source": str(tiny_file), "backend_version": "fake",
            "restart": {"max_failures": 1}})
        made.server.wait_state("chat", "failed")
        join("box-2", sys.executable, str(FAKE))
        [there] = made.server.wait_ready("chat")
        assert there["worker"] == "box-2" and there["generation"] == 2
        assert there["given_up_on"] == ["box-1"]
        assert "it failed too often on box-1" in made.server.cli("events").stdout
