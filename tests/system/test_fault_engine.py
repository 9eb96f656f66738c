"""Engines that misbehave: nothing of them stays, and the instance says what happened."""

import json
import os
import signal
import socket
import subprocess
import threading
import uuid
from pathlib import Path

import pytest

from fake_engine import fake, fake_berth  # noqa: F401  (fixtures)
from harness import Berth, eventually, processes_with

def failures(berth: Berth, at_least: int = 1, seconds: float = 60) -> dict:
    """The instance, once its engine has failed as often as that."""
    return eventually(f"{at_least} failures", lambda: next(
        (one for one in berth.instances("faulty")
         if one["failures"] >= at_least and one["last_exit"]), None), seconds)


def ask(berth: Berth, **options: object) -> dict:
    return berth.api("POST", "/v1/completions", json={"model": "faulty", "prompt": "x"} | options)


def test_an_engine_that_ignores_sigterm_is_gone_soon_after_the_removal(fake_berth: Berth, fake):
    fake("ignores_sigterm")
    fake_berth.wait_ready("faulty")
    fake_berth.api("DELETE", "/api/v1/models/faulty", 202)
    eventually("the engine is gone", lambda: not processes_with(fake.mark), 10)
    fake_berth.wait_gone("faulty")


def test_an_engine_s_children_go_with_it(fake_berth: Berth, fake):
    fake("forks ignores_sigterm")
    fake_berth.wait_ready("faulty")
    eventually("engine, child, session, orphan", lambda: len(processes_with(fake.mark)) >= 4)
    fake_berth.remove("faulty")
    assert not processes_with(fake.mark)


def test_an_engine_s_children_go_when_it_is_killed(fake_berth: Berth, fake):
    fake("forks")
    before = fake_berth.wait_ready("faulty")[0]
    children = set(eventually("engine, child, session, orphan", lambda: (
        found := processes_with(fake.mark)) and len(found) >= 4 and found))
    os.kill(before["pid"], signal.SIGKILL)
    failures(fake_berth)
    eventually("none of the first attempt is left",
               lambda: not children & set(processes_with(fake.mark)))
    assert fake_berth.wait_ready("faulty")[0]["pid"] != before["pid"]


def test_an_engine_s_children_go_when_its_shim_is_killed(fake_berth: Berth, fake):
    fake("forks")
    before = fake_berth.wait_ready("faulty")[0]
    children = set(eventually("engine, child, session, orphan", lambda: (
        found := processes_with(fake.mark)) and len(found) >= 4 and found))
    state = json.loads(next(fake_berth.data.glob("worker/instances/*/*/shim.json")).read_text())
    os.kill(state["shim_pid"], signal.SIGKILL)
    failed = failures(fake_berth)
    assert failed["last_exit"]["signal"] == 9
    assert failed["last_exit"]["likely_cause"] == "its shim was killed"
    eventually("none of the first attempt is left",
               lambda: not children & set(processes_with(fake.mark)))
    assert fake_berth.wait_ready("faulty")[0]["pid"] != before["pid"]


def test_a_flood_of_log_is_bounded_and_the_engine_serves(fake_berth: Berth, fake):
    fake("floods")
    instance = fake_berth.wait_ready("faulty")[0]
    folder = next(fake_berth.data.glob("worker/instances/*/*"))
    log = folder / "attempt-1.log"

    def is_over() -> bool:
        try:
            sizes = [path.stat().st_size for path in (log, folder / "attempt-1.log.1")]
            last = log.read_bytes()[-4096:]
        except FileNotFoundError:  # between the renaming of a full log and the next one
            return False
        assert all(size <= 17 << 20 for size in sizes), "a log grew beyond its bound"
        return b"the flood is over" in last

    eventually("the whole flood has come", is_over, 120)
    assert ask(fake_berth)["choices"]
    assert fake_berth.instances("faulty")[0]["pid"] == instance["pid"]
    assert "flood" in fake_berth.log(instance["name"], "--tail", "3")


def test_an_engine_that_says_ready_and_dies_is_given_up_in_the_end(fake_berth: Berth, fake):
    fake("dies_after_ready", restart={"max_failures": 2})
    failed = fake_berth.wait_state("faulty", "failed")
    assert failed["failures"] == 3 and failed["attempt"] == 3
    assert failed["last_exit"]["exit_code"] == 3
    assert failed["last_exit"]["last_lines"][-1] == "fake: that was it"
    refused = fake_berth.http("POST", "/v1/completions", json={"model": "faulty", "prompt": "x"})
    assert refused.status_code == 503


