"""Prints what bench_schedule measures beside what is wanted. Run by bench/run-schedule."""

import os
import platform
import subprocess
import sys
from datetime import date
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2] / "build/release/bench_schedule"
# The most that the median and the 99th percentile may be, in milliseconds.
MARKS = {
    ("gguf-one-device", 500): (1, 5), ("gguf-several-devices", 500): (1, 5),
    ("vllm-one-device", 500): (1, 5), ("vllm-four-devices", 500): (1, 5),
    ("vllm-several-workers", 500): (20, 20),
    ("gguf-one-device", 5000): (10, None), ("vllm-one-device", 5000): (10, None),
}


def main() -> int:
    said = subprocess.run([BENCH, *sys.argv[1:]], check=True, text=True, stdout=subprocess.PIPE)
    print(f"{date.today()}, {platform.machine()}, {os.cpu_count()} cores; processor time\n")
    print("| case | workers of 8 devices | median | p99 | wanted | |\n|---|---|---|---|---|---|")
    good = True
    for line in said.stdout.splitlines():
        case, workers, median, p99, _ = line.split()
        most, most_p99 = MARKS.get((case, int(workers)), (None, None))
        wanted = " and ".join(f"≤ {mark} ms{of}" for mark, of in ((most, ""), (most_p99, " p99"))
                              if mark)
        meets = (not most or float(median) <= most) and (not most_p99 or float(p99) <= most_p99)
        good = good and meets
        mark = ("yes" if meets else "**no**") if wanted else ""
        print(f"| {case} | {workers} | {median} ms | {p99} ms | {wanted} | {mark} |")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
