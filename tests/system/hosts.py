"""A network of its own for a test: hosts are network namespaces on one bridge, and the ways
between them and the server can be cut, in either direction. Needs root."""

import contextlib
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator

import pytest

from harness import BERTH, free_port, running
from machines import Cluster, Machine


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


@dataclass
class Network:
    """The server's side has the bridge, with the first address; each host has one of the next."""

    number: int
    hosts: dict[str, str] = field(default_factory=dict)  # namespace: address

    @property
    def name(self) -> str:
        return f"berth{self.number}"

    @property
    def server(self) -> str:
        return f"10.77.{self.number}.1"

    def open(self) -> None:
        run("ip", "link", "add", self.name, "type", "bridge")
        run("ip", "addr", "add", f"{self.server}/24", "dev", self.name)
        run("ip", "link", "set", self.name, "up")
        run("nft", "add", "table", "inet", self.name)
        for hook in ("input", "output"):
            run("nft", "add", "chain", "inet", self.name, hook,
                "{ type filter hook %s priority 0; }" % hook)

    def add_host(self) -> tuple[str, str]:
        """The namespace and the address of another host."""
        index = len(self.hosts) + 2
        space, address = f"{self.name}-{index}", f"10.77.{self.number}.{index}"
        outer, inner = f"b{self.number}o{index}", f"b{self.number}i{index}"
        self.hosts[space] = address
        run("ip", "netns", "add", space)
        run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner)
        run("ip", "link", "set", inner, "netns", space)
        run("ip", "link", "set", outer, "master", self.name, "up")
        run("ip", "-n", space, "link", "set", "lo", "up")
        run("ip", "-n", space, "addr", "add", f"{address}/24", "dev", inner)
        run("ip", "-n", space, "link", "set", inner, "up")
        run("ip", "-n", space, "route", "add", "default", "via", self.server)
        return space, address

    def move_host(self, space: str) -> str:
        """Gives a host another address, as a DHCP server may; returns it."""
        index = list(self.hosts).index(space) + 2
        before, after = self.hosts[space], f"10.77.{self.number}.{index + 100}"
        inner = f"b{self.number}i{index}"
        run("ip", "-n", space, "addr", "add", f"{after}/24", "dev", inner)
        run("ip", "-n", space, "addr", "del", f"{before}/24", "dev", inner)
        with contextlib.suppress(AssertionError):  # it may have gone with its address
            run("ip", "-n", space, "addr", "add", f"{after}/24", "dev", inner)
        run("ip", "-n", space, "route", "replace", "default", "via", self.server)
        self.hosts[space] = after
        return after

    def cut(self, space: str, to_server: bool = True, from_server: bool = True) -> None:
        """Packets vanish without a word, as with a broken switch."""
        address = self.hosts[space]
        if to_server:
            run("nft", "add", "rule", "inet", self.name, "input", "ip", "saddr", address, "drop")
        if from_server:
            run("nft", "add", "rule", "inet", self.name, "output", "ip", "daddr", address, "drop")

    def close_port(self, space: str, port: int) -> None:
        """A firewall in front of a host's port: what it opens itself goes through."""
        run("nft", "add", "rule", "inet", self.name, "output", "ip", "daddr", self.hosts[space],
            "tcp", "dport", str(port), "drop")

    def heal(self) -> None:
        for hook in ("input", "output"):
            run("nft", "flush", "chain", "inet", self.name, hook)

    def close(self) -> None:
        for index, space in enumerate(self.hosts, 2):
            # The namespace itself may take its time to go, and its cable with it.
            subprocess.run(["ip", "link", "del", f"b{self.number}o{index}"], capture_output=True)
            subprocess.run(["ip", "netns", "del", space], capture_output=True)
        subprocess.run(["ip", "link", "del", self.name], capture_output=True)
        subprocess.run(["nft", "delete", "table", "inet", self.name], capture_output=True)


def free_number() -> int:
    """Of networks that other tests, perhaps of another run, do not use."""
    for number in range(1 + os.getpid() % 200, 255):
        if not Path(f"/sys/class/net/berth{number}").exists() and not list(
                Path("/sys/class/net").glob(f"b{number}o*")):
            return number
    raise AssertionError("all networks are taken")


@dataclass
class Site(Cluster):
    """A server, and hosts of their own that are its workers."""

    network: Network | None = None

    @property
    def url(self) -> str:
        return f"https://{self.network.server}:{self.door}"

    def machine(self, name: str) -> Machine:
        machine = super().machine(name)
        machine.namespace, machine.address = self.network.add_host()
        return machine

    def cut(self, machine: Machine, **ways: bool) -> None:
        self.network.cut(machine.namespace, **ways)


@contextlib.contextmanager
def site(home: Path, *arguments: str, program: Path = BERTH, **settings: str) -> Iterator[Site]:
    """A server without a worker of its own, on a network where hosts can join."""
    if os.geteuid() != 0:
        pytest.fail("network namespaces need root: run the tests as root")
    network = Network(free_number())
    door = free_port()
    try:
        network.open()
        with running(home / "server", "--no-worker", "--cluster-listen",
                     f"{network.server}:{door}", *arguments, program=program, **settings) as server:
            made = Site(server, door, home, network=network)
            try:
                yield made
            finally:
                network.heal()
                for machine in made.machines:
                    machine.close()
    finally:
        network.close()
