"""The flags of llama-server that this pack understands, and where each one goes in xllamacpp.CommonParams.

This table is the truth. pack.toml repeats it for readers in other languages: `python3 llama_flags.py`
prints that part, and a test compares the two. A flag is listed only if the binding can carry it out;
llama-server has many more.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

# Receives the CommonParams, the checked value and the xllamacpp module (for its enumerations).
Apply = Callable[[Any, Any, Any], None]


@dataclass(frozen=True)
class Flag:
    """One flag with all its spellings. `low` and `high` are inclusive; `values`: what a choice may be."""

    names: tuple[str, ...]
    type: str  # switch, int, float, text, file, choice
    apply: Apply
    low: Optional[float] = None
    high: Optional[float] = None
    values: tuple[str, ...] = ()


def _put(path: str, fixed: Any = None) -> Apply:
    """Sets the attribute at the dotted `path`: to `fixed` if given, else to the flag's value."""
    *parents, last = path.split(".")

    def apply(params: Any, value: Any, _: Any) -> None:
        for name in parents:
            params = getattr(params, name)
        setattr(params, last, value if fixed is None else fixed)

    return apply


def _enum(attribute: str, enum: str, prefix: str) -> Apply:
    def apply(params: Any, value: str, x: Any) -> None:
        name = prefix + value.upper().replace("-", "_")
        setattr(params, attribute, getattr(getattr(x, enum), name))

    return apply


def _sampling(attribute: str, config: Optional[str] = None) -> Apply:
    """Sets a sampling default, marked as the user's so that the model file's own does not replace it."""

    def apply(params: Any, value: Any, x: Any) -> None:
        setattr(params.sampling, attribute, value)
        if config is not None:
            configs = x.common_params_sampling_config
            bit = getattr(configs, "COMMON_PARAMS_SAMPLING_CONFIG_" + config)
            params.sampling.user_sampling_config |= int(bit)

    return apply


def _alias(params: Any, value: str, _: Any) -> None:
    params.model_alias = {name for name in value.split(",") if name}


def _threads(params: Any, value: int, _: Any) -> None:
    params.cpuparams.n_threads = value
    if params.cpuparams_batch.n_threads < 0:  # llama-server: --threads-batch is as --threads unless given
        params.cpuparams_batch.n_threads = value


def _flash_attention(params: Any, value: str, x: Any) -> None:
    name = {"on": "ENABLED", "off": "DISABLED", "auto": "AUTO"}[value]
    params.flash_attn_type = getattr(x.llama_flash_attn_type, "LLAMA_FLASH_ATTN_TYPE_" + name)


def _gpu_layers(params: Any, value: str, x: Any) -> None:
    if value == "auto":
        return
    if value != "all" and not value.isdecimal():
        raise ValueError(f"must be a number of layers, auto or all (got {value!r})")
    layers = -2 if value == "all" else int(value)  # llama.cpp: -1 is auto, -2 is all
    cpu = x.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_CPU
    devices = [device for device in x.get_device_info() if device["type"] != cpu]
    if layers != 0 and not devices:
        raise ValueError("must be 0 or auto: this build finds no device to put layers on")
    params.n_gpu_layers = layers


def _cache_type(attribute: str) -> Apply:
    return _enum(attribute, "ggml_type", "GGML_TYPE_")


def _chat_template_file(params: Any, value: str, _: Any) -> None:
    params.chat_template = Path(value).read_text(encoding="utf-8")


def _template_kwargs(params: Any, value: str, _: Any) -> None:
    try:
        parsed = json.loads(value)
    except ValueError as error:
        raise ValueError(f"must be a JSON object ({error})") from None
    if not isinstance(parsed, dict):
        raise ValueError("must be a JSON object")
    params.default_template_kwargs = {key: json.dumps(item) for key, item in parsed.items()}


def _embeddings(params: Any, _value: Any, _: Any) -> None:
    params.embedding = True


def _reranking(params: Any, _value: Any, x: Any) -> None:
    params.embedding = True
    params.pooling_type = x.llama_pooling_type.LLAMA_POOLING_TYPE_RANK


