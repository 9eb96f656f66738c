"""An instance's log: what the engine says, as it says it, headed by what is in force."""

import os
import signal
import subprocess

from harness import BERTH, Berth, eventually


def test_the_log_begins_with_what_is_in_force(berth: Berth, tiny: str):
    log = berth.log(berth.instances(tiny)[0]["name"])
    head = log[:4000]
    assert "--ctx-size" in head
    assert "llama" in head.lower()


def test_tail_gives_the_last_lines(berth: Berth, tiny: str):
    name = berth.instances(tiny)[0]["name"]
    whole = berth.log(name).splitlines()
    tail = berth.log(name, "--tail", "3").splitlines()
    assert len(tail) == 3 and len(whole) > 3


def test_follow_shows_lines_as_they_are_written(berth: Berth, tiny: str):
    name = berth.instances(tiny)[0]["name"]
    # Python hands an ignored SIGINT on, as of a run in the background.
    follow = subprocess.Popen([BERTH, "logs", "-f", "--tail", "1", name], env=berth.env,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    os.set_blocking(follow.stdout.fileno(), False)
    try:
        seen = bytearray()

        def more() -> int:
            try:
                seen.extend(os.read(follow.stdout.fileno(), 65536))
            except BlockingIOError:
                pass
            return len(seen)

        eventually("the last line came", more, 15)
        before = len(seen)
        berth.openai().completions.create(model=tiny, prompt="x", max_tokens=2)
        eventually("the request's lines came", lambda: more() > before, 15)
        assert follow.poll() is None
        follow.send_signal(signal.SIGINT)
        assert follow.wait(10) in (0, 130, -signal.SIGINT)
    finally:
        if follow.poll() is None:
            follow.kill()
        follow.wait(10)


def test_the_log_of_the_attempt_before_is_kept(own_berth: Berth, tiny_file):
    own_berth.deploy("twice", tiny_file)
    instance = own_berth.wait_ready("twice")[0]
    os.kill(instance["pid"], signal.SIGKILL)
    eventually("a new attempt is ready", lambda: (
        (one := own_berth.instances("twice")[0])["state"] == "ready"
        and one["attempt"] > instance["attempt"]), 60)
    assert own_berth.log(instance["name"], "--previous")
    assert own_berth.log(instance["name"])
