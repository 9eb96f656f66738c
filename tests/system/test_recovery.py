"""Engines that die, workers that die, servers that start again."""

import os
import signal
from pathlib import Path

from harness import Berth, eventually


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


def test_an_engine_that_dies_at_start_tells_its_last_lines(own_berth: Berth, gemma_file: Path,
                                                           tmp_path: Path):
    # Good when it is deployed, broken when the engine reads it: the header is there, the tensors
    # are not.
    file = tmp_path / "breaks.gguf"
    file.write_bytes(gemma_file.read_bytes())
    own_berth.deploy("warm-up", file)
    own_berth.remove("warm-up")
    own_berth.deploy("breaks", file, "--replicas", 0, "--no-wait")
    with file.open("r+b") as handle:
        handle.truncate(20 << 20)
    run = own_berth.cli("scale", "breaks", 1)
    assert run.returncode == 0
    instance = eventually("its end is told", lambda: next(
        (one for one in own_berth.instances("breaks") if one["last_exit"]), None), 90)
    assert instance["state"] in ("restarting", "failed", "starting")
    last = instance["last_exit"]
    assert last["last_lines"], last
    assert last["exit_code"] not in (0, None) or last["signal"]
    told = own_berth.cli("ps").stdout + str(instance["reason"])
    assert any(line.strip()[:40] in told or "exit" in told.lower() for line in last["last_lines"])


def test_deploy_of_an_engine_that_dies_fails_with_its_last_lines(own_berth: Berth, tiny_file: Path):
    run = own_berth.deploy("dies", tiny_file, "--", "--chat-template", "{% broken", check=False)
    if run.returncode == 0:  # this engine takes any template
        return
    assert run.returncode == 1
    assert "dies" in run.stderr
    assert len(run.stderr.splitlines()) > 1


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
