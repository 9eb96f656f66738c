"""Instances that run as several processes: started in order, ended together, on one worker or two.
The backend is tests/fakes/gang, in a program of its own beside the real one."""

import os
import re
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Iterator

import pytest

from harness import BERTH, ROOT, Berth, eventually, processes_with
from machines import Cluster, cluster

GANG = BERTH.with_name("berth-gang")
PROCESS = ROOT / "tests/fakes/gang/process.py"


def add_pack(berth: Berth) -> None:
    """The pack that runs the fake processes."""
    berth.add_pack("pair", [sys.executable, str(PROCESS)], backend="pair")


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Cluster]:
    """The workers box-1 and box-2, which know the backend of two processes."""
    assert GANG.is_file(), f"{GANG} is missing: build the target berth-gang"
    with cluster(tmp_path, "--no-worker", program=GANG) as made:
        for name in ("box-1", "box-2"):
            machine = made.machine(name)
            add_pack(machine.berth)
            machine.start("--server", made.url, "--token", made.token())
            made.wait_worker(name)
        yield made


def deploy(pair: Cluster, model: Path, *flags: str, words: str = "", **fields: Any) -> None:
    pair.server.api("POST", "/api/v1/models", 201, json={
        "name": "gang", "source": str(model), "backend": "pair", "parameters": list(flags),
        "worker_selector": {"worker-name": "box-1"},
        "env": {"FAKE_GANG": words, "FAKE_FOLDER": str(pair.home)}} | fields)


def environment(pid: int) -> str:
    """Empty where it has ended meanwhile."""
    try:
        return Path(f"/proc/{pid}/environ").read_text(errors="replace")
    except OSError:
        return ""


def processes(pair: Cluster) -> dict[str, int]:
    """The living processes, by role."""
    return {re.search("--role ([a-z]+)", argv)[1]: pid
            for pid, argv in processes_with(str(PROCESS)).items()
            if "shim" not in argv and str(pair.home) in environment(pid)}


def resident(pid: int) -> int:
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) * 1024


def words_of(pair: Cluster) -> dict[str, int]:
    """The processes that an answer comes from, by role."""
    text = pair.server.openai().completions.create(model="gang", prompt="x").choices[0].text
    main, helper = re.fullmatch(r"main (\d+), helper (\d+)", text).groups()
    return {"main": int(main), "helper": int(helper)}


def serves_anew(pair: Cluster, before: dict[str, int]) -> dict[str, int]:
    """Waits until both processes are other ones, and serve."""
    after = eventually("another attempt serves", lambda: (now := processes(pair)) and len(now) == 2
                       and not set(now.values()) & set(before.values()) and now, 60)
    pair.server.wait_ready("gang")
    assert words_of(pair) == after
    return after


@pytest.mark.parametrize("helper_on", ["box-1", "box-2"])
def test_two_processes_serve_and_end_together(pair: Cluster, tiny_file: Path, helper_on: str):
    deploy(pair, tiny_file, "--helper-on", helper_on, words="needs_helper")
    ready = pair.server.wait_ready("gang")[0]
    first = processes(pair)
    assert words_of(pair) == first
    eventually("its memory is that of both", lambda: pair.server.instances("gang")[0].get(
        "resident", 0) > max(resident(pid) for pid in first.values()) * 1.5)
    assert ready["attempt"] == 1, "the main one did not wait for its helper"
    assert [one["worker"] for one in ready["gang"]["members"]] == ["box-1", helper_on]
    for role in ("helper", "main"):
        os.kill(first[role], signal.SIGKILL)
        second = serves_anew(pair, first)
        first = second
    after = pair.server.wait_ready("gang")[0]
    assert (after["name"], after["attempt"]) == (ready["name"], 3)
    assert "signal 9" in after["last_exit"]["likely_cause"] or after["last_exit"]["signal"] == 9
    assert "helper on port" in pair.server.log(after["name"], "--member", "1")
    refused = pair.server.cli("logs", after["name"], "--member", 2, check=2)
    assert "member" in refused.stderr and "2 processes" in refused.stderr
    pair.server.remove("gang")
    assert not processes(pair)


def test_agents_that_are_killed_leave_a_gang_as_it_is(pair: Cluster, tiny_file: Path):
    deploy(pair, tiny_file, "--helper-on", "box-2")
    pair.server.wait_ready("gang")
    before = processes(pair)
    for machine in pair.machines:
        machine.stop(signal.SIGKILL)
        machine.start()
        pair.wait_worker(machine.name)
    pair.server.wait_ready("gang")
    assert words_of(pair) == before


def test_a_helper_that_dies_while_its_agent_is_away_ends_the_main_process(
        pair: Cluster, tiny_file: Path):
    deploy(pair, tiny_file, "--helper-on", "box-2")
    pair.server.wait_ready("gang")
    before = processes(pair)
    pair.machines[1].stop(signal.SIGKILL)
    os.kill(before["helper"], signal.SIGKILL)
    pair.machines[1].start()
    serves_anew(pair, before)


def test_a_gang_that_fails_again_and_again_is_given_up_and_nothing_of_it_runs(
        pair: Cluster, tiny_file: Path):
    deploy(pair, tiny_file, "--helper-on", "box-2", words="helper_dies",
           env={"FAKE_GANG": "helper_dies", "FAKE_FOLDER": str(pair.home), "FAKE_TIMES": "9"},
           restart={"max_failures": 2})
    failed = pair.server.wait_state("gang", "failed")
    assert "helper on box-2" in failed["reason"] and failed["last_exit"]["exit_code"] == 4
    assert (pair.home / "deaths").read_text() == "3"
    eventually("nothing of it runs", lambda: not processes(pair), 15)
    assert "helper on port" in pair.server.log(failed["name"], "--member", "1")
    pair.server.remove("gang")


def test_a_drain_of_one_worker_ends_the_main_process_first(pair: Cluster, tiny_file: Path):
    deploy(pair, tiny_file, "--helper-on", "box-2", words="slow")
    pair.server.wait_ready("gang")
    with ThreadPoolExecutor() as pool:
        under_way = pool.submit(words_of, pair)
        eventually("it is asked", lambda: (pair.home / "asked").exists())
        pair.server.cli("workers", "drain", "box-2")
        assert set(under_way.result()) == {"main", "helper"}, "the helper was there to the end"
    eventually("nothing of it runs", lambda: not processes(pair))
    waits = pair.server.wait_state("gang", "pending")
    assert "its helper needs the worker box-2, which is drain" in waits["reason"]
    pair.server.cli("workers", "uncordon", "box-2")
    pair.server.wait_ready("gang")
    assert words_of(pair) == processes(pair)


def test_the_end_of_a_worker_of_a_gang_makes_it_unreachable(pair: Cluster, tiny_file: Path):
    pair.server.stop()
    pair.server.settings |= {"BERTH_SUSPECT_AFTER": "7", "BERTH_LOST_AFTER": "3600"}
    pair.server.start("--no-worker", "--cluster-listen", f"127.0.0.1:{pair.door}")
    deploy(pair, tiny_file, "--helper-on", "box-2")
    pair.server.wait_ready("gang")
    before = processes(pair)
    pair.machines[1].process.send_signal(signal.SIGSTOP)
    cut_off = pair.server.wait_state("gang", "unreachable")
    assert "box-2" in cut_off["reason"]
    pair.machines[1].process.send_signal(signal.SIGCONT)
    pair.server.wait_ready("gang")
    assert words_of(pair) == before
