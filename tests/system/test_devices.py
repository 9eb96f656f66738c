"""The devices of a worker, told by a stand-in for NVIDIA's library (tests/fakes/nvml)."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import pytest

from fake_engine import FAKE
from harness import ROOT, Berth, eventually

GIB = 1 << 30
MEMORY = 80 * GIB
RESERVE = 256 << 20


class Gpu:
    """What the library says of one GPU; a change is seen with the next look."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.say(used=3 * GIB)

    def say(self, used: int, *more: str) -> None:
        lines = ["gpu GPU-1111 NVIDIA H100 80GB HBM3", f"memory {MEMORY} {used}",
                 "pci 00000000:1B:00.0", "utilisation 17", "temperature 41", "power 69500",
                 "capability 9 0", *more]
        fresh = self.file.with_suffix(".new")
        fresh.write_text("\n".join(lines) + "\n")
        fresh.rename(self.file)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nvml")
    subprocess.run(["clang++-19", "-std=c++20", "-shared", "-fPIC", "-I", ROOT / "src",
                    "-o", folder / "libnvidia-ml.so.1", ROOT / "tests/fakes/nvml/fake_nvml.cpp"],
                   check=True)
    return folder


@pytest.fixture
def gpu(stopped_berth: Berth, library: Path, tmp_path: Path) -> Gpu:
    file = tmp_path / "nvml.txt"
    stopped_berth.settings |= {"LD_LIBRARY_PATH": str(library), "FAKE_NVML_FILE": str(file)}
    return Gpu(file)


@pytest.fixture
def gpu_berth(stopped_berth: Berth, gpu: Gpu) -> Berth:
    """A server whose pack `fake` (tests/fakes/engine.py) can use the GPU."""
    stopped_berth.add_pack("fake", [sys.executable, str(FAKE)], runtimes=("cpu", "cuda"))
    stopped_berth.start()
    eventually("the worker tells of the GPU", lambda: find(stopped_berth, "cuda:0"))
    return stopped_berth


def find(berth: Berth, device: str) -> dict[str, Any] | None:
    items = berth.api("GET", "/api/v1/devices")["items"]
    return next((one for one in items if one["id"] == device), None)


