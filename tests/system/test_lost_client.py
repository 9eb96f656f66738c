"""A client that leaves frees the engine's slot, whatever it was waiting for."""

import http.client
import json
import os
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness import Berth, eventually

PROMPT_TOKENS = 3500
LONG_PROMPT = "word " * PROMPT_TOKENS  # a token each: many batches
ANSWER_TOKENS = 4000


class Engine:
    """The engine of the only instance of a model, asked straight."""

    def __init__(self, berth: Berth, model: str) -> None:
        instance = berth.wait_ready(model)[0]
        self.url = f"http://127.0.0.1:{instance['port']}"
        pairs = (pair.partition(b"=") for pair in
                 Path(f"/proc/{instance['pid']}/environ").read_bytes().split(b"\0"))
        self.key = next(value.decode() for name, _, value in pairs if b"API_KEY" in name and value)

    def busy_slots(self) -> int:
        # The engine answers between two batches.
        slots = httpx.get(f"{self.url}/slots", timeout=60,
                          headers={"Authorization": f"Bearer {self.key}"}).json()
        return sum(slot["is_processing"] for slot in slots)

    def figures(self) -> dict[str, float]:
        text = httpx.get(f"{self.url}/metrics", timeout=60,
                         headers={"Authorization": f"Bearer {self.key}"}).text
        pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def work(self) -> dict[str, float]:
        """Tokens of prompts and answers that were worked on to their end, or as far as it came."""
        figures = self.figures()
        return {"prompt": figures["llamacpp:prompt_tokens_total"],
                "answer": figures["llamacpp:tokens_predicted_total"]}

    def decodes(self) -> float:
        """Batches that were computed."""
        return self.figures()["llamacpp:n_decode_total"]


def send(berth: Berth, body: dict[str, Any]) -> http.client.HTTPConnection:
    """A request whose answer nobody waits for."""
    host, port = berth.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    connection.request("POST", "/v1/completions", json.dumps(body),
                       {"Authorization": f"Bearer {berth.key}", "Content-Type": "application/json"})
    return connection


@pytest.mark.parametrize("stream", [True, False], ids=["streams", "does not stream"])
@pytest.mark.parametrize("phase", ["decode", "prefill"])
def test_a_client_that_leaves_frees_its_slot(berth: Berth, gemma: str, phase: str, stream: bool):
    engine = Engine(berth, gemma)
    eventually("the engine is idle", lambda: engine.busy_slots() == 0, 60)
    prompt = f"{os.urandom(8).hex()} " + (LONG_PROMPT if phase == "prefill" else "Once")
    body = {"model": gemma, "prompt": prompt, "max_tokens": ANSWER_TOKENS, "ignore_eos": True,
            "stream": stream}
    before = engine.work()
    if phase == "prefill":
        body["max_tokens"] = 1
    connection = send(berth, body)
    eventually("the engine works on it", lambda: engine.busy_slots() == 1, 60)
    if phase == "decode":
        eventually("the prompt is read", lambda: engine.work()["prompt"] > before["prompt"], 60)
    connection.close()
    left = time.monotonic()
    eventually("the slot is free", lambda: engine.busy_slots() == 0, 60)
    print(f"{phase}, stream={stream}: free after {time.monotonic() - left:.2f} s")
    after = engine.work()
    assert after["answer"] - before["answer"] < ANSWER_TOKENS, "the answer was computed to its end"
    assert after["prompt"] - before["prompt"] < PROMPT_TOKENS, "the prompt was computed to its end"
    answer = berth.openai().completions.create(model=gemma, prompt="Once", max_tokens=2)
    assert answer.choices[0].text


def comparable(value: Any) -> Any:
    """An answer without what differs each time; the arithmetic depends a little on what is cached."""
    if isinstance(value, dict):
        return {key: comparable(member) for key, member in value.items()
                if key not in ("id", "created", "timings", "prompt_tokens_details")
                or (key == "id" and isinstance(member, int))}
    if isinstance(value, list):
        return [comparable(member) for member in value]
    return round(value, 1) if isinstance(value, float) else value


def test_a_whole_answer_is_as_the_engine_gives_it(berth: Berth, gemma: str):
    engine = Engine(berth, gemma)
    body = {"model": gemma, "prompt": "Once upon a time", "max_tokens": 12, "temperature": 0,
            "logprobs": 2, "stop": ["\n\n"]}
    through = berth.api("POST", "/v1/completions", json=body)
    straight = httpx.post(f"{engine.url}/v1/completions", json=body, timeout=60,
                          headers={"Authorization": f"Bearer {engine.key}"}).json()
    assert comparable(through) == comparable(straight)


def test_a_whole_chat_is_as_the_engine_gives_it(berth: Berth, tiny: str):
    engine = Engine(berth, tiny)
    body = {"model": tiny, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 12,
            "temperature": 0, "logprobs": True}
    through = berth.api("POST", "/v1/chat/completions", json=body)
    straight = httpx.post(f"{engine.url}/v1/chat/completions", json=body, timeout=60,
                          headers={"Authorization": f"Bearer {engine.key}"}).json()
    assert comparable(through) == comparable(straight)
