"""Repository: files at commits, as git and its large-file store (LFS) keep them."""

import hashlib
from pathlib import Path

from .content import Content

LARGE_NAMES = (".gguf", ".safetensors", ".bin", ".pt", ".pth", ".onnx", ".h5", ".msgpack")
LARGE = 10 << 20  # whatever its name


class Repository:
    def __init__(self, name: str, *, gated: bool = False, private: bool = False) -> None:
        self.name = name
        self.gated = gated      # seen by all, read by those who were let in
        self.private = private  # not even seen by others
        self.commits: dict[str, dict[str, Content]] = {}
        self.refs: dict[str, str] = {}  # branches and tags: "main", "refs/pr/1"

    def commit(self, files: dict[str, bytes | Path], ref: str = "main") -> str:
        """All files of a new commit, which `ref` names from now on; gives its name. Paths are not
        checked: a hostile hub has any."""
        contents = {path: Content(source) for path, source in files.items()}
        text = repr((self.name, len(self.commits), [(p, c.blob) for p, c in contents.items()]))
        commit = hashlib.sha1(text.encode()).hexdigest()
        self.commits[commit] = contents
        self.refs[ref] = commit
        return commit

    def commit_folder(self, folder: Path, ref: str = "main") -> str:
        return self.commit({path.relative_to(folder).as_posix(): path
                            for path in sorted(folder.rglob("*")) if path.is_file()}, ref)

    def resolve(self, revision: str) -> str | None:
        """The commit that a branch, a tag or a commit's own name means."""
        return self.refs.get(revision) or (revision if revision in self.commits else None)

    @staticmethod
    def is_large(path: str, content: Content) -> bool:
        return path.endswith(LARGE_NAMES) or content.size >= LARGE
