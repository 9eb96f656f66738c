"""The gateway beside nginx as a plain reverse proxy, in one run, by turns. Run by bench/gateway.

The proxy under test has one core for itself; engine and clients share the other. What counts is the
processor time that the proxy takes, and the ratio of each pair of turns.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "build/release/bench_gateway"
TICK = 1 / os.sysconf("SC_CLK_TCK")
PROXY_CORE, LOAD_CORE = "0", "1"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in family(int(child)))]


def cpu_seconds(pid: int) -> float:
    total = 0
    for one in family(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total * TICK


def memory(pid: int) -> float:
    """Private memory of a process and its children, in KiB."""
    total = 0
    for one in family(pid):
        for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
            if line.startswith(("Private_Clean:", "Private_Dirty:")):
                total += int(line.split()[1])
    return total


class Part:
    """A process of the benchmark, on a core of its own."""

    def __init__(self, core: str, *argv: str, says: int = 0) -> None:
        self.process = subprocess.Popen(["taskset", "-c", core, *argv], text=True,
                                        stdout=subprocess.PIPE, stderr=sys.stderr)
        self.said = [self.process.stdout.readline().strip() for _ in range(says)]

    @property
    def pid(self) -> int:
        return self.process.pid

    def end(self) -> None:
        self.process.send_signal(signal.SIGKILL if self.process.args[3] != "nginx" else signal.SIGTERM)
        self.process.wait(20)


class Peers:
    """The engine, and the proxies before it."""

    def __init__(self, folder: Path) -> None:
        self.engine_port = free_port()
        self.engine = Part(LOAD_CORE, str(BENCH), "engine", str(self.engine_port), says=1)
        self.folder = folder

    def start(self, name: str) -> tuple[Part, int, str]:
        port = free_port()
        if name == "nginx":
            text = (ROOT / "bench/peers/nginx.conf").read_text()
            for key, value in (("ENGINE_PORT", self.engine_port), ("PORT", port),
                               ("FOLDER", self.folder)):
                text = text.replace(key, str(value))
            (self.folder / "nginx.conf").write_text(text)
            part = Part(PROXY_CORE, "nginx", "-c", str(self.folder / "nginx.conf"))
            key = "none"
            time.sleep(0.5)
        else:
            backend = "llama-box" if name == "berth, assembling" else "plain"
            part = Part(PROXY_CORE, str(BENCH), "gateway", str(port), str(self.engine_port), backend,
                        says=2)
            key = part.said[0]
            time.sleep(0.5)
        return part, port, key


def load(port: int, key: str, **options: Any) -> dict[str, Any]:
    text = json.dumps({"port": port, "key": key, **options})
    done = subprocess.run(["taskset", "-c", LOAD_CORE, str(BENCH), "load", text], text=True,
                          capture_output=True, timeout=300, check=True)
    result = json.loads(done.stdout)
    if result["failures"] or not result["requests"]:
        raise RuntimeError(f"requests failed: {result}")
    return result


def measure(peers: Peers, name: str, scenario: str, seconds: float) -> dict[str, float]:
    part, port, key = peers.start(name)
    try:
        if scenario.startswith("requests"):
            size = int(scenario.split()[1])
            load(port, key, connections=64, body_bytes=size, duration_ms=500)
            before = cpu_seconds(part.pid)
            result = load(port, key, connections=64, body_bytes=size, duration_ms=int(seconds * 1000))
            taken = cpu_seconds(part.pid) - before
            return {"cpu": taken / result["requests"] * 1e6,
                    "rate": result["requests"] / result["seconds"]}
        if scenario == "streams":
            load(port, key, connections=100, stream=1, events=5)
            before = cpu_seconds(part.pid)
            result = load(port, key, connections=1000, stream=1, events=int(seconds * 20), pace_ms=50,
                          ramp_ms=2000)
            taken = cpu_seconds(part.pid) - before
            return {"cpu": taken / result["events"] * 1e6, "first_p50": result["first_p50_ms"],
                    "first_p99": result["first_p99_ms"]}
        load(port, key, connections=20, stream=1, events=3)
        before = memory(part.pid)
        text = json.dumps({"port": port, "key": key, "connections": 1000, "stream": 1, "events": 4,
                           "pace_ms": 2000, "ramp_ms": 1000})
        held = subprocess.Popen(["taskset", "-c", LOAD_CORE, str(BENCH), "load", text],
                                stdout=subprocess.DEVNULL)
        time.sleep(5.2)  # every stream has begun, and waits for its third event
        size = memory(part.pid) - before
        held.wait(60)
        return {"kib": size / 1000}
    finally:
        part.end()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="pairs of turns (default 5)")
    parser.add_argument("--seconds", type=float, default=4, help="of a turn (default 4)")
    parser.add_argument("--only", help="one scenario")
    options = parser.parse_args()
    if not shutil.which("nginx"):
        print("bench/gateway: nginx is missing: apt-get install nginx-light", file=sys.stderr)
        return 1
    folder = Path(tempfile.mkdtemp(prefix="berth-bench-"))
    peers = Peers(folder)
    names = ["nginx", "berth"]
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    scenarios = ["requests 1024", "requests 16384", "streams", "held"]
    try:
        for scenario in scenarios:
            if options.only and options.only not in scenario:
                continue
            for turn in range(options.rounds):
                for name in names if turn % 2 else reversed(names):
                    result = measure(peers, name, scenario, options.seconds)
                    say(f"  {scenario}, {name}: "
                        + ", ".join(f"{key} {value:.1f}" for key, value in result.items()))
                    found.setdefault((scenario, name), []).append(result)
            if scenario.startswith("requests"):
                result = measure(peers, "berth, assembling", scenario, options.seconds)
                found.setdefault((scenario, "berth, assembling"), []).append(result)
    finally:
        peers.engine.end()
        shutil.rmtree(folder, ignore_errors=True)

    def pairs(scenario: str, key: str) -> tuple[float, float, float]:
        berth = [one[key] for one in found[scenario, "berth"]]
        nginx = [one[key] for one in found[scenario, "nginx"]]
        ratio = statistics.median(a / b for a, b in zip(berth, nginx))
        return statistics.median(berth), statistics.median(nginx), ratio

    rows = []
    for scenario, key, label, limit in (
            ("requests 1024", "cpu", "CPU µs a request, 64 connections, bodies of 1 KiB", 1.5),
            ("requests 16384", "cpu", "the same, bodies of 16 KiB", 1.5),
            ("streams", "cpu", "CPU µs an event, 1,000 streams", 1.2),
            ("streams", "first_p99", "time to first chunk, p99 of 1,000 streams, ms", None),
            ("held", "kib", "memory of a held stream, KiB", None)):
        if (scenario, "berth") in found:
            berth, nginx, ratio = pairs(scenario, key)
            rows.append((label, berth, nginx, ratio, limit))
    print(f"{date.today()}, {os.cpu_count()} cores, {platform.machine()}; medians of "
          f"{options.rounds} pairs; nginx only forwards\n")
    print("| figure | Berth | nginx | ratio | wanted |\n|---|---|---|---|---|")
    good = True
    for label, berth, nginx, ratio, limit in rows:
        within = limit is None or ratio <= limit
        good = good and within
        print(f"| {label} | {berth:.1f} | {nginx:.1f} | {ratio:.2f}{'' if within else ' **too much**'} "
              f"| {f'≤ {limit}' if limit else ''} |")
    for (scenario, name), results in found.items():
        if name == "berth, assembling":
            print(f"\nPutting a streamed answer together ({scenario.split()[1]} bytes): "
                  f"{results[0]['cpu']:.1f} µs a request of ten events.")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
