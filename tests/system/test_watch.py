"""The watch: changes as they happen, from any revision, and none lost."""

import json
from pathlib import Path

import httpx

from harness import Berth, eventually


def events(lines) -> "iter":
    """The events of a stream, as (event, id, data)."""
    event, ident, data = "message", None, []
    for line in lines:
        if not line:
            if data:
                yield event, ident, json.loads("\n".join(data))
            event, data = "message", []
        elif line.startswith("event:"):
            event = line[6:].strip()
        elif line.startswith("id:"):
            ident = int(line[3:])
        elif line.startswith("data:"):
            data.append(line[5:].strip())


def test_a_watch_from_a_list_sees_all_that_follows(berth: Berth, deployed, tiny_file: Path):
    since = berth.api("GET", "/api/v1/models")["revision"]
    deployed("watched", tiny_file, "--no-wait")
    berth.wait_ready("watched")
    with httpx.stream("GET", f"{berth.url}/api/v1/watch?kinds=model,instance&since={since}",
                      headers={"Authorization": f"Bearer {berth.key}"}, timeout=30) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        seen, revision = set(), since
        for event, ident, data in events(answer.iter_lines()):
            assert ident > revision, "revisions go up"
            revision = ident
            assert data["revision"] == ident
            if event == "put":
                seen.add((data["kind"], data["object"].get("state", "")))
            if ("instance", "ready") in seen:
                break
        assert any(kind == "model" for kind, _ in seen)


def test_a_watch_shows_no_secret(berth: Berth, tiny: str):
    with httpx.stream("GET", f"{berth.url}/api/v1/watch?kinds=worker,instance&since=0",
                      headers={"Authorization": f"Bearer {berth.key}"}, timeout=30) as answer:
        if answer.status_code == 410:
            return
        for _, _, data in events(answer.iter_lines()):
            one = data.get("object") or {}
            for field in ("access_key", "engine_key"):
                assert not one.get(field) or set(one[field]) == {"*"}, field
            if data["kind"] == "instance":
                break


def test_kinds_that_are_not_visible_are_refused(berth: Berth):
    for kinds in ("key", "assignment", "nonsense"):
        answer = berth.http("GET", f"/api/v1/watch?kinds={kinds}&since=0", timeout=5)
        assert answer.status_code == 400, kinds


def test_the_metrics_count_requests(berth: Berth, tiny: str):
    def total() -> float:
        lines = berth.http("GET", "/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines
                   if line.startswith("berth_") and "requests_total" in line and "tiny" in line)

    before = total()
    berth.openai().completions.create(model=tiny, prompt="x", max_tokens=1)
    eventually("it is counted", lambda: total() == before + 1, 5)
