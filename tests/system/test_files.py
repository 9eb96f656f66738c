"""Deployments as files: apply, get, edit, diff; what goes in comes out again."""

import json
from pathlib import Path
from typing import Callable

import pytest
import yaml

from harness import BERTH, Berth

ODD = {"A": "yes", "B": "1e3", "C": "null", "D": "0x10", "E": "", "F": "one\n  two\n\nthree\n",
       "G": " é 🚢 # \t\"'", "H": "2001-01-01", "I": "- x: y", "J": "last line\n\n", "K": "~"}


@pytest.fixture
def models(berth: Berth, deployed: Callable[..., str]):
    """names(NAME…): models that the test makes; they are removed afterwards."""
    made: list[str] = []

    def names(*wanted: str) -> tuple[str, ...]:
        made.extend(wanted)
        return wanted

    yield names
    for name in made:
        if berth.http("GET", f"/api/v1/models/{name}").status_code == 200:
            berth.cli("rm", name)


def document(name: str, source: Path | str, **fields: object) -> str:
    return yaml.safe_dump({"name": name, "source": str(source), "replicas": 0} | fields)


def write(folder: Path, *documents: str, name: str = "models.yaml") -> Path:
    file = folder / name
    file.write_text("---\n".join(documents))
    return file


def editor(folder: Path, script: str) -> dict[str, str]:
    """An editor that runs `script` with the file as $1."""
    program = folder / "editor.sh"
    program.write_text(f"#!/bin/sh\nset -e\n{script}\n")
    program.chmod(0o755)
    return {"EDITOR": str(program), "VISUAL": ""}


def test_apply_says_what_it_did_to_each_model(berth: Berth, models, tmp_path: Path, tiny_file: Path):
    one, two = models("file-one", "file-two")
    file = write(tmp_path, document(one, tiny_file), document(two, tiny_file))
    assert berth.cli("apply", "-f", file).stdout.split("\n")[:2] == [
        f"{one} created from {tiny_file} on the worker {worker(berth)}",
        f"{two} created from {tiny_file} on the worker {worker(berth)}"]
    write(tmp_path, document(one, tiny_file), document(two, tiny_file, env={"X": "1"}))
    assert berth.cli("apply", "-f", file).stdout == (
        f"{one} unchanged\n{two} changed (replaces its instances)\n")
    write(tmp_path, document(one, tiny_file, restart={"policy": "never"}))
    told = berth.json("apply", "-f", file)["items"]
    assert [(item["name"], item["outcome"], item["replaces_instances"]) for item in told] == [
        (one, "changed", False)]
    assert berth.api("GET", f"/api/v1/models/{one}")["deployment"]["restart"]["policy"] == "never"


def worker(berth: Berth) -> str:
    return berth.api("GET", "/api/v1/workers")["items"][0]["name"]


def test_a_model_from_a_file_serves(berth: Berth, models, tmp_path: Path, tiny_file: Path):
    name, = models("file-serves")
    file = write(tmp_path, document(name, tiny_file, replicas=1))
    berth.cli("apply", "-f", file, "--wait")
    assert [one["state"] for one in berth.instances(name)] == ["ready"]


def test_a_relative_source_is_taken_from_the_folder_of_its_file(
        berth: Berth, models, tmp_path: Path, tiny_file: Path):
    name, = models("file-relative")
    (tmp_path / "deep").mkdir()
    (tmp_path / "m.gguf").symlink_to(tiny_file)
    file = write(tmp_path / "deep", document(name, "../m.gguf"))
    berth.cli("apply", "-f", file)
    assert berth.api("GET", f"/api/v1/models/{name}")["deployment"]["source"] == str(
        tmp_path / "m.gguf")


def test_nothing_is_written_unless_everything_is_right(
        berth: Berth, models, tmp_path: Path, tiny_file: Path):
    good, bad = models("file-good", "file-bad")
    for second, words in [
            (document(bad, tiny_file, replcias=2), "replcias"),
            (document(bad, tiny_file, replicas=5000), "replicas must be at most 1000"),
            (document(bad, tmp_path / "absent.gguf"), "absent.gguf"),
            (document(bad, tiny_file, parameters=["--port", "1"]), "--port"),
            ("name: x\nname: y\n", "twice"),
            (document(good, tiny_file), "already")]:
        file = write(tmp_path, document(good, tiny_file), second)
        run = berth.cli("apply", "-f", file, check=False)
        assert run.returncode in (1, 2) and words in run.stderr, (words, run.stderr)
        assert str(file) in run.stderr
        assert berth.http("GET", f"/api/v1/models/{good}").status_code == 404


