"""Asks llama-server, the judge and Berth what one case takes: bytes of weights, cache and compute
buffers, for each device and, last, the host."""

import json
import os
import re
import selectors
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from cases import ROOM, Case
from harness import eventually, free_port

MIB = 1 << 20


class Refused(Exception):
    """The program does not run this case; the text says why."""


@dataclass
class Sizes:
    weights: int = 0
    kv_cache: int = 0
    compute: int = 0

    @property
    def total(self) -> int:
        return self.weights + self.kv_cache + self.compute


def summed(devices: list[Sizes]) -> Sizes:
    return Sizes(*(sum(getattr(one, field.name) for one in devices) for field in fields(Sizes)))


def as_rows(devices: list[Sizes]) -> list[dict[str, int]]:
    return [asdict(one) for one in devices]


def ask_judge(program: Path, file: Path, case: Case, shape: Any) -> list[Sizes]:
    argv = [str(program), "--model", str(file), *case.engine(shape)]
    for number in range(len(case.layers)):
        argv += ["--judge-device", f"device:{number}={case.kind}:{ROOM}"]
    run = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    if run.returncode != 0:
        raise Refused(run.stdout.strip() or run.stderr[-300:] or f"exit code {run.returncode}")
    rows = json.loads(run.stdout)["devices"]
    return [Sizes(row["weights"], row["kv_cache"], row["compute"]) for row in rows]


def inspect(program: Path, file: Path, arguments: list[str]) -> dict[str, Any]:
    # Another address: no server that happens to run is asked.
    env = {**os.environ, "BERTH_URL": "http://127.0.0.1:9"}
    run = subprocess.run([str(program), "inspect", str(file), *arguments], capture_output=True,
                         text=True, timeout=120, env=env)
    if run.returncode != 0:
        raise Refused(run.stderr.strip()[-300:])
    return json.loads(run.stdout)


def claim_of(answer: dict[str, Any], case: Case) -> list[Sizes]:
    if case.layers:
        claim = (answer.get("fit") or {}).get("claim")
    else:
        claim = next((way["claim"] for way in answer["ways"] if way["on"] == "cpu"), None)
    if not claim or not claim["devices"]:
        raise Refused(f"no claim: {answer.get('fit', {}).get('reasons')}")
    return [Sizes(row["weights"], row["kv_cache"], row["compute"]) for row in claim["devices"]]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def rpc_servers(programs: Path, count: int) -> Iterator[list[str]]:
    """So many servers of remote devices, by address."""
    addresses, running = [], []
    try:
        for _ in range(count):
            port = free_port()
            addresses.append(f"127.0.0.1:{port}")
            running.append(subprocess.Popen(
                [programs / "ggml-rpc-server", "-H", "127.0.0.1", "-p", str(port)],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            eventually("the remote device listens", lambda port=port: listens(port))
        yield addresses
    finally:
        for process in running:
            process.kill()
            process.wait(10)


def until_line(process: subprocess.Popen[bytes], pattern: bytes, seconds: float) -> bytes:
    """What the process says until a line matches; fails where it ends or time runs out."""
    ends = time.monotonic() + seconds
    said = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not re.search(pattern, said):
            if not selector.select(max(0.0, ends - time.monotonic())):
                raise Refused(f"it said nothing of {pattern!r} within {seconds} s")
            chunk = os.read(process.stdout.fileno(), 1 << 16)
            if not chunk:
                raise Refused(said.decode(errors="replace")[-300:])
            said += chunk
    return said


BUFFER = re.compile(r": +(\S+) +(model|KV|RS|output|compute) buffer size = +([0-9.]+) MiB")
PLACE = {"model": "weights", "KV": "kv_cache", "RS": "kv_cache", "output": "compute",
         "compute": "compute"}


def read_log(log: str, addresses: list[str]) -> list[Sizes]:
    """The buffers that llama-server notes as it loads."""
    devices = [Sizes() for _ in range(len(addresses) + 1)]
    for name, what, size in BUFFER.findall(log):
        found = [i for i, address in enumerate(addresses) if f"[{address}]" in name]
        sizes = devices[found[0] if found else -1]
        setattr(sizes, PLACE[what], getattr(sizes, PLACE[what]) + round(float(size) * MIB))
    return devices


def ask_server(programs: Path, file: Path, case: Case, shape: Any, preload: Path) -> list[Sizes]:
    """Starts llama-server and ends it when it has its buffers, before it computes anything."""
    with rpc_servers(programs, len(case.layers)) as addresses:
        argv = [str(programs / "llama-server"), "--model", str(file), *case.engine(shape),
                "--host", "127.0.0.1", "--port", str(free_port()), "--no-warmup", "-lv", "5"]
        if addresses:
            # Mapped, the host's weights would be all that lie between its first and last.
            argv += ["--rpc", ",".join(addresses), "--load-mode", "none"]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   env={**os.environ, "LD_PRELOAD": str(preload)})
        try:
            # The host's compute buffer is the last that it notes.
            log = until_line(process, rb"sched_reserve: +CPU compute buffer size[^\n]*\n", 180)
        finally:
            process.kill()
            process.wait(30)
    return read_log(log.decode(errors="replace"), addresses)
