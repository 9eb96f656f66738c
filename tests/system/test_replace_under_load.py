"""Edits and scaling of a model that serves: no request fails meanwhile."""

import contextlib
import json
import threading
from collections import Counter
from pathlib import Path
from typing import Iterator

import httpx
import pytest

from fake_engine import fake, fake_berth  # noqa: F401  (fixtures)
from harness import Berth, eventually


class Load:
    """Requests without a pause, half of them streaming, with a count of how they ended."""

    def __init__(self, berth: Berth, model: str, tokens: int = 200) -> None:
        self.berth = berth
        self.body = {"model": model, "prompt": "x", "max_tokens": tokens, "ignore_eos": True}
        self.ended: Counter = Counter()

    @contextlib.contextmanager
    def running(self, clients: int = 6) -> Iterator[None]:
        over = threading.Event()
        threads = [threading.Thread(target=self.ask, args=(over, number % 2 == 0))
                   for number in range(clients)]
        for thread in threads:
            thread.start()
        try:
            self.more()
            yield
            self.more()
        finally:
            over.set()
            for thread in threads:
                thread.join(90)
                assert not thread.is_alive(), "a request never ended"

    def more(self) -> None:
        """Waits until further requests have ended."""
        count = self.ended.total() + 10
        eventually("requests end", lambda: self.ended.total() >= count, 60)

    def ask(self, over: threading.Event, stream: bool) -> None:
        while not over.is_set():
            self.ended[self.ask_once(stream)] += 1

    def ask_once(self, stream: bool) -> str:
        try:
            answer = self.berth.http("POST", "/v1/completions", timeout=90,
                                     json=self.body | {"stream": stream})
        except httpx.HTTPError as error:
            return repr(error)
        if answer.status_code != 200:
            return f"{answer.status_code} {answer.text}"
        if not stream:
            return "good" if answer.json()["choices"][0]["finish_reason"] else answer.text
        events = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
        whole = events[-1] == "[DONE]" and any(
            choice["finish_reason"] for event in events[:-1]
            for choice in json.loads(event).get("choices", []))
        return "good" if whole else "cut: " + answer.text[-300:]


def replaced(berth: Berth, model: str, before: set[str], count: int) -> bool:
    now = berth.instances(model)
    return len(now) == count and all(one["state"] == "ready" for one in now) and not (
        before & {one["name"] for one in now})


@pytest.mark.parametrize("policy", ["new_first", "automatic"])
def test_no_request_fails_during_an_edit(own_berth: Berth, tiny_file: Path, policy: str):
    own_berth.deploy("edited", tiny_file, "--update", policy, "--replicas", 2)
    before = {one["name"] for one in own_berth.wait_ready("edited", 2)}
    load = Load(own_berth, "edited")
    with load.running():
        own_berth.api("PATCH", "/api/v1/models/edited", json={"env": {"EDITED": "1"}})
        eventually("new instances serve alone",
                   lambda: replaced(own_berth, "edited", before, 2), 90)
    assert set(load.ended) == {"good"}, load.ended


def test_no_request_fails_during_a_scale_down(own_berth: Berth, tiny_file: Path):
    own_berth.deploy("scaled", tiny_file, "--replicas", 3)
    own_berth.wait_ready("scaled", 3)
    load = Load(own_berth, "scaled")
    with load.running():
        own_berth.api("PATCH", "/api/v1/models/scaled", json={"replicas": 1})
        own_berth.wait_ready("scaled", 1)
    assert set(load.ended) == {"good"}, load.ended


def test_a_request_that_takes_long_is_answered_before_its_instance_goes(fake_berth: Berth, fake):
    fake("", replicas=2, env={"FAKE_SECONDS": 8})
    fake_berth.wait_ready("faulty", 2)
    load = Load(fake_berth, "faulty")
    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(load.ask_once(stream=False)))
               for _ in range(4)]
    for thread in threads:
        thread.start()
    fake_berth.wait_ready("faulty", 2)
    fake_berth.api("PATCH", "/api/v1/models/faulty", json={"replicas": 1})
    fake_berth.wait_state("faulty", "stopping")
    fake_berth.wait_ready("faulty", 1)
    for thread in threads:
        thread.join(60)
    assert answers == ["good"] * 4
