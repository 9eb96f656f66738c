"""Prints requirements.lock: what requirements.txt needs on Debian 12 (CPython 3.11, x86-64), by hash.

    python3 bench/vllm/lock.py UV >bench/vllm/requirements.lock

UV is the program of that name; versions and hashes come from the index that it is set to. Files for
other platforms are left out, of which there are ten times as many.
"""

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "pylock.toml"
        subprocess.run(
            [sys.argv[1], "pip", "compile", "--quiet", "--format", "pylock.toml",
             "--override", HERE / "overrides.txt", "--python-version", "3.11",
             "--python-platform", "x86_64-manylinux_2_35", "-o", made, HERE / "requirements.txt"],
            check=True, stdout=subprocess.DEVNULL)
        packages = tomllib.loads(made.read_text())["packages"]
    print("# Made by lock.py, see there.")
    for package in packages:
        files = package.get("wheels") or [package["sdist"]]
        hashes = [f" \\\n    --hash=sha256:{one['hashes']['sha256']}" for one in files]
        print(f"{package['name']}=={package['version']}{''.join(hashes)}")


if __name__ == "__main__":
    main()
