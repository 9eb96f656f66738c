"""Several machines become one cluster: tokens, certificates, names, and engines that are reached
over TLS."""

import json
import re
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import httpx
import pytest

from harness import ROOT, eventually, free_port
from machines import Cluster, cluster


@pytest.fixture
def few(tmp_path: Path) -> Iterator[Cluster]:
    """A server without a worker of its own."""
    with cluster(tmp_path, "--no-worker") as made:
        yield made


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_two_machines_serve_one_model(tmp_path: Path, tiny_file: Path):
    with cluster(tmp_path) as both:
        both.join("box-2")
        both.server.deploy("shared", tiny_file, "--replicas", "2")
        found = both.server.wait_ready("shared", 2)
        assert len({one["worker"] for one in found}) == 2, found
        before = both.server.work_of("shared")
        client = both.server.openai()
        for _ in range(8):
            client.completions.create(model="shared", prompt="x", max_tokens=300,
                                      extra_body={"ignore_eos": True})
        after = both.server.work_of("shared")
        assert all(after[name] > before[name] for name in before), "one got no request"
        for _ in found:
            stream = client.completions.create(model="shared", prompt="x", max_tokens=20,
                                               stream=True, extra_body={"ignore_eos": True})
            assert sum(1 for _ in stream) > 2
        there = next(one for one in found if one["worker"] == "box-2")
        assert "llama" in both.server.log(there["name"])


def test_a_model_that_only_the_other_machine_has_is_read_and_served_there(
        few: Cluster, tiny_file: Path):
    few.join("box-2")
    few.server.deploy("there", tiny_file)
    assert few.server.wait_ready("there")[0]["worker"] == "box-2"
    assert few.server.api("GET", "/api/v1/models/there")["read_by"] == "box-2"
    assert few.server.openai().completions.create(model="there", prompt="x", max_tokens=1).choices


def test_the_line_that_is_printed_lets_a_machine_join(few: Cluster):
    assert not listens(few.door), "closed until somebody may join"
    made = few.server.cli("token", "create", "--expires", "1h")
    line = made.stdout.strip()
    assert re.fullmatch(rf"berth worker --server {few.url} --token [0-9a-f]{{64}}\.\S+", line)
    assert "shown only now" in made.stderr
    assert listens(few.door)
    few.machine("box").start(*line.split()[2:])
    few.wait_worker("box")
    assert few.server.json("token", "list")["items"][0].keys() == {"id", "created_at", "expires_at"}


def test_a_member_comes_back_without_a_token(few: Cluster):
    machine = few.join("box")
    before = (machine.data / "worker/membership/certificate.pem").read_text()
    machine.stop()
    few.wait_worker("box", "suspected", 60)
    machine.start()
    few.wait_worker("box")
    assert (machine.data / "worker/membership/certificate.pem").read_text() == before
    few.server.stop()
    few.server.start("--no-worker", "--cluster-listen", f"127.0.0.1:{few.door}")
    assert listens(few.door), "it has a member on another machine"
    few.wait_worker("box")


def test_the_token_may_come_from_a_file_or_the_environment(few: Cluster, tmp_path: Path):
    (tmp_path / "token").write_text(few.token() + "\n")
    few.machine("by-file").start("--server", few.url, "--token-file", str(tmp_path / "token"))
    few.machine("by-variable").start("--server", f"127.0.0.1:{few.door}",
                                     env={"BERTH_TOKEN": few.token()})
    few.wait_worker("by-file")
    few.wait_worker("by-variable")


