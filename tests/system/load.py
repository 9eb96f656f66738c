"""Requests in the background, of which none may fail."""

import contextlib
import threading
from dataclasses import dataclass, field
from typing import Iterator

import openai

from harness import Berth, eventually


@dataclass
class Load:
    answered: int = 0
    failures: list[str] = field(default_factory=list)

    def wait_for_more(self, count: int = 10) -> None:
        """Until so many more were answered: whatever happened did not stop them."""
        aim = self.answered + count
        eventually("requests go on", lambda: self.answered >= aim, 60)


@contextlib.contextmanager
def load(berth: Berth, model: str, clients: int = 3) -> Iterator[Load]:
    """Streams and plain completions, one after the other by each client, until the end; fails with
    the first failures."""
    seen = Load()
    over = threading.Event()
    lock = threading.Lock()

    def ask(turn: int) -> None:
        client = berth.openai()
        while not over.is_set():
            turn += 1
            try:
                if turn % 2:
                    client.completions.create(model=model, prompt="x", max_tokens=5)
                else:
                    for _ in client.completions.create(
                            model=model, prompt="x", max_tokens=30, stream=True):
                        pass
            except openai.OpenAIError as error:
                with lock:
                    seen.failures.append(str(error))
            else:
                with lock:
                    seen.answered += 1

    threads = [threading.Thread(target=ask, args=(turn,)) for turn in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    assert not seen.failures, f"{len(seen.failures)} of {seen.answered}: {seen.failures[:3]}"
