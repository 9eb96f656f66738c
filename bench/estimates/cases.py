"""How each shape is run: the flags of one case, as the engine, its judge and Berth take them."""

from dataclasses import dataclass
from typing import Any

ROOM = 1 << 42  # of a device that stands in: nothing is too large for it


@dataclass(frozen=True)
class Case:
    name: str
    context: int  # of one slot
    slots: int = 1
    ubatch: int = 512
    cache: str = "f16"
    flash: bool = True
    layers: tuple[float, ...] = ()  # what share of the layers each device has
    kind: str = "cuda"  # of the devices that stand in
    extra: tuple[str, ...] = ()

    def counts(self, shape: Any) -> list[int]:
        """Layers on each device, of layers + 1; the last takes what rounding leaves."""
        all_layers = shape.layers + 1
        counts = [max(1, int(part * all_layers)) for part in self.layers]
        if self.layers and sum(self.layers) == 1:
            counts[-1] = all_layers - sum(counts[:-1])
        return counts

    def slot(self, shape: Any) -> int:
        """Tokens of a slot: no more than the model was trained for, padded as Berth does."""
        return (min(self.context, shape.context) + 255) // 256 * 256

    def batches(self, shape: Any) -> list[str]:
        """Encoders take their input at once."""
        ubatch = self.slot(shape) if shape.pooling else self.ubatch
        return ["--batch-size", str(ubatch), "--ubatch-size", str(ubatch)]

    def common(self, shape: Any) -> list[str]:
        flags = self.batches(shape)
        if self.cache != "f16":
            flags += ["--cache-type-k", self.cache, "--cache-type-v", self.cache]
        if not self.flash:
            flags += ["--flash-attn", "off"]
        counts = self.counts(shape)
        if counts:
            flags += ["--gpu-layers", str(sum(counts))]
        if len(counts) > 1:
            flags += ["--tensor-split", ",".join(map(str, counts))]
        # A device of another machine computes nothing of the host's layers.
        if self.kind == "rpc":
            flags.append("--no-op-offload")
        return flags + list(self.extra)

    def engine(self, shape: Any) -> list[str]:
        """For llama-server and the judge, as Berth would start the engine."""
        slot = self.slot(shape)
        flags = ["--ctx-size", str(slot * self.slots), "--parallel", str(self.slots),
                 "--no-kv-unified", "--fit", "off", "--no-repack", *self.common(shape)]
        if shape.pooling == "rank":
            flags.append("--reranking")
        elif shape.pooling:
            flags.append("--embeddings")
        return flags + ([] if self.layers else ["--gpu-layers", "0"])

    def berth(self, shape: Any) -> list[str]:
        """For berth inspect, after the file."""
        devices = ",".join([f"{ROOM}B"] * len(self.layers))
        return ["--ctx-size", str(self.slot(shape)), "--parallel", str(self.slots),
                *(["--devices", devices] if devices else []), "--json", "--", *self.common(shape)]

    def role(self, shape: Any) -> str:
        """Of what the layout is an example: estimate's ComputeRole without "device" or "host"."""
        counts = self.counts(shape)
        if not counts:
            return "alone"
        if sum(counts) <= shape.layers:
            return "partly" if len(counts) == 1 else "many, partly"
        return "whole" if len(counts) == 1 else "many"


CPU = (
    Case("4k", 4096),
    Case("2k x 4", 2048, 4),
    Case("32k, no flash", 32768, flash=False),
    Case("2k x 2, no flash, ubatch 128", 2048, 2, ubatch=128, flash=False),
    Case("8k x 2, q8_0", 8192, 2, cache="q8_0"),
    Case("16k, ubatch 64", 16384, ubatch=64),
    Case("1k x 8", 1024, 8),
    Case("128k, q4_0", 131072, cache="q4_0"),
)
DEVICES = (
    Case("device 4k", 4096, layers=(1,)),
    Case("device 16k x 4", 16384, 4, layers=(1,)),
    Case("device 4k x 8, q4_0", 4096, 8, cache="q4_0", layers=(1,)),
    Case("device 8k x 2, no flash", 8192, 2, flash=False, layers=(1,)),
    Case("device 32k, ubatch 1024", 32768, ubatch=1024, layers=(1,)),
    Case("device 128k", 131072, layers=(1,)),
    Case("device 8k, cache on the host", 8192, layers=(1,), extra=("--no-kv-offload",)),
    Case("half 8k x 4", 8192, 4, layers=(0.5,)),
    Case("half 8k, no flash", 8192, flash=False, layers=(0.5,)),
    Case("few 16k, q8_0", 16384, cache="q8_0", layers=(0.1,)),
    Case("most 4k", 4096, layers=(0.9,)),
    Case("two 8k x 4", 8192, 4, layers=(0.5, 0.5)),
    Case("two 16k, no flash", 16384, flash=False, layers=(0.5, 0.5)),
    Case("two of unlike size 32k", 32768, layers=(0.25, 0.75)),
    Case("three 4k x 2, q8_0", 4096, 2, cache="q8_0", layers=(0.4, 0.3, 0.3)),
    Case("two, half 8k", 8192, layers=(0.25, 0.25)),
    Case("rpc 4k x 4", 4096, 4, layers=(1,), kind="rpc"),
    Case("half rpc 8k", 8192, layers=(0.5,), kind="rpc"),
    Case("two rpc 8k x 2", 8192, 2, layers=(0.5, 0.5), kind="rpc"),
    Case("two rpc, half 4k, no flash", 4096, flash=False, layers=(0.3, 0.3), kind="rpc"),
)
WINDOWED = (
    Case("32k x 2, all cells", 32768, 2, extra=("--swa-full",)),
    Case("device 8k, all cells", 8192, layers=(1,), extra=("--swa-full",)),
)
EXPERTS = (
    Case("device 8k, experts of 8 on the host", 8192, layers=(1,), extra=("--n-cpu-moe", "8")),
    Case("device 4k x 4, all experts on the host", 4096, 4, layers=(1,), extra=("--cpu-moe",)),
    Case("two 8k, experts of 8 on the host", 8192, layers=(0.5, 0.5),
         extra=("--n-cpu-moe", "8")),
)
# What real servers of remote devices are asked for, where the model is small.
REMOTE = (
    Case("remote 4k x 2", 4096, 2, layers=(1,), kind="rpc"),
    Case("two remote 8k", 8192, layers=(0.5, 0.5), kind="rpc"),
    Case("two remote, half 2k x 4", 2048, 4, layers=(0.25, 0.25), kind="rpc"),
)


def cases(shape: Any, number: int, every: bool = False) -> list[Case]:
    """Those for `shape`, remote ones apart: `every` one that makes sense, or of the many a part
    that changes with the shape's `number`."""
    no_cache = shape.arch in ("mamba", "mamba2", "rwkv7", "bert", "nomic-bert", "gemma-embedding")
    groups = [(CPU, 3), (DEVICES, 4)]
    if "attention.sliding_window" in shape.keys:
        groups.append((WINDOWED, 2))
    if shape.experts:
        groups.append((EXPERTS, 3))
    wanted = [case for group, one_in in groups for at, case in enumerate(group)
              if every or at % one_in == number % one_in]
    seen = set()
    found = []
    for case in wanted:
        if no_cache and (case.cache != "f16" or "--swa-full" in case.extra):
            continue
        # A long context is cut to the model's; the same again is left out.
        key = (case.slot(shape), case.slots, case.ubatch, case.cache, case.flash, case.layers,
               case.kind, case.extra)
        if key not in seen:
            seen.add(key)
            found.append(case)
    return found
