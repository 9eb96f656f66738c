"""Edits that replace instances: policies, what is rolled back, the way back."""

import json
import signal
from typing import Any, Callable

import pytest

from fake_engine import fake, fake_berth  # noqa: F401  (fixtures)
from harness import Berth, eventually
from load import load

ONCE = {"max_failures": 0}  # an engine that ended is given up at once
Fake = Callable[..., str]


def names(berth: Berth) -> set[str]:
    return {one["name"] for one in berth.instances("faulty")}


def rollout(berth: Berth) -> dict[str, Any]:
    return berth.api("GET", "/api/v1/models/faulty/rollout")


def edit(berth: Berth, words: str, /, **fields: object) -> None:
    """The engine's words are what is edited; `turn` makes another revision of the same words."""
    env = berth.api("GET", "/api/v1/models/faulty")["deployment"]["env"] | {"FAKE_ENGINE": words}
    env |= {name.upper(): str(fields.pop(name)) for name in ("turn", "fake_last_words")
            if name in fields}
    berth.api("PATCH", "/api/v1/models/faulty", json={"env": env} | fields)


def wait_for(berth: Berth, state: str, seconds: float = 60) -> dict[str, Any]:
    def there() -> dict[str, Any] | None:
        now = rollout(berth)
        return now if now["state"] == state and now["old"] == 0 and (
            now["ready"] == now["replicas"]) else None
    return eventually(f"the rollout is {state}", there, seconds)


def serve(fake: Fake, berth: Berth, replicas: int = 1, **fields: object) -> set[str]:
    fake("", replicas=replicas, restart=ONCE, **fields)
    berth.wait_ready("faulty", replicas)
    wait_for(berth, "complete")
    return names(berth)


def start_stuck(berth: Berth, **fields: object) -> None:
    """An edit whose instance starts and does not become ready."""
    edit(berth, "never_ready", **fields)
    berth.wait_state("faulty", "starting")


def events(berth: Berth, reason: str) -> list[str]:
    return [one["message"] for one in berth.json("events", "--name", "faulty")["items"]
            if one["reason"] == reason]


@pytest.mark.parametrize("policy", ["new_first", "automatic", "replace"])
def test_an_edit_that_fails_is_rolled_back_without_a_failed_request(
        fake_berth: Berth, fake: Fake, policy: str):
    before = serve(fake, fake_berth, 2, update=policy)
    spec = fake_berth.api("GET", "/api/v1/models/faulty")["deployment"]
    with load(fake_berth, "faulty") as requests:
        requests.wait_for_more()
        edit(fake_berth, "last_words", fake_last_words="error: unknown argument: --nonsense")
        rolled_back = wait_for(fake_berth, "rolled_back")
        requests.wait_for_more()
    assert "revision 2 was rolled back to 1" in rolled_back["reason"]
    assert "--nonsense" in rolled_back["reason"], "the engine's likely cause"
    assert events(fake_berth, "RolledBack") == [rolled_back["reason"]]
    assert fake_berth.api("GET", "/api/v1/models/faulty")["deployment"] == spec
    assert [one["outcome"] for one in rolled_back["revisions"]] == ["served", "failed"]
    if policy == "replace":
        assert len(names(fake_berth) & before) == 1, "one was replaced, and has come back"
    else:
        assert names(fake_berth) == before, "the old instances serve on"
    failed = fake_berth.cli("rollout", "status", "faulty", check=1)
    assert "--nonsense" in failed.stderr
    edit(fake_berth, "", turn=1)
    assert "revision 3 serves (2 of 2" in fake_berth.cli("rollout", "status", "faulty").stdout


@pytest.mark.parametrize("policy", ["new_first", "automatic", "replace"])
def test_an_edit_replaces_one_instance_at_a_time(fake_berth: Berth, fake: Fake, policy: str):
    before = serve(fake, fake_berth, 2, update=policy)
    with load(fake_berth, "faulty") as requests:
        edit(fake_berth, "", turn=1)
        assert "revision 2 serves" in fake_berth.cli("rollout", "status", "faulty").stdout
        requests.wait_for_more()
    wait_for(fake_berth, "complete")
    assert not names(fake_berth) & before
    assert bool(events(fake_berth, "ServesFewer")) == (policy == "replace")
    assert bool(events(fake_berth, "ServesAgain")) == (policy == "replace")


def test_without_room_for_both_the_old_one_goes_first_and_it_is_said(fake_berth: Berth, fake: Fake):
    def cpu() -> dict[str, Any] | None:
        workers = fake_berth.api("GET", "/api/v1/workers")["items"]
        return next((one for worker in workers for one in worker["devices"]
                     if one["id"] == "cpu" and one["memory"]), None)
    found = eventually("the worker tells of its memory", cpu)
    free = found["memory"] - found["used"] - found["reserved"]
    before = serve(fake, fake_berth, claim={"ram": int(free * 0.6)})
    edit(fake_berth, "", turn=1)
    fake_berth.cli("rollout", "status", "faulty")
    said, = events(fake_berth, "ServesFewer")
    assert before.pop() in said and "no room for both" in said and "at most for 30" in said
    assert "one fewer did for" in events(fake_berth, "ServesAgain")[0]


