"""`berth inspect`: what a file is, what it needs, which backend and why; nothing is started."""

import json
from pathlib import Path

import pytest

from harness import Berth


@pytest.fixture(scope="module")
def nobody(tmp_path_factory: pytest.TempPathFactory) -> Berth:
    """No server: inspect needs none."""
    return Berth(tmp_path_factory.mktemp("inspect"))


def test_a_person_reads_what_it_is_and_needs(nobody: Berth, gemma_file: Path):
    text = nobody.cli("inspect", gemma_file).stdout
    for word in ("gemma3", "Q4_K_M", "llama-box", "8192", "MiB"):
        assert word in text, word


def test_a_program_reads_the_same(nobody: Berth, gemma_file: Path):
    told = json.loads(nobody.cli("inspect", gemma_file, "--json").stdout)
    profile = told["profile"]
    assert profile["architecture"] == "gemma3"
    assert profile["context_length"] == 32768
    assert profile["layer_count"] == 18
    assert 250_000_000 < profile["parameters"] < 450_000_000
    assert told["backend"] == "llama-box"
    assert told["backend_reason"] or told["reason"]
    assert "8192" in json.dumps(told)


def test_nothing_runs_and_no_server_is_started(nobody: Berth, tiny_file: Path):
    nobody.cli("inspect", tiny_file)
    assert not nobody.left_over()


def test_a_file_that_is_no_model(nobody: Berth, tmp_path: Path):
    file = tmp_path / "x.gguf"
    file.write_text("nothing")
    assert "x.gguf" in nobody.cli("inspect", file, check=1).stderr