def test_a_wrong_field_is_named_with_its_line(berth: Berth, tmp_path: Path, tiny_file: Path):
    file = tmp_path / "x.yaml"
    file.write_text(f"name: x\nsource: {tiny_file}\nenv:\n  A: text\n  B: 1\n")
    run = berth.cli("apply", "-f", file, check=2)
    assert f"{file}, line 5: env.B must be a text (got 1, which is a text in quotes)" in run.stderr


def test_a_dry_run_changes_nothing(berth: Berth, models, tmp_path: Path, tiny_file: Path):
    name, = models("file-dry")
    file = write(tmp_path, document(name, tiny_file))
    assert "would be created" in berth.cli("apply", "-f", file, "--dry-run").stdout
    assert berth.http("GET", f"/api/v1/models/{name}").status_code == 404


def test_texts_survive_the_way_through_files(berth: Berth, models, tmp_path: Path, tiny_file: Path):
    name, = models("file-odd")
    wanted = {"name": name, "source": str(tiny_file), "replicas": 0, "env": ODD,
              "worker_selector": {"no such label": "1:30", "on": "off"},
              "claim": {"ram": 1073741824}, "restart": {"policy": "on_failure"}}
    berth.cli("apply", "-f", "-", stdin=json.dumps(wanted))
    text = berth.cli("get", name).stdout
    assert yaml.safe_load(text) == wanted  # another reader of YAML
    assert json.loads(berth.cli("get", name, "-o", "json").stdout) == wanted
    file = tmp_path / "again.yaml"
    file.write_text(text)
    assert berth.cli("apply", "-f", file).stdout == f"{name} unchanged\n"
    berth.cli("rm", name)
    berth.wait_gone(name)
    berth.cli("apply", "-f", file)
    assert berth.cli("get", name).stdout == text


def test_get_prints_all_models_as_documents(berth: Berth, models, tmp_path: Path, tiny_file: Path):
    names = models("file-all-one", "file-all-two")
    berth.cli("apply", "-f", write(tmp_path, *(document(name, tiny_file) for name in names)))
    documents = list(yaml.safe_load_all(berth.cli("get").stdout))
    assert set(names) <= {one["name"] for one in documents}
    assert [one["name"] for one in yaml.safe_load_all(berth.cli("get", *names).stdout)] == [*names]


def test_diff_shows_what_apply_would_change(berth: Berth, models, tmp_path: Path, tiny_file: Path):
    name, = models("file-diff")
    file = write(tmp_path, document(name, tiny_file))
    new = berth.cli("diff", "-f", file, check=1).stdout
    assert new.startswith(f"--- /dev/null\n+++ {name} ({file})\n@@ -0,0 +1,3 @@\n+name: {name}\n")
    berth.cli("apply", "-f", file)
    assert berth.cli("diff", "-f", file, check=0).stdout == ""
    write(tmp_path, document(name, tiny_file, replicas=2, env={"X": "1"}))
    run = berth.cli("diff", "-f", file, check=1)
    assert "-replicas: 0\n" in run.stdout and "+replicas: 2\n" in run.stdout
    assert "its instances would be replaced" in run.stderr
    assert berth.api("GET", f"/api/v1/models/{name}")["replicas"] == 0
    told = json.loads(berth.cli("diff", "-f", file, "--json", check=1).stdout)["items"]
    assert told[0]["outcome"] == "changed" and "+replicas: 2" in told[0]["diff"]
    berth.cli("diff", "-f", tmp_path / "absent.yaml", check=2)
    berth.cli("diff", "-f", write(tmp_path, "name: [", name="broken.yaml"), check=2)


def test_edit_puts_in_force_what_the_editor_leaves(
        berth: Berth, models, tmp_path: Path, tiny_file: Path):
    name, = models("file-edit")
    berth.cli("apply", "-f", write(tmp_path, document(name, tiny_file)))
    add = editor(tmp_path, 'printf "env:\\n  X: \\"1\\"\\n" >> "$1"')
    assert "changed (replaces its instances)" in berth.cli("edit", name, env=add).stdout
    assert berth.api("GET", f"/api/v1/models/{name}")["deployment"]["env"] == {"X": "1"}


