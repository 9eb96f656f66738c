"""The figures of the README, measured on the real program and a real engine. Run by bench/run."""

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/system"))
from harness import BERTH, CACHE, Berth, eventually, free_port  # noqa: E402

MODELS = CACHE / "models"
GEMMA = MODELS / "gemma-3-270m-Q4_K_M.gguf"
TINY = MODELS / "tiny.gguf"
BENCH_GGUF = Path(__file__).resolve().parents[1] / "build/release/bench_gguf"
TICK = 1 / os.sysconf("SC_CLK_TCK")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def resident(pid: int) -> float:
    """Resident memory of a process, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no VmRSS of {pid}")


def until_healthy(url: str, began: float, seconds: float) -> float:
    """Asks for /health until it is there; how long that was from `began`."""
    with httpx.Client() as client:
        while True:
            try:
                if client.get(f"{url}/health", timeout=1).status_code == 200:
                    return time.perf_counter() - began
            except httpx.HTTPError:
                pass
            if time.perf_counter() - began > seconds:
                raise RuntimeError(f"no answer of {url} within {seconds} s")
            time.sleep(0.002)


def seconds_to_health(berth: Berth) -> float:
    """From the start of `berth serve` to its first answer on /health."""
    began = time.perf_counter()
    berth.start(wait=False)
    return until_healthy(berth.url, began, 20)


def idle_memory(berth: Berth, settle: float) -> dict[str, float]:
    """Resident MiB of server, worker and its proxy, nothing being deployed."""
    eventually("the worker is ready", lambda: [
        one for one in berth.api("GET", "/api/v1/workers")["items"] if one["state"] == "ready"], 30)
    time.sleep(settle)
    argvs = berth.left_over()
    worker = next(pid for pid, argv in argvs.items() if " worker " in argv)
    proxy = next(pid for pid, argv in argvs.items() if "berth proxy " in argv)
    return {"server": resident(berth.process.pid), "worker": resident(worker),
            "proxy": resident(proxy)}


def deploy_to_process(berth: Berth, name: str) -> float:
    """From the request of a deployment to the start of the engine's process, in seconds.

    The kernel keeps the start in ticks of 10 ms, rounded down; half of one is added.
    """
    began = time.clock_gettime(time.CLOCK_BOOTTIME)
    berth.api("POST", "/api/v1/models", expect=201, json={"name": name, "source": str(TINY)})
    pid = berth.wait_ready(name)[0]["pid"]
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    started = int(fields[19]) * TICK + TICK / 2
    berth.remove(name)
    return max(started - began, 0.0)


def tokens_a_second(url: str, key: str, model: str, tokens: int) -> float:
    """Of one streamed completion, from the request to its end."""
    body = {"model": model, "prompt": "Once upon a time", "max_tokens": tokens, "stream": True,
            "temperature": 0, "ignore_eos": True, "stream_options": {"include_usage": True}}
    made = 0
    began = time.perf_counter()
    with httpx.stream("POST", f"{url}/v1/completions", json=body, timeout=120,
                      headers={"Authorization": f"Bearer {key}"}) as answer:
        answer.raise_for_status()
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                usage = json.loads(line[6:]).get("usage")
                made = usage["completion_tokens"] if usage else made
    taken = time.perf_counter() - began
    if made != tokens:
        raise RuntimeError(f"{made} tokens came, {tokens} were asked")
    return made / taken


def engine_key(pid: int) -> str:
    pairs = (pair.partition(b"=") for pair in
             Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))
    return next(value.decode() for name, _, value in pairs if b"API_KEY" in name and value)


def own_load_time(pid: int, port: int) -> float:
    """From the start of the same engine, by hand on another port, to its first /health."""
    argv = [part.decode() for part in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]]
    env = dict(part.decode().split("=", 1) for part in
               Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if b"=" in part)
    env = {name: value for name, value in env.items() if not name.startswith("BERTH_")}
    other = free_port()
    argv[argv.index(str(port))] = str(other)
    began = time.perf_counter()
    engine = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return until_healthy(f"http://127.0.0.1:{other}", began, 60)
    finally:
        engine.kill()
        engine.wait(10)


def crash_to_serving(berth: Berth, rounds: int) -> tuple[float, float]:
    """Seconds from an engine's kill to the next answer by the gateway, and its own load time."""
    berth.deploy("crash", GEMMA)
    instance = berth.wait_ready("crash")[0]
    own = statistics.median(own_load_time(instance["pid"], instance["port"]) for _ in range(3))
    body = {"model": "crash", "prompt": "x", "max_tokens": 1}
    taken = []
    for _ in range(rounds):
        pid = berth.wait_ready("crash")[0]["pid"]
        began = time.perf_counter()
        os.kill(pid, signal.SIGKILL)
        eventually("the killed engine is noticed", lambda: not Path(f"/proc/{pid}").exists(), 10)
        while berth.http("POST", "/v1/completions", json=body).status_code != 200:
            if time.perf_counter() - began > 60:
                raise RuntimeError("it does not serve again within 60 s")
            time.sleep(0.01)
        taken.append(time.perf_counter() - began)
        # A failure in a row doubles the pause; each round is to be a first one.
        berth.remove("crash")
        berth.deploy("crash", GEMMA)
        berth.wait_ready("crash")
    berth.remove("crash")
    return statistics.median(taken), own


