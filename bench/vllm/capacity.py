"""Asks vLLM for the size of its KV cache; run with vLLM's environment by compare.py.

    python capacity.py QUESTIONS ANSWERS LOGS

QUESTIONS is JSON: {"name", "folder", "arguments", "points"} each. Every model is loaded by vLLM's own
engine with its first point, in a process of its own that is forked once vLLM is imported; further
points are put to the same functions with the specifications of that engine's layers. ANSWERS gets a
line of JSON for each model; the logs of the engines go to the folder LOGS.
"""

import json
import os
import re
import sys
import traceback
from pathlib import Path

os.environ.update({
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_PLUGINS": "",
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
})

import torch  # noqa: E402
import vllm.v1.core.kv_cache_utils as utils  # noqa: E402
import vllm.v1.worker.cpu_model_runner  # noqa: E402, F401
import vllm.v1.worker.cpu_worker  # noqa: E402, F401
from vllm import LLM  # noqa: E402
from vllm.model_executor.models import registry  # noqa: E402

# A process for each look at a model's class would import all of vLLM again; this one is a fork.
registry._run_in_subprocess = lambda look: look()

LOGGED = re.compile(r"KV cache size: ([\d,]+) tokens, "
                    r"Maximum concurrency for ([\d,]+) tokens per request: ([\d.]+)x")


def starts(config, specs, memory: int) -> bool:
    try:
        utils.get_kv_cache_configs(config, [dict(one) for one in specs], [memory])
    except ValueError:
        return False
    return True


def at_point(config, specs, point: dict) -> dict:
    """What vLLM's functions say of the cache for one context, batch and memory."""
    config.model_config.max_model_len = point["context"]
    config.scheduler_config.max_num_batched_tokens = point["batched_tokens"]
    cache = utils.get_kv_cache_configs(config, [dict(one) for one in specs], [point["memory"]])[0]
    groups = cache.kv_cache_groups
    if not groups:
        return {"tokens": 0, "least": 0, "block": 0}
    block = utils._pool_bytes_per_block(config, groups)
    least = utils._max_memory_usage_bytes_from_groups(config, groups) + block
    if not starts(config, specs, least) or starts(config, specs, least - 1):
        raise RuntimeError(f"vLLM does not start from {least} bytes on")
    return {"tokens": utils.get_kv_cache_capacity(config, cache)[0], "least": least, "block": block}


def ask(question: dict, log: Path) -> dict:
    first = question["points"][0]
    engine = LLM(model=question["folder"], enforce_eager=True, disable_log_stats=True,
                 max_model_len=first["context"], max_num_batched_tokens=first["batched_tokens"],
                 kv_cache_memory_bytes=first["memory"], max_num_seqs=4, **question["arguments"])
    sys.stdout.flush()
    sys.stderr.flush()
    found = LOGGED.search(log.read_text())
    logged = [one.replace(",", "") for one in found.groups()] if found else None
    config = engine.llm_engine.vllm_config
    core = engine.llm_engine.engine_core.engine_core
    specs = core.model_executor.get_kv_cache_specs()
    return {"logged": logged, "points": [at_point(config, specs, one) for one in question["points"]]}


def in_fork(question: dict, answers: Path, log: Path) -> None:
    file = os.open(log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    try:
        answer = ask(question, log)
    except BaseException as error:
        traceback.print_exc()
        answer = {"error": f"{type(error).__name__}: {error}"[:300]}
    with answers.open("a") as out:
        out.write(json.dumps({"name": question["name"]} | answer) + "\n")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # without what the engine does at its end


def main() -> None:
    questions, answers, logs = map(Path, sys.argv[1:4])
    wide = torch.cpu._is_avx512_bf16_supported()
    answers.write_text(json.dumps({"wide_states": wide}) + "\n")
    for question in json.loads(questions.read_text()):
        child = os.fork()
        if child == 0:
            in_fork(question, answers, logs / f"{question['name']}.log")
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
