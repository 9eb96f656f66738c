#!/usr/bin/env python3
"""An engine that misbehaves on demand. It takes llama-server's flags, of which only --port counts,
serves /health, /metrics and /v1/completions, and does what the words in $FAKE_ENGINE say:

  ignores_sigterm    only SIGKILL ends it
  forks              leaves children behind, also in sessions of their own and orphaned ones
  floods             writes $FAKE_BYTES (100 MB) of log once it is ready
  dies_after_ready   exits with 3 half a second after it said that it is ready
  never_ready        answers /health with 503 for ever
  wrong_port         listens on another port than it was told
  closes_output      closes standard output and error, and serves
  exits_at_once      exits with 0 and says nothing
  last_words         writes $FAKE_LAST_WORDS and exits with 1
  meets_taken_port   the first time, waits until somebody has taken its port ($FAKE_FOLDER/taken)
  hangs              once a request for /hang came, answers nobody any more
  stuck              answers /health and /metrics, and never a completion
"""

import json
import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

WORDS = set(os.environ.get("FAKE_ENGINE", "").split())
FOLDER = Path(os.environ.get("FAKE_FOLDER", "/nonexistent"))
STARTED = time.monotonic()
hanging = threading.Event()
under_way = 0
decoded = 0
count_lock = threading.Lock()


def flag(name: str) -> str:
    return sys.argv[sys.argv.index(name) + 1]


def leave_children() -> None:
    """Three that sleep: a plain child, one in a session of its own, an orphan in another one."""
    for kind in ("child", "session", "orphan"):
        if os.fork() == 0:
            if kind != "child":
                os.setsid()
            if kind == "orphan" and os.fork() != 0:
                os._exit(0)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                time.sleep(1000)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        global decoded
        if self.path == "/hang":
            hanging.set()
        if hanging.is_set():
            time.sleep(100000)
        if self.path == "/metrics":
            with count_lock:
                decoded += under_way if "stuck" not in WORDS else 0
                figures = (f"llamacpp:requests_processing {under_way}\n"
                           "llamacpp:requests_deferred 0\n"
                           f"llamacpp:n_decode_total {decoded}\n")
            self.answer(200, figures.encode(), "text/plain")
        elif "never_ready" in WORDS:
            self.answer(503, b'{"error":{"message":"Loading model"}}')
        else:
            self.answer(200, b'{"status":"ok"}')
            if self.path == "/health":
                became_ready()

    def do_POST(self) -> None:
        global under_way
        if hanging.is_set():
            time.sleep(100000)
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with count_lock:
            under_way += 1
        try:
            self.complete(request)
        finally:
            with count_lock:
                under_way -= 1

    def complete(self, request: dict) -> None:
        if "stuck" in WORDS:
            time.sleep(100000)
        time.sleep(float(os.environ.get("FAKE_SECONDS", "0")))
        answer = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "fake",
                  "choices": [{"index": 0, "text": "fake", "finish_reason": "stop"}],
                  "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}
        if not request.get("stream"):
            self.answer(200, json.dumps(answer).encode())
            return
        self.answer(200, f"data: {json.dumps(answer)}\n\ndata: [DONE]\n\n".encode(),
                    "text/event-stream")


ready_once = threading.Event()


def became_ready() -> None:
    if ready_once.is_set():
        return
    ready_once.set()
    if "dies_after_ready" in WORDS:
        threading.Timer(0.5, lambda: (print("fake: that was it", flush=True), os._exit(3))).start()
    if "floods" in WORDS:
        threading.Thread(target=flood, daemon=True).start()


def flood() -> None:
    line = b"flood " * 20 + b"\n"
    for _ in range(int(os.environ.get("FAKE_BYTES", "100000000")) // len(line)):
        os.write(1, line)
    os.write(1, b"fake: the flood is over\n")


def main() -> None:
    print("fake: starts as", " ".join(sys.argv[1:]), flush=True)
    port = int(flag("--port"))
    if "exits_at_once" in WORDS:
        os._exit(0)
    if "last_words" in WORDS:
        print(os.environ["FAKE_LAST_WORDS"], flush=True)
        os._exit(1)
    if "ignores_sigterm" in WORDS:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if "forks" in WORDS:
        leave_children()
    if "meets_taken_port" in WORDS and not (FOLDER / "taken").exists():
        (FOLDER / "port.new").write_text(str(port))
        (FOLDER / "port.new").rename(FOLDER / "port")
        while not (FOLDER / "taken").exists():
            time.sleep(0.02)
    if "wrong_port" in WORDS:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    if "closes_output" in WORDS:
        os.close(1)
        os.close(2)
    server.serve_forever()


if __name__ == "__main__":
    main()
