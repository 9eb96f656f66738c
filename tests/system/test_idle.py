"""Who has nothing to do uses next to nothing."""

from pathlib import Path

from harness import Berth, load_of


def test_server_and_worker_sleep_beside_a_model_that_nobody_asks(own_berth: Berth, tiny_file: Path):
    own_berth.deploy("quiet", tiny_file)
    own_berth.openai().completions.create(model="quiet", prompt="x", max_tokens=2)
    worker = next(pid for pid, argv in own_berth.left_over().items() if " worker " in argv)
    load = load_of([own_berth.process.pid, worker])
    assert load < 0.1, f"they use {load:.0%} of a core"
