"""Workers that fall silent: suspected, lost, returned; networks that are cut on the way."""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

from harness import BERTH, eventually, processes_with
from hosts import Site, site
from machines import Machine

SOON = {"BERTH_SUSPECT_AFTER": "7", "BERTH_LOST_AFTER": "13"}


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path, **SOON) as made:
        yield made


def on(found: list[dict[str, Any]], worker: str) -> dict[str, Any]:
    return next(one for one in found if one["worker"] == worker)


def ask(lan: Site, model: str) -> None:
    assert lan.server.openai().completions.create(model=model, prompt="x", max_tokens=2).choices


def two_replicas(lan: Site, model: Path) -> list[dict[str, Any]]:
    lan.join("box-1")
    lan.join("box-2")
    lan.server.deploy("chat", model, "--replicas", 2)
    found = lan.server.wait_ready("chat", 2)
    assert {one["worker"] for one in found} == {"box-1", "box-2"}
    return found


def engines_of(machine: Machine) -> set[int]:
    return {pid for pid, argv in processes_with(str(machine.data)).items()
            if "llama" in argv and "berth-shim" not in argv}


def test_a_host_that_is_cut_off_is_suspected_then_lost_and_ends_its_engine_when_it_is_back(
        lan: Site, tiny_file: Path):
    before = on(two_replicas(lan, tiny_file), "box-2")
    box = lan.machines[1]
    lan.cut(box)
    lan.wait_worker("box-2", "suspected", 20)
    cut_off = lan.server.wait_state("chat", "unreachable")
    assert cut_off["name"] == before["name"] and "not heard since" in cut_off["reason"]
    model = lan.server.api("GET", "/api/v1/models/chat")
    assert (model["state"], model["ready"]) == ("partly_ready", 1)
    for _ in range(5):
        ask(lan, "chat")
    lan.wait_worker("box-2", "lost", 20)
    after = lan.server.wait_ready("chat", 2)
    assert {one["worker"] for one in after} == {"box-1"}
    moved = next(one for one in after if one["name"] == before["name"])
    assert moved["generation"] == before["generation"] + 1
    assert engines_of(box), "nobody could tell it to end"
    lan.network.heal()
    lan.wait_worker("box-2")
    eventually("its engine has ended", lambda: not engines_of(box), 30)
    assert len(lan.server.wait_ready("chat", 2)) == 2
    reasons = {one["reason"] for one in lan.server.json("events", "--limit", 500)["items"]}
    assert {"Suspected", "Lost", "Unreachable", "Moving", "Ready"} <= reasons


def test_the_only_worker_returns_and_its_engine_is_adopted(lan: Site, tiny_file: Path):
    box = lan.join("box")
    lan.server.deploy("chat", tiny_file)
    before = lan.server.wait_ready("chat")[0]
    lan.cut(box)
    eventually("it says that nothing else can take it", lambda: "nothing else can take it" in
               lan.server.instances("chat")[0]["reason"], 40)
    assert lan.server.api("GET", "/api/v1/models/chat")["state"] == "not_ready"
    refused = lan.server.http("POST", "/v1/completions", json={"model": "chat", "prompt": "x"})
    assert refused.status_code == 503 and "box" in refused.json()["error"]["message"]
    lan.network.heal()
    after = lan.server.wait_ready("chat")[0]
    assert (after["pid"], after["generation"]) == (before["pid"], before["generation"])
    ask(lan, "chat")


@pytest.mark.parametrize("way", ["to_server", "from_server"])
def test_a_way_that_is_cut_in_one_direction_loses_no_request_for_long(
        lan: Site, tiny_file: Path, way: str):
    two_replicas(lan, tiny_file)
    lan.cut(lan.machines[1], **{"to_server": False, "from_server": False} | {way: True})
    lan.wait_worker("box-2", "suspected", 30)
    for _ in range(4):
        ask(lan, "chat")
    lan.network.heal()
    lan.wait_worker("box-2")
    lan.server.wait_ready("chat", 2)


def test_a_network_that_flaps_moves_nothing(lan: Site, tiny_file: Path):
    before = two_replicas(lan, tiny_file)
    for _ in range(4):
        lan.cut(lan.machines[1])
        lan.server.wait_ready("chat", 2)
        flapping = threading.Event()
        flapping.wait(3)
        lan.network.heal()
        flapping.wait(3)
    after = lan.server.wait_ready("chat", 2)
    assert {(one["name"], one["pid"]) for one in after} == {
        (one["name"], one["pid"]) for one in before}
    assert "Lost" not in {one["reason"] for one in lan.server.json("events")["items"]}


def test_a_worker_whose_address_changes_is_reached_at_the_new_one(lan: Site, tiny_file: Path):
    box = lan.machine("box")
    box.address = "0.0.0.0"
    box.start("--server", lan.url, "--token", lan.token())
    lan.wait_worker("box")
    lan.server.deploy("chat", tiny_file)
    before = lan.server.wait_ready("chat")[0]
    address = lan.network.move_host(box.namespace)
    eventually("the server knows its new address", lambda: lan.worker("box")[
        "address"].startswith(address + ":"), 90)
    after = lan.server.wait_ready("chat")[0]
    assert after["pid"] == before["pid"]
    ask(lan, "chat")
