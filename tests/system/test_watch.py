"""The watch: changes as they happen, from any revision, and none lost."""

import contextlib
import json
import random
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Iterator

import httpx
import pytest

from harness import Berth, eventually


def events(lines) -> Iterator[tuple[str, int | None, dict]]:
    """The events of a stream, as (event, id, data)."""
    event, ident, data = "message", None, []
    for line in lines:
        if not line:
            if data:
                yield event, ident, json.loads("\n".join(data))
            event, data = "message", []
        elif line.startswith("event:"):
            event = line[6:].strip()
        elif line.startswith("id:"):
            ident = int(line[3:])
        elif line.startswith("data:"):
            data.append(line[5:].strip())


def test_a_watch_from_a_list_sees_all_that_follows(berth: Berth, deployed, tiny_file: Path):
    since = berth.api("GET", "/api/v1/models")["revision"]
    deployed("watched", tiny_file, "--no-wait")
    berth.wait_ready("watched")
    with httpx.stream("GET", f"{berth.url}/api/v1/watch?kinds=model,instance&since={since}",
                      headers={"Authorization": f"Bearer {berth.key}"}, timeout=30) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        seen, revision = set(), since
        for event, ident, data in events(answer.iter_lines()):
            assert ident > revision, "revisions go up"
            revision = ident
            assert data["revision"] == ident
            if event == "put":
                seen.add((data["kind"], data["object"].get("state", "")))
            if ("instance", "ready") in seen:
                break
        assert any(kind == "model" for kind, _ in seen)


def test_a_watch_shows_no_secret(berth: Berth, tiny: str):
    with httpx.stream("GET", f"{berth.url}/api/v1/watch?kinds=worker,instance&since=0",
                      headers={"Authorization": f"Bearer {berth.key}"}, timeout=30) as answer:
        if answer.status_code == 410:
            return
        for _, _, data in events(answer.iter_lines()):
            one = data.get("object") or {}
            for field in ("certificate", "engine_key"):
                assert not one.get(field) or set(one[field]) == {"*"}, field
            if data["kind"] == "instance":
                break


def test_kinds_that_are_not_visible_are_refused(berth: Berth):
    for kinds in ("key", "assignment", "nonsense"):
        answer = berth.http("GET", f"/api/v1/watch?kinds={kinds}&since=0", timeout=5)
        assert answer.status_code == 400, kinds


def test_the_metrics_count_requests(berth: Berth, tiny: str):
    def total() -> float:
        lines = berth.http("GET", "/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines
                   if line.startswith("berth_") and "requests_total" in line and "tiny" in line)

    before = total()
    berth.openai().completions.create(model=tiny, prompt="x", max_tokens=1)
    eventually("it is counted", lambda: total() == before + 1, 5)


# --- a server without a worker: changes are documents alone --------------------------------------

KIB = 1 << 10


@pytest.fixture
def quiet(stopped_berth: Berth) -> Berth:
    """A server whose documents change only when the test says so."""
    return stopped_berth.start("--no-worker")


def add(berth: Berth, name: str, file: Path, replicas: int = 0) -> dict:
    return berth.api("POST", "/api/v1/models", expect=None, json={
        "name": name, "source": str(file), "replicas": replicas})