def test_an_engine_that_never_becomes_ready_is_ended_at_its_deadline(fake_berth: Berth, fake):
    fake("never_ready", readiness_timeout=2, restart={"max_failures": 0})
    failed = fake_berth.wait_state("faulty", "failed")
    assert failed["reason"].startswith("it was not ready after 2 s")
    assert failed["last_exit"]["likely_cause"] == "it never became ready"
    assert not processes_with(fake.mark)


def test_an_engine_on_the_wrong_port_is_ended_at_its_deadline(fake_berth: Berth, fake,
                                                              tiny_file: Path):
    run = fake_berth.deploy(
        "faulty", tiny_file, "--backend-version", "fake", "--env", "FAKE_ENGINE=wrong_port",
        "--env", f"FAKE_MARK={fake.mark}", "--readiness-timeout", 2, "--max-failures", 0, check=1)
    assert "not ready after 2 s" in run.stderr
    assert fake_berth.wait_state("faulty", "failed")["failures"] == 1
    assert not processes_with(fake.mark)


def test_an_engine_that_closes_its_output_serves(fake_berth: Berth, fake):
    fake("closes_output")
    pid = fake_berth.wait_ready("faulty")[0]["pid"]
    assert ask(fake_berth)["choices"]
    assert fake_berth.instances("faulty")[0]["pid"] == pid


def test_an_engine_that_exits_at_once_counts_as_failed(fake_berth: Berth, fake):
    fake("exits_at_once", restart={"max_failures": 1})
    failed = fake_berth.wait_state("faulty", "failed")
    assert failed["last_exit"]["exit_code"] == 0
    assert failed["failures"] == 2


def test_an_end_without_error_is_no_failure_where_the_policy_says_so(fake_berth: Berth, fake):
    fake("exits_at_once", restart={"policy": "on_failure"})
    failed = fake_berth.wait_state("faulty", "failed")
    assert failed["attempt"] == 1


def test_a_port_that_somebody_took_is_named_and_another_one_used(fake_berth: Berth, fake,
                                                                  tmp_path: Path):
    fake("meets_taken_port")
    port = int(eventually("the engine tells its port",
                          lambda: (tmp_path / "port").exists() and (tmp_path / "port").read_text()))
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", port))
        squatter.listen()
        (tmp_path / "taken").touch()
        failed = failures(fake_berth)
        assert failed["last_exit"]["likely_cause"] == "its port was taken"
        ready = fake_berth.wait_ready("faulty")[0]
        assert ready["port"] not in (0, port)
        assert ask(fake_berth)["choices"]


@pytest.mark.long
def test_an_engine_that_hangs_is_found_and_started_again(own_berth: Berth, tiny_file: Path):
    own_berth.deploy("hangs", tiny_file)
    before = own_berth.wait_ready("hangs")[0]
    os.kill(before["pid"], signal.SIGSTOP)
    after = eventually("another engine serves", lambda: next(
        (one for one in own_berth.instances("hangs")
         if one["state"] == "ready" and one["pid"] != before["pid"]), None), 120)
    assert after["last_exit"]["likely_cause"] == "it hung"
    messages = [event["message"] for event in own_berth.api("GET", "/api/v1/events")["items"]]
    assert any("it did not answer for" in message for message in messages)
    assert own_berth.openai().completions.create(model="hangs", prompt="x", max_tokens=1).choices


@pytest.mark.long
def test_an_engine_that_answers_its_probes_and_no_request_is_found(fake_berth: Berth, fake):
    fake("stuck")
    before = fake_berth.wait_ready("faulty")[0]
    threading.Thread(target=lambda: fake_berth.http(
        "POST", "/v1/completions", timeout=None, json={"model": "faulty", "prompt": "x"}),
        daemon=True).start()
    failed = failures(fake_berth, seconds=300)
    assert failed["last_exit"]["likely_cause"] == "it hung"
    assert fake_berth.wait_ready("faulty")[0]["pid"] != before["pid"]
    messages = [event["message"] for event in fake_berth.api("GET", "/api/v1/events")["items"]]
    assert any("it took requests but answered none for" in message for message in messages)


