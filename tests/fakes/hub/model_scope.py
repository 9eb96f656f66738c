"""ModelScope's API, as its SDK (1.27) uses it."""

import re

from .http import Answer, Request, json_answer
from .repository import Repository

FORM = re.compile(r"/api/v1/models/([^/]+/[^/]+)/(repo|repo/files|revisions)")
MASTER = "master"  # is Hugging Face's "main"


def envelope(data: object) -> Answer:
    return json_answer({"Code": 200, "Data": data, "Message": "success", "RequestId": "0",
                        "Success": True})


def refusal(status: int, message: str) -> Answer:
    return json_answer({"Code": 10010205001, "Data": None, "Message": message, "RequestId": "0",
                        "Success": False}, status)


def answer(hub, request: Request) -> Answer | None:
    """Nothing where the path is none of this API's."""
    match = FORM.fullmatch(request.path)
    if match is None:
        return None
    repository = hub.repositories.get(match[1])
    cookie = re.search(r"m_session_id=([^;]*)", request.headers.get("cookie", ""))
    granted = hub.accounts.get(cookie[1], set()) if cookie else set()
    if repository is None:
        return refusal(404, f"{match[1]} not exists")
    if (repository.private or repository.gated) and repository.name not in granted:
        return refusal(403 if cookie else 401, "no permission")
    if match[2] == "revisions":
        return envelope({"RevisionMap": {
            "Branches": [{"Revision": MASTER if ref == "main" else ref}
                         for ref in repository.refs], "Tags": []}})
    revision = request.query.get("Revision", MASTER)
    commit = repository.resolve("main" if revision == MASTER else revision)
    if commit is None:
        return refusal(404, f"revision {revision} not exists")
    serve = files if match[2] == "repo/files" else content
    return serve(hub, request, repository, commit)


def files(hub, request: Request, repository: Repository, commit: str) -> Answer:
    recursive = request.query.get("Recursive", "").lower() == "true"
    entries: dict[str, dict] = {}
    for path, one in sorted(repository.commits[commit].items()):
        parts = path.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            entries[folder] = {"Type": "tree", "Name": parts[depth - 1], "Path": folder, "Size": 0,
                               "Sha256": "", "Revision": commit}
        entries[path] = {"Type": "blob", "Name": parts[-1], "Path": path, "Size": one.size,
                         "Sha256": one.sha256, "Revision": commit,
                         "IsLFS": repository.is_large(path, one)}
    kept = [one for one in entries.values() if recursive or "/" not in one["Path"]]
    return envelope({"Files": kept, "IsVisual": 0, "LatestCommitter": {"Id": commit}})


def content(hub, request: Request, repository: Repository, commit: str) -> Answer:
    path = request.query.get("FilePath", "")
    found = repository.commits[commit].get(path)
    if found is None:
        return refusal(404, f"{path} not exists")
    if repository.is_large(path, found):
        return hub.redirect_to_cdn(found, 302)
    return Answer(content=found, headers={"ETag": f'"{found.sha256}"',
                                          "Content-Type": "application/octet-stream"})
