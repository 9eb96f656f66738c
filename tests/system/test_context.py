"""Context means tokens per request: a prompt of just that length is served on every slot."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import pytest

from harness import Berth


def prompt_of(berth: Berth, model: str, length: int) -> str:
    """A prompt of exactly `length` tokens: the tiny model has one for each "x", and some to begin."""
    def tokens(count: int) -> int:
        return berth.openai().completions.create(model=model, prompt="x" * count,
                                                 max_tokens=1).usage.prompt_tokens

    begin = tokens(10) - 10
    assert tokens(30) - 30 == begin, "an x is not a token of this model"
    return "x" * (length - begin)


@pytest.mark.parametrize("slots", [1, 3])
def test_a_request_of_just_the_context_fits_on_every_slot(
        berth: Berth, deployed, tiny_file: Path, slots: int):
    context = 256
    name = deployed(f"slots-{slots}", tiny_file, "--", "--ctx-size", context, "--parallel", slots)
    serving = berth.wait_ready(name)[0]["serving"]
    assert (serving["context"], serving["slots"]) == (context, slots)

    prompt = prompt_of(berth, name, context - 8)

    def ask(_: int) -> openai.types.Completion:
        return berth.openai().completions.create(model=name, prompt=prompt, max_tokens=8,
                                                 extra_body={"ignore_eos": True})

    with ThreadPoolExecutor(slots * 2) as pool:  # more at once than there are slots
        answers = list(pool.map(ask, range(slots * 2)))
    for answer in answers:
        assert answer.usage.prompt_tokens == context - 8
        assert answer.usage.completion_tokens == 8

    with pytest.raises(openai.BadRequestError):
        berth.openai().completions.create(model=name, prompt=prompt + "x" * 16, max_tokens=1)


def test_the_default_is_the_smaller_of_the_model_s_and_8192(
        berth: Berth, tiny: str, gemma: str):
    assert berth.instances(tiny)[0]["serving"] == {"context": 2048, "slots": 1}
    assert berth.instances(gemma)[0]["serving"] == {"context": 8192, "slots": 1}


def test_the_engine_itself_agrees(berth: Berth, gemma: str):
    instance = berth.instances(gemma)[0]
    pid, port = instance["pid"], instance["port"]
    pairs = (pair.partition(b"=") for pair in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))
    key = next(value.decode() for name, _, value in pairs if b"API_KEY" in name)
    slots = httpx.get(f"http://127.0.0.1:{port}/props", timeout=20,
                      headers={"Authorization": f"Bearer {key}"}).json()
    assert slots["default_generation_settings"]["n_ctx"] == 8192
    assert slots["total_slots"] == 1
