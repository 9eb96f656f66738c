"""Faults: what goes wrong, scripted by path."""

import threading
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Callable


@dataclass
class Fault:
    """Strikes the requests whose decoded path matches `path` ('*' matches '/' as well)."""

    path: str
    at: str = ""                # "hub" or "cdn"; both where empty
    method: str = ""            # any where empty
    skip: int = 0               # requests that match and pass
    times: int | None = 1       # requests that it strikes after these; None: all

    # Instead of the answer:
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)  # also added to a proper answer
    body: bytes = b""
    # To the answer:
    act: Callable[[], object] | None = None  # runs before it: a commit, a deletion
    delay: float = 0            # seconds before the head
    pace: int | None = None     # bytes a second
    cut_after: int | None = None  # bytes of the body; then the connection ends
    lie: int = 0                # added to Content-Length
    flip: int | None = None     # the byte at this offset of the file is another one
    whole: bool = False         # ranges are ignored

    struck: int = 0
    _seen: int = 0

    def takes(self, at: str, method: str, path: str) -> bool:
        if (self.at and self.at != at) or (self.method and self.method != method):
            return False
        if not fnmatchcase(path, self.path):
            return False
        self._seen += 1
        if self._seen <= self.skip or (self.times is not None and self.struck >= self.times):
            return False
        self.struck += 1
        return True


class Faults:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, path: str, **what: object) -> Fault:
        """The last one added that matches strikes. Its `struck` counts."""
        fault = Fault(path, **what)  # type: ignore[arg-type]
        with self._lock:
            self._faults.insert(0, fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def take(self, at: str, method: str, path: str) -> Fault | None:
        with self._lock:
            return next((one for one in self._faults if one.takes(at, method, path)), None)
