"""What a file holds: bytes in memory, or a file of this machine that is never read as a whole."""

import hashlib
from pathlib import Path

CHUNK = 1 << 20


class Content:
    def __init__(self, source: bytes | Path) -> None:
        self.source = source
        self.size = len(source) if isinstance(source, bytes) else source.stat().st_size
        sha256, blob = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % self.size)
        for offset in range(0, self.size, CHUNK):
            chunk = self.read(offset, CHUNK)
            sha256.update(chunk)
            blob.update(chunk)
        self.sha256 = sha256.hexdigest()
        self.blob = blob.hexdigest()  # git's name of it

    def read(self, offset: int, length: int) -> bytes:
        if isinstance(self.source, bytes):
            return self.source[offset:offset + length]
        with self.source.open("rb") as file:
            file.seek(offset)
            return file.read(length)
