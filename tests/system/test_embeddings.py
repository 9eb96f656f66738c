"""Embeddings through OpenAI's own client, by a real model on a real engine."""

import base64
import http.client
import json
import struct
from pathlib import Path

import openai
import pytest

from harness import Berth, eventually
from test_lost_client import Engine

LENGTH = 384
LONG = "word " * 500  # nearly all that the model reads


@pytest.fixture(scope="module")
def minilm(berth: Berth, minilm_file: Path):
    berth.deploy("minilm", minilm_file)
    berth.wait_ready("minilm")
    yield "minilm"
    berth.remove("minilm")


def likeness(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def embed(berth: Berth, expect: int = 200, **body: object) -> dict:
    return berth.api("POST", "/v1/embeddings", expect, json=body)


def counted(berth: Berth, **labels: str) -> float:
    """The requests with these labels, of those that were counted."""
    return sum(float(line.rsplit(" ", 1)[1]) for line in berth.api("GET", "/metrics").splitlines()
               if line.startswith("berth_requests_total")
               and all(f'{name}="{value}"' in line for name, value in labels.items()))


def test_near_meanings_are_near(client: openai.OpenAI, minilm: str):
    answer = client.embeddings.create(
        model=minilm, input=["a cat", "a kitten", "the stock market fell"])
    cat, kitten, stock = (one.embedding for one in answer.data)
    assert [one.index for one in answer.data] == [0, 1, 2]
    assert len(cat) == LENGTH
    assert likeness(cat, cat) == pytest.approx(1, abs=1e-4)
    assert likeness(cat, kitten) > 0.6 > 0.3 > likeness(cat, stock)
    assert answer.model == minilm and answer.object == "list"
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 9


def test_floats_and_base64_are_the_same_numbers(berth: Berth, minilm: str):
    [plain] = embed(berth, model=minilm, input="a cat")["data"]
    [packed] = embed(berth, model=minilm, input="a cat", encoding_format="base64")["data"]
    read = struct.unpack(f"<{LENGTH}f", base64.b64decode(packed["embedding"]))
    assert [struct.pack("<f", number) for number in plain["embedding"]] == [
        struct.pack("<f", number) for number in read]


def test_many_inputs_keep_their_order(client: openai.OpenAI, minilm: str):
    texts = [f"the number {number}" for number in range(150)]  # more than go to the engine at once
    answer = client.embeddings.create(model=minilm, input=texts)
    assert [one.index for one in answer.data] == list(range(150))
    for number in (0, 77, 149):
        [alone] = client.embeddings.create(model=minilm, input=texts[number]).data
        assert likeness(alone.embedding, answer.data[number].embedding) > 0.999
    [one] = client.embeddings.create(model=minilm, input=texts[0]).data
    assert likeness(one.embedding, answer.data[1].embedding) < 0.999


def test_tokens_are_taken_for_texts(client: openai.OpenAI, minilm: str):
    """[CLS] hello [SEP] in the model's own vocabulary."""
    text = client.embeddings.create(model=minilm, input="hello").data[0].embedding
    tokens = client.embeddings.create(model=minilm, input=[101, 7592, 102])
    several = client.embeddings.create(model=minilm, input=[[101, 2088, 102], [101, 7592, 102]])
    assert likeness(text, tokens.data[0].embedding) > 0.9999
    assert likeness(text, several.data[1].embedding) > 0.9999
    assert likeness(text, several.data[0].embedding) < 0.99
    assert tokens.usage.prompt_tokens == 3


def test_the_longest_input_fits(client: openai.OpenAI, minilm: str):
    answer = client.embeddings.create(model=minilm, input=[LONG + "word " * 10] * 3)
    assert answer.usage.prompt_tokens == 3 * 512


@pytest.mark.parametrize("field, body", [
    ("input", {"input": ""}), ("input", {"input": []}), ("input", {}), ("input", {"input": ["x"] * 2049}),
    ("input", {"input": [0] * 513}), ("encoding_format", {"input": "x", "encoding_format": "int8"}),
    ("dimensions", {"input": "x", "dimensions": 100}), ("dimensions", {"input": "x", "dimensions": 385})])
def test_what_can_not_be_done_names_the_field(berth: Berth, minilm: str, field: str, body: dict):
    error = embed(berth, 400, model=minilm, **body)["error"]
    assert error["param"] == field and error["code"] == "invalid_parameter"


def test_as_many_dimensions_as_there_are_may_be_asked_for(client: openai.OpenAI, minilm: str):
    [one] = client.embeddings.create(model=minilm, input="x", dimensions=LENGTH).data
    assert len(one.embedding) == LENGTH


def test_a_text_that_is_too_long_says_so(berth: Berth, minilm: str):
    error = embed(berth, 400, model=minilm, input=["short", LONG * 2])["error"]
    assert "more tokens than the model reads" in error["message"]


def test_a_key_and_a_known_model_are_needed(berth: Berth, minilm: str):
    body = {"model": minilm, "input": "x"}
    assert berth.http("POST", "/v1/embeddings", key=None, json=body).status_code == 401
    assert embed(berth, 404, model="nobody", input="x")["error"]["param"] == "model"


def test_a_model_is_asked_only_for_what_it_is_for(
        berth: Berth, client: openai.OpenAI, minilm: str, tiny: str):
    with pytest.raises(openai.BadRequestError, match="is a language model and makes no embeddings"):
        client.embeddings.create(model=tiny, input="x")
    with pytest.raises(openai.BadRequestError, match="is an embedding model and can not chat"):
        client.chat.completions.create(model=minilm, messages=[{"role": "user", "content": "x"}])
    with pytest.raises(openai.BadRequestError, match="POST /v1/embeddings"):
        client.completions.create(model=minilm, prompt="x")
    error = berth.api("POST", "/v1/rerank", 400, json={
        "model": minilm, "query": "x", "documents": ["x"]})["error"]
    assert "does not rerank" in error["message"] and error["param"] == "model"


def test_only_such_models_get_the_flag(berth: Berth, minilm: str, tiny: str):
    def command(model: str) -> bytes:
        return Path(f"/proc/{berth.instances(model)[0]['pid']}/cmdline").read_bytes()

    assert b"--embeddings" in command(minilm)
    assert b"--embeddings" not in command(tiny)


def test_requests_and_tokens_are_counted(berth: Berth, client: openai.OpenAI, minilm: str):
    def tokens() -> float:
        line = next((line for line in berth.api("GET", "/metrics").splitlines() if line.startswith(
            "berth_tokens_total") and f'model="{minilm}"' in line and 'kind="prompt"' in line), " 0")
        return float(line.rsplit(" ", 1)[1])

    labels = {"model": minilm, "route": "embeddings", "status": "200"}
    before, tokens_before = counted(berth, **labels), tokens()
    usage = client.embeddings.create(model=minilm, input=["hello", "world"]).usage
    assert counted(berth, **labels) == before + 1
    assert tokens() == tokens_before + usage.prompt_tokens


def test_a_client_that_leaves_is_not_worked_for(berth: Berth, minilm: str):
    engine = Engine(berth, minilm)
    inputs = 200
    left = {"model": minilm, "route": "embeddings", "status": "499"}
    before, left_before = engine.decodes(), counted(berth, **left)
    connection = http.client.HTTPConnection("127.0.0.1", berth.port, timeout=60)
    connection.request(
        "POST", "/v1/embeddings", json.dumps({"model": minilm, "input": [LONG] * inputs}),
        {"Authorization": f"Bearer {berth.key}", "Content-Type": "application/json"})
    eventually("the engine works on it", lambda: engine.decodes() > before, 60)
    connection.close()
    eventually("it is counted", lambda: counted(berth, **left) == left_before + 1, 60)
    eventually("the engine is idle", lambda: engine.busy_slots() == 0, 60)
    assert engine.decodes() - before < inputs / 2
