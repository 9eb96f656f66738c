"""What Berth computes for the cache of models under vLLM, beside what vLLM says. Run by
bench/estimates_vllm."""

import argparse
import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/system"))
from harness import BERTH, CACHE, free_port  # noqa: E402
from models import MODELS, RECURRENT  # noqa: E402

HERE = Path(__file__).resolve().parent
MIB = 1 << 20
# The first is what the engine is started with; the others go to its functions.
POINTS = [
    {"context": 2048, "batched_tokens": 2048, "memory": 64 * MIB},
    {"context": 4096, "batched_tokens": 512, "memory": 96 * MIB + 12345},
    {"context": 1000, "batched_tokens": 256, "memory": 64 * MIB - 1},
    {"context": 300, "batched_tokens": 2048, "memory": 40 * MIB},
]
# The longest of some models; 2048 where the configuration says none.
LONGEST = {"no-cache": 256, "mamba": 2048, "mamba2": 2048}
# The kernel that every processor can run.
LATENT = {"attention_config": {"backend": "CPU_MLA"}}
ARGUMENTS = {"no-cache": {"runner": "pooling"}, "mla-v2": LATENT, "mla-v3": LATENT}
# Further questions: the model, vLLM's arguments, and the flags that say the same to Berth.
VARIANTS = {
    "mha, fp8": ("mha", {"kv_cache_dtype": "fp8"}, ["--kv-cache-dtype", "fp8"]),
    "gqa, blocks of 64": ("gqa", {"block_size": 64}, ["--block-size", "64"]),
    "hybrid-granite, no prefix caching":
        ("hybrid-granite", {"enable_prefix_caching": False}, ["--no-enable-prefix-caching"]),
}
STARTED = ["gqa", "window-5-1", "hybrid-jamba"]
LOGGED = re.compile(r"KV cache size: ([\d,]+) tokens, "
                    r"Maximum concurrency for [\d,]+ tokens per request: ([\d.]+)x")
ANSWER_SECONDS = 3600  # for all models, on a machine with other work
START_SECONDS = 900  # for one `vllm serve` to come to its cache


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def points_of(name: str) -> list[dict]:
    longest = LONGEST.get(name, POINTS[1]["context"])
    return [point | {"context": min(point["context"], longest)} for point in POINTS]


def questions(models: Path, only: list[str]) -> list[dict]:
    asked = [{"name": name, "model": name, "arguments": ARGUMENTS.get(name, {}), "flags": [],
              "points": points_of(name)} for name in MODELS]
    asked += [{"name": name, "model": model, "arguments": arguments, "flags": flags,
               "points": POINTS} for name, (model, arguments, flags) in VARIANTS.items()]
    for one in asked:
        one["folder"] = str(models / one["model"])
    return [one for one in asked if not only or one["model"] in only]


def ask_vllm(engine: Path, asked: list[dict], folder: Path) -> tuple[dict, dict]:
    """The first line of the answers, and the others by their name."""
    (folder / "questions.json").write_text(json.dumps(asked))
    answers = folder / "answers"
    with (folder / "capacity.log").open("w") as log:
        subprocess.run([engine / "venv/bin/python", HERE / "capacity.py",
                        folder / "questions.json", answers, folder],
                       env=engine_env(engine), stdout=log, stderr=subprocess.STDOUT, check=True,
                       timeout=ANSWER_SECONDS)
    first, *others = [json.loads(line) for line in answers.read_text().splitlines()]
    return first, {one["name"]: one for one in others}


