"""Removing a model, or scaling it to 0, in whatever state it is: nothing of it is left soon after.

An idle machine needs less than 5 s for each of them. The tests allow twice as much, so that a busy
machine does not fail them.
"""

import threading
import time
from pathlib import Path
from typing import Callable

import pytest

from fake_engine import fake, fake_berth  # noqa: F401  (fixtures)
from harness import Berth, eventually, processes_with, running

LONGEST = 10.0  # seconds: twice what is promised


def remove(berth: Berth, model: str) -> None:
    berth.api("DELETE", f"/api/v1/models/{model}", 202)


def scale_to_nothing(berth: Berth, model: str) -> None:
    berth.api("PATCH", f"/api/v1/models/{model}", json={"replicas": 0})


both_ways = pytest.mark.parametrize("stop", [remove, scale_to_nothing])


def ends_soon(berth: Berth, model: str, stop: Callable[[Berth, str], None], mark: str = "") -> None:
    """Stops the model, and checks that its instances and processes are gone in time."""
    folders = [berth.data / "worker/instances" / one["name"] for one in berth.instances(model)]
    assert folders, "there is nothing to stop"
    began = time.monotonic()
    stop(berth, model)
    eventually("nothing of it is left", lambda: not berth.instances(model) and not (
        mark and processes_with(mark)) and not any(folder.exists() for folder in folders), 60)
    took = time.monotonic() - began
    print(f"it took {took:.1f} s")
    assert took < LONGEST, f"it took {took:.1f} s"
    if stop is remove:
        assert berth.http("GET", f"/api/v1/models/{model}").status_code == 404


@both_ways
def test_waiting_for_a_place(own_berth: Berth, tiny_file: Path, stop):
    own_berth.deploy("waits", tiny_file, "--ram", "100TiB", "--no-wait")
    own_berth.wait_state("waits", "pending")
    eventually("it says what is lacking", lambda: own_berth.instances("waits")[0]["reason"])
    ends_soon(own_berth, "waits", stop)


@both_ways
def test_installing_its_pack(tmp_path: Path, tiny_file: Path, stop):
    (tmp_path / "data").mkdir(mode=0o700)  # shares no packs with the other tests
    with running(tmp_path) as berth:
        berth.deploy("installs", tiny_file, "--no-wait")

        def installers() -> dict[int, str]:
            return {pid: argv for pid, argv in processes_with(str(berth.data)).items()
                    if "pip" in argv or "venv" in argv}

        berth.wait_state("installs", "installing")
        eventually("an installer runs", installers, 60)
        ends_soon(berth, "installs", stop)
        eventually("no installer is left", lambda: not installers(), LONGEST)
        eventually("no half-made folder is left", lambda: not [
            *berth.data.glob("packs/.tmp*"), *berth.data.glob("tools/.tmp*")], LONGEST)
        eventually("the pack can be installed again", lambda: next(
            one["state"] for one in berth.api("GET", "/api/v1/engines")["items"]
            if one["pack"]["name"] == "xllamacpp") == "available", LONGEST)


@both_ways
def test_loading(fake_berth: Berth, fake, stop):
    fake("never_ready")
    fake_berth.wait_state("faulty", "starting")
    eventually("its engine runs", lambda: processes_with(fake.mark))
    ends_soon(fake_berth, "faulty", stop, fake.mark)


@both_ways
def test_loading_and_ignoring_sigterm(fake_berth: Berth, fake, stop):
    fake("never_ready ignores_sigterm forks")
    fake_berth.wait_state("faulty", "starting")
    eventually("it has children", lambda: len(processes_with(fake.mark)) >= 4)
    ends_soon(fake_berth, "faulty", stop, fake.mark)


@both_ways
def test_serving_under_load(own_berth: Berth, tiny_file: Path, stop):
    own_berth.deploy("busy", tiny_file, "--replicas", 2)
    own_berth.wait_ready("busy", 2)
    over = threading.Event()
    asked = threading.Semaphore(0)

    def load() -> None:
        while not over.is_set():
            asked.release()
            own_berth.http("POST", "/v1/completions", timeout=None, json={
                "model": "busy", "prompt": "x", "max_tokens": 1900, "ignore_eos": True})

    threads = [threading.Thread(target=load, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert asked.acquire(timeout=20)
    eventually("both work", lambda: all(ticks > 10 for ticks in own_berth.work_of("busy").values()))
    try:
        ends_soon(own_berth, "busy", stop)
    finally:
        over.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive(), "a request never ended"


@both_ways
def test_serving_while_its_engine_has_stopped_to_answer(fake_berth: Berth, fake, stop):
    fake("hangs ignores_sigterm", env={"FAKE_SECONDS": 1000})
    instance = fake_berth.wait_ready("faulty")[0]
    request = threading.Thread(daemon=True, target=lambda: fake_berth.http(
        "POST", "/v1/completions", timeout=None, json={"model": "faulty", "prompt": "x"}))
    request.start()
    assert instance["pid"] in processes_with(fake.mark)
    ends_soon(fake_berth, "faulty", stop, fake.mark)
    request.join(20)
    assert not request.is_alive(), "the request never ended"


@both_ways
def test_between_two_attempts(fake_berth: Berth, fake, stop):
    fake("exits_at_once", restart={"max_failures": 100})
    eventually("it waits long for its next attempt", lambda: any(
        one["state"] == "restarting" and one["failures"] >= 4
        for one in fake_berth.instances("faulty")), 60)
    ends_soon(fake_berth, "faulty", stop, fake.mark)


@both_ways
def test_given_up(fake_berth: Berth, fake, stop):
    fake("exits_at_once", restart={"max_failures": 0})
    fake_berth.wait_state("faulty", "failed")
    ends_soon(fake_berth, "faulty", stop, fake.mark)


def test_answering_its_last_requests_after_it_was_scaled_down(fake_berth: Berth, fake):
    fake("ignores_sigterm", replicas=2, env={"FAKE_SECONDS": 1000})
    fake_berth.wait_ready("faulty", 2)
    requests = [threading.Thread(daemon=True, target=lambda: fake_berth.http(
        "POST", "/v1/completions", timeout=None, json={"model": "faulty", "prompt": "x"}))
        for _ in range(2)]
    for request in requests:
        request.start()
    fake_berth.api("PATCH", "/api/v1/models/faulty", json={"replicas": 1})
    fake_berth.wait_state("faulty", "stopping")
    ends_soon(fake_berth, "faulty", remove, fake.mark)
    for request in requests:
        request.join(20)
        assert not request.is_alive(), "a request never ended"
