"""berth plan: where a model would go, in a described cluster without a server, or in the server's."""

import json
from pathlib import Path
from typing import Any, Callable

import pytest

from harness import Berth

GIB = 1 << 30
CLUSTER = """\
templates:
  node: {cores: 32, memory: 256GiB, gpus: 2 x 80GiB cuda, labels: {zone: a}}
workers:
  - 2 of node
  - name: small
    memory: 64GiB
    labels: {zone: b}
    gpus:
      - {memory: 24GiB, used: 2GiB, name: NVIDIA L4}
      - 24GiB
instances:
  - {model: other, worker: small, claims: {cuda:0: 8GiB, cpu: 1GiB}}
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    file = tmp_path / "cluster.yaml"
    file.write_text(CLUSTER)
    return file


def planned(berth: Berth, *arguments: object, check: bool | int = True) -> dict[str, Any]:
    return json.loads(berth.cli("plan", "--json", *arguments, check=check).stdout)


# --- without a server


def test_a_person_sees_the_devices_and_what_takes_them(stopped_berth: Berth, cluster: Path,
                                                        tiny_file: Path):
    shown = stopped_berth.cli("plan", tiny_file, "--on", cluster, "--name", "chat",
                              "--device", "small:cuda:0", "--vram", "6GiB").stdout
    assert "chat goes to small: whole on one device" in shown
    assert "small cuda:0  NVIDIA L4" in shown
    bar = next(line for line in shown.splitlines() if "takes 6.0 GiB" in line)
    # 48 marks of half a GiB: 8 GiB claimed, 2 GiB used by others, 6 GiB for the model.
    assert f"[{'#' * 16}{'o' * 4}{'W' * 12}{'.' * 16}]" in bar
    assert "claims 8.0 GiB, others 2.0 GiB, free 8.0 GiB of 24.0 GiB" in bar
    assert "workers node-1, node-2: other workers were asked for" in shown


def test_a_cluster_without_a_place_says_why_for_each_worker(stopped_berth: Berth, cluster: Path,
                                                            tiny_file: Path):
    shown = stopped_berth.cli("plan", tiny_file, "--on", cluster, "--worker-selector", "zone=b",
                              "--vram", "20GiB", "--ram", "1GiB", "--cpu-offload", "never",
                              "--device", "small:cuda:0", check=1).stdout
    assert "worker small: needs 20.0 GiB on one device, cuda:0 has 14.0 GiB" in shown
    assert "workers node-1, node-2: other workers were asked for" in shown


def test_json_has_the_placement_and_the_rejections(stopped_berth: Berth, cluster: Path,
                                                   tiny_file: Path):
    plan = planned(stopped_berth, tiny_file, "--on", cluster, "--worker-selector", "zone=b")
    assert plan["placed"] and plan["stage"] == "one_device" and plan["backend"] == "llama-box"
    assert plan["placement"]["worker"] == "small"
    assert plan["placement"]["claim"]["devices"][0]["device"] == "cuda:1"
    assert 0 < plan["score"] <= 100 and plan["serving"]["slots"] == 4
    assert {one["worker"]: one["code"] for one in plan["rejections"]} == {
        "node-1": "label_mismatch", "node-2": "label_mismatch"}
    gpu = next(one for one in plan["devices"] if one["device"] == "cuda:0")
    assert (gpu["claimed"], gpu["others"], gpu["free"]) == (8 * GIB, 2 * GIB, 14 * GIB)
    refused = planned(stopped_berth, tiny_file, "--on", cluster, "--worker-selector", "zone=c",
                      check=1)
    assert not refused["placed"] and "lacks the label zone=c" in refused["reasons"]


def test_flags_of_the_engine_count(stopped_berth: Berth, cluster: Path, tiny_file: Path):
    def cache(*flags: str) -> int:
        plan = planned(stopped_berth, tiny_file, "--on", cluster, "--", *flags)
        return plan["placement"]["claim"]["devices"][0]["kv_cache"]
    assert cache("--ctx-size", "512", "--parallel", "2") == 2 * cache("--ctx-size", "512",
                                                                      "--parallel", "1")


def test_the_launch_is_shown_with_stand_ins_and_without_secrets(stopped_berth: Berth, tmp_path: Path,
                                                                tiny_file: Path):
    file = tmp_path / "mig.yaml"
    file.write_text("workers:\n  - name: a\n    os: darwin\n    arch: arm64\n    memory: 64GiB\n"
                    "  - name: b\n    memory: 64GiB\n    packs: [{name: xllamacpp, runtimes: [cuda]}]\n"
                    "    gpus: [{memory: 80GiB, mig: 2 x 40GiB}]\n")
    arguments = (tiny_file, "--on", file, "--launch", "--env", "HF_TOKEN=hf_very_secret",
                 "--env", "FOO=bar")
    plan = planned(stopped_berth, *arguments)
    launch, = plan["launch"]
    assert (launch["worker"], launch["role"]) == ("b", "main")
    argv = launch["plan"]["argv"]
    assert argv[:4] == ["{python}", "-I", "-B", "{pack}/launcher.py"]
    assert argv[argv.index("--model") + 1] == str(tiny_file)
    assert argv[argv.index("--port") + 1] == "10001"
    env = {one["name"]: one for one in launch["plan"]["env"]}
    assert env["CUDA_VISIBLE_DEVICES"]["value"] == "MIG-cuda:0.0"
    assert (env["FOO"]["value"], env["FOO"]["owner"]) == ("bar", "user")
    assert (env["HF_TOKEN"]["value"], env["HF_TOKEN"]["secret"]) == ("", True)
    assert (env["LLAMA_API_KEY"]["value"], env["LLAMA_API_KEY"]["owner"]) == ("", "berth")
    assert env["HOME"]["value"] == launch["plan"]["working_directory"] == "{folder}"
    for text in (json.dumps(plan), stopped_berth.cli("plan", *arguments).stdout):
        assert "hf_very_secret" not in text


def test_an_engine_that_can_not_be_started_yet_says_so(stopped_berth: Berth, tmp_path: Path,
                                                       cluster: Path, tiny_file: Path):
    folder = tmp_path / "bert"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64,
        "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 4, "vocab_size": 128, "max_position_embeddings": 128,
        "torch_dtype": "bfloat16"}))
    header = json.dumps({"model.embed_tokens.weight": {
        "dtype": "BF16", "shape": [128, 64], "data_offsets": [0, 16384]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header
                                               + bytes(16384))
    run = stopped_berth.cli("plan", folder, "--on", cluster, "--launch", check=False)
    assert run.returncode in (0, 1), run.stderr
    assert "does not start it yet" in run.stderr or "does not start vllm yet" in run.stderr


@pytest.mark.parametrize("text, words", [
    ("workers:\n  - {name: a, memory: lots}\n", "cluster.yaml, line 2, workers[0].memory"),
    ("workers:\n  - {name: a, memory: 1GiB, gpus: 4 of them}\n", "write it as \"4 x 24GiB cuda\""),
    ("workers:\n  - 3 of node\n", "there is no template \"node\""),
    ("workers:\n  - {name: a, memory: 1GiB, packs: [lama]}\n",
     "no engine pack is named \"lama\" (there is"),
    ("nodes: []\n", "there is no field nodes; known here: templates, workers, instances"),
    ("", "is empty; a cluster has at least workers"),
    ("workers: [", "cluster.yaml: line"),
])
def test_a_bad_cluster_is_told_with_its_line_and_a_remedy(stopped_berth: Berth, cluster: Path,
                                                          tiny_file: Path, text: str, words: str):
    cluster.write_text(text)
    run = stopped_berth.cli("plan", tiny_file, "--on", cluster, check=2)
    assert words in run.stderr
    assert not run.stdout


@pytest.mark.parametrize("arguments, words", [
    (["/no/such.gguf"], "does not exist"),
    (["{tiny}", "--placement", "best"], "placement must be one of spread, binpack"),
    (["{tiny}", "--env", "FOO"], "--env must be written as NAME=VALUE"),
    (["{tiny}", "--backend", "nothing"], "nothing"),
    (["{tiny}", "--on", "/no/such.yaml"], "/no/such.yaml"),
    (["{tiny}", "--", "--port", "1"], "--port"),
    (["{tiny}", "--", "--ctx-size", "many"], "--ctx-size"),
])
def test_bad_input_has_an_exit_status_of_its_own(stopped_berth: Berth, cluster: Path,
                                                 tiny_file: Path, arguments: list[str], words: str):
    given = [one.replace("{tiny}", str(tiny_file)) for one in arguments]
    on = [] if "--on" in given else ["--on", str(cluster)]
    run = stopped_berth.cli("plan", *on, *given, check=2)
    assert words in run.stderr


# --- in the server's cluster


def test_a_plan_is_what_a_deployment_then_does(berth: Berth, deployed: Callable[..., str],
                                               tiny_file: Path):
    flags = ("--cpu-offload", "only", "--", "--ctx-size", "512")
    plan = planned(berth, tiny_file, "--name", "planned", *flags)
    assert plan["placed"] and "launch" not in plan
    assert "planned" not in [one["name"] for one in berth.api("GET", "/api/v1/models")["items"]]
    deployed("planned", tiny_file, *flags)
    instance = berth.wait_ready("planned")[0]
    assert instance["placement"] == plan["placement"]
    assert instance["serving"] == plan["serving"]


def test_a_deployed_model_is_planned_by_its_name(berth: Berth, tiny: str):
    plan = planned(berth, tiny, "--launch")
    running = berth.instances(tiny)[0]
    assert plan["model"] == tiny
    assert plan["placement"]["worker"] == running["placement"]["worker"]
    host = next(one for one in plan["devices"] if one["device"] == "cpu")
    assert host["claimed"] >= sum(
        one["weights"] for one in running["placement"]["claim"]["devices"])
    assert "--model" in plan["launch"][0]["plan"]["argv"]
    shown = berth.cli("plan", tiny).stdout
    assert f"{tiny} goes to" in shown
    keys = [berth.key]
    assert not any(key in shown + json.dumps(plan) for key in keys)


def test_flags_are_laid_over_a_deployed_model(berth: Berth, tiny: str):
    plan = planned(berth, tiny, "--worker-selector", "zone=nowhere", check=1)
    assert "lacks the label zone=nowhere" in plan["reasons"]
    assert berth.api("GET", f"/api/v1/models/{tiny}")["deployment"]["worker_selector"] == {}


def test_a_plan_is_checked_as_a_deployment_is(berth: Berth, tiny_file: Path):
    bodies = [{"name": "x", "source": str(tiny_file), "parameters": ["--port", "1"]},
              {"name": "x y", "source": str(tiny_file)}, {"name": "x", "source": "relative.gguf"},
              {"name": "x", "source": str(tiny_file), "replica": 2},
              {"name": "x", "source": "/no/such.gguf"}]
    for body in bodies:
        answers = [berth.http("POST", path, json=body) for path in
                   ("/api/v1/models", "/api/v1/plan")]
        assert answers[0].status_code == answers[1].status_code >= 400
        assert answers[0].json()["error"]["message"] == answers[1].json()["error"]["message"]
    assert berth.http("POST", "/api/v1/plan?launch=maybe", json=bodies[0] | {"parameters": []}
                      ).status_code == 400
    assert berth.http("POST", "/api/v1/plan", key=None, json=bodies[0]).status_code == 401


def test_a_model_that_is_nowhere_is_bad_input(berth: Berth):
    run = berth.cli("plan", "no-such-model", check=2)
    assert "there is neither a model named \"no-such-model\"" in run.stderr


# --- the simulator

WORKLOAD = """\
seed: 3
models:
  file: {path: MODEL, deploy: {claim: {vram: 10GiB, ram: 1GiB}, cpu_offload: never}}
  short: {model: {layers: 8, layer: 1GiB}, deploy: {claim: {vram: 60GiB, ram: 1GiB}, cpu_offload: never}}
