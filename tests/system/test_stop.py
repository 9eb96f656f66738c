"""`berth stop`: the engines end, the model stays and can be started again."""

from pathlib import Path
from typing import Callable

from harness import Berth, eventually


def test_stop_ends_the_engines_and_says_how_to_go_on(
        berth: Berth, deployed: Callable[..., str], tiny_file: Path):
    name = deployed("stop-two", tiny_file, "--replicas", 2)
    pids = [one["pid"] for one in berth.wait_ready(name, 2)]
    run = berth.cli("stop", name)
    assert run.stdout == f"{name} is stopped; start it again with: berth scale {name} 2\n"
    assert berth.instances(name) == []
    eventually("its engines are gone", lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    assert berth.api("GET", f"/api/v1/models/{name}")["state"] == "stopped"
    berth.cli("scale", name, 2)
    assert len(berth.instances(name)) == 2


def test_stop_of_a_stopped_model_does_no_harm(
        berth: Berth, deployed: Callable[..., str], tiny_file: Path):
    name = deployed("stop-stopped", tiny_file, "--replicas", 0)
    assert f"berth scale {name} 1" in berth.cli("stop", name).stdout
    told = berth.json("stop", name)["items"]
    assert [(one["name"], one["state"]) for one in told] == [(name, "stopped")]


def test_nothing_is_stopped_where_one_name_is_wrong(berth: Berth, tiny: str):
    run = berth.cli("stop", tiny, "no-such-model", check=1)
    assert "no-such-model" in run.stderr
    assert [one["state"] for one in berth.instances(tiny)] == ["ready"]