def test_joining_says_what_is_wrong(few: Cluster):
    token = few.token()
    machine = few.machine("box")
    closed = free_port()
    fingerprint, secret = token.split(".")
    for arguments, status, words in (
            (["--token", token], 2, "--server https://HOST"),
            (["--server", few.url], 2, "berth token create"),
            (["--server", few.url, "--token", "nonsense"], 2, "no join token"),
            (["--server", few.url, "--token", token[:-1]], 1, "token is not known"),
            (["--server", few.url, "--token", "0" * 64 + "." + secret], 1, "fingerprint"),
            (["--server", "https://no-such-host.invalid:8443", "--token", token], 1, "not found"),
            (["--server", f"https://127.0.0.1:{closed}", "--token", token], 1, "refused"),
            (["--server", f"http://127.0.0.1:{few.door}", "--token", token], 2, "https"),
            (["--server", few.server.url.replace("http", "https"), "--token", token], 1,
             "does not speak TLS")):
        ended, said = machine.fails(*arguments)
        assert ended == status and words in said, (arguments[:2], ended, said)
        assert secret not in said
    machine.start("--server", few.url, "--token", token)
    few.wait_worker("box")


def test_a_server_that_says_nothing_is_given_up_in_time(few: Cluster):
    token = few.token()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"https://127.0.0.1:{silent.getsockname()[1]}"
        status, said = few.machine("box").fails("--server", server, "--token", token, seconds=12)
    assert status == 1 and "does not answer" in said


def test_tokens_end_and_can_be_removed(few: Cluster):
    token = few.token()
    few.server.cli("token", "rm", few.server.json("token", "list")["items"][0]["id"])
    status, said = few.machine("box").fails("--server", few.url, "--token", token)
    assert status == 1 and "token is not known" in said
    assert "see berth token list" in few.server.cli("token", "rm", "nothing", check=1).stderr
    for wrong in ("5s", "400d", "soon"):
        assert "expires" in few.server.cli("token", "create", "--expires", wrong, check=2).stderr


def test_a_name_belongs_to_the_machine_that_had_it_first(few: Cluster):
    few.join("box")
    status, said = few.machine("box").fails("--server", few.url, "--token", few.token())
    assert status == 1 and "berth workers rm box" in said and "--name" in said


def test_a_removed_worker_is_locked_out_until_it_joins_anew(few: Cluster):
    machine = few.join("box")
    certificate = machine.data / "worker/membership/certificate.pem"
    before = certificate.read_text()
    few.server.cli("workers", "rm", "box")
    assert few.worker("box") is None
    eventually("it is told so", lambda: any(
        "revoked" in line for line in machine.output), 40)
    assert few.worker("box") is None
    machine.stop()
    machine.start("--token", few.token())
    few.wait_worker("box")
    assert certificate.read_text() != before


def test_a_worker_with_instances_is_not_removed(few: Cluster, tiny_file: Path):
    few.join("box")
    few.server.deploy("held", tiny_file)
    instance = few.server.wait_ready("held")[0]["name"]
    assert instance in few.server.cli("workers", "rm", "box", check=1).stderr
    few.server.remove("held")
    few.server.cli("workers", "rm", "box")


def test_a_folder_of_one_cluster_does_not_join_another(few: Cluster, tmp_path: Path):
    machine = few.join("box")
    machine.stop()
    with cluster(tmp_path / "other", "--no-worker") as other:
        status, said = machine.fails("--server", other.url, "--token", other.token())
    assert status == 1 and "another cluster" in said and "--data" in said


def test_the_cluster_s_door_wants_a_certificate_or_a_token(few: Cluster):
    machine = few.join("box")
    trust = ssl.create_default_context(cafile=machine.data / "worker/membership/authority.pem")
    trust.check_hostname = False  # certificates of a cluster name no hosts
    for method, path in (("POST", "register"), ("GET", "assignments"), ("GET", "watch?since=0"),
                         ("POST", "report"), ("POST", "renew"), ("POST", "join")):
        answer = httpx.request(method, f"{few.url}/cluster/v1/{path}", verify=trust,
                               json={"worker": "x", "version": "0.1.0", "request": ""})
        assert answer.status_code == 401, (path, answer.text)
    assert httpx.get(f"{few.url}/api/v1/models", verify=trust).status_code == 404
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(httpx.HTTPError):
        httpx.get(few.url, verify=old)