arrivals:
  - {model: file, at: 0s, count: 3, stays: 10s}
  - {model: short, at: 0s, stays: 30s}
  - {model: file, per_hour: 3600, until: 1m, stays: about 5s}
"""


@pytest.fixture
def workload(tmp_path: Path, tiny_file: Path) -> Path:
    file = tmp_path / "workload.yaml"
    file.write_text(WORKLOAD.replace("MODEL", str(tiny_file)))
    return file


def test_a_simulation_tells_placements_waits_and_use(stopped_berth: Berth, cluster: Path,
                                                     workload: Path):
    cluster.write_text("workers: [{name: a, memory: 64GiB, gpus: 24GiB}]\n")
    done = stopped_berth.json("sim", cluster, workload)
    assert done["arrived"] == done["placed"] + done["waiting"] == len(done["instances"])
    # One device holds two of the three, and never the model of 60 GiB.
    assert [one.get("placed") for one in done["instances"][:4]] == [0, 0, 10_000, None]
    assert done["waiting"] == 1 and "needs 60.0 GiB" in done["reasons"]["short"]
    assert done["samples"][0]["claimed"] == pytest.approx(20 / 24)
    assert done["samples"][-1]["running"] == 0
    assert 0 <= done["waits"]["p50"] <= done["waits"]["p99"] <= done["waits"]["max"]
    assert stopped_berth.json("sim", cluster, workload) == done, "the same files, another result"
    shown = stopped_berth.cli("sim", cluster, workload).stdout
    assert f"{done['placed']} placed, 1 still waiting" in shown
    assert "short waits at the end:" in shown and "waits: p50" in shown


@pytest.mark.parametrize("text, words", [
    ("arrivals: [{model: m, at: 0s}]\n", "workload.yaml, line 1, arrivals[0].model"),
    ("models: {m: {path: /no/such.gguf}}\narrivals: [{model: m, at: 0s}]\n", "/no/such.gguf"),
    ("models: {m: {model: {layers: 2, layer: 1GiB}}}\narrivals: [{model: m, at: soon}]\n",
     "at must be a time such as 90s"),
    ("models: {m: {model: {layers: 2, layer: 1GiB}}}\n"
     "arrivals: [{model: m, every: 1s, until: 900000d}]\n", "let them end sooner"),
])
def test_a_bad_workload_is_told_with_its_line(stopped_berth: Berth, cluster: Path, workload: Path,
                                              text: str, words: str):
    workload.write_text(text)
    assert words in stopped_berth.cli("sim", cluster, workload, check=2).stderr


def test_a_file_that_is_not_there_is_bad_input(stopped_berth: Berth, cluster: Path,
                                               workload: Path):
    for files in [("absent.yaml", workload), (cluster, "absent.yaml")]:
        assert "absent.yaml" in stopped_berth.cli("sim", *files, check=2).stderr


def test_an_interval_must_last(stopped_berth: Berth, cluster: Path, workload: Path):
    run = stopped_berth.cli("sim", cluster, workload, "--interval", "0s", check=2)
    assert "--interval must be at least 1s" in run.stderr