def change(berth: Berth, name: str, size: int) -> None:
    """One change of a model, of at least `size` bytes of JSON."""
    berth.api("PATCH", f"/api/v1/models/{name}", json={"env": {"FILLER": random.randbytes(
        size // 2).hex()}})


def listed(berth: Berth, *kinds: str) -> dict[tuple[str, str], dict]:
    return {(kind, one["name"]): one for kind in kinds
            for one in berth.api("GET", f"/api/v1/{kind}s")["items"]}


@contextlib.contextmanager
def watching(berth: Berth, since: int, kinds: str = "model,instance", timeout: float = 30,
             last: int | None = None) -> Iterator[httpx.Response]:
    headers = {"Authorization": f"Bearer {berth.key}"}
    if last is not None:
        headers["Last-Event-ID"] = str(last)
    with httpx.stream("GET", f"{berth.url}/api/v1/watch?kinds={kinds}&since={since}",
                      headers=headers, timeout=timeout) as answer:
        yield answer


def take(answer: httpx.Response, count: int) -> list[tuple[str, int, dict]]:
    """The next `count` events that are no bookmarks."""
    taken = []
    for one in events(answer.iter_lines()):
        if one[0] != "bookmark":
            taken.append(one)
        if len(taken) == count:
            break
    return taken


def take_to(answer: httpx.Response, revision: int) -> list[tuple[str, int, dict]]:
    """The events that are no bookmarks, up to the one of `revision`."""
    taken = []
    for one in events(answer.iter_lines()):
        if one[0] != "bookmark":
            taken.append(one)
        if one[1] >= revision:
            break
    return taken


def test_last_event_id_resumes_behind_the_last_event_and_wins_over_since(quiet: Berth,
                                                                         tiny_file: Path):
    for name in ("a", "b", "c"):
        add(quiet, name, tiny_file)
        # The server notes that a model without replicas has nothing to roll out.
        eventually(f"{name} is as it stays", lambda name=name: quiet.api(
            "GET", f"/api/v1/models/{name}").get("rollout", {}).get("state") != "progressing", 10)
    newest = quiet.api("GET", "/api/v1/models")["revision"]
    with watching(quiet, 0, "model") as answer:
        told = take_to(answer, newest)
    assert list(dict.fromkeys(data["name"] for _, _, data in told)) == ["a", "b", "c"]
    with watching(quiet, 0, "model", last=told[0][1]) as answer:
        assert take_to(answer, newest) == told[1:]


def test_a_delete_carries_the_last_object(quiet: Berth, tiny_file: Path):
    add(quiet, "short-lived", tiny_file)
    since = quiet.api("GET", "/api/v1/models")["revision"]
    quiet.api("DELETE", "/api/v1/models/short-lived", expect=None)
    with watching(quiet, since, "model") as answer:
        for event, _, data in events(answer.iter_lines()):
            if event == "delete":
                break
        assert (data["kind"], data["name"]) == ("model", "short-lived")
        assert data["object"]["deployment"]["source"] == str(tiny_file)


def test_a_revision_that_is_not_kept_or_not_reached_answers_410(quiet: Berth, tiny_file: Path):
    add(quiet, "a", tiny_file)
    ahead = quiet.http("GET", "/api/v1/watch?kinds=model&since=1000000", timeout=5)
    add(quiet, "b", tiny_file)
    # Changes are kept up to 64 MiB; each has the deployment, and the one before it in the history.
    for _ in range(150):
        change(quiet, "b", 120 * KIB)
    behind = quiet.http("GET", "/api/v1/watch?kinds=model&since=1", timeout=5)
    for answer in (ahead, behind):
        assert answer.status_code == 410
        error = answer.json()["error"]
        assert error["code"] == "revision_compacted"
        assert "list again" in error["message"]
    listing = quiet.api("GET", "/api/v1/models")
    with watching(quiet, listing["revision"], "model") as answer:
        assert answer.status_code == 200


def test_a_bookmark_moves_a_watcher_on_while_other_kinds_change(quiet: Berth, tiny_file: Path):
    since = quiet.api("GET", "/api/v1/models")["revision"]
    with watching(quiet, since, "worker", timeout=60) as answer:
        for name in ("a", "b", "c"):
            add(quiet, name, tiny_file)
        event, ident, data = next(events(answer.iter_lines()))
    assert event == "bookmark"
    assert ident == data["revision"] >= since + 3


def test_a_watcher_that_takes_nothing_is_cut_and_resumes_without_loss(quiet: Berth,
                                                                      tiny_file: Path):
    add(quiet, "filled", tiny_file)
    since = quiet.api("GET", "/api/v1/models")["revision"]
    with socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.settimeout(30)
        lazy.connect(("127.0.0.1", quiet.port))
        lazy.sendall((f"GET /api/v1/watch?kinds=model&since={since} HTTP/1.1\r\nHost: x\r\n"
                      f"Authorization: Bearer {quiet.key}\r\n\r\n").encode())
        # More than the kernel takes for a connection (some MiB), and the limit.
        for _ in range(40):
            change(quiet, "filled", 120 * KIB)
        eventually("the server cuts the watcher", lambda: any(
            "was cut" in line for line in quiet.output), 60)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := lazy.recv(1 << 16):
                received += piece
    told = [int(line[3:]) for line in received.split(b"\n") if line.startswith(b"id:")]
    newest = quiet.api("GET", "/api/v1/models")["revision"]
    last = told[-2] if len(told) > 1 else since  # the very last may be cut off
    assert last < newest
    with watching(quiet, since, "model", last=last) as answer:
        rest = take(answer, newest - last)
    assert [ident for _, ident, _ in rest] == list(range(last + 1, newest + 1))


def test_watchers_do_not_keep_a_server_from_ending(quiet: Berth):
    with watching(quiet, 0) as answer:
        assert answer.status_code == 200
        began = time.monotonic()
        assert quiet.stop() == 0
        assert time.monotonic() - began < 8, "it waited for a watcher"


class Follower(threading.Thread):
    """A client that keeps a copy of the models and instances by list and watch, whatever happens to
    the server: it lists once, then only resumes, and lists again only when told to."""

    def __init__(self, berth: Berth):
        super().__init__(daemon=True)
        self.berth = berth
        self.state: dict[tuple[str, str], dict] = {}
        self.revision: int | None = None
        self.lists = 0
        self.faults: list[str] = []
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.is_set():
            with contextlib.suppress(httpx.HTTPError):
                if self.revision is None:
                    self._list()
                self._follow()
            self.done.wait(0.02)

    def _list(self) -> None:
        revision = self.berth.api("GET", "/api/v1/models")["revision"]  # the older: nothing is lost
        self.state = listed(self.berth, "model", "instance")
        self.revision = revision
        self.lists += 1

    def _follow(self) -> None:
        with watching(self.berth, self.revision, timeout=20) as answer:
            if answer.status_code == 410:
                self.revision = None
                return
            if answer.status_code != 200:
                self.faults.append(f"status {answer.status_code}")
                return
            for event, ident, data in events(answer.iter_lines()):
                if ident <= self.revision:
                    self.faults.append(f"{ident} came after {self.revision}")
                if event == "put":
                    self.state[data["kind"], data["name"]] = data["object"]
                elif event == "delete":
                    self.state.pop((data["kind"], data["name"]), None)
                self.revision = ident
                if self.done.is_set():
                    return


def comparable(state: dict[tuple[str, str], dict]) -> dict:
    """What both a list and a watch show of an object."""
    members = {"model": ("deployment", "generation", "deleting", "created_at"),
               "instance": ("model", "generation", "state", "state_since", "created_at")}
    return {key: {name: one.get(name) for name in members[key[0]]} for key, one in state.items()}


def test_a_follower_rebuilds_the_state_through_kills_of_the_server(quiet: Berth, tiny_file: Path,
                                                                   rounds: int):
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    chance = random.Random(seed)
    add(quiet, "m0", tiny_file, 1)
    follower = Follower(quiet)
    follower.start()
    eventually("it has listed", lambda: follower.lists == 1)
    acknowledged: dict[str, int] = {"m0": 1}

    def write() -> None:
        name = f"m{chance.randrange(6)}"
        replicas = chance.randrange(4)
        if name not in acknowledged:
            if quiet.http("POST", "/api/v1/models", json={
                    "name": name, "source": str(tiny_file), "replicas": replicas}
                    ).status_code in (200, 201):
                acknowledged[name] = replicas
        elif chance.random() < 0.2:
            if quiet.http("DELETE", f"/api/v1/models/{name}").status_code < 300:
                del acknowledged[name]
        elif quiet.http("PATCH", f"/api/v1/models/{name}", json={"replicas": replicas}
                        ).status_code == 200:
            acknowledged[name] = replicas

    for _ in range(max(rounds, 2)):
        killer = threading.Timer(chance.uniform(0.05, 1.0), quiet.process.kill)
        killer.start()
        with contextlib.suppress(httpx.HTTPError):
            while quiet.process.poll() is None:
                write()
        killer.join()
        quiet.stop(signal.SIGKILL)
        before = set(acknowledged)
        quiet.start("--no-worker")
        found = quiet.api("GET", "/api/v1/models")["items"]
        there = {one["name"] for one in found if not one.get("deleting")}
        # At most the one write whose answer was lost may differ.
        assert len(there ^ before) <= 1, (seed, there, before)
        acknowledged = {one["name"]: one["deployment"]["replicas"] for one in found
                        if one["name"] in there}

    def same() -> bool:
        return comparable(follower.state) == comparable(listed(quiet, "model", "instance"))

    eventually(f"the follower has what the lists show (seed {seed})", same, 30)
    follower.done.set()
    assert not follower.faults, seed
    assert follower.lists == 1, "it had to list again"
