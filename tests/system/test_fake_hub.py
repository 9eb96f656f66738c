"""The fake hub is faithful: Hugging Face's own client works with it, in its words for failures too.

Each call runs in a process of its own, since huggingface_hub reads the environment once."""

import hashlib
import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from fake_hub import Hub, hub, settings_of  # noqa: F401 (hub is a fixture)

BIG = hashlib.shake_256(b"weights").digest(3 << 20)
COMMIT_LENGTH = 40


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def client(hub: Hub, cache: Path, code: str, token: str = "", **settings: str) -> dict:
    """Runs `code`, which leaves its result in `told`; the name of what was thrown is in "error"."""
    program = f"""
import json, sys
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
told = {{}}
try:
    {code}
except Exception as error:
    told = {{"error": type(error).__name__, "text": str(error)}}
json.dump(told, sys.stdout)
"""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(cache), "HF_HOME": str(cache),
                   "HF_HUB_DISABLE_TELEMETRY": "1", **settings_of(hub), **settings}
    if token:
        environment["HF_TOKEN"] = token
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True,
                         text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def some_repository(hub: Hub, **how: bool) -> str:
    return hub.repository("org/model", **how).commit({
        "README.md": b"# A model", "config.json": b"{}", "sub/a b.txt": b"text",
        "model.safetensors": BIG})


def test_a_snapshot_has_every_file_in_the_cache_s_own_layout(hub: Hub, cache: Path):
    commit = some_repository(hub)
    told = client(hub, cache, "told = {'path': snapshot_download('org/model')}")
    folder = Path(told["path"])
    assert folder == cache / "hub/models--org--model/snapshots" / commit
    assert (folder / "model.safetensors").read_bytes() == BIG
    assert (folder / "sub/a b.txt").read_bytes() == b"text"
    # Named by LFS digest and by git's own, as X-Linked-Etag and ETag have them.
    assert (folder / "model.safetensors").resolve().name == hashlib.sha256(BIG).hexdigest()
    assert (folder / "README.md").resolve().name == hashlib.sha1(b"blob 9\0# A model").hexdigest()
    assert (cache / "hub/models--org--model/refs/main").read_text() == commit


def test_files_are_listed_over_several_pages(hub: Hub, cache: Path):
    some_repository(hub)
    hub.page = 2
    told = client(hub, cache, "told = {f.path: [f.size, f.blob_id, f.lfs and f.lfs.sha256] for f in "
                              "HfApi().list_repo_tree('org/model', recursive=True)"
                              " if hasattr(f, 'size')}")
    assert set(told) == {"README.md", "config.json", "model.safetensors", "sub/a b.txt"}
    assert told["model.safetensors"][0] == len(BIG)
    assert told["model.safetensors"][2] == hashlib.sha256(BIG).hexdigest()
    assert told["config.json"][2] is None
    assert sum("/tree/" in path for path in hub.paths()) == 3


def test_what_a_repository_is_has_its_files_with_digests(hub: Hub, cache: Path):
    commit = some_repository(hub)
    told = client(hub, cache, "info = HfApi().model_info('org/model', files_metadata=True); told = "
                              "{'sha': info.sha, 'files': {s.rfilename: [s.size, s.blob_id, s.lfs "
                              "and s.lfs.sha256] for s in info.siblings}}")
    assert told["sha"] == commit
    assert told["files"]["model.safetensors"][2] == hashlib.sha256(BIG).hexdigest()
    assert told["files"]["config.json"][1] == hashlib.sha1(b"blob 2\0{}").hexdigest()


def test_a_download_that_breaks_off_goes_on_where_it_was(hub: Hub, cache: Path):
    chunk = 10 << 20  # huggingface_hub keeps what it has by chunks of this size
    file = hashlib.shake_256(b"long").digest(chunk + 4096)
    hub.repository("org/model").commit({"model.safetensors": file})
    fault = hub.faults.add("*", at="cdn", method="GET", cut_after=chunk + 100)
    told = client(hub, cache, "told = {'path': hf_hub_download('org/model', 'model.safetensors')}")
    assert Path(told["path"]).read_bytes() == file
    assert fault.struck == 1
    ranges = [one.headers.get("range") for one in hub.cdn.asked if one.method == "GET"]
    assert ranges == [None, f"bytes={chunk}-"]


def test_a_length_that_lies_is_noticed_by_the_client(hub: Hub, cache: Path):
    some_repository(hub)
    hub.faults.add("*", at="cdn", method="GET", times=None, lie=-1000)
    told = client(hub, cache, "told = {'path': hf_hub_download('org/model', 'model.safetensors')}")
    assert "error" in told, told


@pytest.mark.parametrize("revision", ["v1", "refs/pr/1", "commit"])
def test_a_revision_is_a_branch_a_pull_request_or_a_commit(hub: Hub, cache: Path, revision: str):
    repository = hub.repository("org/model")
    repository.commit({"config.json": b"new"})
    old = repository.commit({"config.json": b"old"}, ref="v1" if revision == "commit" else revision)
    wanted = old if revision == "commit" else revision
    told = client(hub, cache, "told = {'path': "
                              f"hf_hub_download('org/model', 'config.json', revision='{wanted}')}}")
    assert Path(told["path"]).read_bytes() == b"old"


