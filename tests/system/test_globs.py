"""A model named by a glob: what it matches is found where the file is, and stored as its path."""

import json
import sys
from pathlib import Path
from typing import Iterator

import pytest
import yaml

from harness import ROOT, Berth

sys.path.insert(0, str(ROOT / "tests/models"))
import tiny_llm  # noqa: E402


@pytest.fixture
def folder(berth: Berth, tmp_path: Path, tiny_file: Path) -> Iterator[Path]:
    """A folder of models in the folder where commands run: Tiny-Q4.gguf, notes.txt."""
    folder = berth.home / "globbed"
    folder.mkdir()
    (folder / "Tiny-Q4.gguf").symlink_to(tiny_file)
    (folder / "notes.txt").write_text("of the models")
    yield folder
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def source(berth: Berth, name: str) -> str:
    return berth.api("GET", f"/api/v1/models/{name}")["deployment"]["source"]


def test_a_glob_from_a_relative_path_serves(berth: Berth, deployed, folder: Path):
    deployed("by-glob", Path("globbed/*.gguf"))
    assert source(berth, "by-glob") == str(folder / "Tiny-Q4.gguf")
    assert berth.openai().completions.create(model="by-glob", prompt="x", max_tokens=1).choices


def test_a_split_model_is_named_by_a_glob_of_all_its_parts(
        berth: Berth, deployed, folder: Path):
    tiny_llm.write(folder / "parts.gguf", tensors_of_a_part=8)
    parts = sorted(folder.glob("parts-*.gguf"))
    assert len(parts) > 1
    deployed("by-parts", Path("globbed/parts-*.gguf"))
    assert source(berth, "by-parts") == str(parts[0])
    assert berth.openai().completions.create(model="by-parts", prompt="x", max_tokens=1).choices


def test_a_glob_of_several_models_is_refused_with_their_list(
        berth: Berth, folder: Path, tiny_file: Path):
    (folder / "Tiny-Q8.gguf").symlink_to(tiny_file)
    said = berth.deploy("no-one", Path("globbed/*.gguf"), check=2).stderr
    for words in ("2 models", str(folder / "Tiny-Q4.gguf"), str(folder / "Tiny-Q8.gguf")):
        assert words in said
    error = berth.api("POST", "/api/v1/models", expect=400,
                      json={"name": "no-one", "source": str(folder / "*.gguf")})["error"]
    assert error["param"] == "source"


def test_a_glob_that_matches_nothing_says_so(berth: Berth, folder: Path):
    said = berth.deploy("no-one", Path("globbed/absent-*.gguf"), check=1).stderr
    assert f"no file or folder matches {folder}/absent-*.gguf" in said


def test_a_file_with_brackets_in_its_name_is_taken_literally(
        berth: Berth, deployed, folder: Path, tiny_file: Path):
    for name in ("a[1].gguf", "a1.gguf"):
        (folder / name).symlink_to(tiny_file)
    deployed("by-name", Path("globbed/a[1].gguf"), "--no-wait")
    assert source(berth, "by-name") == str(folder / "a[1].gguf")
    berth.wait_ready("by-name")


def test_apply_of_a_glob_changes_nothing_while_it_matches_the_same(
        berth: Berth, deployed, folder: Path, tiny_file: Path):
    file = folder / "models.yaml"
    file.write_text(yaml.safe_dump({"name": "applied", "source": "*.gguf", "replicas": 0}))
    try:
        assert "applied created" in berth.cli("apply", "-f", file).stdout
        assert berth.cli("apply", "-f", file).stdout == "applied unchanged\n"
        assert source(berth, "applied") == str(folder / "Tiny-Q4.gguf")
        (folder / "Tiny-Q4.gguf").rename(folder / "Tiny-Q5.gguf")
        assert "applied changed" in berth.cli("apply", "-f", file).stdout
        assert source(berth, "applied") == str(folder / "Tiny-Q5.gguf")
    finally:
        berth.cli("rm", "applied")


def test_run_names_the_model_after_what_matches(berth: Berth, folder: Path):
    try:
        berth.cli("run", "globbed/*", "x", "--max-tokens", "1", check=2)  # notes.txt and the model
        for _ in range(2):
            berth.cli("run", "globbed/Ti*", "x", "--max-tokens", "1")
        assert source(berth, "Tiny-Q4") == str(folder / "Tiny-Q4.gguf")
        # This address is not known to be of the same machine, so that the server is asked.
        elsewhere = f"http://0.0.0.0:{berth.port}"
        berth.cli("run", "globbed/Ti*", "x", "--max-tokens", "1", "--server", elsewhere,
                  "--api-key", berth.key)
    finally:
        berth.cli("rm", "Tiny-Q4")


def test_inspect_tells_the_path_that_matches(berth: Berth, folder: Path, tmp_path: Path):
    for nobody_or_server in (Berth(tmp_path), berth):
        told = json.loads(nobody_or_server.cli("inspect", folder / "T*.gguf", "--json").stdout)
        assert told["path"] == str(folder / "Tiny-Q4.gguf")
