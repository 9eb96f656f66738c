"""Hugging Face's API, as huggingface_hub 2.4 uses it."""

import base64
import re
from urllib.parse import quote, unquote

from .content import Content
from .http import Answer, Request, json_answer
from .repository import Repository

INFO = re.compile(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?")
TREE = re.compile(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)(?:/(.*))?")
RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
CACHE = re.compile(r"/api/resolve-cache/models/([^/]+/[^/]+)/([0-9a-f]{40})/(.+)")


def refusal(status: int, code: str, message: str, **headers: str) -> Answer:
    return json_answer({"error": message}, status, X_Error_Code=code, X_Error_Message=message,
                       **headers)


def answer(hub, request: Request) -> Answer | None:
    """Nothing where the path is none of this API's."""
    # Slashes inside of a revision are escaped, so the path is taken apart before it is decoded.
    for form, serve in ((TREE, tree), (INFO, info), (CACHE, cached), (RESOLVE, resolve)):
        match = form.fullmatch(request.raw_path)
        if match is None:
            continue
        parts = [unquote(part) if part else "" for part in match.groups()]
        repository = hub.repositories.get(parts[0])
        refused = refuse(hub, request, repository, reads=serve in (resolve, cached))
        return refused or serve(hub, request, repository, *parts[1:])
    return None


def refuse(hub, request: Request, repository: Repository | None, reads: bool) -> Answer | None:
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    if token and token not in hub.accounts:
        return refusal(401, "", "Invalid credentials in Authorization header")
    granted = hub.accounts.get(token, set())
    if repository is None or (repository.private and repository.name not in granted):
        message = "Repository not found"
        return refusal(404 if token else 401, "RepoNotFound", message)
    if reads and repository.gated and repository.name not in granted:
        return refusal(403 if token else 401, "GatedRepo",
                       f"Access to model {repository.name} is restricted and you are not in the "
                       "authorized list." if token else
                       f"Access to model {repository.name} is restricted. You must have access to "
                       "it and be authenticated to access it. Please log in.")
    return None


def no_revision(revision: str) -> Answer:
    return refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")


def info(hub, request: Request, repository: Repository, revision: str) -> Answer:
    commit = repository.resolve(revision or "main")
    if commit is None:
        return no_revision(revision)
    siblings = []
    for path, content in sorted(repository.commits[commit].items()):
        one: dict = {"rfilename": path}
        if request.query.get("blobs", "").lower() == "true":
            one |= {"blobId": content.blob, "size": content.size}
            if repository.is_large(path, content):
                one["lfs"] = {"sha256": content.sha256, "size": content.size, "pointerSize": 135}
        siblings.append(one)
    return json_answer({"_id": commit[:24], "id": repository.name, "modelId": repository.name,
                        "sha": commit, "private": repository.private,
                        "gated": "auto" if repository.gated else False, "disabled": False,
                        "tags": [], "downloads": 0, "likes": 0, "siblings": siblings})


def entries_of(repository: Repository, commit: str, folder: str, recursive: bool) -> list[dict]:
    entries: dict[str, dict] = {}
    begin = folder.strip("/") + "/" if folder else ""
    for path, content in sorted(repository.commits[commit].items()):
        if not path.startswith(begin):
            continue
        inside = path[len(begin):].split("/")
        for depth in range(1, len(inside)):
            above = begin + "/".join(inside[:depth])
            if recursive or depth == 1:
                entries[above] = {"type": "directory", "oid": "d" * 40, "size": 0, "path": above}
        if len(inside) > 1 and not recursive:
            continue
        entries[path] = {"type": "file", "oid": content.blob, "size": content.size, "path": path}
        if repository.is_large(path, content):
            entries[path]["lfs"] = {"oid": content.sha256, "size": content.size,
                                    "pointerSize": 135}
    return list(entries.values())


def tree(hub, request: Request, repository: Repository, revision: str, folder: str) -> Answer:
    commit = repository.resolve(revision)
    if commit is None:
        return no_revision(revision)
    recursive = request.query.get("recursive", "").lower() in ("true", "1")
    entries = entries_of(repository, commit, folder, recursive)
    if folder and not entries:
        return refusal(404, "EntryNotFound", f"{folder} does not exist on \"{revision}\"")
    cursor = request.query.get("cursor", "")
    begin = int(base64.urlsafe_b64decode(cursor)) if cursor else 0
    end = begin + hub.page
    answer = json_answer(entries[begin:end])
    if end < len(entries):
        cursor = base64.urlsafe_b64encode(str(end).encode()).decode()
        answer.headers["Link"] = (f"<{hub.url}{request.raw_path}?recursive={recursive}"
                                  f"&expand=False&cursor={quote(cursor)}>; rel=\"next\"")
    return answer


def find(repository: Repository, revision: str, path: str) -> tuple[str, Content] | Answer:
    commit = repository.resolve(revision)
    if commit is None:
        return no_revision(revision)
    content = repository.commits[commit].get(path)
    if content is None:
        return refusal(404, "EntryNotFound", "Entry not found", X_Repo_Commit=commit)
    return commit, content


def resolve(hub, request: Request, repository: Repository, revision: str, path: str) -> Answer:
    found = find(repository, revision, path)
    if isinstance(found, Answer):
        return found
    commit, content = found
    if repository.is_large(path, content):
        return hub.redirect_to_cdn(content, 302, X_Repo_Commit=commit,
                                   X_Linked_Size=str(content.size),
                                   X_Linked_Etag=f'"{content.sha256}"', Accept_Ranges="bytes")
    location = f"/api/resolve-cache/models/{repository.name}/{commit}/{quote(path)}"
    return Answer(307, {"Location": location, "X-Repo-Commit": commit,
                        "X-Linked-Etag": f'"{content.blob}"', "X-Linked-Size": str(content.size)})


def cached(hub, request: Request, repository: Repository, commit: str, path: str) -> Answer:
    found = find(repository, commit, path)
    if isinstance(found, Answer):
        return found
    return Answer(content=found[1], headers={"ETag": f'"{found[1].blob}"',
                                             "X-Repo-Commit": commit,
                                             "Content-Type": "text/plain; charset=utf-8"})
