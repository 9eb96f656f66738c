"""The CDN: large files by digest, for those who come with a signature that is still good."""

import secrets
import threading

from .content import Content
from .http import Answer, Request


class Cdn:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._contents: dict[str, Content] = {}
        self._signatures: set[str] = set()

    def target(self, content: Content) -> str:
        """Where the content is for now: the path and its signature."""
        signature = secrets.token_urlsafe(16)
        with self._lock:
            self._contents[content.sha256] = content
            self._signatures.add(signature)
        return f"/repos/{content.sha256[:2]}/{content.sha256}?Signature={signature}"

    def expire(self) -> None:
        """No signature given out so far is good any more."""
        with self._lock:
            self._signatures.clear()

    def answer(self, request: Request) -> Answer:
        with self._lock:
            content = self._contents.get(request.path.rsplit("/", 1)[-1])
            is_signed = request.query.get("Signature") in self._signatures
        # A token that comes here has leaked: no CDN of a hub takes one.
        if content is None or not is_signed or "authorization" in request.headers:
            return Answer(403, {"Content-Type": "application/xml"},
                          b"<Error><Code>AccessDenied</Code></Error>")
        # Not the digest of the content: the CDN's own.
        return Answer(content=content, headers={"ETag": f'"cdn-{content.blob[:32]}"',
                                                "Content-Type": "application/octet-stream"})
