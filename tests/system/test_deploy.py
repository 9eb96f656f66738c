"""The way of a deployment: from the command to an engine that answers, and back to nothing."""

import json
from pathlib import Path

import pytest

from harness import Berth, cpu_ticks, eventually


def test_deploy_waits_with_progress_until_the_model_answers(berth: Berth, deployed, tiny_file: Path):
    run = berth.deploy("waits", tiny_file)
    try:
        assert run.stderr.strip(), "no progress was shown"
        assert berth.openai().completions.create(model="waits", prompt="x", max_tokens=2).choices
    finally:
        berth.remove("waits")


def test_no_wait_returns_at_once_and_the_model_becomes_ready(berth: Berth, deployed, tiny_file: Path):
    deployed("later", tiny_file, "--no-wait", timeout=15)
    berth.wait_ready("later")


def test_json_of_a_deployment_is_the_model(berth: Berth, deployed, tiny_file: Path):
    run = berth.deploy("shown", tiny_file, "--no-wait", "--json")
    try:
        model = json.loads(run.stdout)
        assert model["name"] == "shown"
        assert model["backend"] == "llama-box"
        assert model["backend_reason"]
        assert model["deployment"]["source"] == str(tiny_file)
        assert model["profile"]["architecture"] == "llama"
    finally:
        berth.remove("shown")


def test_a_relative_path_and_a_folder_name_the_model_too(berth: Berth, deployed, tiny_file: Path):
    folder = berth.home / "some-model"
    folder.mkdir(exist_ok=True)
    (folder / "weights.gguf").write_bytes(tiny_file.read_bytes())
    deployed("by-folder", Path("some-model"), "--no-wait")
    model = berth.api("GET", "/api/v1/models/by-folder")
    assert model["deployment"]["source"] == str(folder)
    berth.wait_ready("by-folder")


def test_a_name_with_a_slash_works_everywhere(berth: Berth, deployed, tiny_file: Path):
    deployed("org/name", tiny_file)
    assert berth.openai().completions.create(model="org/name", prompt="x", max_tokens=1).choices
    assert berth.openai().models.retrieve("org/name").id == "org/name"
    assert berth.api("GET", "/api/v1/models/org%2Fname")["name"] == "org/name"


def test_a_second_model_of_the_same_name_is_refused(berth: Berth, tiny: str, tiny_file: Path):
    run = berth.deploy(tiny, tiny_file, check=1)
    assert tiny in run.stderr and "already" in run.stderr
    berth.api("POST", "/api/v1/models", expect=409, json={"name": tiny, "source": str(tiny_file)})
    assert len(berth.instances(tiny)) == 1


def test_scale_up_spreads_requests_and_scale_down_ends_engines(
        berth: Berth, deployed, tiny_file: Path):
    deployed("wide", tiny_file)
    berth.cli("scale", "wide", 2)
    instances = berth.wait_ready("wide", 2)
    before = {one["name"]: cpu_ticks(one["pid"]) for one in instances}
    client = berth.openai()
    for _ in range(8):
        client.completions.create(model="wide", prompt="x", max_tokens=300,
                                  extra_body={"ignore_eos": True})
    after = berth.work_of("wide")
    assert all(after[name] > before[name] for name in before), (before, after)

    berth.cli("scale", "wide", 1)
    left = berth.wait_ready("wide", 1)[0]
    gone = [one["pid"] for one in instances if one["name"] != left["name"]]
    eventually("its engine has ended", lambda: not Path(f"/proc/{gone[0]}").exists(), 20)
    assert client.completions.create(model="wide", prompt="x", max_tokens=1).choices


def test_scale_to_nothing_keeps_the_model(berth: Berth, deployed, tiny_file: Path):
    deployed("sleeper", tiny_file)
    berth.cli("scale", "sleeper", 0)
    eventually("no instance is left", lambda: not berth.instances("sleeper"), 30)
    assert berth.api("GET", "/api/v1/models/sleeper")["deployment"]["replicas"] == 0
    berth.cli("scale", "sleeper", 1)
    berth.wait_ready("sleeper")


def test_rm_leaves_nothing(own_berth: Berth, tiny_file: Path):
    own_berth.deploy("gone", tiny_file)
    instance = own_berth.wait_ready("gone")[0]
    engine = instance["pid"]
    own_berth.remove("gone")
    assert not Path(f"/proc/{engine}").exists()
    assert not [argv for argv in own_berth.left_over().values()
                if "berth-shim" in argv and "/instances/" in argv]
    assert not list((own_berth.data / "worker/instances").glob(f"{instance['name']}*"))
    assert "gone" not in [model.id for model in own_berth.openai().models.list()]
    assert tiny_file.is_file(), "the user's own file was removed"


def test_an_edit_of_the_parameters_replaces_the_instance(berth: Berth, deployed, tiny_file: Path):
    deployed("edited", tiny_file)
    before = berth.wait_ready("edited")[0]["name"]
    berth.api("PATCH", "/api/v1/models/edited", json={"parameters": ["--ctx-size", "256"]})
    eventually("another instance is ready", lambda: [
        one["name"] for one in berth.instances("edited")
        if one["state"] == "ready" and one["name"] != before] == [
            one["name"] for one in berth.instances("edited")] != [], 60)
    assert berth.instances("edited")[0]["serving"]["context"] == 256


def test_the_user_s_environment_reaches_the_engine(berth: Berth, deployed, tiny_file: Path):
    deployed("with-env", tiny_file, "--env", "HARBOUR=calm")
    pid = berth.wait_ready("with-env")[0]["pid"]
    assert b"HARBOUR=calm" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")


def test_a_flag_of_the_user_reaches_the_engine(berth: Berth, deployed, tiny_file: Path):
    deployed("with-flag", tiny_file, "--", "--ctx-size", "512")
    instance = berth.wait_ready("with-flag")[0]
    assert instance["serving"]["context"] == 512
    argv = Path(f"/proc/{instance['pid']}/cmdline").read_bytes().split(b"\0")
    assert argv[argv.index(b"--ctx-size") + 1] == b"512"


@pytest.mark.parametrize("selector,fits", [("os=linux", True), ("rack=7", False)])
def test_a_worker_selector_decides_where_a_model_may_run(
        berth: Berth, deployed, tiny_file: Path, selector: str, fits: bool):
    deployed("chosen", tiny_file, "--worker-selector", selector, "--no-wait")
    if fits:
        berth.wait_ready("chosen")
    else:
        reason = eventually("it says why it waits", lambda: (
            berth.wait_state("chosen", "pending")["reason"]), 10)
        assert "rack" in reason
