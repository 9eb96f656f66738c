"""The HTTP of both listeners: ranges, conditions, faults, and a record of what was asked."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Callable
from urllib.parse import parse_qs, unquote, urlsplit

from .content import Content
from .faults import Fault, Faults

PIECE = 64 << 10


@dataclass
class Request:
    method: str
    target: str                # as it was sent
    headers: dict[str, str]    # by name in lower case
    body: bytes = b""

    def __post_init__(self) -> None:
        parts = urlsplit(self.target)
        self.raw_path = parts.path
        self.path = unquote(parts.path)
        self.query = {name: values[-1] for name, values in parse_qs(parts.query).items()}


@dataclass
class Answer:
    """`content` is served by ranges; `body` is not."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    content: Content | None = None
    has_ranges: bool = True


def json_answer(value: object, status: int = 200, **headers: str) -> Answer:
    return Answer(status, {"Content-Type": "application/json; charset=utf-8",
                           **{name.replace("_", "-"): text for name, text in headers.items()}},
                  json.dumps(value).encode())


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, name: str, faults: Faults, answer: Callable[[Request], Answer],
                 port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.name = name
        self.faults = faults
        self.answer = answer
        self.asked: list[Request] = []
        self.sent = 0  # bytes of bodies
        self.ending = threading.Event()
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def close(self) -> None:
        self.ending.set()
        self.shutdown()
        self.server_close()
        self.thread.join()

    def handle_error(self, request, client_address) -> None:
        """A client that goes away is none of the test's business."""


def wanted_range(text: str, size: int) -> tuple[int, int] | None:
    """First and last byte; nothing where the field is no single range; (0, -1): there is none."""
    unit, _, rest = text.partition("=")
    first, dash, last = rest.partition("-")
    if unit != "bytes" or not dash or "," in rest or not (first + last).isdigit():
        return None
    if not first:
        return (max(size - int(last), 0), size - 1) if int(last) and size else (0, -1)
    if int(first) >= size:
        return 0, -1
    return int(first), min(int(last) if last else size - 1, size - 1)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Listener

    def serve(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        request = Request(self.command, self.path,
                          {name.lower(): value for name, value in self.headers.items()},
                          self.rfile.read(length))
        with self.server.lock:
            self.server.asked.append(request)
        fault = self.server.faults.take(self.server.name, request.method, request.path)
        fault = fault or Fault("")
        if fault.act:
            fault.act()
        if fault.delay:
            self.server.ending.wait(fault.delay)
        if fault.status:
            self.send(Answer(fault.status, dict(fault.headers), fault.body), 0, len(fault.body) - 1,
                      Fault(""))
            return
        answer = self.server.answer(request)
        answer.headers |= fault.headers
        first, last = self.apply_conditions(request, answer, fault)
        self.send(answer, first, last, fault)

    do_GET = do_HEAD = do_POST = serve

    def apply_conditions(self, request: Request, answer: Answer, fault: Fault) -> tuple[int, int]:
        """Which bytes are sent; makes the answer 206, 304 or 416 where the request asks for that."""
        if answer.content is None:
            return 0, len(answer.body) - 1
        size = answer.content.size
        etag = answer.headers.get("ETag", "")
        if answer.has_ranges:
            answer.headers["Accept-Ranges"] = "bytes"
        if etag and request.headers.get("if-none-match") == etag:
            answer.status = 304
            return 0, -1
        wanted = wanted_range(request.headers.get("range", ""), size)
        condition = request.headers.get("if-range")
        is_stale = condition is not None and condition not in (
            etag, answer.headers.get("Last-Modified"))
        if wanted is None or is_stale or fault.whole or not answer.has_ranges:
            return 0, size - 1
        if wanted == (0, -1):
            answer.status, answer.content = 416, None
            answer.headers["Content-Range"] = f"bytes */{size}"
            return 0, -1
        answer.status = 206
        answer.headers["Content-Range"] = f"bytes {wanted[0]}-{wanted[1]}/{size}"
        return wanted

    def send(self, answer: Answer, first: int, last: int, fault: Fault) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 304:
            self.send_header("Content-Length", str(max(last - first + 1 + fault.lie, 0)))
        if fault.lie or fault.cut_after is not None:
            self.close_connection = True
        self.end_headers()
        if self.command == "HEAD":
            return
        content = answer.content or Content(answer.body)
        sent = 0
        while first <= last:
            room = PIECE if fault.cut_after is None else min(PIECE, fault.cut_after - sent)
            if fault.pace:
                room = min(room, max(fault.pace // 20, 1))
            if room <= 0:
                return self.cut()
            piece = bytearray(content.read(first, min(room, last - first + 1)))
            if fault.flip is not None and first <= fault.flip < first + len(piece):
                piece[fault.flip - first] ^= 1
            self.wfile.write(piece)
            with self.server.lock:
                self.server.sent += len(piece)
            first += len(piece)
            sent += len(piece)
            if fault.pace and self.server.ending.wait(len(piece) / fault.pace):
                return self.cut()

    def cut(self) -> None:
        """Ends the connection; what was sent arrives."""
        self.wfile.flush()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass
