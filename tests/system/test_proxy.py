"""The worker's proxy: requests reach engines by it while the agent is away."""

import os
import signal
import ssl
import threading
from pathlib import Path
from typing import Iterator

import httpx
import pytest

from harness import Berth, eventually, running


@pytest.fixture
def by_proxy(tmp_path: Path) -> Iterator[Berth]:
    """A server that reaches its own engines by the proxy, as it will those of other machines."""
    with running(tmp_path, BERTH_ENGINES_BY_PROXY="true") as server:
        yield server


def processes(berth: Berth, command: str) -> list[int]:
    return [pid for pid, argv in berth.left_over().items() if f"berth {command} " in argv + " "]


class Load:
    """Requests one after the other, from several threads, until it is stopped; what failed."""

    def __init__(self, berth: Berth, model: str, threads: int = 4) -> None:
        self.berth, self.model = berth, model
        self.failures: list[str] = []
        self.answers = 0
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def _run(self) -> None:
        with httpx.Client(timeout=60, headers={"Authorization": f"Bearer {self.berth.key}"}) as client:
            while not self.ended.is_set():
                answer = client.post(f"{self.berth.url}/v1/completions", json={
                    "model": self.model, "prompt": "x", "max_tokens": 20, "ignore_eos": True})
                if answer.status_code != 200:
                    self.failures.append(answer.text)
                self.answers += 1

    def __enter__(self) -> "Load":
        for thread in self.threads:
            thread.start()
        eventually("requests are answered", lambda: self.answers > 4, 60)
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join(60)


def test_requests_flow_while_the_agent_starts_again(by_proxy: Berth, tiny_file: Path, rounds: int):
    by_proxy.deploy("flows", tiny_file)
    engine = by_proxy.wait_ready("flows")[0]["pid"]
    with Load(by_proxy, "flows") as load:
        for _ in range(rounds):
            agent = processes(by_proxy, "worker")[0]
            os.kill(agent, signal.SIGKILL)
            eventually("another agent runs", lambda: [
                pid for pid in processes(by_proxy, "worker") if pid != agent], 30)
            before = load.answers
            eventually("requests are still answered", lambda: load.answers > before + 4, 60)
    assert not load.failures
    assert by_proxy.wait_ready("flows")[0]["pid"] == engine


def test_a_killed_proxy_comes_back_where_it_was(by_proxy: Berth, tiny_file: Path, rounds: int):
    by_proxy.deploy("back", tiny_file)
    engine = by_proxy.wait_ready("back")[0]["pid"]
    client = by_proxy.openai()
    address = by_proxy.api("GET", "/api/v1/workers")["items"][0]["address"]
    for _ in range(rounds):
        proxy = processes(by_proxy, "proxy")[0]
        os.kill(proxy, signal.SIGKILL)
        eventually("another proxy runs", lambda: [
            pid for pid in processes(by_proxy, "proxy") if pid != proxy], 30)
        eventually("it answers", lambda: by_proxy.http("POST", "/v1/completions", json={
            "model": "back", "prompt": "x", "max_tokens": 1}).status_code == 200, 30)
    assert by_proxy.api("GET", "/api/v1/workers")["items"][0]["address"] == address
    assert by_proxy.wait_ready("back")[0]["pid"] == engine
    assert client.completions.create(model="back", prompt="x", max_tokens=1).choices


def test_the_proxy_lets_only_the_server_in(by_proxy: Berth, tiny_file: Path):
    by_proxy.deploy("locked", tiny_file)
    instance = by_proxy.wait_ready("locked")[0]
    worker = by_proxy.api("GET", "/api/v1/workers")["items"][0]
    membership = by_proxy.data / "worker/membership"
    url = f"https://{worker['address']}/engines/{instance['name']}.1.0/v1/models"
    trust = ssl.create_default_context(cafile=membership / "authority.pem")
    trust.check_hostname = False  # certificates of a cluster name no hosts
    assert httpx.get(url, verify=trust).status_code == 401, "without a certificate"
    trust.load_cert_chain(membership / "certificate.pem", membership / "key.pem")
    assert httpx.get(url, verify=trust).status_code == 401, "with a worker's own"
    with pytest.raises(httpx.HTTPError):
        httpx.get(url.replace("https", "http"))


def test_the_proxy_stays_with_engines_that_are_left(by_proxy: Berth, tiny_file: Path):
    by_proxy.stop()
    by_proxy.start("--leave-engines")
    by_proxy.deploy("left", tiny_file)
    by_proxy.wait_ready("left")
    proxy = processes(by_proxy, "proxy")
    by_proxy.stop()
    assert processes(by_proxy, "proxy") == proxy
    by_proxy.start()
    by_proxy.wait_ready("left")
    assert processes(by_proxy, "proxy") == proxy
    assert by_proxy.openai().completions.create(model="left", prompt="x", max_tokens=1).choices
