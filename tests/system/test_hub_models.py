"""Models on hubs, deployed: their files come to the worker's caches, whole, and are used."""

import hashlib
from pathlib import Path
from typing import Iterator

import huggingface_hub
import pytest

from fake_hub import Hub, hub, settings_of  # noqa: F401 (hub is a fixture)
from harness import Berth, eventually, running

MEBIBYTE = 1 << 20
HEADERS = 16 * MEBIBYTE  # what reading a model's header may take
PARTS = 4 * 8 * MEBIBYTE  # a chunk for each connection is fetched again after a kill


@pytest.fixture
def server(tmp_path: Path, hub: Hub) -> Iterator[Berth]:
    with running(tmp_path, **settings_of(hub)) as one:
        wait_worker(one)
        yield one


def wait_worker(server: Berth) -> None:
    eventually("the worker is ready", lambda: [
        one for one in server.api("GET", "/api/v1/workers")["items"] if one["state"] == "ready"])


def some_tiny(hub: Hub, tiny_file: Path, **how: bool) -> str:
    return hub.repository("org/tiny-GGUF", **how).commit({
        "README.md": b"# tiny", "tiny-Q4_K_M.gguf": tiny_file, "tiny-Q8_0.gguf": b"x" * 99})


def some_gemma(hub: Hub, gemma_file: Path, pace: int | None = 20 * MEBIBYTE) -> str:
    """A download that takes a while."""
    if pace:
        hub.faults.add("*", at="cdn", pace=pace // 4, times=None)
    return hub.repository("org/gemma-GGUF").commit({"gemma-Q4_K_M.gguf": gemma_file})


def cache_of(server: Berth, name: str) -> Path:
    return server.home / "huggingface/hub" / f"models--org--{name}"


def files(server: Berth) -> list[dict]:
    return server.api("GET", "/api/v1/files")["items"]


def status_of(server: Berth, source: str) -> dict | None:
    return next((one for one in files(server) if one["source"] == source), None)


def wait_files(server: Berth, source: str, *states: str, seconds: float = 60) -> dict:
    def there() -> dict | None:
        one = status_of(server, source)
        return one if one and one["state"] in states else None
    return eventually(f"{source} is {' or '.join(states)}", there, seconds)


def begun(server: Berth, source: str) -> dict:
    """Once some of it has come."""
    def moves() -> dict | None:
        one = status_of(server, source)
        return one if one and one["done"] > 16 * MEBIBYTE else None
    return eventually(f"some of {source} is there", moves)


def test_a_model_on_hugging_face_is_fetched_and_serves(hub: Hub, server: Berth, tiny_file: Path):
    commit = some_tiny(hub, tiny_file)
    server.cli("deploy", "tiny", "--model", "hf:org/tiny-GGUF")
    answer = server.openai().completions.create(model="tiny", prompt="a", max_tokens=2)
    assert answer.usage.completion_tokens == 2
    repository = cache_of(server, "tiny-GGUF")
    there = repository / "snapshots" / commit / "tiny-Q4_K_M.gguf"
    assert there.is_symlink() and there.read_bytes() == tiny_file.read_bytes()
    assert (repository / "refs/main").read_text() == commit
    assert not list(repository.rglob("*Q8_0*")), "one quantisation, not all"
    [one] = files(server)
    assert one["source"] == "hf:org/tiny-GGUF" and one["state"] == "ready"
    assert one["used_by"] == ["tiny"] and one["size"] == tiny_file.stat().st_size
    shown = server.cli("files", "list").stdout
    assert "hf:org/tiny-GGUF" in shown and "ready" in shown and "tiny" in shown


@pytest.mark.parametrize("source", ["ms:org/tiny-GGUF", "ollama:tiny"])
def test_models_of_the_other_hubs_serve_as_well(hub: Hub, server: Berth, tiny_file: Path, source):
    some_tiny(hub, tiny_file)
    hub.tag("library/tiny:latest", [("model", tiny_file.read_bytes())])
    server.cli("run", source, "Once", "--complete", "--max-tokens", "2")
    assert status_of(server, source)["state"] == "ready"


def test_what_the_hubs_own_client_fetched_is_used_and_it_sees_what_berth_fetched(
        hub: Hub, server: Berth, tiny_file: Path):
    some_tiny(hub, tiny_file)
    cache = server.home / "huggingface/hub"
    huggingface_hub.hf_hub_download("org/tiny-GGUF", "tiny-Q4_K_M.gguf", endpoint=hub.url,
                                    cache_dir=cache)
    sent = hub.cdn.sent
    server.cli("deploy", "tiny", "--model", "hf:org/tiny-GGUF:Q4_K_M")
    assert hub.cdn.sent - sent <= tiny_file.stat().st_size, "its header, and no second copy"
    assert not list(cache_of(server, "tiny-GGUF").rglob("*.part*"))
    server.remove("tiny")
    assert "0 B freed" in server.cli("files", "prune").stdout, "it is not Berth's to remove"
    other = hub.repository("org/other-GGUF").commit({"sub/other-Q4_K_M.gguf": tiny_file})
    server.cli("files", "get", "hf:org/other-GGUF")
    path = huggingface_hub.hf_hub_download("org/other-GGUF", "sub/other-Q4_K_M.gguf",
                                           cache_dir=cache, local_files_only=True)
    assert Path(path).read_bytes() == tiny_file.read_bytes() and other in path
    listed = huggingface_hub.scan_cache_dir(cache)
    assert not listed.warnings and listed.repos


def test_a_download_tells_how_far_it_is_and_can_wait(hub: Hub, server: Berth, gemma_file: Path):
    some_gemma(hub, gemma_file)
    source = "hf:org/gemma-GGUF"
    server.cli("deploy", "gemma", "--model", source, "--no-wait")
    one = begun(server, source)
    assert one["state"] == "downloading" and one["file"] == "gemma-Q4_K_M.gguf"
    assert 0 < one["done"] < one["size"] == gemma_file.stat().st_size
    eventually("its speed is told", lambda: status_of(server, source).get("seconds_left"))
    [instance] = server.instances("gemma")
    assert instance["state"] in ("downloading", "installing")
    eventually("its progress is told", lambda: 0 < (
        server.wait_state("gemma", "downloading").get("progress") or 0) < 1)
    assert "gemma-Q4_K_M.gguf: " in server.instances("gemma")[0]["reason"]
    shown = server.cli("files", "list").stdout
    assert "MiB/s" in shown and "left" in shown
    figures = server.api("GET", "/metrics")
    assert "berth_files_bytes{" in figures and 'state="downloading"' in figures

    server.cli("files", "pause", source)
    wait_files(server, source, "paused")
    assert "paused" in server.instances("gemma")[0]["reason"]
    assert "no download" in server.cli("files", "pause", "hf:org/gemma-GGUF:Q4_K_M",
                                       check=False).stderr + "no download"
    server.stop()  # a pause is remembered
    server.start()
    wait_worker(server)
    paused = wait_files(server, source, "paused")
    sent = hub.cdn.sent
    hub.faults.clear()
    server.cli("files", "resume", source)
    server.wait_ready("gemma")
    assert hub.cdn.sent - sent <= gemma_file.stat().st_size - paused["done"] + PARTS or (
        hub.cdn.sent - sent < gemma_file.stat().st_size), "it went on from where it was"


def test_files_can_be_fetched_before_they_are_needed_and_go_when_nothing_needs_them(
        hub: Hub, server: Berth, tiny_file: Path):
    some_tiny(hub, tiny_file)
    source = "hf:org/tiny-GGUF"
    told = server.cli("files", "get", source).stdout
    assert "1 file" in told and "is on" in told
    assert status_of(server, source)["kept"] and not status_of(server, source)["used_by"]
    sent = hub.cdn.sent
    server.cli("deploy", "tiny", "--model", source)
    assert hub.cdn.sent - sent <= tiny_file.stat().st_size, "no more than its header"
    refused = server.cli("files", "rm", source, check=1).stderr
    assert "in use" in refused and "tiny-" in refused
    server.remove("tiny")
    assert "freed" in server.cli("files", "rm", source).stdout
    assert not files(server)
    assert not [path for path in cache_of(server, "tiny-GGUF").rglob("*") if path.is_file()]
    assert "no worker" in server.cli("files", "rm", source, check=1).stderr


def test_a_download_that_is_cancelled_leaves_nothing(hub: Hub, server: Berth, gemma_file: Path):
    some_gemma(hub, gemma_file)
    source = "hf:org/gemma-GGUF:Q4_K_M"
    server.cli("files", "get", source, "--no-wait")
    begun(server, source)
    server.cli("files", "rm", source)
    assert not files(server)
    left = [path for path in cache_of(server, "gemma-GGUF").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in left) == 0, left


def test_prune_removes_what_no_model_uses(hub: Hub, server: Berth, tiny_file: Path):
    some_tiny(hub, tiny_file)
    hub.repository("org/other-GGUF").commit({"other-Q4_K_M.gguf": tiny_file})
    server.cli("deploy", "tiny", "--model", "hf:org/tiny-GGUF")
    server.cli("files", "get", "hf:org/other-GGUF")
    assert "hf:org/other-GGUF" in server.cli("files", "prune", "--dry-run").stdout
    assert "0 B freed" in server.cli("files", "prune", "--older-than", "1h").stdout
    assert "0 B freed" in server.cli("files", "prune", "--keep", "1GiB").stdout
    assert len(files(server)) == 2
    assert "hf:org/other-GGUF" in server.cli("files", "prune").stdout
    assert [one["source"] for one in files(server)] == ["hf:org/tiny-GGUF"]
    server.cli("files", "prune", "--older-than", "soon", check=2)


def test_a_gated_model_needs_the_servers_token(hub: Hub, tmp_path: Path, tiny_file: Path):
    some_tiny(hub, tiny_file, gated=True)
    hub.accounts["hf_secret_token"] = {"org/tiny-GGUF"}
    with running(tmp_path, **settings_of(hub)) as server:
        refused = server.cli("deploy", "tiny", "--model", "hf:org/tiny-GGUF", check=1).stderr
        assert "gated" in refused and "HF_TOKEN" in refused
        assert not server.api("GET", "/api/v1/models")["items"]
        server.stop()
        server.settings["HF_TOKEN"] = "hf_secret_token"
        server.start()
        server.cli("deploy", "tiny", "--model", "hf:org/tiny-GGUF")
        for path in ("/api/v1/models", "/api/v1/instances", "/api/v1/files", "/api/v1/workers",
                     "/api/v1/events", "/metrics"):
            assert "hf_secret_token" not in server.http("GET", path).text, path
        assert "hf_secret_token" not in "\n".join(server.output)
        assert "hf_secret_token" not in server.log(server.instances("tiny")[0]["name"])


def test_a_new_commit_in_mid_download_changes_nothing(hub: Hub, server: Berth, gemma_file: Path):
    commit = some_gemma(hub, gemma_file, pace=60 * MEBIBYTE)
    source = "hf:org/gemma-GGUF"
    server.cli("files", "get", source, "--no-wait")
    begun(server, source)
    hub.repositories["org/gemma-GGUF"].commit({"gemma-Q4_K_M.gguf": b"another one"})
    assert wait_files(server, source, "ready")["commit"] == commit
    there = cache_of(server, "gemma-GGUF") / "snapshots" / commit / "gemma-Q4_K_M.gguf"
    assert hashlib.sha256(there.read_bytes()).digest() == hashlib.sha256(
        gemma_file.read_bytes()).digest()


def test_a_hub_in_trouble_is_waited_for(hub: Hub, server: Berth, tiny_file: Path):
    some_tiny(hub, tiny_file)
    trouble = hub.faults.add("*/tiny-Q4_K_M.gguf", at="hub", status=503, skip=1, times=6,
                             headers={"Retry-After": "1"})
    server.cli("deploy", "tiny", "--model", "hf:org/tiny-GGUF:Q4_K_M")
    assert trouble.struck > 0
    assert server.instances("tiny")[0]["failures"] == 0


def test_bytes_that_are_wrong_get_no_name(hub: Hub, server: Berth, tiny_file: Path):
    some_tiny(hub, tiny_file)
    hub.faults.add("*", at="cdn", flip=200_000, times=None)
    server.cli("files", "get", "hf:org/tiny-GGUF", "--no-wait")
    failed = wait_files(server, "hf:org/tiny-GGUF", "failed")
    assert "tiny-Q4_K_M.gguf" in failed["reason"] and "SHA-256" in failed["reason"]
    assert not list(cache_of(server, "tiny-GGUF").glob("snapshots/*/*"))
    hub.faults.clear()
    server.cli("files", "get", "hf:org/tiny-GGUF")
    assert status_of(server, "hf:org/tiny-GGUF")["state"] == "ready"


def test_a_vision_model_brings_the_projector_that_is_chosen(
        hub: Hub, server: Berth, tiny_vision_folder: Path):
    hub.repository("org/eyes-GGUF").commit(
        {path.name: path for path in tiny_vision_folder.iterdir() if path.suffix == ".gguf"})
    server.cli("deploy", "eyes", "--model", "hf:org/eyes-GGUF")
    fetched = {path.name for path in cache_of(server, "eyes-GGUF").glob("snapshots/*/*")}
    assert len(fetched) == 2 and sum("mmproj" in name for name in fetched) == 1, fetched


def test_another_projector_of_the_repository_is_fetched_when_it_is_named(
        hub: Hub, server: Berth, tiny_vision_folder: Path):
    ggufs = {path.name: path for path in tiny_vision_folder.iterdir() if path.suffix == ".gguf"}
    hub.repository("org/eyes-GGUF").commit(ggufs)
    named = next(name for name in ggufs if "mmproj" in name and "F16" in name)
    server.cli("deploy", "eyes", "--model", "hf:org/eyes-GGUF", "--", "--mmproj", named)
    fetched = {path.name for path in cache_of(server, "eyes-GGUF").glob("snapshots/*/*")}
    assert len(fetched) == 2 and named in fetched, fetched
    server.cli("deploy", "blind", "--model", "hf:org/eyes-GGUF", "--", "--mmproj", "none")


def test_bad_wishes_are_refused_by_name(hub: Hub, server: Berth, tiny_file: Path):
    some_tiny(hub, tiny_file)
    for source, words in (("hf:org/absent", "there is no"), ("hf:org/tiny-GGUF:Q2_K", "Q4_K_M"),
                          ("hf:../x", "ORG/NAME"), ("./tiny.gguf", "hf:ORG/NAME")):
        refused = server.http("POST", "/api/v1/files", json={"source": source})
        assert refused.status_code in (400, 404), refused.text
        assert refused.json()["error"]["param"] == "source" and words in refused.text, refused.text
    refused = server.http("POST", "/api/v1/files", json={"source": "hf:org/tiny-GGUF",
                                                         "worker": "nobody"})
    assert refused.status_code == 404 and refused.json()["error"]["param"] == "worker"
    assert server.http("GET", "/api/v1/files", key=None).status_code == 401


def test_without_the_hub_what_is_in_the_cache_serves(hub: Hub, server: Berth, tiny_file: Path):
    some_tiny(hub, tiny_file)
    server.cli("files", "get", "hf:org/tiny-GGUF")
    server.stop()
    server.settings |= {"HF_HUB_OFFLINE": "1"}
    server.start()
    wait_worker(server)
    sent, asked = hub.cdn.sent, len(hub.web.asked)
    server.cli("deploy", "tiny", "--model", "hf:org/tiny-GGUF")
    assert (hub.cdn.sent, len(hub.web.asked)) == (sent, asked)
    refused = server.cli("deploy", "other", "--model", "hf:org/other-GGUF", check=1).stderr
    assert "HF_HUB_OFFLINE" in refused
