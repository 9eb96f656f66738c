"""Models on the web through a proxy, and from a server whose certificate an authority of one's own
signed; with real TLS."""

import base64
import socket
import subprocess
import threading
from pathlib import Path
from typing import Iterator

import pytest

from harness import Berth, free_port
from test_inspect_url import Web, nobody  # noqa: F401 (nobody is a fixture)


# Whatever the machine's user has set.
NO_AUTHORITIES = dict.fromkeys(
    ("SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"), "")


class Tunnel:
    """A proxy that opens ways to servers on this machine for whoever has the password."""

    def __init__(self, password: str) -> None:
        self.expected = "Basic " + base64.b64encode(f"me:{password}".encode()).decode()
        self.opened: list[str] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        request, *fields = head.decode().split("\r\n")
        if f"Proxy-Authorization: {self.expected}" not in fields:
            client.sendall(b"HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n")
            client.close()
            return
        target = request.split()[1]
        self.opened.append(target)
        server = socket.create_connection(("127.0.0.1", int(target.rpartition(":")[2])))
        client.sendall(b"HTTP/1.1 200 Go\r\n\r\n")
        threading.Thread(target=self._copy, args=(server, client), daemon=True).start()
        self._copy(client, server)

    @staticmethod
    def _copy(origin: socket.socket, target: socket.socket) -> None:
        try:
            while piece := origin.recv(1 << 16):
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self) -> None:
        self.listener.close()


@pytest.fixture
def tunnel() -> Iterator[Tunnel]:
    one = Tunnel("s3cret")
    yield one
    one.close()


@pytest.fixture
def private(tiny_file: Path, tmp_path: Path) -> Iterator[tuple[Web, Path]]:
    """A server whose certificate an authority signed that nobody knows, and the authority's."""
    def openssl(*arguments: object) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    folder = tmp_path / "authority"
    folder.mkdir()
    authority, key = folder / "authority.pem", folder / "authority.key"
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Ours",
            "-keyout", key, "-out", authority)
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
            "-keyout", folder / "server.key", "-out", folder / "server.csr")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    openssl("x509", "-req", "-in", folder / "server.csr", "-CA", authority, "-CAkey", key,
            "-CAcreateserial", "-days", "2", "-extfile", folder / "names",
            "-out", folder / "server.pem")
    both = folder / "both.pem"
    both.write_text((folder / "server.key").read_text() + (folder / "server.pem").read_text())
    server = Web(tiny_file.parent, both)
    yield server, authority
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_an_authority_of_one_s_own_is_trusted_where_a_variable_names_it(
        nobody: Berth, private: tuple[Web, Path], tiny_file: Path, variable: str):
    web, authority = private
    url = web.url(f"/{tiny_file.name}")
    known = NO_AUTHORITIES | {variable: str(authority)}
    assert "llama" in nobody.cli("inspect", url, env=known).stdout
    run = nobody.cli("inspect", url, env=NO_AUTHORITIES, check=1)
    assert "localhost is not trusted" in run.stderr
    assert "name its file in SSL_CERT_FILE" in run.stderr
    run = nobody.cli("inspect", url, env=NO_AUTHORITIES | {variable: "/nowhere.pem"}, check=1)
    assert f"see {variable}" in run.stderr


def test_an_https_server_is_read_through_a_proxy(
        nobody: Berth, private: tuple[Web, Path], tunnel: Tunnel, tiny_file: Path):
    web, authority = private
    url = web.url(f"/{tiny_file.name}")
    way = {"SSL_CERT_FILE": str(authority), "no_proxy": "", "NO_PROXY": "", "https_proxy": "",
           "HTTPS_PROXY": f"http://me:s3cret@127.0.0.1:{tunnel.port}"}
    assert "llama" in nobody.cli("inspect", url, env=way).stdout
    assert tunnel.opened == [f"localhost:{web.server_port}"]
    nobody.cli("inspect", url, env=way | {"NO_PROXY": "localhost"})
    assert len(tunnel.opened) == 1

    wrong = way | {"HTTPS_PROXY": f"http://me:hidd3n@127.0.0.1:{tunnel.port}"}
    run = nobody.cli("inspect", url, env=wrong, check=1)
    assert f"proxy 127.0.0.1:{tunnel.port} wants another user" in run.stderr
    assert "HTTPS_PROXY" in run.stderr and "hidd3n" not in run.stderr

    gone = way | {"HTTPS_PROXY": f"http://me:hidd3n@127.0.0.1:{free_port()}"}
    run = nobody.cli("inspect", url, env=gone, check=1)
    assert "localhost through the proxy 127.0.0.1:" in run.stderr and "hidd3n" not in run.stderr
