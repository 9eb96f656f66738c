"""API keys: made, shown once, in force at once, taken back at once."""

import json
import re

import openai
import pytest

from harness import Berth


def make(berth: Berth, name: str) -> str:
    return json.loads(berth.cli("key", "create", name, "--json").stdout)["key"]


def test_a_key_works_from_the_moment_it_is_made_until_it_is_removed(berth: Berth, tiny: str):
    key = make(berth, "alice")
    assert re.fullmatch(r"berth_[A-Za-z0-9_-]{40,}", key)
    assert berth.openai(key).completions.create(model=tiny, prompt="x", max_tokens=1).choices
    berth.cli("key", "rm", "alice")
    with pytest.raises(openai.AuthenticationError):
        berth.openai(key).completions.create(model=tiny, prompt="x", max_tokens=1)


def test_a_list_shows_names_and_no_key(berth: Berth):
    key = make(berth, "bob")
    try:
        for text in (berth.cli("key", "list").stdout, json.dumps(berth.json("key", "list")),
                     json.dumps(berth.api("GET", "/api/v1/keys"))):
            assert "bob" in text
            assert key not in text
            assert "hash" not in text or '"hash": "***"' in text or '"hash": ""' in text
    finally:
        berth.cli("key", "rm", "bob")


def test_a_name_is_given_once(berth: Berth):
    make(berth, "carol")
    try:
        run = berth.cli("key", "create", "carol", check=1)
        assert "carol" in run.stderr
    finally:
        berth.cli("key", "rm", "carol")


def test_a_user_s_key_does_not_manage(berth: Berth, tiny: str):
    key = make(berth, "dave")
    try:
        assert berth.http("GET", "/v1/models", key=key).status_code == 200
        assert berth.http("DELETE", f"/api/v1/models/{tiny}", key=key).status_code == 403
        assert berth.http("GET", "/api/v1/keys", key=key).status_code == 403
    finally:
        berth.cli("key", "rm", "dave")


def test_the_admin_s_key_can_be_made_anew_from_the_data_folder(own_berth: Berth):
    old = own_berth.key
    run = own_berth.cli("key", "reset-admin")
    new = own_berth.key
    assert new != old
    assert new in run.stdout
    assert own_berth.http("GET", "/api/v1/models", key=new).status_code == 200
    assert own_berth.http("GET", "/api/v1/models", key=old).status_code == 401
    own_berth.cli("ps")


def test_reset_admin_needs_no_server(stopped_berth: Berth):
    stopped_berth.start("--no-worker").stop()
    old = stopped_berth.key
    stopped_berth.cli("key", "reset-admin")
    assert stopped_berth.key != old
    stopped_berth.start("--no-worker")
    assert stopped_berth.http("GET", "/api/v1/models").status_code == 200
    assert stopped_berth.http("GET", "/api/v1/models", key=old).status_code == 401


def test_a_lost_key_file_says_how_to_make_another(own_berth: Berth):
    (own_berth.data / "admin.key").unlink()
    run = own_berth.cli("ps", check=1)
    assert "reset-admin" in run.stderr
    own_berth.cli("key", "reset-admin")
    own_berth.cli("ps")
