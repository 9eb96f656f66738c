"""Why an engine ended, as its instance tells it."""

import os
import signal
from pathlib import Path
from typing import Callable

import pytest

from fake_engine import fake, fake_berth  # noqa: F401  (fixtures)
from harness import Berth, eventually


@pytest.mark.parametrize("sign, cause", [
    (signal.SIGKILL, "somebody killed it"),
    (signal.SIGSEGV, "the engine crashed"),
    (signal.SIGILL, "the processor lacks instructions that the engine uses"),
])
def test_signals_are_told_apart(berth: Berth, deployed: Callable, tiny_file: Path,
                                sign: signal.Signals, cause: str):
    model = deployed(f"dies-of-{sign.name.lower()}", tiny_file)
    instance = berth.wait_ready(model)[0]
    os.kill(instance["pid"], sign)
    end = eventually("its end is told",
                     lambda: berth.instances(model)[0].get("last_exit"), 30)
    assert end["signal"] == sign and "exit_code" not in end
    assert end["likely_cause"] == cause
    assert 0 < len(end["last_lines"]) <= 20
    again = eventually("it serves again", lambda: next(
        (one for one in berth.instances(model) if one["state"] == "ready"
         and one["attempt"] == 2), None), 60)
    assert again["last_exit"]["signal"] == sign  # the report stays
    worker = berth.api("GET", "/api/v1/workers")["items"][0]["name"]
    assert f"ended by {sign.name} ({cause})" in berth.cli("logs", "--worker", worker).stdout


def test_what_broke_is_found_above_a_long_trace(fake_berth: Berth, fake: Callable):  # noqa: F811
    trace = ["Traceback (most recent call last):", *['  File "serve.py", line 1'] * 100]
    said = ["torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 MiB.", *trace,
            "RuntimeError: Engine core initialization failed."]
    fake("last_words", env={"FAKE_LAST_WORDS": "\n".join(said)}, restart={"max_failures": 0})
    instance = fake_berth.wait_state("faulty", "failed")
    end = instance["last_exit"]
    assert end["exit_code"] == 1 and "signal" not in end
    assert end["likely_cause"] == "its device's memory is full"
    assert len(end["last_lines"]) == 20 and end["last_lines"][-1] == said[-1]
    assert "ended with code 1 (its device's memory is full)" in instance["reason"]


def test_a_word_that_the_user_chose_is_no_cause(fake_berth: Berth, fake: Callable):  # noqa: F811
    fake("last_words", env={"FAKE_LAST_WORDS": "so long", "NOTE": "x\nAddress already in use"},
         restart={"max_failures": 0})
    end = fake_berth.wait_state("faulty", "failed")["last_exit"]
    assert end["last_lines"][-1] == "so long" and end["likely_cause"] == ""