@pytest.mark.long
def test_an_engine_under_more_load_than_it_can_take_does_not_count_as_hung(own_berth: Berth,
                                                                           tiny_file: Path):
    own_berth.deploy("busy", tiny_file)
    before = own_berth.wait_ready("busy")[0]
    over = threading.Event()

    def load() -> None:
        while not over.is_set():
            own_berth.http("POST", "/v1/completions", timeout=None, json={
                "model": "busy", "prompt": "x", "max_tokens": 1900, "ignore_eos": True})

    threads = [threading.Thread(target=load, daemon=True) for _ in range(120)]
    for thread in threads:
        thread.start()
    assert not over.wait(75)  # more than an idle engine is given
    after = own_berth.instances("busy")[0]
    over.set()
    assert (after["pid"], after["state"], after["failures"]) == (before["pid"], "ready", 0)


def after_a_restart_of_the_machine(berth: Berth, **changes: object) -> None:
    """Makes the state that the stopped installation's shim left be of an earlier boot."""
    for path in berth.data.glob("worker/instances/*/*/shim.json"):
        state = json.loads(path.read_text())
        path.write_text(json.dumps(state | {"boot_id": str(uuid.uuid4()), "state": "running",
                                            "exit_code": None, "signal": None} | changes))


def test_engines_start_anew_after_a_restart_of_the_machine(stopped_berth: Berth, tiny_file: Path):
    stopped_berth.start("--leave-engines")
    stopped_berth.deploy("anew", tiny_file)
    before = stopped_berth.wait_ready("anew")[0]
    stopped_berth.stop()
    for pid in stopped_berth.left_over():
        os.kill(pid, signal.SIGKILL)
    eventually("nothing runs, as after a restart", lambda: not stopped_berth.left_over())
    stranger = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    try:
        # Its pid now belongs to somebody else; the start time even fits.
        fields = Path(f"/proc/{stranger.pid}/stat").read_text().rsplit(")", 1)[1].split()
        after_a_restart_of_the_machine(
            stopped_berth, shim_pid=stranger.pid, shim_start_time=int(fields[19]),
            engine_pid=stranger.pid, engine_start_time=int(fields[19]))
        stopped_berth.start()
        after = eventually("another engine serves", lambda: next(
            (one for one in stopped_berth.instances("anew")
             if one["state"] == "ready" and one["pid"] not in (before["pid"], stranger.pid)), None),
            60)
        assert after["name"] == before["name"]
        stopped_berth.remove("anew")
        assert stranger.poll() is None, "a stranger's process was ended"
    finally:
        stranger.kill()
        stranger.wait(10)


def test_a_state_of_this_boot_whose_pid_is_a_stranger_s_ends_nobody(stopped_berth: Berth,
                                                                    tiny_file: Path):
    stopped_berth.start("--leave-engines")
    stopped_berth.deploy("anew", tiny_file)
    before = stopped_berth.wait_ready("anew")[0]
    stopped_berth.stop()
    for pid in stopped_berth.left_over():
        os.kill(pid, signal.SIGKILL)
    eventually("nothing runs", lambda: not stopped_berth.left_over())
    stranger = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        after_a_restart_of_the_machine(stopped_berth, boot_id=boot, shim_pid=stranger.pid,
                                       engine_pid=stranger.pid)
        stopped_berth.start()
        eventually("another engine serves", lambda: next(
            (one for one in stopped_berth.instances("anew")
             if one["state"] == "ready" and one["pid"] != before["pid"]), None), 60)
        stopped_berth.remove("anew")
        assert stranger.poll() is None, "a stranger's process was ended"
    finally:
        stranger.kill()
        stranger.wait(10)


def test_an_engine_whose_state_file_is_lost_is_not_left_beside_the_next(stopped_berth: Berth,
                                                                       tiny_file: Path):
    stopped_berth.start("--leave-engines")
    stopped_berth.deploy("lost", tiny_file)
    before = stopped_berth.wait_ready("lost")[0]
    stopped_berth.stop()
    for path in stopped_berth.data.glob("worker/instances/*/*/shim.json"):
        path.unlink()
    stopped_berth.start()
    eventually("another engine serves", lambda: next(
        (one for one in stopped_berth.instances("lost")
         if one["state"] == "ready" and one["pid"] != before["pid"]), None), 60)
    assert before["pid"] not in stopped_berth.left_over()


def test_a_second_worker_in_a_data_folder_is_refused(own_berth: Berth, tiny_file: Path):
    own_berth.deploy("alone", tiny_file)
    before = own_berth.wait_ready("alone")[0]
    second = own_berth.cli("worker", "--local", check=1, timeout=30)
    assert "lock" in second.stderr or "another" in second.stderr
    after = own_berth.wait_ready("alone")[0]
    assert after["pid"] == before["pid"]
