"""kill -9 of everything, at random moments, while requests and changes go on.

After each round: every model that should serve does, removed ones are gone, no change that the API
acknowledged is lost, and no process of ours is there that nobody owns. BERTH_FAULT_ROUNDS says how
often; BERTH_FAULT_SEED repeats a run.
"""

import contextlib
import os
import random
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Callable, Iterator

import httpx
import pytest

from fake_engine import FAKE, fake_berth  # noqa: F401  (a fixture)
from harness import PACK_DEADLINE, Berth, eventually, processes_with, running

STEADY = {"steady": 2, "forks": 1}  # models that nobody changes, and their replicas
CHANGING = ("one", "two", "three")
PROXY = "@proxy"  # what the proxy is tagged as
SETTLED = 90.0  # for everything to be as it should


@pytest.fixture
def chance() -> random.Random:
    seed = int(os.environ.get("BERTH_FAULT_SEED") or random.randrange(1 << 30))
    print(f"BERTH_FAULT_SEED={seed}")
    return random.Random(seed)


class Churn:
    """Requests and changes in the background, with a record of what was acknowledged."""

    def __init__(self, berth: Berth, source: Path, seed: int) -> None:
        self.berth = berth
        self.source = source
        self.chance = random.Random(seed)
        # What each model should have: replicas, 0 = it is gone. Two values: a change between them
        # was sent, and its answer never came.
        self.wanted: dict[str, set[int]] = {name: {0} for name in CHANGING}
        self.answers: Counter = Counter()
        self.refused: list[str] = []  # changes that should have been taken

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        over = threading.Event()
        threads = [threading.Thread(target=self.change, args=(over,))]
        threads += [threading.Thread(target=self.ask, args=(over, name))
                    for name in ("steady", "steady", "steady", "forks", "one")]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join(90)
                assert not thread.is_alive(), "a request never ended"

    def ask(self, over: threading.Event, model: str) -> None:
        while not over.is_set():
            try:
                status = self.berth.http("POST", "/v1/completions", timeout=60, json={
                    "model": model, "prompt": "x", "max_tokens": 30}).status_code
            except httpx.HTTPError:  # the server was killed
                status = None
            self.answers[model, status] += 1
            over.wait(0.02 if status == 200 else 0.2)

    def change(self, over: threading.Event) -> None:
        while not over.wait(self.chance.uniform(0.05, 0.6)):
            name = self.chance.choice(CHANGING)
            if len(self.wanted[name]) == 1:
                self.change_one(name, *self.wanted[name])

    def change_one(self, name: str, now: int) -> None:
        replicas = self.chance.choice([n for n in (0, 1, 2) if n != now])
        path = f"/api/v1/models/{name}"
        self.wanted[name] = {now, replicas}
        try:
            if now == 0:
                answer = self.berth.http("POST", "/api/v1/models", timeout=20, json={
                    "name": name, "source": str(self.source), "replicas": replicas})
            elif replicas == 0:
                answer = self.berth.http("DELETE", path, timeout=20)
            else:
                answer = self.berth.http("PATCH", path, timeout=20, json={"replicas": replicas})
        except (httpx.HTTPError, OSError):
            return  # it may have come through
        if answer.status_code < 300:
            self.wanted[name] = {replicas}
        elif answer.status_code == 409:  # the one that was removed is still ending
            self.wanted[name] = {now}
        else:
            self.refused.append(f"{name} to {replicas}: {answer.status_code} {answer.text}")

    def check(self) -> None:
        """Waits until all is as it should be."""
        assert not self.refused, self.refused
        eventually("every model is as it was acknowledged", self.is_settled, SETTLED)
        for name in STEADY:
            assert self.berth.http("POST", "/v1/completions", json={
                "model": name, "prompt": "x", "max_tokens": 1}).status_code == 200

    def is_settled(self) -> bool:
        models = {one["name"]: one for one in self.berth.api("GET", "/api/v1/models")["items"]}
        for name, wanted in (self.wanted | {name: {n} for name, n in STEADY.items()}).items():
            model = models.pop(name, None)
            assert not model or model["state"] == "deleting" or (
                model["deployment"]["replicas"] in wanted), f"{name}: not {wanted} but {model}"
            assert model or 0 in wanted, f"{name} is lost; it should have {wanted}"
            if not model:
                self.wanted[name] = {0}
                continue
            if model["state"] == "deleting" or model["ready"] != model["deployment"]["replicas"] or (
                    model["instances"] != model["ready"]):
                return False
            if name in CHANGING:
                self.wanted[name] = {model["deployment"]["replicas"]}
        assert not models, f"models that nobody wanted: {models}"
        return not self.strangers()

    def strangers(self) -> list[str]:
        """Processes of ours that belong to no instance, or to one that has its own already."""
        engines = {one["name"]: one.get("pid") for one in self.berth.instances()}
        engines[PROXY] = proxy_of(self.berth)
        shims: Counter = Counter({PROXY: 0})
        wrong = []
        for pid, instance, is_shim in tagged(self.berth):
            if instance not in engines:
                wrong.append(f"{pid} of {instance}, which is not there")
            elif is_shim:
                shims[instance] += 1
            elif pid != engines[instance] and not instance.startswith("forks"):
                wrong.append(f"{pid} beside the engine of {instance}")
        return wrong + [f"{count} shims of {name}" for name, count in shims.items() if count != 1]