@pytest.mark.parametrize("call, error", [
    ("hf_hub_download('org/model', 'absent.json')", "RemoteEntryNotFoundError"),
    ("hf_hub_download('org/model', 'config.json', revision='absent')", "RevisionNotFoundError"),
    ("HfApi().model_info('org/absent')", "RepositoryNotFoundError"),
    ("HfApi().model_info('org/model', revision='absent')", "RevisionNotFoundError"),
    ("list(HfApi().list_repo_tree('org/model', 'absent'))", "RemoteEntryNotFoundError"),
])
def test_what_is_not_there_is_told_in_hugging_face_s_words(hub: Hub, cache: Path, call: str,
                                                          error: str):
    some_repository(hub)
    assert client(hub, cache, f"told = {{'it': str({call})}}")["error"] == error


def test_a_gated_repository_is_listed_for_all_and_read_with_a_token(hub: Hub, cache: Path):
    some_repository(hub, gated=True)
    hub.accounts = {"hf_in": {"org/model"}, "hf_out": set()}
    read = "told = {'path': hf_hub_download('org/model', 'model.safetensors')}"
    assert client(hub, cache, "told = {'sha': HfApi().model_info('org/model').sha}")["sha"]
    assert client(hub, cache, read)["error"] == "GatedRepoError"
    assert client(hub, cache, read, token="hf_out")["error"] == "GatedRepoError"
    assert client(hub, cache, read, token="hf_wrong")["error"] != "GatedRepoError"
    assert Path(client(hub, cache, read, token="hf_in")["path"]).read_bytes() == BIG
    assert all("authorization" not in one.headers for one in hub.cdn.asked)


def test_a_private_repository_is_not_there_for_others(hub: Hub, cache: Path):
    some_repository(hub, private=True)
    hub.accounts = {"hf_in": {"org/model"}, "hf_out": set()}
    look = "told = {'sha': HfApi().model_info('org/model').sha}"
    assert client(hub, cache, look)["error"] == "RepositoryNotFoundError"
    assert client(hub, cache, look, token="hf_out")["error"] == "RepositoryNotFoundError"
    assert len(client(hub, cache, look, token="hf_in")["sha"]) == COMMIT_LENGTH


def test_the_client_waits_as_it_is_told_to(hub: Hub, cache: Path):
    some_repository(hub)
    fault = hub.faults.add("*/tree/*", status=429, headers={"Retry-After": "1"})
    told = client(hub, cache, "told = {'n': len(list(HfApi().list_repo_tree('org/model')))}")
    assert told["n"] == 4 and fault.struck == 1


def test_a_snapshot_is_of_one_commit_though_another_comes_meanwhile(hub: Hub, cache: Path):
    first = some_repository(hub)
    repository = hub.repositories["org/model"]
    hub.faults.add("*/resolve/*", act=lambda: repository.commit({"config.json": b"newer"}))
    told = client(hub, cache, "told = {'path': snapshot_download('org/model')}")
    assert Path(told["path"]).name == first
    assert (Path(told["path"]) / "config.json").read_bytes() == b"{}"


def fetch(url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, fields and body, as they are."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=30) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


def test_ranges_are_those_of_http(hub: Hub):
    some_repository(hub)
    url = f"{hub.url}/org/model/resolve/main/model.safetensors"
    status, fields, body = fetch(url, Range="bytes=10-19")
    assert (status, body) == (206, BIG[10:20])
    assert fields["Content-Range"] == f"bytes 10-19/{len(BIG)}"
    assert fetch(url, Range="bytes=-5")[2] == BIG[-5:]
    assert fetch(url, Range=f"bytes={len(BIG)}-")[0] == 416
    stale = fetch(url, **{"Range": "bytes=0-1", "If-Range": '"other"'})
    assert (stale[0], stale[2]) == (200, BIG)
    assert fetch(url, **{"Range": "bytes=0-1", "If-Range": fields["ETag"]})[0] == 206


def test_a_signature_of_the_cdn_can_expire(hub: Hub):
    some_repository(hub)
    content = hub.repositories["org/model"].commits[
        hub.repositories["org/model"].refs["main"]]["model.safetensors"]
    url = hub.cdn.url + hub.store.target(content)
    assert fetch(url)[2] == BIG
    hub.store.expire()
    assert fetch(url)[0] == 403


def test_model_scope_serves_the_same_repository(hub: Hub):
    commit = some_repository(hub)
    base = f"{hub.url}/api/v1/models/org/model/repo"
    listed = json.loads(fetch(f"{base}/files?Revision=master&Recursive=True")[2])
    files = {one["Path"]: one for one in listed["Data"]["Files"]}
    assert listed["Code"] == 200 and files["sub"]["Type"] == "tree"
    assert files["model.safetensors"]["Sha256"] == hashlib.sha256(BIG).hexdigest()
    assert listed["Data"]["LatestCommitter"]["Id"] == commit
    assert fetch(f"{base}?Revision=master&FilePath=sub%2Fa+b.txt")[2] == b"text"
    assert fetch(f"{base}?Revision=master&FilePath=model.safetensors",
                 Range="bytes=0-3")[2] == BIG[:4]
    assert fetch(f"{base}?Revision=master&FilePath=absent")[0] == 404


def test_ollama_s_registry_has_manifests_and_blobs(hub: Hub):
    hub.tag("library/tiny:1b", [("model", BIG), ("license", b"MIT")])
    manifest = json.loads(fetch(f"{hub.url}/v2/library/tiny/manifests/1b")[2])
    layer = manifest["layers"][0]
    assert layer["mediaType"] == "application/vnd.ollama.image.model"
    assert layer["size"] == len(BIG)
    assert fetch(f"{hub.url}/v2/library/tiny/blobs/{layer['digest']}")[2] == BIG
    status, _, body = fetch(f"{hub.url}/v2/library/tiny/manifests/9b")
    assert status == 404 and json.loads(body)["errors"][0]["code"] == "MANIFEST_UNKNOWN"