def when(berth: Berth, what: str, check: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    def seen() -> dict[str, Any] | None:
        device = find(berth, "cuda:0")
        return device if device and check(device) else None
    return eventually(what, seen, 60)


def deploy(berth: Berth, model: Path) -> None:
    berth.api("POST", "/api/v1/models", 201, json={
        "name": "chat", "source": str(model), "backend_version": "fake", "cpu_offload": "never"})


def test_a_person_sees_what_others_use_and_what_is_free(gpu_berth: Berth, gpu: Gpu) -> None:
    device = find(gpu_berth, "cuda:0")
    assert device["name"] == "NVIDIA H100 80GB HBM3"
    assert device["memory"] == MEMORY
    assert device["others"] == 3 * GIB
    assert device["free"] == MEMORY - 3 * GIB - RESERVE
    assert (device["capability"], device["uuid"]) == ("9.0", "GPU-1111")
    shown = gpu_berth.cli("devices").stdout
    assert "cuda:0  NVIDIA H100 80GB HBM3  17 % busy  41 °C  70 W" in shown
    assert "[oo....." in shown
    gpu.say(used=40 * GIB)
    when(gpu_berth, "the new figure is seen", lambda one: one["others"] == 40 * GIB)
    metrics = gpu_berth.api("GET", "/metrics")
    assert any(line.startswith("berth_device_memory_used_bytes{device=\"cuda:0\"")
               and line.endswith(f" {40 * GIB}") for line in metrics.splitlines())


def test_a_model_waits_for_what_others_use(gpu_berth: Berth, gpu: Gpu, tiny_file: Path) -> None:
    gpu.say(used=MEMORY)
    when(gpu_berth, "the GPU is full", lambda one: one["free"] == 0)
    deploy(gpu_berth, tiny_file)
    waiting = gpu_berth.wait_state("chat", "pending")
    assert "cuda:0 has 0 B" in waiting["reason"]
    gpu.say(used=0)
    ready = gpu_berth.wait_ready("chat")[0]
    assert any(one["device"] == "cuda:0" for one in ready["placement"]["claim"]["devices"])


def test_what_an_engine_uses_counts_as_its_own(gpu_berth: Berth, gpu: Gpu, tiny_file: Path
                                               ) -> None:
    deploy(gpu_berth, tiny_file)
    ready = gpu_berth.wait_ready("chat")[0]
    pid = gpu_berth.api("GET", f"/api/v1/instances/{ready['name']}")["pid"]
    gpu.say(5 * GIB, f"process {pid} {1 << 20}", f"process 1 {GIB}")
    device = when(gpu_berth, "the engine's share is known",
                  lambda one: one["claims"] and one["claims"][0]["used"] == 1 << 20)
    assert device["claims"][0]["instance"] == ready["name"]
    assert device["others"] == 5 * GIB - (1 << 20)
    assert device["claimed"] == device["claims"][0]["claim"] > 0


def start_with_memory(berth: Berth, gpu: Gpu, model: Path) -> dict[str, Any]:
    """An instance whose engine is seen with 2 GiB of the GPU, of which others have 3."""
    deploy(berth, model)
    ready = berth.wait_ready("chat")[0]
    gpu.say(5 * GIB, f"process {ready['pid']} {2 * GIB}")
    when(berth, "the engine's share is known",
         lambda one: one["claims"] and one["claims"][0]["used"] == 2 * GIB)
    return ready


def worker_log(berth: Berth) -> str:
    return (berth.data / "logs/worker.log").read_text()


def next_engine(berth: Berth, before: dict[str, Any]) -> None:
    eventually("another engine serves", lambda: any(
        one["state"] == "ready" and one["pid"] != before["pid"]
        for one in berth.instances("chat")), 60)


def test_the_next_attempt_waits_until_the_driver_gave_the_memory_back(
        gpu_berth: Berth, gpu: Gpu, tiny_file: Path) -> None:
    before = start_with_memory(gpu_berth, gpu, tiny_file)
    gpu.say(5 * GIB)  # the process is gone, its memory is not
    os.kill(before["pid"], signal.SIGKILL)
    next_engine(gpu_berth, before)
    assert "the memory that its engine had on devices is not free after 10 s" in (
        worker_log(gpu_berth))


def test_an_end_is_not_held_up_once_the_memory_is_free(
        gpu_berth: Berth, gpu: Gpu, tiny_file: Path) -> None:
    before = start_with_memory(gpu_berth, gpu, tiny_file)
    os.kill(before["pid"], signal.SIGKILL)
    gpu.say(3 * GIB)
    next_engine(gpu_berth, before)
    gpu_berth.remove("chat")
    assert "had on devices is not free" not in worker_log(gpu_berth)


def test_an_instance_is_not_gone_before_its_memory_is(
        gpu_berth: Berth, gpu: Gpu, tiny_file: Path) -> None:
    before = start_with_memory(gpu_berth, gpu, tiny_file)
    gpu_berth.api("DELETE", "/api/v1/models/chat", 202)
    eventually("the engine has ended", lambda: not Path(f"/proc/{before['pid']}").exists())
    gpu_berth.wait_gone("chat")
    assert "the memory that its engine had on devices is not free after 10 s" in (
        worker_log(gpu_berth))


def test_a_driver_that_hangs_costs_a_warning_and_not_the_worker(gpu_berth: Berth, gpu: Gpu
                                                                ) -> None:
    gpu.say(0, "hang nvmlDeviceGetMemoryInfo")
    device = when(gpu_berth, "the look hangs", lambda one: not one["measured"])
    assert (device["free"], device["memory"]) == (0, MEMORY)
    worker = gpu_berth.api("GET", "/api/v1/workers")["items"][0]
    assert worker["state"] == "ready"
    assert any("NVIDIA" in warning and "hangs" in warning for warning in worker["warnings"])


def test_figures_that_can_not_be_are_refused(gpu_berth: Berth, gpu: Gpu) -> None:
    gpu.say(MEMORY + GIB, "temperature 9000")
    device = when(gpu_berth, "the lie is refused", lambda one: not one["measured"])
    assert "temperature" not in device
    assert device["free"] == 0
    warnings = gpu_berth.api("GET", "/api/v1/workers")["items"][0]["warnings"]
    assert any("temperature of 9000" in warning for warning in warnings)
