"""Rerank in Jina's and in Cohere's form, by a model of random weights on a real engine."""

import math
from pathlib import Path

import pytest

from harness import Berth

DOCUMENTS = ["hello world", "stone", "sea water", "the quick brown fox"]


@pytest.fixture(scope="module")
def reranker(berth: Berth, tiny_reranker_file: Path):
    berth.deploy("reranker", tiny_reranker_file)
    berth.wait_ready("reranker")
    yield "reranker"
    berth.remove("reranker")


def rerank(berth: Berth, model: str, path: str = "/v1/rerank", expect: int = 200,
           **body: object) -> dict:
    return berth.api("POST", path, expect, json={
        "model": model, "query": "hello", "documents": DOCUMENTS} | body)


def scores(answer: dict) -> dict[int, float]:
    return {one["index"]: one["relevance_score"] for one in answer["results"]}


def test_jina_s_form(berth: Berth, reranker: str):
    answer = rerank(berth, reranker)
    assert answer["model"] == reranker
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] > len(DOCUMENTS)
    given = [one["relevance_score"] for one in answer["results"]]
    assert given == sorted(given, reverse=True) and len(set(given)) == len(DOCUMENTS)
    assert all(0 < score < 1 for score in given)
    for one in answer["results"]:
        assert one["document"] == {"text": DOCUMENTS[one["index"]]}
    bare = rerank(berth, reranker, return_documents=False, top_n=2)
    assert bare["results"] == [{"index": one["index"], "relevance_score": one["relevance_score"]}
                               for one in answer["results"][:2]]


def test_cohere_s_form(berth: Berth, reranker: str):
    answer = rerank(berth, reranker, "/v2/rerank", top_n=3,
                    documents=[{"text": text} for text in DOCUMENTS])
    assert answer["id"] and len(answer["results"]) == 3
    assert set(answer["results"][0]) == {"index", "relevance_score"}
    assert answer["meta"]["api_version"] == {"version": "2"}
    assert answer["meta"]["billed_units"] == {"search_units": 1}
    assert answer["meta"]["tokens"]["input_tokens"] > len(DOCUMENTS)
    best = scores(rerank(berth, reranker, top_n=3))
    assert scores(answer) == pytest.approx(best)
    old = rerank(berth, reranker, documents=[{"text": DOCUMENTS[0], "page": 7}])
    assert old["meta"]["billed_units"] == {"search_units": 1}
    assert old["results"][0]["document"] == {"text": DOCUMENTS[0], "page": 7}


def test_scores_are_normalised_unless_the_client_wants_them_raw(berth: Berth, reranker: str):
    normal, raw = scores(rerank(berth, reranker)), scores(rerank(berth, reranker, normalize=False))
    assert normal == pytest.approx({index: 1 / (1 + math.exp(-score)) for index, score in raw.items()})
    assert normal != pytest.approx(raw)


def test_many_documents_are_ranked_together(berth: Berth, reranker: str):
    documents = [f"document {number}" for number in range(150)]  # more than go to the engine at once
    answer = rerank(berth, reranker, documents=documents)
    assert sorted(scores(answer)) == list(range(150))
    given = [one["relevance_score"] for one in answer["results"]]
    assert given == sorted(given, reverse=True)
    assert answer["meta"]["billed_units"] == {"search_units": 2}
    alone = scores(rerank(berth, reranker, documents=[documents[149]]))
    assert scores(answer)[149] == pytest.approx(alone[0], rel=1e-4)


@pytest.mark.parametrize("field, body", [
    ("documents", {"documents": []}), ("documents", {"documents": [7]}),
    ("documents", {"documents": ["x"] * 2049}), ("query", {"query": ""}), ("top_n", {"top_n": 0}),
    ("max_tokens_per_doc", {"max_tokens_per_doc": 10})])
def test_what_can_not_be_done_names_the_field(berth: Berth, reranker: str, field: str, body: dict):
    error = rerank(berth, reranker, expect=400, **body)["error"]
    assert error["param"] == field and error["code"] == "invalid_parameter"


def test_a_document_that_is_too_long_says_so(berth: Berth, reranker: str):
    error = rerank(berth, reranker, expect=400, documents=["stone " * 600])["error"]
    assert "more tokens than the model reads" in error["message"]


def test_a_key_and_a_reranker_are_needed(berth: Berth, reranker: str, tiny: str):
    body = {"model": reranker, "query": "x", "documents": ["x"]}
    for path in ("/v1/rerank", "/v2/rerank"):
        assert berth.http("POST", path, key=None, json=body).status_code == 401
        error = rerank(berth, tiny, path, 400)["error"]
        assert "is a language model and does not rerank" in error["message"]
    error = berth.api("POST", "/v1/embeddings", 400, json={"model": reranker, "input": "x"})["error"]
    assert "is a reranker and makes no embeddings" in error["message"]