def test_a_worker_speaks_for_itself_only(few: Cluster):
    machine = few.join("box")
    few.join("victim")
    folder = machine.data / "worker/membership"
    own = ssl.create_default_context(cafile=folder / "authority.pem")
    own.check_hostname = False
    own.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    for path in ("register", "report"):
        answer = httpx.post(f"{few.url}/cluster/v1/{path}", verify=own, json={
            "name": "victim", "worker": "victim", "version": "0.1.0", "sequence": 1})
        assert answer.status_code == 403, answer.text
    bad = httpx.post(f"{few.url}/cluster/v1/register", verify=own,
                     json={"name": "box", "version": "9.0.0"})
    assert bad.status_code == 409 and "upgrade the server" in bad.text


def test_the_certificate_is_written_for_the_key_that_never_left(few: Cluster):
    machine = few.join("box")
    folder = machine.data / "worker/membership"
    key = (folder / "key.pem").read_text()
    assert json.loads((folder / "member.json").read_text())["server"] == few.url
    for file in few.server.data.rglob("*"):
        if file.is_file() and not file.is_symlink():
            assert key.encode() not in file.read_bytes(), file


def wall_clock(folder: Path) -> Path:
    """The library that makes the wall clock of a program another one."""
    library = folder / "wall_clock.so"
    subprocess.run(["clang-19", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library,
                    ROOT / "tests/fakes/wall_clock.c"], check=True)
    return library


@pytest.mark.parametrize("seconds", [3600, -3600, -10 * 365 * 86400])
def test_a_worker_with_a_wrong_clock_joins_and_serves(
        few: Cluster, tmp_path: Path, tiny_file: Path, seconds: int):
    (tmp_path / "clock").write_bytes(seconds.to_bytes(8, sys.byteorder, signed=True))
    machine = few.machine("box")
    machine.berth.settings |= {"LD_PRELOAD": str(wall_clock(tmp_path)),
                               "WALL_CLOCK_FILE": str(tmp_path / "clock")}
    machine.start("--server", few.url, "--token", few.token())
    few.wait_worker("box")
    few.server.deploy("chat", tiny_file)
    few.server.wait_ready("chat")
    assert few.server.openai().completions.create(model="chat", prompt="x", max_tokens=1).choices
    machine.stop()
    machine.start()
    few.wait_worker("box")


def test_a_worker_renews_its_certificate_and_one_that_has_ended_needs_a_token(
        few: Cluster, tmp_path: Path):
    library, offset = wall_clock(tmp_path), tmp_path / "clock"

    def restart_after(days: int) -> None:
        """The server's clock is so many days late; the machine's is right."""
        few.server.stop()
        offset.write_bytes((days * 86400).to_bytes(8, sys.byteorder, signed=True))
        few.server.start("--no-worker", "--cluster-listen", f"127.0.0.1:{few.door}")

    few.server.settings |= {"LD_PRELOAD": str(library), "WALL_CLOCK_FILE": str(offset)}
    restart_after(0)
    machine = few.join("box")
    certificate = machine.data / "worker/membership/certificate.pem"
    first = certificate.read_text()
    restart_after(59)
    few.wait_worker("box")
    assert certificate.read_text() == first
    restart_after(61)
    few.wait_worker("box")
    eventually("it has a new certificate", lambda: certificate.read_text() != first, 20)
    assert 'berth_certificate_end_timestamp_seconds{owner="worker",worker="box"}' in few.server.api(
        "GET", "/metrics")
    restart_after(153)
    eventually("it is told that its certificate has ended", lambda: any(
        "has ended" in line for line in machine.output), 40)
    assert few.worker("box")["state"] != "ready"
    machine.stop()
    machine.start("--token", few.token())
    few.wait_worker("box")
    assert any("certificate_ends" == one["reason"] for one in few.server.json(
        "events", "--name", "box")["items"])