def _lora(params: Any, value: str, x: Any) -> None:
    added = [x.CommonAdapterLoraInfo(path, 1.0) for path in value.split(",") if path]
    params.lora_adapters = list(params.lora_adapters) + added


def _lora_scaled(params: Any, value: str, x: Any) -> None:
    added = []
    for item in value.split(","):
        path, _, scale = item.rpartition(":")
        try:
            added.append(x.CommonAdapterLoraInfo(path, float(scale)))
        except ValueError:
            raise ValueError(f"must be FILE:SCALE,... (got {item!r})") from None
    params.lora_adapters = list(params.lora_adapters) + added


def _rope_scale(params: Any, value: float, _: Any) -> None:
    params.rope_freq_scale = 1.0 / value


def _load_mode(name: str) -> Apply:
    def apply(params: Any, _value: Any, x: Any) -> None:
        params.load_mode = getattr(x.llama_load_mode, "LLAMA_LOAD_MODE_" + name)

    return apply


def _timeout(params: Any, value: int, _: Any) -> None:
    params.timeout_read = params.timeout_write = value


_CACHE_TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")
_BIG = 2**31 - 1


def _switch(*names: str, to: Apply) -> Flag:
    return Flag(names, "switch", to)


def _int(*names: str, to: Apply, low: int, high: int = _BIG) -> Flag:
    return Flag(names, "int", to, low, high)


def _float(*names: str, to: Apply, low: Optional[float] = None, high: Optional[float] = None) -> Flag:
    return Flag(names, "float", to, low, high)


def _choice(*names: str, to: Apply, values: tuple[str, ...]) -> Flag:
    return Flag(names, "choice", to, values=values)


