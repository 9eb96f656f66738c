"""A model whose layers are on several machines: llama.cpp's servers for RPC behind the workers'
proxies, on devices of kind rpc that stand for GPUs."""

import os
import signal
from pathlib import Path
from typing import Any, Iterator

import httpx
import pytest

from harness import COMPILED_PACKS, Berth, eventually, processes_with, running
from machines import Cluster, Machine, cluster

PROMPT = "The three primary colours are"
# A cache for which gemma needs two devices of MEMORY; --no-repack: the same sums wherever they are.
FLAGS = ["--parallel", "1", "--ctx-size", "8192", "--swa-full", "--no-repack",
         "--batch-size", "32", "--ubatch-size", "32"]
MEMORY = "330MiB"


def start(made: Cluster, name: str, *arguments: str) -> Machine:
    machine = made.machine(name)
    machine.start("--server", made.url, "--token", made.token(), *arguments)
    made.wait_worker(name)
    return machine


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Cluster]:
    """The workers box-1 and box-2, with a device each."""
    with cluster(tmp_path, "--no-worker", packs=COMPILED_PACKS) as made:
        for name in ("box-1", "box-2"):
            start(made, name, "--rpc-device", MEMORY)
        yield made


def deploy(made: Cluster, model: Path, *flags: str, **fields: Any) -> dict:
    made.server.api("POST", "/api/v1/models", 201, json={
        "name": "gemma", "source": str(model),
        "parameters": [*FLAGS, *flags]} | fields)
    made.server.wait_ready("gemma", seconds=60)
    return instance(made)


def instance(made: Cluster) -> dict:
    return made.server.api("GET", "/api/v1/instances?model=gemma")["items"][0]


def answer(berth: Berth) -> str:
    return berth.openai().completions.create(model="gemma", prompt=PROMPT, max_tokens=24,
                                             temperature=0, seed=1).choices[0].text


def servers(made: Cluster) -> dict[int, str]:
    return {pid: argv for pid, argv in processes_with("ggml-rpc-server").items()
            if "shim" not in argv}


def test_a_split_model_answers_as_a_whole_one(two: Cluster, gemma_file: Path, tmp_path: Path):
    placed = deploy(two, gemma_file)
    placement = placed["placement"]
    assert {placement["worker"]} | {one["worker"] for one in placement["subordinates"]} == {
        "box-1", "box-2"}
    layers = placement["claim"]["layers"]
    assert layers["on_devices"] == layers["total"] and len(layers["per_device"]) == 2
    assert len(servers(two)) == 2, "one for each device"
    split = answer(two.server)
    two.server.api("DELETE", "/api/v1/models/gemma", expect=None)
    eventually("the servers are gone", lambda: not servers(two), 30)
    with running(tmp_path / "alone", packs=COMPILED_PACKS) as alone:
        alone.api("POST", "/api/v1/models", 201, json={
            "name": "gemma", "source": str(gemma_file),
            "parameters": FLAGS})
        alone.wait_ready("gemma", seconds=60)
        whole = answer(alone)
    assert split == whole


def test_the_loss_of_a_server_ends_the_others_and_they_start_again(two: Cluster,
                                                                   gemma_file: Path):
    deploy(two, gemma_file)
    before = servers(two)
    os.kill(next(iter(before)), signal.SIGKILL)
    eventually("all of them are new", lambda: len(now := servers(two)) == 2 and not (
        set(now) & set(before)), 60)
    two.server.wait_ready("gemma", seconds=60)
    assert answer(two.server)


def test_a_worker_that_restarts_cuts_no_split_model(two: Cluster, gemma_file: Path):
    placed = deploy(two, gemma_file)
    before = servers(two)
    for machine in two.machines:
        machine.stop(signal.SIGHUP)  # leaves engines and proxy
        machine.start("--server", two.url, "--rpc-device", MEMORY)
        two.wait_worker(machine.name)
    two.server.wait_ready("gemma", seconds=60)
    assert answer(two.server)
    assert set(servers(two)) == set(before)
    assert instance(two)["generation"] == placed["generation"]


def test_nothing_of_a_split_model_is_left(two: Cluster, gemma_file: Path):
    deploy(two, gemma_file)
    two.server.api("DELETE", "/api/v1/models/gemma", expect=None)
    eventually("the servers are gone", lambda: not servers(two), 30)


def test_without_distribution_the_rest_is_the_cpus(two: Cluster, gemma_file: Path):
    placement = deploy(two, gemma_file, distributed="never")["placement"]
    assert not placement["subordinates"]
    assert 0 < placement["claim"]["layers"]["on_devices"] < placement["claim"]["layers"]["total"]
    assert answer(two.server)
