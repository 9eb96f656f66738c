"""Hub: the listeners and what they serve."""

from . import hugging_face, model_scope, ollama
from .cdn import Cdn
from .faults import Faults
from .http import Answer, Listener, Request, json_answer
from .ollama import Tag
from .repository import Repository


class Hub:
    def __init__(self, port: int = 0) -> None:
        self.faults = Faults()
        self.repositories: dict[str, Repository] = {}
        self.tags: dict[str, Tag] = {}         # "library/llama3:latest"
        self.accounts: dict[str, set[str]] = {}  # token: the repositories that let its owner in
        self.page = 1000                       # entries of a page of Hugging Face's trees
        self.store = Cdn()
        self.cdn = Listener("cdn", self.faults, self.store.answer)
        self.web = Listener("hub", self.faults, self._answer, port)

    @property
    def url(self) -> str:
        return self.web.url

    def repository(self, name: str, **how: bool) -> Repository:
        self.repositories[name] = Repository(name, **how)
        return self.repositories[name]

    def tag(self, name: str, layers: list[tuple[str, bytes]]) -> Tag:
        """A model of Ollama's registry: "library/m:7b", [("model", …), ("projector", …)]."""
        self.tags[name] = Tag(layers)
        return self.tags[name]

    def redirect_to_cdn(self, content, status: int, **headers: str) -> Answer:
        location = self.cdn.url + self.store.target(content)
        return Answer(status, {"Location": location,
                               **{name.replace("_", "-"): text for name, text in headers.items()}})

    def paths(self, method: str = "") -> list[str]:
        """What was asked of the hub so far."""
        return [one.path for one in self.web.asked if method in ("", one.method)]

    def _answer(self, request: Request) -> Answer:
        for api in (ollama, model_scope, hugging_face):
            answer = api.answer(self, request)
            if answer is not None:
                return answer
        return json_answer({"error": "Sorry, we can't find the page you are looking for."}, 404)

    def close(self) -> None:
        self.web.close()
        self.cdn.close()

    def __enter__(self) -> "Hub":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
