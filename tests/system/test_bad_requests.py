"""What the gateway answers to requests that are wrong: OpenAI's errors, and nothing lost."""

import openai
import pytest

from harness import Berth


def error_of(answer) -> dict:
    """The error of an answer, after a check of its shape."""
    error = answer.json()["error"]
    assert set(error) >= {"message", "type", "param", "code"}
    assert error["message"]
    return error


@pytest.mark.parametrize("path", ["/v1/models", "/v1/chat/completions", "/api/v1/models",
                                  "/api/v1/keys", "/metrics"])
def test_without_a_key_nothing_answers(berth: Berth, path: str):
    method = "POST" if path.endswith("completions") else "GET"
    answer = berth.http(method, path, key=None)
    assert answer.status_code == 401
    assert error_of(answer)["type"] == "authentication_error"


def test_health_needs_no_key(berth: Berth):
    assert berth.api("GET", "/health", key=None) == {"status": "ok"}


def test_a_wrong_key_is_refused(berth: Berth, tiny: str):
    with pytest.raises(openai.AuthenticationError):
        berth.openai(key="berth_wrong").completions.create(model=tiny, prompt="x")


@pytest.mark.parametrize("body", [b"", b"{", b"not json", b"[1]", b'"text"', b"\xff\xfe",
                                  b'{"model":"tiny","prompt":"x"'])
def test_a_body_that_is_no_json_object_is_refused(berth: Berth, tiny: str, body: bytes):
    answer = berth.http("POST", "/v1/completions", content=body,
                        headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert error_of(answer)["type"] == "invalid_request_error"


def test_a_body_that_names_no_model_is_refused(berth: Berth, tiny: str):
    answer = berth.http("POST", "/v1/completions", json={"prompt": "x"})
    assert answer.status_code == 400
    assert error_of(answer)["param"] == "model"


@pytest.mark.parametrize("model", ["7", "null", '["tiny"]', '{"a":1}', '""'])
def test_a_model_that_is_no_name_is_refused(berth: Berth, tiny: str, model: str):
    answer = berth.http("POST", "/v1/completions", content=f'{{"model":{model},"prompt":"x"}}')
    assert answer.status_code in (400, 404)
    error_of(answer)


def test_a_body_that_names_a_key_twice_is_refused(berth: Berth, tiny: str):
    # One reader takes the first, another the last: nobody may be let in for one model and be
    # served by another.
    answer = berth.http("POST", "/v1/completions",
                        content=b'{"model":"tiny","prompt":"x","model":"gemma"}')
    assert answer.status_code == 400
    assert "model" in error_of(answer)["message"]


def test_a_key_twice_in_disguise_is_refused(berth: Berth, tiny: str):
    answer = berth.http("POST", "/v1/completions",
                        content=rb'{"model":"tiny","prompt":"x","\u006dodel":"gemma"}')
    assert answer.status_code == 400


def test_an_unknown_model_is_not_found(client: openai.OpenAI, tiny: str):
    with pytest.raises(openai.NotFoundError) as caught:
        client.completions.create(model="no-such-model", prompt="x")
    assert "no-such-model" in str(caught.value)
    assert caught.value.code == "model_not_found" or caught.value.code == "not_found"


def test_a_model_without_instances_is_unavailable(berth: Berth, deployed, tiny_file):
    deployed("idle", tiny_file, "--replicas", 0, "--no-wait")
    answer = berth.http("POST", "/v1/completions", json={"model": "idle", "prompt": "x"})
    assert answer.status_code == 503
    assert "idle" in error_of(answer)["message"]


def test_an_error_of_the_engine_reaches_the_client_as_it_is(client: openai.OpenAI, tiny: str):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=tiny, messages="no list")  # type: ignore[arg-type]
    assert caught.value.status_code == 400


def test_a_prompt_beyond_the_context_is_refused_and_the_engine_lives(
        berth: Berth, client: openai.OpenAI, tiny: str):
    with pytest.raises(openai.BadRequestError):
        client.completions.create(model=tiny, prompt="a b " * 5000, max_tokens=1)
    assert client.completions.create(model=tiny, prompt="x", max_tokens=1).choices


def test_a_body_past_the_limit_is_refused(berth: Berth, tiny: str):
    body = b'{"model":"tiny","prompt":"' + b"x" * (33 << 20) + b'"}'
    answer = berth.http("POST", "/v1/completions", content=body)
    assert answer.status_code == 413


def test_an_unknown_route_and_method_are_named(berth: Berth):
    assert error_of(berth.http("GET", "/v1/nothing"))
    assert berth.http("GET", "/v1/nothing").status_code == 404
    assert berth.http("DELETE", "/v1/completions").status_code == 405