FLAGS: tuple[Flag, ...] = (
    # What is served, and where.
    Flag(("--model", "-m"), "file", _put("model.path")),
    Flag(("--alias", "-a"), "text", _alias),
    Flag(("--host",), "text", lambda params, value, _: setattr(params, "hostnames", [value])),
    _int("--port", to=_put("port"), low=0, high=65535),
    _int("--threads-http", to=_put("n_threads_http"), low=-1),
    _int("--timeout", "-to", to=_timeout, low=1),
    _int("--sse-ping-interval", to=_put("sse_ping_interval"), low=-1),
    _int("--sleep-idle-seconds", to=_put("sleep_idle_seconds"), low=-1),
    _switch("--metrics", to=_put("endpoint_metrics", True)),
    _switch("--props", to=_put("endpoint_props", True)),
    _switch("--slots", to=_put("endpoint_slots", True)),
    _switch("--no-slots", to=_put("endpoint_slots", False)),
    _switch("--no-ui", "--no-webui", to=_put("ui", False)),
    _int("--verbosity", "--log-verbosity", "-lv", to=_put("verbosity"), low=0),
    _switch("--verbose", "--log-verbose", "-v", to=_put("verbosity", _BIG)),
    # Context, slots and batches.
    _int("--ctx-size", "-c", to=_put("n_ctx"), low=0),
    _int("--parallel", "-np", to=_put("n_parallel"), low=-1),
    _switch("--kv-unified", "-kvu", to=_put("kv_unified", True)),
    _switch("--no-kv-unified", "-no-kvu", to=_put("kv_unified", False)),
    _choice("--fit", "-fit", values=("on", "off"), to=lambda p, v, _: setattr(p, "fit_params", v == "on")),
    _int("--batch-size", "-b", to=_put("n_batch"), low=1),
    _int("--ubatch-size", "-ub", to=_put("n_ubatch"), low=1),
    _switch("--cont-batching", "-cb", to=_put("cont_batching", True)),
    _switch("--no-cont-batching", "-nocb", to=_put("cont_batching", False)),
    _switch("--context-shift", to=_put("ctx_shift", True)),
    _switch("--no-context-shift", to=_put("ctx_shift", False)),
    _int("--keep", to=_put("n_keep"), low=-1),
    _switch("--swa-full", to=_put("swa_full", True)),
    # What is kept of earlier prompts. --cache-ram: MiB beside the KV cache, 8192 unless said; -1: no limit.
    _switch("--cache-prompt", to=_put("cache_prompt", True)),
    _switch("--no-cache-prompt", to=_put("cache_prompt", False)),
    _int("--cache-ram", "-cram", to=_put("cache_ram_mib"), low=-1),
    _int("--cache-reuse", to=_put("n_cache_reuse"), low=0),
    _switch("--cache-idle-slots", to=_put("cache_idle_slots", True)),
    _switch("--no-cache-idle-slots", to=_put("cache_idle_slots", False)),
    _int("--ctx-checkpoints", "-ctxcp", "--swa-checkpoints", to=_put("n_ctx_checkpoints"), low=0),
    _float("--slot-prompt-similarity", "-sps", to=_put("slot_prompt_similarity"), low=0, high=1),
    # How the machine is used.
    _int("--threads", "-t", to=_threads, low=-1, high=512),
    _int("--threads-batch", "-tb", to=_put("cpuparams_batch.n_threads"), low=-1, high=512),
    Flag(("--gpu-layers", "-ngl", "--n-gpu-layers"), "text", _gpu_layers),
    _choice("--flash-attn", "-fa", to=_flash_attention, values=("on", "off", "auto")),
    _choice("--cache-type-k", "-ctk", to=_cache_type("cache_type_k"), values=_CACHE_TYPES),
    _choice("--cache-type-v", "-ctv", to=_cache_type("cache_type_v"), values=_CACHE_TYPES),
    _switch("--mlock", to=_load_mode("MMAP_MLOCK")),
    _switch("--mmap", to=_load_mode("MMAP")),
    _switch("--no-mmap", to=_load_mode("NONE")),
    _choice("--numa", to=_enum("numa", "ggml_numa_strategy", "GGML_NUMA_STRATEGY_"),
            values=("distribute", "isolate", "numactl")),
    _switch("--warmup", to=_put("warmup", True)),
    _switch("--no-warmup", to=_put("warmup", False)),
    _switch("--repack", to=_put("no_extra_bufts", False)),
    _switch("--no-repack", "-nr", to=_put("no_extra_bufts", True)),
    _switch("--check-tensors", to=_put("check_tensors", True)),
    # Templates and reasoning.
    _switch("--jinja", to=_put("use_jinja", True)),
    _switch("--no-jinja", to=_put("use_jinja", False)),
    Flag(("--chat-template",), "text", _put("chat_template")),
    Flag(("--chat-template-file",), "file", _chat_template_file),
    Flag(("--chat-template-kwargs",), "text", _template_kwargs),
    _switch("--prefill-assistant", to=_put("prefill_assistant", True)),
    _switch("--no-prefill-assistant", to=_put("prefill_assistant", False)),
    _choice("--reasoning-format",
            to=_enum("reasoning_format", "common_reasoning_format", "COMMON_REASONING_FORMAT_"),
            values=("none", "auto", "deepseek", "deepseek-legacy")),
    _choice("--reasoning", "-rea", values=("on", "off", "auto"),
            to=lambda p, v, _: setattr(p, "enable_reasoning", {"on": 1, "off": 0, "auto": -1}[v])),
    _int("--reasoning-budget", to=_put("sampling.reasoning_budget_tokens"), low=-1),
    # Other kinds of models, and files beside the model.
    _switch("--embeddings", "--embedding", to=_embeddings),
    _choice("--pooling", to=_enum("pooling_type", "llama_pooling_type", "LLAMA_POOLING_TYPE_"),
            values=("none", "mean", "cls", "last", "rank")),
    _switch("--reranking", "--rerank", to=_reranking),
    Flag(("--mmproj", "-mm"), "file", _put("mmproj.path")),
    _int("--image-min-tokens", to=_put("image_min_tokens"), low=0),
    _int("--image-max-tokens", to=_put("image_max_tokens"), low=0),
    Flag(("--lora",), "text", _lora),
    Flag(("--lora-scaled",), "text", _lora_scaled),
    # Longer contexts than the model was trained for.
    _choice("--rope-scaling",
            to=_enum("rope_scaling_type", "llama_rope_scaling_type", "LLAMA_ROPE_SCALING_TYPE_"),
            values=("none", "linear", "yarn")),
    _float("--rope-scale", to=_rope_scale, low=1e-6),
    _float("--rope-freq-base", to=_put("rope_freq_base"), low=0),
    _float("--rope-freq-scale", to=_put("rope_freq_scale"), low=0),
    _int("--yarn-orig-ctx", to=_put("yarn_orig_ctx"), low=0),
    _float("--yarn-ext-factor", to=_put("yarn_ext_factor")),
    _float("--yarn-attn-factor", to=_put("yarn_attn_factor")),
    _float("--yarn-beta-slow", to=_put("yarn_beta_slow")),
    _float("--yarn-beta-fast", to=_put("yarn_beta_fast")),
    # Defaults for requests that do not say.
    _int("--predict", "--n-predict", "-n", to=_put("n_predict"), low=-1),
    _int("--seed", "-s", to=lambda p, v, _: setattr(p.sampling, "seed", v % 2**32), low=-1, high=2**32 - 1),
    _float("--temperature", "--temp", to=_sampling("temp", "TEMP"), low=0),
    _int("--top-k", to=_sampling("top_k", "TOP_K"), low=0),
    _float("--top-p", to=_sampling("top_p", "TOP_P"), low=0, high=1),
    _float("--min-p", to=_sampling("min_p", "MIN_P"), low=0, high=1),
    _float("--typical-p", "--typical", to=_sampling("typ_p"), low=0, high=1),
    _int("--repeat-last-n", to=_sampling("penalty_last_n", "PENALTY_LAST_N"), low=-1),
    _float("--repeat-penalty", to=_sampling("penalty_repeat", "PENALTY_REPEAT"), low=0),
    _float("--presence-penalty", to=_sampling("penalty_present")),
    _float("--frequency-penalty", to=_sampling("penalty_freq")),
    _float("--xtc-probability", to=_sampling("xtc_probability", "XTC_PROBABILITY"), low=0, high=1),
    _float("--xtc-threshold", to=_sampling("xtc_threshold", "XTC_THRESHOLD"), low=0, high=1),
    _float("--dry-multiplier", to=_sampling("dry_multiplier"), low=0),
    _float("--dry-base", to=_sampling("dry_base"), low=1),
    _int("--dry-allowed-length", to=_sampling("dry_allowed_length"), low=0),
    _int("--dry-penalty-last-n", to=_sampling("dry_penalty_last_n"), low=-1),
    _float("--dynatemp-range", to=_sampling("dynatemp_range"), low=0),
    _float("--dynatemp-exp", to=_sampling("dynatemp_exponent"), low=0),
    _int("--mirostat", to=_sampling("mirostat", "MIROSTAT"), low=0, high=2),
    _float("--mirostat-lr", to=_sampling("mirostat_eta", "MIROSTAT_ETA"), low=0),
    _float("--mirostat-ent", to=_sampling("mirostat_tau", "MIROSTAT_TAU"), low=0),
    Flag(("--samplers",), "text", _sampling("samplers", "SAMPLERS")),
    _switch("--ignore-eos", to=_put("sampling.ignore_eos", True)),
)


def as_toml() -> str:
    """The flags as pack.toml lists them."""

    def number(value: float) -> str:
        return str(int(value)) if float(value).is_integer() else repr(value)

    lines = []
    for flag in FLAGS:
        entry = f"names = {json.dumps(list(flag.names))}, type = {json.dumps(flag.type)}"
        if flag.low is not None:
            entry += f", min = {number(flag.low)}"
        if flag.high is not None:
            entry += f", max = {number(flag.high)}"
        if flag.values:
            entry += f", values = {json.dumps(list(flag.values))}"
        lines.append(f"  {{ {entry} }},")
    return "flags = [\n" + "\n".join(lines) + "\n]\n"


if __name__ == "__main__":
    print(as_toml(), end="")