def gateway_against_engine(berth: Berth, pairs: int, tokens: int) -> tuple[float, float, float]:
    """Tokens a second through the gateway and straight, and the median of the pairs' ratios."""
    berth.deploy("gemma", GEMMA)
    instance = berth.wait_ready("gemma")[0]
    straight_url, key = f"http://127.0.0.1:{instance['port']}", engine_key(instance["pid"])
    through, straight, ratios = [], [], []
    for number in range(pairs + 1):  # the first pair warms up
        measures = [lambda: tokens_a_second(berth.url, berth.key, "gemma", tokens),
                    lambda: tokens_a_second(straight_url, key, "gemma", tokens)]
        results = {}
        for which in ((0, 1) if number % 2 else (1, 0)):
            results[which] = measures[which]()
        say(f"  pair {number}: gateway {results[0]:.1f}, engine {results[1]:.1f} tokens/s")
        if number:
            through.append(results[0])
            straight.append(results[1])
            ratios.append(results[0] / results[1])
    berth.remove("gemma")
    return statistics.median(through), statistics.median(straight), statistics.median(ratios)


def header_time() -> tuple[float, float]:
    """Milliseconds of processor time for the largest GGUF header: the median and the most."""
    output = subprocess.run([BENCH_GGUF], check=True, capture_output=True, text=True).stdout
    median, _, most = map(float, output.split())
    return median, most


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=9, help="gateway against engine (default 9)")
    parser.add_argument("--starts", type=int, default=7, help="starts and deployments (default 7)")
    parser.add_argument("--tokens", type=int, default=128, help="of one completion (default 128)")
    options = parser.parse_args()

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is ended
    say("the largest header")
    header, header_most = header_time()
    home = Path(tempfile.mkdtemp(prefix="berth-bench-"))
    berth = Berth(home)
    try:
        say("starts")
        starts = []
        for _ in range(options.starts):
            starts.append(seconds_to_health(berth))
            berth.stop()
        berth.start()
        say("idle memory")
        idle = idle_memory(berth, 10)
        say("the engine pack")
        berth.deploy("warm-up", TINY)
        berth.remove("warm-up")
        say("deployments")
        deployments = [deploy_to_process(berth, f"bench-{number}")
                       for number in range(options.starts)]
        say("crashes")
        crash, load = crash_to_serving(berth, 3)
        say("gateway against engine")
        through, straight, ratio = gateway_against_engine(berth, options.pairs, options.tokens)
    finally:
        berth.close()
        shutil.rmtree(home, ignore_errors=True)

    total = sum(idle.values())
    health, process = statistics.median(starts), statistics.median(deployments)
    rows = [
        ("idle memory, server + worker + proxy", "≤ 60 MiB", total <= 60,
         f"{total:.1f} MiB ({' + '.join(f'{size:.1f}' for size in idle.values())})"),
        ("`berth serve` to its first /health", "≤ 0.5 s", health <= 0.5,
         f"{health * 1000:.0f} ms (worst of {options.starts}: {max(starts) * 1000:.0f})"),
        ("deployment to the engine's process", "≤ 200 ms", process <= 0.2,
         f"{process * 1000:.0f} ms (worst of {options.starts}: {max(deployments) * 1000:.0f})"),
        ("crash of gemma's engine to serving again, beyond its own load time", "≤ 1 s",
         crash - load <= 1, f"{crash - load:.2f} s ({crash:.2f} in all, {load:.2f} its own)"),
        ("GGUF header of 400 layers and 100,000 tensors, processor time", "≤ 50 ms", header <= 50,
         f"{header:.0f} ms (worst of its rounds: {header_most:.0f})"),
        ("gemma through the gateway, against straight", "≥ 0.95", ratio >= 0.95,
         f"{ratio:.3f} ({through:.1f} against {straight:.1f} tokens/s)"),
    ]
    program = BERTH.stat().st_size / (1 << 20)
    print(f"{date.today()}, {os.cpu_count()} cores, {platform.machine()}, program {program:.1f} MiB; "
          "medians\n")
    print("| figure | wanted | measured | |\n|---|---|---|---|")
    for name, wanted, good, measured in rows:
        print(f"| {name} | {wanted} | {measured} | {'yes' if good else '**no**'} |")
    return 0 if all(good for _, _, good, _ in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
