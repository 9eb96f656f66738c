"""Workers that fall silent: suspected, lost, returned; networks that are cut on the way."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Iterator

import pytest

from harness import eventually, processes_with
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
    # With so little patience, its last report may be no older than the last connection to it.
    assert cut_off["name"] == before["name"] and re.search(
        "box-2: (not heard since|it reports, but this server can not reach it)", cut_off["reason"])
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


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
def test_a_worker_behind_a_firewall_is_told_apart_and_its_instances_go_elsewhere(
        lan: Site, tiny_file: Path):
    two_replicas(lan, tiny_file)
    box = lan.machines[1]
    lan.network.close_port(box.namespace, box.port)
    suspected = lan.wait_worker("box-2", "suspected", 40)
    assert "reports" in suspected["reason"] and f":{box.port}" in suspected["reason"]
    for _ in range(4):
        ask(lan, "chat")
    lan.wait_worker("box-2", "lost", 40)
    found = lan.server.wait_ready("chat", 2)
    assert {one["worker"] for one in found} == {"box-1"}
    eventually("it has ended its engine, which it was told to", lambda: not engines_of(box), 30)
    lan.network.heal()
    lan.wait_worker("box-2")


@pytest.mark.long
def test_when_most_workers_are_lost_at_once_nothing_is_moved(tmp_path: Path, tiny_file: Path):
    with site(tmp_path, BERTH_MASS_LOSS_HOLD="20", **SOON) as lan:
        boxes = [lan.join(f"box-{i}") for i in range(4)]
        lan.server.deploy("chat", tiny_file, "--replicas", 4)
        before = lan.server.wait_ready("chat", 4)
        for box in boxes[1:]:
            lan.cut(box)
        for box in boxes[1:]:
            lan.wait_worker(box.name, "lost", 40)
        held = eventually("they say why they stay", lambda: [
            one for one in lan.server.instances("chat")
            if "most workers are lost at once" in one["reason"]], 10)
        assert len(held) == len({one["worker"] for one in before} - {"box-0"})
        assert "berth_mass_loss_hold_seconds 0" not in lan.server.api("GET", "/metrics")
        assert 'berth_workers{state="lost"} 3' in lan.server.api("GET", "/metrics")
        ask(lan, "chat")
        after = lan.server.wait_ready("chat", 4, 60)
        assert {one["worker"] for one in after} == {"box-0"}
        told = [one["reason"] for one in lan.server.json(
            "events", "--kind", "cluster", "--limit", 10)["items"]]
        assert told == ["MassLossHoldEnded", "MassLossHold"]
        lan.network.heal()
        for box in boxes:
            lan.wait_worker(box.name)
            if box is not boxes[0]:
                eventually(f"{box.name} has ended its engine", lambda: not engines_of(box), 30)


LOAD = """
import os, sys, time, httpx
url, seconds = sys.argv[1], float(sys.argv[2])
end, done = time.monotonic() + seconds, 0
with httpx.Client(headers={"Authorization": "Bearer " + os.environ["ENGINE_KEY"]}) as client:
    while time.monotonic() < end:
        client.post(url + "/v1/completions", json={"prompt": "x", "max_tokens": 2}).raise_for_status()
        done += 1
print(done)
"""


def direct_load(machine: Machine, instance: dict[str, Any], seconds: float) -> int:
    """Requests to an engine on its own machine; how many it answered. None may fail."""
    environment = Path(f"/proc/{instance['pid']}/environ").read_bytes().split(b"\0")
    key = next(one for one in environment if one.startswith(b"LLAMA_API_KEY=")).split(b"=")[1]
    done = subprocess.run(
        ["ip", "netns", "exec", machine.namespace, sys.executable, "-c", LOAD,
         f"http://127.0.0.1:{instance['port']}", str(seconds)],
        env=os.environ | {"ENGINE_KEY": key.decode()}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_a_server_that_is_away_for_long_finds_everything_as_it_was(lan: Site, tiny_file: Path):
    before = two_replicas(lan, tiny_file)
    lan.server.stop(signal.SIGKILL)
    seconds = 2 * float(SOON["BERTH_LOST_AFTER"])
    assert direct_load(lan.machines[1], on(before, "box-2"), seconds) > 10
    # Workers that have tried for long try again every ten seconds at most.
    lan.server.settings |= {"BERTH_SUSPECT_AFTER": "15", "BERTH_LOST_AFTER": "20"}
    lan.server.start("--no-worker", "--cluster-listen", f"{lan.network.server}:{lan.door}")
    after = lan.server.wait_ready("chat", 2)
    for name in ("box-1", "box-2"):
        lan.wait_worker(name)
    assert {(one["name"], one["generation"], one["pid"]) for one in after} == {
        (one["name"], one["generation"], one["pid"]) for one in before}
    events = lan.server.json("events", "--limit", 500)["items"]
    assert not {"Lost", "Moving", "Unreachable"} & {one["reason"] for one in events}
