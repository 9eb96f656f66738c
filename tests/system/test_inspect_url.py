"""`berth inspect https://…`: what a file on the web is, read by ranges; nothing is downloaded."""

import email.utils
import json
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Iterator

import pytest

from harness import Berth, eventually

MEBIBYTE = 1 << 20


class Web(ThreadingHTTPServer):
    """Serves files of a folder by ranges, and counts what it sends of them."""

    daemon_threads = True

    def __init__(self, folder: Path, certificate: Path | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.sent = 0
        self.asked: list[str] = []
        self.redirects: dict[str, str] = {}
        self.scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True,
                                              do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, path: str) -> str:
        return f"{self.scheme}://localhost:{self.server_port}{path}"

    def handle_error(self, request, client_address) -> None:
        """A client that goes away is none of the test's business."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Web

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        path = self.path.split("?")[0]
        if path in self.server.redirects:
            self.send_response(302)
            self.send_header("Location", self.server.redirects[path])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        file = self.server.folder / path.lstrip("/")
        if not file.is_file():
            self.send_error(404)
            return
        first, last = self.headers["Range"].removeprefix("bytes=").split("-")
        size = file.stat().st_size
        with file.open("rb") as content:
            content.seek(int(first))
            part = content.read(min(int(last), size - 1) - int(first) + 1)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{size}")
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Last-Modified", email.utils.formatdate(file.stat().st_mtime, usegmt=True))
        self.end_headers()
        self.server.sent += len(part)
        self.wfile.write(part)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def web(gemma_file: Path) -> Iterator[Web]:
    server = Web(gemma_file.parent)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def secure(gemma_file: Path, tmp_path: Path) -> Iterator[tuple[Web, Path]]:
    """A server with a certificate that nobody knows, and the certificate."""
    both, certificate = tmp_path / "both.pem", tmp_path / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", both, "-out", certificate], check=True, capture_output=True)
    both.write_text(both.read_text() + certificate.read_text())
    server = Web(gemma_file.parent, both)
    yield server, certificate
    server.shutdown()
    server.server_close()


@pytest.fixture
def nobody(tmp_path: Path) -> Berth:
    """No server: inspect needs none."""
    return Berth(tmp_path, settings={"no_proxy": "localhost"})


def without_place(told: dict) -> dict:
    """An inspection without where the file is and who read it."""
    told.pop("path")
    told.pop("worker", None)
    told.pop("machine")
    for file in told["profile"]["files"]:
        file.pop("path")
    return told


def test_it_says_the_same_as_of_the_local_file(nobody: Berth, web: Web, gemma_file: Path):
    told = nobody.json("inspect", web.url(f"/{gemma_file.name}"))
    assert told["path"] == told["profile"]["files"][0]["path"] == web.url(f"/{gemma_file.name}")
    assert without_place(told) == without_place(nobody.json("inspect", gemma_file))
    assert "gemma3" in nobody.cli("inspect", web.url(f"/{gemma_file.name}")).stdout


def test_only_the_header_is_fetched(nobody: Berth, web: Web, gemma_file: Path):
    nobody.cli("inspect", web.url(f"/{gemma_file.name}"))
    assert MEBIBYTE < web.sent < 16 * MEBIBYTE < gemma_file.stat().st_size


def test_a_running_server_reads_it(berth: Berth, nobody: Berth, web: Web, tiny_file: Path):
    told = berth.json("inspect", web.url(f"/{tiny_file.name}"))
    assert "worker" not in told
    assert without_place(told) == without_place(nobody.json("inspect", tiny_file))
    assert "the server's machine" in berth.cli("inspect", web.url(f"/{tiny_file.name}")).stdout
    run = berth.cli("inspect", web.url(f"/{tiny_file.name}"), "--worker", "any", check=False)
    assert run.returncode != 0 and "leave out the worker" in run.stderr


def test_what_is_not_there_is_told_by_the_server_once(berth: Berth, web: Web):
    run = berth.cli("inspect", web.url("/absent.gguf?sign=secret"), check=1)
    assert "absent.gguf?…" in run.stderr and "no such file" in run.stderr
    assert "secret" not in run.stderr
    assert web.asked == ["/absent.gguf?sign=secret"]
    answer = berth.http("POST", "/api/v1/evaluate", json={"source": web.url("/absent.gguf")})
    assert answer.status_code == 404 and answer.json()["error"]["param"] == "source"


def test_only_admins_may_ask(berth: Berth, web: Web):
    answer = berth.http("POST", "/api/v1/evaluate", key="wrong",
                        json={"source": web.url("/tiny.gguf")})
    assert answer.status_code == 401
    assert not web.asked


def test_what_is_not_there_is_told(nobody: Berth, web: Web):
    run = nobody.cli("inspect", web.url("/absent.gguf"), check=1)
    assert f"{web.url('/absent.gguf')}: localhost has no such file (HTTP 404)" in run.stderr


def test_what_is_no_model_is_told(nobody: Berth, web: Web, tmp_path: Path):
    web.folder = tmp_path
    (tmp_path / "page.gguf").write_text("<!doctype html>")
    run = nobody.cli("inspect", web.url("/page.gguf"), check=1)
    assert "page.gguf" in run.stderr and "no GGUF file" in run.stderr


def test_addresses_with_a_password_are_refused_without_repeating_it(nobody: Berth):
    run = nobody.cli("inspect", "https://me:secret@localhost/model.gguf", check=False)
    assert run.returncode == 2
    assert "password" in run.stderr and "secret" not in run.stderr


def test_a_certificate_of_a_stranger_is_refused_with_the_remedy(
        nobody: Berth, secure: tuple[Web, Path], tiny_file: Path):
    web, certificate = secure
    run = nobody.cli("inspect", web.url(f"/{tiny_file.name}"), check=1)
    assert "certificate" in run.stderr and "SSL_CERT_FILE" in run.stderr
    assert not web.asked
    told = json.loads(nobody.cli("inspect", web.url(f"/{tiny_file.name}"), "--json",
                                 env={"SSL_CERT_FILE": str(certificate)}).stdout)
    assert told["profile"]["architecture"] == "llama"


def test_https_does_not_become_http(nobody: Berth, secure: tuple[Web, Path], web: Web,
                                    tiny_file: Path):
    guarded, certificate = secure
    guarded.redirects["/m.gguf"] = web.url(f"/{tiny_file.name}")
    run = nobody.cli("inspect", guarded.url("/m.gguf"), check=1,
                     env={"SSL_CERT_FILE": str(certificate)})
    assert "from https to http" in run.stderr
    assert guarded.asked == ["/m.gguf"] and not web.asked
    web.redirects["/m.gguf"] = guarded.url(f"/{tiny_file.name}")
    nobody.cli("inspect", web.url("/m.gguf"), env={"SSL_CERT_FILE": str(certificate)})


def test_an_address_can_not_be_deployed_yet(berth: Berth, web: Web, tiny_file: Path):
    run = berth.cli("deploy", "from-afar", "--model", web.url(f"/{tiny_file.name}"), check=False)
    assert run.returncode != 0
    assert "download it and give its local path" in run.stderr
    assert not web.asked


def test_a_server_that_ends_does_not_wait_for_an_address(own_berth: Berth):
    """It is asked, takes the connection and says nothing."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as silent:
        asked = threading.Thread(target=lambda: own_berth.cli(
            "inspect", f"http://127.0.0.1:{silent.server_port}/m.gguf", check=False))
        asked.start()
        silent.timeout = 20
        connection, _ = silent.get_request()  # the server's own socket, not a handler
        assert connection.recv(3) == b"GET"
        assert own_berth.stop(seconds=10) is not None
        asked.join(20)
        assert not asked.is_alive()
