"""Models on hubs, deployed: their files come to the worker's caches, whole, and are used."""

from pathlib import Path
from typing import Iterator

import pytest

from fake_hub import Hub, hub, settings_of  # noqa: F401 (hub is a fixture)
from harness import Berth, eventually, running


@pytest.fixture
def server(tmp_path: Path, hub: Hub) -> Iterator[Berth]:
    with running(tmp_path, **settings_of(hub)) as one:
        yield one


def some_tiny(hub: Hub, tiny_file: Path) -> str:
    return hub.repository("org/tiny-GGUF").commit({
        "README.md": b"# tiny", "tiny-Q4_K_M.gguf": tiny_file, "tiny-Q8_0.gguf": b"x" * 99})


def files(server: Berth) -> list[dict]:
    return server.api("GET", "/api/v1/files")["items"]


def test_a_model_on_hugging_face_is_fetched_and_serves(hub: Hub, server: Berth, tiny_file: Path):
    commit = some_tiny(hub, tiny_file)
    server.cli("deploy", "tiny", "--model", "hf:org/tiny-GGUF")
    answer = server.openai().completions.create(model="tiny", prompt="a", max_tokens=2)
    assert answer.usage.completion_tokens == 2
    repository = server.home / "huggingface/hub/models--org--tiny-GGUF"
    there = repository / "snapshots" / commit / "tiny-Q4_K_M.gguf"
    assert there.is_symlink() and there.read_bytes() == tiny_file.read_bytes()
    assert (repository / "refs/main").read_text() == commit
    assert not list(repository.rglob("*Q8_0*")), "one quantisation, not all"
    [one] = files(server)
    assert one["source"] == "hf:org/tiny-GGUF" and one["state"] == "ready"
    assert one["used_by"] == ["tiny"] and one["size"] == tiny_file.stat().st_size
    shown = server.cli("files", "list").stdout
    assert "hf:org/tiny-GGUF" in shown and "ready" in shown and "tiny" in shown
