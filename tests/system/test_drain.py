"""Workers that take nothing new, are emptied, or are replaced while their engines serve."""

import signal
from pathlib import Path
from typing import Iterator

import pytest

from harness import processes_with
from load import load
from machines import Cluster, cluster


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Cluster]:
    """A server and the workers box-1 and box-2."""
    with cluster(tmp_path, "--no-worker") as made:
        made.join("box-1")
        made.join("box-2")
        yield made


def workers_of(pair: Cluster, model: str) -> list[str]:
    return sorted(one["worker"] for one in pair.server.instances(model) if one["worker"])


def test_nothing_new_is_placed_on_a_cordoned_worker(pair: Cluster, tiny_file: Path):
    assert "Nothing new" in pair.server.cli("workers", "cordon", "box-1").stdout
    assert "ready, cordoned" in pair.server.cli("workers").stdout
    pair.server.deploy("chat", tiny_file, "--replicas", 2)
    assert workers_of(pair, "chat") == ["box-2", "box-2"]
    machine = pair.machines[0]
    machine.stop()
    machine.start()
    assert pair.wait_worker("box-1")["scheduling"] == "cordoned", "it is the operator's wish"
    pair.server.cli("workers", "uncordon", "box-1")
    pair.server.cli("scale", "chat", 3)
    assert workers_of(pair, "chat") == ["box-1", "box-2", "box-2"]


def test_a_drain_under_load_loses_no_request(pair: Cluster, tiny_file: Path):
    pair.server.deploy("chat", tiny_file, "--replicas", 2)
    assert workers_of(pair, "chat") == ["box-1", "box-2"]
    with load(pair.server, "chat") as requests:
        requests.wait_for_more()
        said = pair.server.cli("workers", "drain", "box-2").stdout
        assert "uncordon box-2" in said
        requests.wait_for_more()
    assert workers_of(pair, "chat") == ["box-1", "box-1"]
    assert pair.worker("box-2")["scheduling"] == "drained"
    assert not [argv for argv in processes_with(str(pair.machines[1].data)).values()
                if "llama" in argv]
    assert any(one["reason"] == "Drained" for one in pair.server.json(
        "events", "--name", "box-2")["items"])
    pair.server.cli("workers", "rm", "box-2")


def test_a_drain_without_room_elsewhere_ends_the_engine_and_says_what_waits(
        pair: Cluster, tiny_file: Path):
    pair.server.deploy("chat", tiny_file, "--worker-selector",
                       "worker-name=box-1")
    done = pair.server.cli("workers", "drain", "box-1")
    assert "warning: chat-" in done.stderr and "waits" in done.stderr
    assert pair.server.wait_state("chat", "pending")["worker"] is None
    pair.server.cli("workers", "uncordon", "box-1")
    pair.server.wait_ready("chat")


def test_wishes_for_workers_are_checked(pair: Cluster):
    for body, field in (({"scheduling": "drained"}, "scheduling"), ({"scheduling": "x"}, "scheduling"),
                        ({"scheduling": "open", "cordoned": True}, "cordoned"), ({}, "scheduling")):
        answer = pair.server.http("PATCH", "/api/v1/workers/box-1", json=body)
        assert answer.status_code == 400 and field in answer.json()["error"]["param"], answer.text
    assert "berth workers" in pair.server.cli("workers", "cordon", "nobody", check=1).stderr
    assert pair.worker("box-1")["scheduling"] == "open"


def restart_agents(pair: Cluster, model: Path, sign: signal.Signals, times: int) -> None:
    """Ends the agents in turn, under load. No request may fail, and the engines stay."""
    pair.server.deploy("chat", model, "--replicas", 2)
    before = {one["name"]: one["pid"] for one in pair.server.wait_ready("chat", 2)}
    with load(pair.server, "chat") as requests:
        for turn in range(times):
            machine = pair.machines[turn % 2]
            machine.stop(sign)
            requests.wait_for_more()
            machine.start()
            pair.wait_worker(machine.name)
            requests.wait_for_more()
    assert {one["name"]: one["pid"] for one in pair.server.wait_ready("chat", 2)} == before


def test_an_agent_that_is_killed_again_and_again_costs_no_request(
        pair: Cluster, tiny_file: Path, rounds: int):
    restart_agents(pair, tiny_file, signal.SIGKILL, 2 * rounds)


def test_agents_are_replaced_one_after_the_other_while_engines_serve(
        pair: Cluster, tiny_file: Path):
    """As a rolling upgrade does: SIGHUP ends an agent and leaves its engines and its proxy."""
    restart_agents(pair, tiny_file, signal.SIGHUP, 2)
