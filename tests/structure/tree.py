"""What the structure tests share: the files of the checkout, and the modules as CMake declares them."""

import re
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def files(*patterns: str) -> list[Path]:
    """Files that are tracked, or would be with the next `git add`; all, or those that match."""
    out = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout
    paths = (ROOT / name for name in sorted(set(out.split("\0"))) if name)
    return [path for path in paths if path.is_file()]


@cache
def modules() -> dict[str, tuple[str, ...]]:
    """Each module of src/CMakeLists.txt with the modules that it may include."""
    text = (ROOT / "src/CMakeLists.txt").read_text()
    text = re.sub(r"#.*", "", text)
    found = {}
    for call in re.findall(r"berth_module\(([^)]*)\)", text):
        name, *words = call.split()
        uses = []
        if "USES" in words:
            for word in words[words.index("USES") + 1:]:
                if word == "LIBS":
                    break
                uses.append(word)
        found[name] = tuple(uses)
    return found


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
