"""Downloads that are interrupted: by kill -9 and SIGTERM at random moments, by what networks and hubs
do. At the end is a whole file, or a clear reason, and little came twice.

BERTH_FAULT_ROUNDS says how often; BERTH_FAULT_SEED repeats a run.
"""

import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator

import pytest

from downloads import (HEADERS, LOST, MIB, cache_of, check_whole, get, kill_both, kill_server,
                       kill_worker, pause, repository_in, wait_files, wait_sent, wait_worker)
from fake_hub import Hub, hub, settings_of  # noqa: F401 (hub is a fixture)
from harness import Berth, running

FILE = "gemma-Q4_K_M.gguf"
SOURCE = "hf:org/gemma-GGUF"
MOST_KILLS = 3  # of one download


@pytest.fixture
def chance() -> random.Random:
    seed = int(os.environ.get("BERTH_FAULT_SEED") or random.randrange(1 << 30))
    print(f"BERTH_FAULT_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def server(tmp_path: Path, hub: Hub) -> Iterator[Berth]:
    with running(tmp_path, **settings_of(hub)) as one:
        wait_worker(one)
        yield one


@pytest.fixture(scope="session")
def padded_file(tmp_path_factory: pytest.TempPathFactory, tiny_file: Path) -> Path:
    """A small model with 40 MiB behind it: a download of several chunks that does not take long."""
    path = tmp_path_factory.mktemp("padded") / "padded.gguf"
    path.write_bytes(tiny_file.read_bytes() + random.Random(1).randbytes(40 * MIB))
    return path


def sent_for_the_header(hub: Hub, server: Berth) -> int:
    """What inspecting the model takes from the CDN, as each wish for its files does."""
    before = hub.cdn.sent
    server.cli("inspect", SOURCE)
    return hub.cdn.sent - before


@pytest.mark.parametrize("victim", [kill_worker, kill_server, kill_both],
                         ids=lambda function: function.__name__.removeprefix("kill_"))
def test_a_download_survives_kills_at_random_moments(
        hub: Hub, server: Berth, gemma_file: Path, chance: random.Random, rounds: int,
        victim: Callable[[Berth], None]):
    hub.repository("org/gemma-GGUF").commit({FILE: gemma_file})
    size = gemma_file.stat().st_size
    header = sent_for_the_header(hub, server)
    assert header < HEADERS
    hub.faults.add("*", at="cdn", pace=20 * MIB, times=None)
    done = 0
    most = 0.0
    while done < rounds:
        kills = chance.randint(1, min(MOST_KILLS, rounds - done))
        serves = done == 0 or chance.random() < 0.1
        before = hub.cdn.sent
        if serves:
            server.cli("deploy", "gemma", "--model", SOURCE, "--no-wait")
        else:
            get(server, SOURCE)
        for share in sorted(chance.uniform(0, 1) for _ in range(kills)):
            wait_sent(hub, before + header + share * size)
            pause(chance.uniform(0, 0.1))
            victim(server)
        wait_worker(server)
        if serves:
            server.wait_ready("gemma")
        wait_files(server, SOURCE, "ready")
        check_whole(cache_of(server), "gemma-GGUF", {FILE: gemma_file})
        lost = hub.cdn.sent - before - size
        # Each command and each start reads the header once at most.
        assert lost <= kills * LOST + (1 + kills) * header, f"{lost / MIB:.1f} MiB, {kills} kills"
        most = max(most, lost / kills)
        done += kills
        if serves:
            server.remove("gemma")
        server.cli("files", "rm", SOURCE)
        assert not [one for one in repository_in(cache_of(server), "gemma-GGUF").rglob("*")
                    if not one.is_dir()]
    print(f"{done} kills; at most {most / MIB:.1f} MiB came twice for one")


def test_a_server_that_is_stopped_ends_its_download_and_goes_on_later(
        hub: Hub, server: Berth, gemma_file: Path, chance: random.Random, rounds: int):
    hub.repository("org/gemma-GGUF").commit({FILE: gemma_file})
    size = gemma_file.stat().st_size
    for _ in range(max(1, rounds // 4)):
        slow = hub.faults.add("*", at="cdn", pace=4 * MIB, times=None)
        before = hub.cdn.sent
        get(server, SOURCE)
        wait_sent(hub, before + chance.uniform(0, 0.2) * size)
        assert server.stop(seconds=10) == 0
        assert not server.left_over()
        sent = hub.cdn.sent
        assert sent - before < size, "it is in the middle"
        hub.faults.clear()
        assert slow.struck
        server.start()
        wait_files(server, SOURCE, "ready")
        check_whole(cache_of(server), "gemma-GGUF", {FILE: gemma_file})
        assert hub.cdn.sent - before <= size + HEADERS + LOST
        server.cli("files", "rm", SOURCE)


# --- what networks and hubs do --------------------------------------------------------------------

@dataclass
class Trouble:
    """Of a download that is not over after its first bytes."""

    faults: list[dict] = field(default_factory=list)  # of tests/fakes/hub/faults.py
    expires: bool = False   # every signature of the CDN, in the middle
    reason: str = ""        # of the failure that it must end in; empty: with a whole file
    more: float = 0         # bytes that may come twice

    def add_to(self, hub: Hub) -> None:
        hub.faults.clear()
        for fault in self.faults:
            hub.faults.add(**({"path": "*", "at": "cdn", "skip": 1} | fault))


TROUBLES = {
    "nothing": Trouble(),
    "connections that are cut": Trouble([{"cut_after": 3 * MIB, "times": 12}]),
    "connections that are cut at once": Trouble([{"cut_after": 0, "times": 6}]),
    "a length that is too large": Trouble([{"lie": 5000}], reason="Content-Length"),
    "a length that is too small": Trouble([{"lie": -5000}], reason="Content-Length"),
    "too many requests at the CDN": Trouble(
        [{"status": 429, "headers": {"Retry-After": "1"}, "skip": 2, "times": 4}]),
    "too many requests at the hub": Trouble(
        [{"at": "hub", "path": "*/resolve/*", "status": 429, "headers": {"Retry-After": "1"},
          "times": 3, "skip": 2}]),
    "a CDN in trouble": Trouble([{"status": 503, "skip": 2, "times": 8}]),
    "signatures that expire": Trouble([{"pace": 4 * MIB, "times": None}], expires=True),
    "a server that ignores ranges": Trouble([{"whole": True, "times": None}],
                                            more=50 * MIB),
    "a server that ignores ranges after a while": Trouble(
        [{"whole": True, "times": None, "skip": 3}], more=50 * MIB),
    "a slow start": Trouble([{"delay": 1.5, "times": 4}]),
    "bytes that are wrong": Trouble([{"flip": 30 * MIB, "times": None}], reason="SHA-256"),
    "a file that is gone": Trouble(
        [{"at": "hub", "path": "*/resolve/*", "status": 404, "times": None, "skip": 2}],
        reason="there is no hf:org/"),
    "a file that nobody may read any more": Trouble(
        [{"at": "hub", "path": "*/resolve/*", "status": 401, "times": None, "skip": 2}],
        reason="HF_TOKEN"),
}


def test_trouble_on_the_way_ends_with_a_whole_file_or_a_clear_reason(
        hub: Hub, server: Berth, padded_file: Path):
    size = padded_file.stat().st_size
    for number, (what, trouble) in enumerate(TROUBLES.items()):
        name, file = f"m{number}-GGUF", f"m{number}-Q4_K_M.gguf"
        hub.repository(f"org/{name}").commit({file: padded_file})
        before = hub.cdn.sent
        trouble.add_to(hub)
        get(server, f"hf:org/{name}")
        if trouble.expires:
            wait_sent(hub, before + 12 * MIB)
            hub.store.expire()
        ended = wait_files(server, f"hf:org/{name}", "ready", "failed")
        print(f"{what}: {ended['state']}, {(hub.cdn.sent - before) / MIB:.1f} MiB were sent; "
              f"{ended.get('reason', '')}")
        assert ended["state"] == ("failed" if trouble.reason else "ready"), (what, ended)
        if trouble.reason:
            assert trouble.reason in ended["reason"] and file in ended["reason"], (what, ended)
            assert not list(repository_in(cache_of(server), name).glob("snapshots/*/*")), what
            continue
        check_whole(cache_of(server), name, {file: padded_file})
        assert hub.cdn.sent - before <= size + HEADERS + trouble.more, what