def engine_env(engine: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VLLM_")}
    return kept | {"VLLM_CACHE_ROOT": str(engine / "cache"), "HF_HUB_OFFLINE": "1",
                   "VLLM_NO_USAGE_STATS": "1", "CUDA_VISIBLE_DEVICES": ""}


def on_cpu(folder: str, context: int, flags: list[str]) -> dict:
    """What `berth inspect` says of the model under vLLM on the CPU."""
    with tempfile.TemporaryDirectory() as data:  # no server answers there: read on this machine
        told = subprocess.run(
            [BERTH, "inspect", folder, "--backend", "vllm", "--ctx-size", str(context), "--json",
             "--", *flags],
            env=os.environ | {"BERTH_DATA": data, "XDG_CONFIG_HOME": data}, capture_output=True,
            text=True, timeout=60, check=False)
    if told.returncode != 0:
        raise RuntimeError(told.stderr.strip())
    found = json.loads(told.stdout)
    for way in found["ways"]:
        if way["on"] == "cpu":
            return way
    raise RuntimeError("; ".join(found["warnings"]) or "Berth knows no way to run it")


def ask_berth(one: dict, point: dict) -> dict:
    flags = ["--max-num-batched-tokens", str(point["batched_tokens"]), *one["flags"]]
    least = on_cpu(one["folder"], point["context"], flags)
    given = on_cpu(one["folder"], point["context"],
                   [*flags, "--kv-cache-memory-bytes", str(point["memory"])])
    return {"tokens": given["cached_tokens"], "least": least["claim"]["devices"][0]["kv_cache"]}


def compare(one: dict, answer: dict) -> tuple[bool, list[str]]:
    """Whether all figures are alike, and a row of the table."""
    if "error" in answer:
        return False, [one["name"], "", "", "", "", f"vLLM: {answer['error']}"]
    alike, first, wrong = True, None, ""
    for point, theirs in zip(one["points"], answer["points"], strict=True):
        try:
            ours = ask_berth(one, point)
        except RuntimeError as error:
            ours = {"tokens": -1, "least": -1}
            wrong = wrong or str(error)
        first = first or ours
        same = all(ours[key] == theirs[key] for key in ("tokens", "least"))
        if not same:
            wrong = wrong or (f"at a context of {point['context']}: {ours['tokens']} tokens and "
                              f"{ours['least']} bytes, vLLM {theirs['tokens']} and {theirs['least']}")
        alike = alike and same
    logged = answer["logged"]
    if logged and int(logged[0]) != first["tokens"]:
        alike, wrong = False, wrong or "not what the log says"
    return alike, [one["name"], f"{int(logged[0]):,}" if logged else "none", f"{first['tokens']:,}",
                   f"{answer['points'][0]['least']:,}", f"{first['least']:,}",
                   wrong or f"equal at {len(one['points'])}"]


def end(process: subprocess.Popen) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(15)
    process.wait()


def served(engine: Path, folder: Path, log: Path) -> tuple[int, str] | None:
    """Tokens and concurrency from the log of a real `vllm serve` with a cache of 1 GiB."""
    context, tokens = (str(POINTS[0][key]) for key in ("context", "batched_tokens"))
    argv = [engine / "venv/bin/python", engine / "venv/bin/vllm", "serve", folder, "--host",
            "127.0.0.1", "--port", str(free_port()), "--enforce-eager", "--max-model-len", context,
            "--max-num-batched-tokens", tokens, "--max-num-seqs", "4"]
    with log.open("w") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT,
                                   stdin=subprocess.DEVNULL, start_new_session=True,
                                   env=engine_env(engine) | {"VLLM_CPU_KVCACHE_SPACE": "1"})
    try:
        until = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < until:
            if found := LOGGED.search(log.read_text()):
                return int(found[1].replace(",", "")), found[2]
            time.sleep(0.5)
        return None
    finally:
        end(process)


def compare_served(engine: Path, asked: dict, folder: Path) -> tuple[bool, list[str]]:
    say(f"starting vllm serve with {asked['name']} …")
    log = folder / f"serve-{asked['model']}.log"
    theirs = served(engine, Path(asked["folder"]), log)
    ours = ask_berth(asked, POINTS[0] | {"memory": 1 << 30})
    if theirs is None:
        say("\n".join(log.read_text().splitlines()[-20:]))
        return False, [f"{asked['name']}, `vllm serve`", "none", "", "", "", "it did not start"]
    same = theirs[0] == ours["tokens"]
    return same, [f"{asked['name']}, `vllm serve`, 1 GiB", f"{theirs[0]:,}", f"{ours['tokens']:,}",
                  "", f"{ours['least']:,}", f"{'equal' if same else 'differs'} ({theirs[1]}x)"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", type=Path, required=True)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="only these models")
    parser.add_argument("--starts", type=int, default=2, help="models to start by `vllm serve`")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    engine = arguments.engine
    version = hashlib.sha256((HERE / "models.py").read_bytes()).hexdigest()[:16]
    models = CACHE / "bench" / f"vllm-models-{version}"
    subprocess.run([engine / "venv/bin/python", HERE / "models.py", models],
                   env=engine_env(engine), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   check=True, timeout=600)
    asked = questions(models, arguments.only)
    rows, wrong, compared = [], 0, 0
    with tempfile.TemporaryDirectory(prefix="berth-vllm-") as name:
        folder = Path(name)
        say(f"asking vLLM about {len(asked)} models …")
        machine, answers = ask_vllm(engine, asked, folder)
        results = []
        for one in asked:
            if machine["wide_states"] and one["model"] in RECURRENT:
                rows.append([one["name"], "", "", "", "",
                             "not compared: vLLM keeps wide states on this processor"])
                continue
            results.append(compare(one, answers[one["name"]]))
        for one in [one for one in asked if one["name"] in STARTED][:arguments.starts]:
            results.append(compare_served(engine, one, folder))
    for alike, row in results:
        compared, wrong = compared + 1, wrong + (not alike)
        rows.append(row)
    print(f"KV cache of vLLM 0.32.0 on the CPU, {date.today()}. Context 2048 tokens, cache 64 MiB; "
          "the other points have other contexts, batches and caches.\n")
    print("| model | tokens that vLLM logs | Berth | least cache for vLLM, bytes | Berth | |")
    print("|---|---:|---:|---:|---:|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print(f"\n{'FAILED' if wrong or not compared else 'passed'}: "
          f"{compared - wrong} of {compared} exactly equal")
    return 1 if wrong or not compared else 0


if __name__ == "__main__":
    sys.exit(main())