def test_what_gets_no_further_is_rolled_back_also_after_a_restart_of_the_server(
        fake_berth: Berth, fake: Fake):
    serve(fake, fake_berth)
    before = {one["name"]: one["pid"] for one in fake_berth.instances("faulty")}
    start_stuck(fake_berth)
    assert rollout(fake_berth)["state"] == "progressing"
    fake_berth.stop(signal.SIGKILL)
    fake_berth.start()
    assert rollout(fake_berth)["state"] == "progressing"
    fake_berth.api("PATCH", "/api/v1/models/faulty", json={"progress_deadline": 1})
    assert "none of its instances got ready" in wait_for(fake_berth, "rolled_back")["reason"]
    assert {one["name"]: one["pid"] for one in fake_berth.instances("faulty")} == before
    fake_berth.stop(signal.SIGKILL)
    fake_berth.start()
    assert wait_for(fake_berth, "rolled_back")["revision"] == 1, "it is not tried again"
    assert {one["name"]: one["pid"] for one in fake_berth.instances("faulty")} == before


def test_history_and_undo(fake_berth: Berth, fake: Fake):
    first = serve(fake, fake_berth)
    none = fake_berth.cli("rollout", "undo", "faulty", check=1)
    assert "none to go back to" in none.stderr
    edit(fake_berth, "", turn=1)
    fake_berth.cli("rollout", "status", "faulty")
    fake_berth.cli("scale", "faulty", 2)
    start_stuck(fake_berth)
    second = {one["name"] for one in fake_berth.instances("faulty") if one["state"] == "ready"}
    assert len(second) == 2 and not second & first
    slow = fake_berth.cli("rollout", "status", "faulty", "--timeout", "1", check=1)
    assert "not rolled out after" in slow.stderr
    assert "progressing" in fake_berth.cli("rollout", "status", "faulty", "--no-wait").stdout
    fake_berth.cli("rollout", "undo", "faulty")
    assert wait_for(fake_berth, "complete")["revision"] == 2
    assert names(fake_berth) == second, "nothing is replaced to undo what was never ready"
    fake_berth.cli("rollout", "undo", "faulty", "--to", 1)
    now = fake_berth.api("GET", "/api/v1/models/faulty")["deployment"]
    assert "TURN" not in now["env"] and now["replicas"] == 2
    table = fake_berth.cli("rollout", "history", "faulty").stdout.splitlines()
    assert [line.split()[:2] for line in table[1:]] == [
        ["1", "served"], ["2", "served"], ["3", "replaced"], ["4", "served,"]]


def test_wrong_wishes_for_an_undo_are_refused(fake_berth: Berth, fake: Fake):
    serve(fake, fake_berth)
    path = "/api/v1/models/faulty/rollout/undo"
    for body, status, said in (({"to": 99}, 400, "berth rollout history"), ({"to": "x"}, 400, "to"),
                               ({"too": 1}, 400, "too"), ({}, 409, "none to go back to")):
        answer = fake_berth.http("POST", path, json=body)
        assert answer.status_code == status, answer.text
        error = answer.json()["error"]
        assert said in error["message"] and error["type"]
    assert fake_berth.http("GET", "/api/v1/models/nobody/rollout").status_code == 404
    assert fake_berth.http("POST", "/api/v1/models/nobody/rollout/undo").status_code == 404
    assert fake_berth.http("POST", path, headers={"If-Match": '"1"'}).status_code == 409
    assert "berth models" in fake_berth.cli("rollout", "status", "nobody", check=1).stderr
    assert fake_berth.cli("rollout", "undo", "faulty", "--to", 99, check=2)


def test_a_third_edit_takes_the_place_of_the_second(fake_berth: Berth, fake: Fake):
    before = serve(fake, fake_berth)
    start_stuck(fake_berth)
    with load(fake_berth, "faulty") as requests:
        edit(fake_berth, "last_words")
        assert wait_for(fake_berth, "rolled_back")["revision"] == 1
        assert names(fake_berth) == before
        edit(fake_berth, "never_ready", turn=2)
        edit(fake_berth, "", turn=3)
        wait_for(fake_berth, "complete")
        requests.wait_for_more()
    assert [(one["generation"], one["outcome"]) for one in rollout(fake_berth)["revisions"]] == [
        (1, "served"), (2, "replaced"), (3, "failed"), (4, "replaced"), (5, "served")]


def test_a_model_is_stopped_started_and_removed_during_a_rollout(fake_berth: Berth, fake: Fake):
    serve(fake, fake_berth)
    start_stuck(fake_berth)
    fake_berth.cli("stop", "faulty")
    assert wait_for(fake_berth, "complete")["ready"] == 0
    edit(fake_berth, "last_words", replicas=1)
    back = wait_for(fake_berth, "rolled_back")
    assert back["revision"] == 1 and back["ready"] == 1, "what served last serves again"
    start_stuck(fake_berth)
    fake_berth.remove("faulty")


def test_a_deployment_that_was_never_ready_is_left_as_it_is(fake_berth: Berth, fake: Fake):
    fake("last_words", restart=ONCE)
    failed = fake_berth.cli("rollout", "status", "faulty", check=1)
    assert "faulty: revision 1: " in failed.stderr
    assert fake_berth.wait_state("faulty", "failed")
    assert len(events(fake_berth, "RolloutFailed")) == 1
    edit(fake_berth, "")
    assert wait_for(fake_berth, "complete")["revision"] == 2


def test_waiting_for_an_edit_ends_where_it_is_rolled_back(fake_berth: Berth, fake: Fake):
    before = serve(fake, fake_berth)
    deployment = fake_berth.api("GET", "/api/v1/models/faulty")["deployment"]
    deployment = {field: value for field, value in deployment.items() if value is not None}
    deployment["env"]["FAKE_ENGINE"] = "last_words"
    file = fake_berth.home / "edited.json"
    file.write_text(json.dumps(deployment))
    assert "rolled back" in fake_berth.cli("apply", "-f", file, "--wait", check=1).stderr
    assert names(fake_berth) == before
