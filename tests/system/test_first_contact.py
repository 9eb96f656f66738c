"""The first minutes: a server starts, tells its key once, and a second terminal just works."""

import json
import re
import signal
import stat
import time
from pathlib import Path

from harness import Berth, eventually, free_port


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_first_start_tells_url_and_key_and_later_ones_only_the_url(stopped_berth: Berth):
    berth = stopped_berth.start()
    first = eventually("it told its key", lambda: [
        line for line in berth.output if line.startswith("API key:")], 5)
    key = re.search(r"berth_\S+", first[0]).group(0)
    assert key == berth.key
    assert any(f"serves on {berth.url}" in line for line in berth.output)
    berth.stop()

    berth.start()
    eventually("it told its url", lambda: any(berth.url in line for line in berth.output), 5)
    berth.stop()
    assert not any(key in line for line in berth.output)


def test_files_with_secrets_belong_to_the_owner_alone(own_berth: Berth):
    data = own_berth.data
    assert mode(data) == 0o700
    assert mode(data / "admin.key") == 0o600
    assert mode(data / "server.json") == 0o600
    member = data / "worker/membership/member.json"
    eventually("the worker has joined", member.exists, 10)
    for folder in (data / "cluster", data / "worker/membership"):
        assert mode(folder) == 0o700
        assert {file.name: mode(file) for file in folder.iterdir()} == {
            file.name: 0o600 for file in folder.iterdir()}
    assert mode(data / "worker/join.token") == 0o600


def test_a_second_terminal_finds_server_and_key(own_berth: Berth):
    assert own_berth.json("models")["items"] == []
    assert own_berth.cli("ps").returncode == 0


def test_where_no_server_answers_the_command_says_what_to_do(stopped_berth: Berth):
    run = stopped_berth.cli("ps", check=1)
    assert "berth serve" in run.stderr


def test_server_and_key_can_be_named(own_berth: Berth, tmp_path: Path):
    elsewhere = {"BERTH_DATA": str(tmp_path / "empty")}
    own_berth.cli("models", "--server", own_berth.url, "--api-key", own_berth.key, env=elsewhere)
    own_berth.cli("models", env=elsewhere | {"BERTH_SERVER": own_berth.url,
                                             "BERTH_API_KEY": own_berth.key})
    run = own_berth.cli("models", "--server", own_berth.url, "--api-key", "berth_wrong",
                        check=1, env=elsewhere)
    assert "key" in run.stderr.lower()
    assert "berth_wrong" not in run.stderr


def test_a_port_that_is_taken_is_named(own_berth: Berth, tmp_path: Path):
    other = Berth(tmp_path / "other", port=own_berth.port)
    try:
        other.start(wait=False)
        assert other.process.wait(20) == 1
        eventually("it said so", lambda: any(str(own_berth.port) in line for line in other.output), 5)
        assert not (other.data / "server.json").exists()
    finally:
        other.close()


def test_a_second_server_in_the_same_folder_is_refused(own_berth: Berth):
    second = Berth(own_berth.home, port=free_port())
    second.start(wait=False)
    status = second.process.wait(20)
    assert status == 1
    eventually("it said so", lambda: any(str(own_berth.data) in line for line in second.output), 5)
    own_berth.api("GET", "/health", key=None)


def test_an_address_beyond_this_machine_needs_the_explicit_flag(stopped_berth: Berth):
    run = stopped_berth.cli("serve", "--listen", f"0.0.0.0:{stopped_berth.port}", check=False,
                            timeout=20)
    assert run.returncode in (1, 2)
    assert "--insecure-http" in run.stderr + run.stdout


def test_settings_come_from_flag_then_environment_then_file(stopped_berth: Berth):
    by_flag, by_environment, by_file = free_port(), free_port(), free_port()
    (stopped_berth.data / "berth.yaml").write_text(f"listen: 127.0.0.1:{by_file}\n")
    stopped_berth.settings["BERTH_LISTEN"] = f"127.0.0.1:{by_environment}"
    stopped_berth.port = by_flag
    stopped_berth.start("--no-worker")
    stopped_berth.stop()
    stopped_berth.port = by_environment
    stopped_berth.start("--no-worker", listen=False)
    stopped_berth.stop()
    del stopped_berth.settings["BERTH_LISTEN"]
    stopped_berth.port = by_file
    stopped_berth.start("--no-worker", listen=False)


def test_an_unknown_setting_in_the_file_is_named(stopped_berth: Berth):
    (stopped_berth.data / "berth.yaml").write_text("lisen: 127.0.0.1:1\n")
    run = stopped_berth.cli("serve", check=False, timeout=20)
    assert run.returncode in (1, 2)
    assert "lisen" in run.stderr + run.stdout


def test_ctrl_c_ends_server_worker_and_engines(own_berth: Berth, tiny_file: Path):
    own_berth.deploy("ending", tiny_file)
    began = time.monotonic()
    assert own_berth.stop(signal.SIGINT) == 0
    assert time.monotonic() - began < 15
    eventually("nothing is left", lambda: not own_berth.left_over(), 5)
    assert not (own_berth.data / "server.json").exists()


def test_the_server_file_tells_where_it_listens(own_berth: Berth):
    told = json.loads((own_berth.data / "server.json").read_text())
    assert told["url"] == own_berth.url
    assert told["pid"] == own_berth.process.pid
