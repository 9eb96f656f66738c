"""Engine packs: they come by themselves, with progress, and go when nobody uses them."""

from pathlib import Path

import pytest

from harness import PACK_DEADLINE, Berth, eventually, running


def pack(berth: Berth, name: str = "xllamacpp") -> dict:
    return eventually(f"the worker tells of {name}", lambda: next(
        (one for one in berth.api("GET", "/api/v1/engines")["items"]
         if one["pack"]["name"] == name), None), 20)


def test_the_list_shows_versions_licences_and_what_a_pack_can(berth: Berth, tiny: str):
    one = pack(berth)
    assert one["state"] == "installed"
    assert one["pack"]["version"] and one["pack"]["licences"]
    assert "cpu" in one["pack"]["runtimes"]
    text = berth.cli("engines", "list").stdout
    assert "xllamacpp" in text and "MIT" in text


def test_a_pack_that_is_in_use_is_not_removed(berth: Berth, tiny: str):
    refused = berth.cli("engines", "rm", "xllamacpp", check=1)
    assert tiny in refused.stderr, "it does not say who uses it"
    assert berth.openai().completions.create(model=tiny, prompt="x", max_tokens=1).choices
    assert pack(berth)["state"] == "installed"


def test_installing_what_is_installed_is_done_at_once(berth: Berth, tiny: str):
    berth.cli("engines", "install", "xllamacpp", timeout=60)
    assert pack(berth)["state"] == "installed"


@pytest.fixture
def bare(tmp_path: Path):
    """A server that shares no packs with the other tests."""
    (tmp_path / "data").mkdir(mode=0o700)
    with running(tmp_path) as server:
        yield server


def test_a_pack_comes_by_itself_is_removed_and_comes_again(bare: Berth, tiny_file: Path):
    assert pack(bare)["state"] == "available"
    run = bare.deploy("first", tiny_file)
    assert "install" in run.stderr.lower(), "the installation was not shown"
    bare.wait_ready("first")
    folder = Path(pack(bare)["folder"])
    assert folder.is_dir()

    bare.remove("first")
    bare.cli("engines", "rm", "xllamacpp")
    eventually("it is removed", lambda: pack(bare)["state"] == "available", 60)
    assert not folder.exists()

    bare.cli("engines", "install", "xllamacpp", timeout=PACK_DEADLINE)
    assert pack(bare)["state"] == "installed"
    bare.cli("engines", "prune")
