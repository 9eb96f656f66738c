"""Workers fetch models from each other before they ask a hub: whole, verified, and only what they
need."""

import hashlib
import ssl
from pathlib import Path
from typing import Iterator

import httpx
import pytest

from downloads import sha256
from fake_hub import Hub, hub, settings_of  # noqa: F401 (hub is a fixture)
from harness import eventually
from machines import Cluster, Machine, cluster

MEBIBYTE = 1 << 20
SOURCE = "hf:org/gemma-GGUF"
FILE = "gemma-Q4_K_M.gguf"
HEADER = 10 * MEBIBYTE  # of gemma, which is read to know what it is


@pytest.fixture
def few(tmp_path: Path, hub: Hub) -> Iterator[Cluster]:
    """A server without a worker of its own."""
    with cluster(tmp_path, "--no-worker", **settings_of(hub)) as made:
        yield made


def some_gemma(hub: Hub, gemma_file: Path) -> str:
    return hub.repository("org/gemma-GGUF").commit({FILE: gemma_file, "README.md": b"# gemma"})


def join(few: Cluster, name: str, hub: Hub, *arguments: str) -> Machine:
    machine = few.machine(name)
    machine.start("--server", few.url, "--token", few.token(), *arguments, env=settings_of(hub))
    few.wait_worker(name)
    return machine


def get(few: Cluster, worker: str, *arguments: str) -> None:
    few.server.cli("files", "get", SOURCE, "--worker", worker, *arguments)


def status_on(few: Cluster, worker: str) -> dict:
    items = few.server.api("GET", f"/api/v1/files?worker={worker}")["items"]
    return next((one for one in items if one["source"] == SOURCE), {})


def check_whole(machine: Machine, wanted: Path) -> None:
    [there] = (machine.berth.home / "huggingface/hub").rglob(FILE)
    assert sha256(there) == sha256(wanted)


def test_a_model_comes_from_the_worker_that_has_it(few: Cluster, hub: Hub, gemma_file: Path):
    some_gemma(hub, gemma_file)
    join(few, "box-1", hub)
    get(few, "box-1")
    before = hub.cdn.sent
    assert before >= gemma_file.stat().st_size
    second = join(few, "box-2", hub, "--download-limit", "100MiB")
    get(few, "box-2", "--no-wait")
    eventually("it comes from there", lambda: status_on(few, "box-2").get("from") == "box-1")
    assert "from box-1" in few.server.cli("files", "list").stdout
    get(few, "box-2")
    check_whole(second, gemma_file)
    third = join(few, "box-3", hub)
    few.server.deploy("chat", SOURCE, "--device", "box-3:cpu")
    assert few.server.wait_ready("chat")[0]["worker"] == "box-3"
    check_whole(third, gemma_file)
    assert hub.cdn.sent - before < 3 * HEADER, "the server has read it thrice"


def test_the_servers_own_worker_shares_through_the_server(tmp_path: Path, hub: Hub,
                                                           gemma_file: Path):
    some_gemma(hub, gemma_file)
    with cluster(tmp_path, **settings_of(hub)) as both:
        own = eventually("its own worker is there", lambda: both.server.api(
            "GET", "/api/v1/workers")["items"])[0]["name"]
        both.wait_worker(own)
        get(both, own)
        before = hub.cdn.sent
        box = join(both, "box", hub)
        get(both, "box")
        assert hub.cdn.sent - before < HEADER
        check_whole(box, gemma_file)


def test_a_worker_that_goes_away_leaves_the_rest_to_the_hub(few: Cluster, hub: Hub,
                                                             gemma_file: Path):
    some_gemma(hub, gemma_file)
    first = join(few, "box-1", hub)
    get(few, "box-1")
    before = hub.cdn.sent
    second = join(few, "box-2", hub, "--download-limit", "40MiB")
    get(few, "box-2", "--no-wait")
    eventually("some of it came", lambda: status_on(few, "box-2").get("done", 0) > 64 * MEBIBYTE)
    first.close()
    get(few, "box-2")
    check_whole(second, gemma_file)
    assert 0 < hub.cdn.sent - before < gemma_file.stat().st_size - 32 * MEBIBYTE


def test_without_a_way_to_the_hub_a_model_comes_from_another_worker(few: Cluster, hub: Hub,
                                                                    gemma_file: Path):
    some_gemma(hub, gemma_file)
    join(few, "box-1", hub)
    get(few, "box-1")
    second = few.machine("box-2")
    second.start("--server", few.url, "--token", few.token(),
                 env=settings_of(hub) | {"HF_HUB_OFFLINE": "1"})
    few.wait_worker("box-2")
    get(few, "box-2")
    check_whole(second, gemma_file)


def credentials_of(machine: Machine) -> ssl.SSLContext:
    folder = machine.data / "worker/membership"
    own = ssl.create_default_context(cafile=folder / "authority.pem")
    own.check_hostname = False  # certificates of a cluster name no hosts
    own.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return own


def test_only_a_worker_that_needs_a_model_gets_it(few: Cluster, hub: Hub, gemma_file: Path):
    commit = some_gemma(hub, gemma_file)
    first, second, third = (join(few, name, hub) for name in ("box-1", "box-2", "box-3"))
    get(few, "box-1")
    get(few, "box-2")
    key = hashlib.sha256(f"hugging_face\norg/gemma-GGUF\n{commit}\n{FILE}\n"
                         f"{gemma_file.stat().st_size}\n{sha256(gemma_file)}\n".encode()
                         ).hexdigest()[:16]
    shared = f"https://127.0.0.1:{first.port}/peer/v1/files/{key}"

    def asked(url: str, machine: Machine, **fields: str) -> int:
        return httpx.get(url, verify=credentials_of(machine),
                         headers={"range": "bytes=0-99"} | fields).status_code

    assert asked(f"{shared}/0", second) == 206
    assert asked(f"{shared}/0", third) == 403, "it needs no such model"
    assert asked(f"{shared}/0", third, **{
        "x-berth-peer-name": "berth://x/worker/box-2", "x-berth-peer-serial": "1"}) == 403
    assert asked(f"{shared}/1", second) == 404
    assert asked(f"https://127.0.0.1:{first.port}/peer/v1/files/..%2f..%2fkey.pem/0", second) == 403
    trust = credentials_of(second)
    nobody = ssl.create_default_context(
        cafile=second.data / "worker/membership/authority.pem")
    nobody.check_hostname = False
    assert httpx.get(f"{shared}/0", verify=nobody).status_code == 401
    for path in ("worker/v1/files", f"worker/v1/shared/{key}/0", "engines/a.1.0/v1/models"):
        answer = httpx.get(f"https://127.0.0.1:{first.port}/{path}", verify=trust)
        assert answer.status_code == 401, path
    assert httpx.get(f"{few.url}/cluster/v1/peers?files={key}",
                     verify=credentials_of(third)).status_code == 403
    few.server.cli("workers", "rm", "box-2")
    assert httpx.get(f"{few.url}/cluster/v1/peers?files={key}", verify=trust).status_code == 401
