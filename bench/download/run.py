"""A large file downloaded as Berth does it, beside curl and sha256sum, in one run, by turns. Run by
bench/run-download.

nginx serves the file from the page cache on the same machine. Each turn begins with nothing to be
written to the disk, and writes a file that is not there. What the peer writes stays in the page
cache, where Berth's is on the disk when it ends, so that the comparison is to Berth's disadvantage.
OpenSSL stands beside sha256sum, which is slow where it does not use what the processor has for SHA.
"""

import argparse
import hashlib
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "build/release/bench_download"
PIECE = 1 << 24
LEAST_RATIO, MOST_MEMORY = 0.9, 64


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_file(path: Path, size: int) -> str:
    """A file of random bytes; its SHA-256."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for _ in range(size // PIECE):
            piece = os.urandom(PIECE)
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def start_server(folder: Path, port: int) -> subprocess.Popen[bytes]:
    text = (ROOT / "bench/peers/nginx-files.conf").read_text()
    for key, value in (("PORT", port), ("FOLDER", folder)):
        text = text.replace(key, str(value))
    (folder / "nginx.conf").write_text(text)
    server = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf")])
    for _ in range(100):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/small", timeout=1).read()
            return server
        except OSError:
            time.sleep(0.05)
    server.terminate()
    raise RuntimeError("nginx does not start")


class Downloads:
    """One file, and the ways to have it."""

    def __init__(self, folder: Path, url: str, size: int, digest: str) -> None:
        self.folder, self.url, self.size, self.digest = folder, url, size, digest
        self.target = folder / "target/model.gguf"
        self.memory: list[float] = []

    def clear(self) -> None:
        shutil.rmtree(self.target.parent, ignore_errors=True)
        self.target.parent.mkdir()
        os.sync()

    def berth(self) -> float:
        self.clear()
        began = time.perf_counter()
        said = subprocess.run([BENCH, self.url, self.target, str(self.size), self.digest], check=True,
                              capture_output=True, text=True).stdout
        taken = time.perf_counter() - began
        self.memory.append(int(said) / 1024)
        return taken

    def peer(self, *digester: str) -> float:
        self.clear()
        began = time.perf_counter()
        subprocess.run(["curl", "-s", "-f", "-o", self.target, self.url], check=True)
        said = subprocess.run([*digester, self.target], check=True, capture_output=True,
                              text=True).stdout
        taken = time.perf_counter() - began
        if self.digest not in said.split():
            raise RuntimeError("what curl wrote is not what nginx has")
        return taken


def measure(downloads: Downloads, rounds: int) -> dict[str, list[float]]:
    ways = {"berth": downloads.berth,
            "sha256sum": lambda: downloads.peer("sha256sum"),
            "openssl": lambda: downloads.peer("openssl", "dgst", "-sha256", "-r")}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):  # the first round warms up
        for name in ways if number % 2 else reversed(ways):
            seconds = ways[name]()
            say(f"  round {number}, {name}: {seconds:.2f} s")
            if number:
                taken[name].append(seconds)
    return taken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="rounds (default 7)")
    parser.add_argument("--gib", type=int, default=2, help="size of the file (default 2)")
    parser.add_argument("--folder", type=Path, help="where the files are (default: for temporary ones)")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="berth-bench-", dir=options.folder))
    folder.chmod(0o755)  # nginx may run as somebody else
    (folder / "served").mkdir()
    (folder / "served/small").write_text("here")
    server = None
    try:
        size = options.gib << 30
        digest = make_file(folder / "served/model.gguf", size)
        port = free_port()
        server = start_server(folder, port)
        downloads = Downloads(folder, f"http://127.0.0.1:{port}/model.gguf", size, digest)
        taken = measure(downloads, options.rounds)
    finally:
        if server:
            server.terminate()
            server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)

    def ratio(peer: str) -> float:
        return statistics.median(theirs / ours for theirs, ours in zip(taken[peer], taken["berth"]))

    def median(name: str) -> str:
        return f"{statistics.median(taken[name]):.2f} s"

    memory = max(downloads.memory)
    rows = [(f"throughput against curl, then {name}", f"≥ {LEAST_RATIO}", ratio(peer) >= LEAST_RATIO,
             f"{ratio(peer):.2f} ({median('berth')} against {median(peer)})")
            for peer, name in (("sha256sum", "sha256sum"), ("openssl", "`openssl dgst -sha256`"))]
    rows += [
        ("the most memory of any download", f"≤ {MOST_MEMORY} MiB", memory <= MOST_MEMORY,
         f"{memory:.1f} MiB"),
    ]
    print(f"{date.today()}, {os.cpu_count()} cores, {platform.machine()}; {options.gib} GiB, medians of "
          f"{options.rounds} rounds\n")
    print("| figure | wanted | measured | |\n|---|---|---|---|")
    for name, wanted, good, measured in rows:
        print(f"| {name} | {wanted} | {measured} | {'yes' if good else '**no**'} |")
    return 0 if all(good for _, _, good, _ in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
