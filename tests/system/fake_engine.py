"""Fixtures for the misbehaving engine, tests/fakes/engine.py, whose words say what it does."""

import sys
import uuid
from pathlib import Path
from typing import Callable, Iterator

import pytest

from harness import ROOT, Berth, eventually, processes_with

FAKE = ROOT / "tests/fakes/engine.py"


@pytest.fixture
def fake_berth(stopped_berth: Berth) -> Berth:
    """A server with the pack `fake` beside the shipped ones: tests/fakes/engine.py."""
    stopped_berth.add_pack("fake", [sys.executable, str(FAKE)])
    return stopped_berth.start()


@pytest.fixture
def fake(fake_berth: Berth, tiny_file: Path, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """fake(WORDS, …): deploys a model on the fake engine that behaves so, without waiting for it.
    Every process that its engine leaves carries a mark, by which they are looked for at the end."""
    mark = uuid.uuid4().hex

    def deploy(words: str, *arguments: object, **fields: object) -> str:
        body = {"name": "faulty", "source": str(tiny_file), "backend_version": "fake",
                "env": {"FAKE_ENGINE": words, "FAKE_FOLDER": str(tmp_path), "FAKE_MARK": mark}}
        body["env"] |= {name: str(value) for name, value in fields.pop("env", {}).items()}
        fake_berth.api("POST", "/api/v1/models", 201, json=body | fields)
        return "faulty"

    deploy.mark = mark
    yield deploy
    if fake_berth.process and fake_berth.http("GET", "/api/v1/models/faulty").status_code == 200:
        fake_berth.remove("faulty")
    eventually("no process of the engine is left", lambda: not processes_with(mark), 15)
