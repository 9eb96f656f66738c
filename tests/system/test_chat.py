"""The models' API through OpenAI's own client, on a real engine."""

import openai
import pytest

from harness import Berth


def test_gemma_continues_a_text(client: openai.OpenAI, gemma: str):
    answer = client.completions.create(model=gemma, prompt="Monday, Tuesday, Wednesday,",
                                       max_tokens=8, temperature=0)
    assert "Thursday, Friday" in answer.choices[0].text
    assert answer.object == "text_completion"
    assert answer.usage.completion_tokens == 8
    assert answer.usage.prompt_tokens > 3


def test_a_streamed_completion_says_the_same_as_a_whole_one(client: openai.OpenAI, gemma: str):
    request = dict(model=gemma, prompt="Once upon a time", max_tokens=12, temperature=0)
    whole = client.completions.create(**request).choices[0].text
    pieces = [chunk.choices[0].text for chunk in client.completions.create(**request, stream=True)
              if chunk.choices]
    assert len(pieces) > 3
    assert "".join(pieces) == whole


def test_a_chat_is_answered(client: openai.OpenAI, tiny: str):
    answer = client.chat.completions.create(
        model=tiny, messages=[{"role": "user", "content": "hello"}], max_tokens=5)
    assert answer.object == "chat.completion"
    assert answer.choices[0].message.role == "assistant"
    assert answer.usage.completion_tokens <= 5
    assert answer.model == tiny


def test_a_chat_streams(client: openai.OpenAI, tiny: str):
    chunks = list(client.chat.completions.create(
        model=tiny, messages=[{"role": "user", "content": "hello"}], max_tokens=8, stream=True,
        temperature=0))
    assert any(chunk.choices and chunk.choices[0].delta.content for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason in ("length", "stop")
    assert all(chunk.object == "chat.completion.chunk" for chunk in chunks)


def test_a_system_message_and_sampling_parameters_are_accepted(client: openai.OpenAI, tiny: str):
    answer = client.chat.completions.create(
        model=tiny, max_tokens=4, temperature=0.5, top_p=0.9, seed=7, stop=["\n"],
        messages=[{"role": "system", "content": "brief"}, {"role": "user", "content": "hello"}])
    assert answer.choices


def test_usage_is_kept_from_a_stream_that_did_not_ask_for_it(client: openai.OpenAI, tiny: str):
    chunks = list(client.chat.completions.create(
        model=tiny, messages=[{"role": "user", "content": "hello"}], max_tokens=4, stream=True))
    assert all(chunk.usage is None for chunk in chunks)
    assert all(chunk.choices for chunk in chunks), "the event of the usage alone was passed on"


def test_usage_ends_a_stream_that_asked_for_it(client: openai.OpenAI, tiny: str):
    chunks = list(client.chat.completions.create(
        model=tiny, messages=[{"role": "user", "content": "hello"}], max_tokens=4, stream=True,
        stream_options={"include_usage": True}))
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens >= 1
    assert all(chunk.choices for chunk in chunks[:-1])


@pytest.mark.parametrize("kind", ["chat/completions", "completions"])
def test_a_stream_ends_with_done(berth: Berth, tiny: str, kind: str):
    body = {"model": tiny, "max_tokens": 3, "stream": True}
    body |= ({"messages": [{"role": "user", "content": "x"}]} if kind.startswith("chat")
             else {"prompt": "x"})
    answer = berth.http("POST", f"/v1/{kind}", json=body)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.rstrip().endswith("data: [DONE]")


def test_the_list_of_models_is_openai_s(client: openai.OpenAI, tiny: str):
    models = {model.id: model for model in client.models.list()}
    assert tiny in models
    assert models[tiny].object == "model"
    assert client.models.retrieve(tiny).id == tiny


def test_pieces_arrive_while_the_engine_still_computes(client: openai.OpenAI, gemma: str):
    # Had the gateway gathered the answer, all chunks would come after the last one's creation.
    stream = client.completions.create(model=gemma, prompt="Once upon a time", max_tokens=60,
                                       stream=True, temperature=0)
    first = next(iter(stream))
    assert first.choices[0].finish_reason is None
    stream.close()


def test_a_client_that_leaves_frees_its_slot(berth: Berth, client: openai.OpenAI, tiny: str):
    # The tiny model has one slot: were it still taken, the second request would wait behind
    # two thousand tokens and pass this deadline only by luck.
    stream = client.completions.create(model=tiny, prompt="x", max_tokens=1500, stream=True,
                                       extra_body={"ignore_eos": True})
    next(iter(stream))
    stream.close()
    answer = client.with_options(timeout=20).completions.create(model=tiny, prompt="y", max_tokens=2)
    assert answer.choices


def test_each_answer_has_a_request_id(berth: Berth, tiny: str):
    body = {"model": tiny, "prompt": "x", "max_tokens": 1}
    ours = berth.http("POST", "/v1/completions", json=body).headers["x-request-id"]
    other = berth.http("POST", "/v1/completions", json=body).headers["x-request-id"]
    assert ours and other and ours != other
    kept = berth.http("POST", "/v1/completions", json=body, headers={"x-request-id": "abc-123"})
    assert kept.headers["x-request-id"] == "abc-123"
    assert berth.http("GET", "/v1/nothing").headers["x-request-id"]
