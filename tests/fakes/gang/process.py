#!/usr/bin/env python3
"""One process of a gang of two. The helper answers /health and /word; the main one serves, and puts
the helper's word into each answer. It takes --role main|helper, --port and, for the main one, --peer
HOST:PORT, and does what the words in $FAKE_GANG say:

  helper_dies     the helper exits with 4 a second after it is ready, as often as $FAKE_TIMES says
  slow            the main one takes two seconds over an answer, and writes the file "asked" before
  needs_helper    the main one exits with 5 where the helper does not answer when it starts
"""

import json
import os
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

load = [0]  # requests under way
under_way = threading.Lock()
WORDS = set(os.environ.get("FAKE_GANG", "").split())


def flag(name: str) -> str:
    return sys.argv[sys.argv.index(name) + 1]


def ask_helper() -> str:
    with urllib.request.urlopen(f"http://{flag('--peer')}/word", timeout=2) as answer:
        return json.load(answer)["word"]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, body: dict, status: int = 200) -> None:
        self.send(json.dumps(body).encode(), "application/json", status)

    def send(self, text: bytes, content_type: str, status: int) -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self) -> None:
        if self.path == "/word":
            return self.answer({"word": f"helper {os.getpid()}"})
        if self.path == "/metrics":
            return self.send(f"requests {load[0]}\n".encode(), "text/plain", 200)
        return self.answer({"status": "ok"})

    def do_POST(self) -> None:
        with under_way:
            load[0] += 1
        try:
            self.complete()
        finally:
            with under_way:
                load[0] -= 1

    def complete(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        if "slow" in WORDS:
            (Path(os.environ["FAKE_FOLDER"]) / "asked").touch()
            time.sleep(2)
        try:
            word = ask_helper()
        except OSError as error:
            return self.answer({"error": {"message": str(error), "type": "server_error"}}, 500)
        return self.answer({
            "id": "gang", "object": "text_completion", "created": 0, "model": "gang",
            "choices": [{"index": 0, "text": f"main {os.getpid()}, {word}", "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})


def die_later() -> None:
    """As often as it is to: the file counts the times."""
    count = Path(os.environ["FAKE_FOLDER"]) / "deaths"
    deaths = int(count.read_text()) if count.exists() else 0
    if deaths < int(os.environ.get("FAKE_TIMES", "1")):
        count.write_text(str(deaths + 1))
        time.sleep(1)
        os._exit(4)


role = flag("--role")
print(f"{role} on port {flag('--port')}", flush=True)
if role == "main" and "needs_helper" in WORDS:
    try:
        ask_helper()
    except OSError as error:
        print(f"the helper does not answer: {error}", flush=True)
        sys.exit(5)
if role == "helper" and "helper_dies" in WORDS:
    threading.Thread(target=die_later, daemon=True).start()
ThreadingHTTPServer((flag("--host"), int(flag("--port"))), Handler).serve_forever()
