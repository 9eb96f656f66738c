"""Other machines of a cluster: workers with data folders of their own, on this machine."""

import contextlib
import os
import signal
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterator

from harness import BERTH, Berth, eventually, free_port, processes_with, running


@dataclass
class Machine:
    """A worker that joined, or tries to."""

    home: Path
    name: str
    port: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None
    output: list[str] = field(default_factory=list)
    namespace: str | None = None  # of a host of its own; see hosts.py
    address: str = "127.0.0.1"
    program: Path = BERTH
    packs: str = "test-packs"  # as Berth's

    def __post_init__(self) -> None:
        self.berth = Berth(self.home, port=0, program=self.program, packs=self.packs)

    @property
    def data(self) -> Path:
        return self.berth.data

    def start(self, *arguments: str, env: dict[str, str] | None = None) -> "Machine":
        assert self.process is None or self.process.poll() is not None, "it runs already"
        self.output.clear()
        inside = ["ip", "netns", "exec", self.namespace] if self.namespace else []
        self.process = subprocess.Popen(
            [*inside, self.program, "worker", "--name", self.name,
             "--listen", f"{self.address}:{self.port}", *arguments],
            env=self.berth.env | (env or {}), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, text=True, start_new_session=True)
        threading.Thread(target=self._collect, args=(self.process,), daemon=True).start()
        return self

    def _collect(self, process: subprocess.Popen) -> None:
        for line in process.stdout:
            self.output.append(line.rstrip("\n"))

    def fails(self, *arguments: str, seconds: float = 15, env: dict[str, str] | None = None
              ) -> tuple[int, str]:
        """Its exit status and what it said, where it can not join."""
        self.start(*arguments, env=env)
        status = self.process.wait(seconds)
        eventually("it said why", lambda: self.output, 5)
        return status, "\n".join(self.output)

    def stop(self, sign: signal.Signals = signal.SIGTERM, seconds: float = 30) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(sign)
            self.process.wait(seconds)
        self.process = None

    def close(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.stop()
        for pid in processes_with(str(self.data)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@dataclass
class Cluster:
    """A server, and the machines that may join it."""

    server: Berth
    door: int
    home: Path
    machines: list[Machine] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.door}"

    def token(self, *arguments: str) -> str:
        made = self.server.json("token", "create", *arguments)
        assert made["server"] == self.url
        return made["token"]

    def machine(self, name: str) -> Machine:
        """One that has not joined yet."""
        machine = Machine(self.home / f"machine-{len(self.machines)}-{name}", name,
                          program=self.server.program, packs=self.server.packs)
        self.machines.append(machine)
        return machine

    def join(self, name: str) -> Machine:
        machine = self.machine(name)
        machine.start("--server", self.url, "--token", self.token())
        self.wait_worker(name)
        return machine

    def worker(self, name: str) -> dict[str, Any] | None:
        workers = self.server.api("GET", "/api/v1/workers")["items"]
        return next((one for one in workers if one["name"] == name), None)

    def wait_worker(self, name: str, state: str = "ready", seconds: float = 30) -> dict[str, Any]:
        return eventually(f"the worker {name} is {state}", lambda: (
            one := self.worker(name)) and one["state"] == state and one, seconds)


@contextlib.contextmanager
def cluster(home: Path, *arguments: str, program: Path = BERTH, packs: str = "test-packs",
            **settings: str) -> Iterator[Cluster]:
    """A server whose door opens with the first token; `--no-worker` among `arguments` leaves this
    machine's own worker out."""
    door = free_port()
    with running(home / "server", "--cluster-listen", f"127.0.0.1:{door}", *arguments,
                 program=program, packs=packs, **settings) as server:
        made = Cluster(server, door, home)
        try:
            yield made
        finally:
            for machine in made.machines:
                machine.close()
