"""The description of the API, and the schemas of files: they say what is true."""

import re
from pathlib import Path
from typing import Any, Callable

import pytest

from harness import Berth
from json_schema import errors

METHODS = {"get", "put", "post", "patch", "delete"}


@pytest.fixture(scope="module")
def document(berth: Berth) -> dict[str, Any]:
    return berth.api("GET", "/api/v1/openapi.json")


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(method, path): operation for path, methods in document["paths"].items()
            for method, operation in methods.items()}


def schema_of(operation: dict[str, Any], status: int) -> dict[str, Any]:
    return operation["responses"][str(status)]["content"]["application/json"]["schema"]


def test_the_document_is_openapi_3_1(document: dict[str, Any]):
    assert document["openapi"] == "3.1.0"
    assert document["info"]["title"] and document["info"]["version"]
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert document["security"] == [{"key": []}]
    seen = set()
    for (method, path), operation in operations(document).items():
        assert method in METHODS and operation["summary"] and operation["tags"]
        assert operation["operationId"] not in seen
        seen.add(operation["operationId"])
        named = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))
        assert "default" in operation["responses"]


def test_the_document_needs_a_key(berth: Berth):
    assert berth.http("GET", "/api/v1/openapi.json", key=None).status_code == 401


def test_it_tells_of_every_part_of_the_api(document: dict[str, Any]):
    paths = set(document["paths"])
    assert paths >= {
        "/api/v1/models", "/api/v1/models/{name}", "/api/v1/instances", "/api/v1/instances/{name}",
        "/api/v1/instances/{name}/logs", "/api/v1/workers", "/api/v1/engines", "/api/v1/keys",
        "/api/v1/keys/{name}", "/api/v1/events", "/api/v1/watch", "/api/v1/evaluate",
        "/api/v1/plan", "/api/v1/server", "/api/v1/openapi.json", "/api/v1/schemas/deployment", "/health",
        "/metrics", "/v1/models", "/v1/chat/completions", "/v1/completions",
        "/v1/embeddings", "/v1/rerank", "/v2/rerank"}


def test_what_it_does_not_tell_of_is_not_there(berth: Berth, document: dict[str, Any], tiny: str):
    """Every path answers the methods that are told, and no others (HEAD is GET)."""
    for path, methods in document["paths"].items():
        target = re.sub(r"{\w+}", "no-such-thing", path)
        for method in METHODS - set(methods):
            answer = berth.http(method.upper(), target)
            assert answer.status_code == 405, f"{method} {path}: {answer.status_code}"


def test_answers_are_as_described(berth: Berth, document: dict[str, Any], tiny: str):
    """Every route that is read, asked for real: the answer fits its schema."""
    instance = berth.instances(tiny)[0]["name"]
    names = {"/api/v1/models/{name}": tiny, "/api/v1/models/{name}/rollout": tiny,
             "/api/v1/instances/{name}": instance, "/v1/models/{name}": tiny}
    checked = 0
    for (method, path), operation in operations(document).items():
        if method != "get" or "application/json" not in operation["responses"]["200"]["content"]:
            continue
        answer = berth.api("GET", path.replace("{name}", names.get(path, "")))
        assert not errors(answer, schema_of(operation, 200), document), path
        checked += 1
    assert checked >= 12


def test_answers_of_changes_are_as_described(
        berth: Berth, document: dict[str, Any], deployed: Callable[..., str], tiny_file: Path):
    told = operations(document)
    model = "/api/v1/models/{name}"
    name = deployed("described", tiny_file, "--replicas", 0)
    path = f"/api/v1/models/{name}"
    body = {"name": name, "source": str(tiny_file), "replicas": 0}

    def check(method: str, route: str, target: str, status: int, sent: Any = None) -> Any:
        operation = told[method, route]
        if sent is not None:
            wanted = operation["requestBody"]["content"]["application/json"]["schema"]
            assert not errors(sent, wanted, document), route
        answer = berth.api(method.upper(), target, expect=status, json=sent)
        assert not errors(answer, schema_of(operation, status), document), (method, route)
        return answer

    check("put", model, path, 200, body)
    check("patch", model, path, 200, {"env": {"A": "b"}, "backend": None})
    check("post", "/api/v1/evaluate", "/api/v1/evaluate", 200, {"source": str(tiny_file)})
    check("delete", model, path, 202)
    berth.wait_gone(name)
    check("post", "/api/v1/models", "/api/v1/models", 201, body)
    key = check("post", "/api/v1/keys", "/api/v1/keys", 201, {"name": "described"})["name"]
    check("delete", "/api/v1/keys/{name}", f"/api/v1/keys/{key}", 200)


def test_errors_are_as_described(berth: Berth, document: dict[str, Any]):
    schema = document["components"]["responses"]["Error"]["content"]["application/json"]["schema"]
    for method, path, body in [("GET", "/api/v1/models/none", None), ("POST", "/api/v1/models", {}),
                               ("PUT", "/api/v1/models/x", {"name": "x", "source": 1}),
                               ("GET", "/nowhere", None)]:
        answer = berth.http(method, path, **({"json": body} if body is not None else {}))
        assert answer.status_code >= 400
        assert not errors(answer.json(), schema, document), path


def test_no_secret_is_described(document: dict[str, Any]):
    text = str(document)
    assert "engine_key" not in text and "access_key" not in text


def test_the_schema_of_a_deployment_tells_right_from_wrong(berth: Berth, tiny_file: Path):
    schema = berth.api("GET", "/api/v1/schemas/deployment")
    assert schema == berth.json("schema", "deployment")
    assert schema["$schema"].endswith("2020-12/schema") and schema["$id"] and schema["title"]
    good = {"name": "schema-good", "source": str(tiny_file), "replicas": 0,
            "claim": {"ram": "1GiB"}, "restart": {"policy": "never"}, "env": {"A": "b"}}
    assert not errors(good, schema, schema)
    for wrong in [{"replcias": 1}, {"replicas": -1}, {"replicas": 1001}, {"replicas": "1"},
                  {"placement": "round"}, {"restart": {"policy": "never", "x": 1}},
                  {"env": {"A": 1}}, {"parameters": "--x"}, {"source": None}]:
        assert errors(good | wrong, schema, schema), wrong
        answer = berth.http("PUT", "/api/v1/models/schema-good?dry_run=true", json=good | wrong)
        assert answer.status_code == 400, wrong
    assert berth.http("PUT", "/api/v1/models/schema-good?dry_run=true", json=good).status_code == 200


def test_defaults_are_those_that_hold(berth: Berth, tiny_file: Path):
    schema = berth.api("GET", "/api/v1/schemas/deployment")
    body = {"name": "schema-defaults", "source": str(tiny_file)}
    told = berth.api("PUT", "/api/v1/models/schema-defaults?dry_run=true", json=body)["deployment"]
    for name, property in schema["properties"].items():
        if "default" in property:
            assert told[name] == property["default"], name


def test_the_schema_of_the_settings_tells_right_from_wrong(stopped_berth: Berth):
    schema = stopped_berth.json("schema", "settings")
    assert not errors({"listen": "127.0.0.1:0", "worker": False, "log_level": "debug"}, schema, schema)
    for wrong in ({"lisen": "x"}, {"log_level": "loud"}, {"threads": 1000}, {"worker": "no"}):
        assert errors(wrong, schema, schema), wrong
        (stopped_berth.data / "berth.yaml").write_text(
            "\n".join(f"{name}: {value}" for name, value in wrong.items()))
        run = stopped_berth.cli("serve", check=2, timeout=30)
        assert next(iter(wrong)) in run.stderr and "berth.yaml" in run.stderr