def test_edit_without_a_change_changes_nothing(
        berth: Berth, models, tmp_path: Path, tiny_file: Path):
    name, = models("file-same")
    berth.cli("apply", "-f", write(tmp_path, document(name, tiny_file)))
    before = berth.api("GET", f"/api/v1/models/{name}")["revision"]
    assert "unchanged" in berth.cli("edit", name, env=editor(tmp_path, "true")).stdout
    comment = editor(tmp_path, 'echo "# a remark" >> "$1"')
    assert "unchanged" in berth.cli("edit", name, env=comment).stdout
    failed = berth.cli("edit", name, env=editor(tmp_path, "exit 3"), check=1)
    assert "nothing was changed" in failed.stderr
    assert berth.api("GET", f"/api/v1/models/{name}")["revision"] == before


def kept_file(text: str) -> Path:
    return Path(text.split("is kept in ")[1].split(":")[0])


def test_edit_keeps_a_text_with_a_mistake(berth: Berth, models, tmp_path: Path, tiny_file: Path):
    name, = models("file-mistake")
    berth.cli("apply", "-f", write(tmp_path, document(name, tiny_file)))
    wrong = editor(tmp_path, 'echo "replcias: 2" >> "$1"')
    run = berth.cli("edit", name, env=wrong, check=2)
    assert "replcias" in run.stderr and "line" in run.stderr
    kept = kept_file(run.stderr)
    assert "replcias: 2" in kept.read_text()
    kept.unlink()


def test_edit_does_not_undo_what_others_changed_meanwhile(
        berth: Berth, models, tmp_path: Path, tiny_file: Path):
    name, = models("file-race")
    berth.cli("apply", "-f", write(tmp_path, document(name, tiny_file)))
    other = write(tmp_path, document(name, tiny_file, env={"X": "other"}), name="other.yaml")
    slow = editor(tmp_path, f"{BERTH} apply -f {other} >/dev/null\n"
                            'echo "env: {X: mine}" >> "$1"')
    run = berth.cli("edit", name, env=slow, check=1)
    assert "changed meanwhile" in run.stderr and "berth diff -f" in run.stderr
    assert berth.api("GET", f"/api/v1/models/{name}")["deployment"]["env"] == {"X": "other"}
    kept = kept_file(run.stderr)
    berth.cli("apply", "-f", kept)  # on purpose
    assert berth.api("GET", f"/api/v1/models/{name}")["deployment"]["env"] == {"X": "mine"}
    kept.unlink()


def test_edit_needs_an_editor(berth: Berth, tiny: str):
    run = berth.cli("edit", tiny, env={"EDITOR": "", "VISUAL": ""}, check=2)
    assert "EDITOR" in run.stderr


def test_put_is_refused_where_the_revision_moved_on(
        berth: Berth, models, tiny_file: Path):
    name, = models("file-put")
    body = {"name": name, "source": str(tiny_file), "replicas": 0}
    path = f"/api/v1/models/{name}"
    made = berth.http("PUT", path, json=body, headers={"If-None-Match": "*"})
    assert made.status_code == 201 and made.json()["outcome"] == "created"
    assert berth.http("PUT", path, json=body, headers={"If-None-Match": "*"}).status_code == 409
    etag = berth.http("GET", path).headers["etag"]
    assert etag == made.headers["etag"] == f'"{made.json()["revision"]}"'
    same = berth.http("PUT", path, json=body, headers={"If-Match": etag})
    assert same.status_code == 200 and same.json()["outcome"] == "unchanged"
    body["env"] = {"X": "1"}
    assert berth.http("PUT", path, json=body, headers={"If-Match": etag}).status_code == 200
    late = berth.http("PUT", path, json=body, headers={"If-Match": etag})
    assert late.status_code == 409 and late.json()["error"]["code"] == "conflict"
    assert berth.http("PUT", path, json=body | {"name": "other"}).status_code == 400
    assert berth.http("PUT", path + "-absent", json=body | {"name": name + "-absent"},
                      headers={"If-Match": "*"}).status_code == 404