def tagged(berth: Berth) -> list[tuple[int, str, bool]]:
    """Processes that belong to an instance: pid, instance, and whether it is a shim."""
    found = []
    for pid in berth.left_over():
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
            variables = dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)
            if "BERTH_INSTANCE" in variables:
                found.append((pid, variables["BERTH_INSTANCE"], variables.get("BERTH_SHIM") == "1"))
    return found


def proxy_of(berth: Berth) -> int | None:
    return next((pid for pid, argv in berth.left_over().items() if "berth proxy " in argv), None)


@pytest.fixture
def churn(stopped_berth: Berth, request: pytest.FixtureRequest, tiny_file: Path,
          chance: random.Random) -> Churn:
    # Every process that there can be has a part in the way of a request.
    stopped_berth.settings["BERTH_ENGINES_BY_PROXY"] = "true"
    berth: Berth = request.getfixturevalue("fake_berth")
    for name, replicas in STEADY.items():
        fields = {"backend_version": "fake", "env": {"FAKE_ENGINE": "forks"}} if name == "forks" else {}
        berth.api("POST", "/api/v1/models", 201, json={
            "name": name, "source": str(tiny_file), "replicas": replicas,
            "restart": {"max_failures": 1000}} | fields)
    churn = Churn(berth, tiny_file, chance.randrange(1 << 30))
    churn.check()
    return churn


def kill(pid: int | None) -> None:
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_server(berth: Berth, chance: random.Random) -> None:
    berth.process.kill()
    berth.process.wait(10)
    berth.start()


def kill_worker(berth: Berth, chance: random.Random) -> None:
    for pid, argv in berth.left_over().items():
        if " worker " in argv:
            kill(pid)


def kill_shim(berth: Berth, chance: random.Random) -> None:
    if shims := [pid for pid, _, is_shim in tagged(berth) if is_shim]:
        kill(chance.choice(shims))


def kill_proxy(berth: Berth, chance: random.Random) -> None:
    kill(proxy_of(berth))


def kill_engine(berth: Berth, chance: random.Random) -> None:
    if engines := [one["pid"] for one in berth.instances() if one.get("pid")]:
        kill(chance.choice(engines))


def kill_child(berth: Berth, chance: random.Random) -> None:
    engines = {one.get("pid") for one in berth.instances()}
    if children := [pid for pid, instance, is_shim in tagged(berth)
                    if instance.startswith("forks") and not is_shim and pid not in engines]:
        kill(chance.choice(children))


def kill_several(berth: Berth, chance: random.Random) -> None:
    """A shim and an engine, then worker or server right after."""
    kill_shim(berth, chance)
    kill_engine(berth, chance)
    chance.choice([kill_worker, kill_server])(berth, chance)


@pytest.mark.parametrize("victim", [
    kill_server, kill_worker, kill_shim, kill_proxy, kill_engine, kill_child, kill_several],
    ids=lambda function: function.__name__.removeprefix("kill_"))
def test_kill_at_a_random_moment_under_load(churn: Churn, chance: random.Random, rounds: int,
                                            victim: Callable[[Berth, random.Random], None]):
    berth = churn.berth
    moment = threading.Event()  # never set: waits for a while
    for _ in range(rounds):
        with churn.running():
            moment.wait(chance.uniform(0.2, 2.5))
            victim(berth, chance)
            moment.wait(chance.uniform(0.0, 1.5))
        churn.check()
    assert churn.answers["steady", 200] > 0
    assert FAKE.is_file()
    for model in berth.api("GET", "/api/v1/models")["items"]:
        berth.api("DELETE", f"/api/v1/models/{model['name']}", 202)
    eventually("no process is left of any instance", lambda: not [
        instance for _, instance, _ in tagged(berth) if instance != PROXY], 30)


def test_an_installation_ends_with_its_worker_and_starts_again(tmp_path: Path, tiny_file: Path):
    (tmp_path / "data").mkdir(mode=0o700)  # shares no packs with the other tests
    with running(tmp_path) as berth:
        berth.deploy("installs", tiny_file, "--no-wait")

        def installers() -> set[int]:
            return {pid for pid, argv in processes_with(str(berth.data)).items()
                    if "pip" in argv or "venv" in argv}

        before = eventually("an installer runs", installers, 60)
        kill_worker(berth, random.Random())
        eventually("the installer has ended", lambda: not before & installers(), 10)
        berth.wait_ready("installs", seconds=PACK_DEADLINE)
        assert not [*berth.data.glob("packs/.tmp*"), *berth.data.glob("tools/.tmp*")]


def test_engines_serve_on_while_the_worker_is_killed_again_and_again(churn: Churn, rounds: int):
    berth = churn.berth
    before = {one["name"]: one["pid"] for one in berth.instances()}
    over = threading.Event()
    asked: Counter = Counter()

    def ask() -> None:
        while not over.is_set():
            asked[berth.http("POST", "/v1/completions", json={
                "model": "steady", "prompt": "x", "max_tokens": 5}).status_code] += 1

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(rounds):
            kill_worker(berth, random.Random())
            eventually("another worker has joined", lambda: any(
                " worker " in argv for argv in berth.left_over().values()) and all(
                one["state"] == "ready" for one in berth.api("GET", "/api/v1/workers")["items"]), 30)
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    assert {one["name"]: one["pid"] for one in berth.instances()} == before
    assert set(asked) == {200}, f"requests failed: {asked}"
