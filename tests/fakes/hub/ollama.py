"""Ollama's registry: manifests of Docker's kind, whose layers say by media type what they are."""

import json
import re

from .content import Content
from .http import Answer, Request, json_answer

MANIFEST = re.compile(r"/v2/([^/]+/[^/]+)/manifests/([^/]+)")
BLOB = re.compile(r"/v2/([^/]+/[^/]+)/blobs/sha256:([0-9a-f]{64})")
TYPE = "application/vnd.docker.distribution.manifest.v2+json"


class Tag:
    def __init__(self, layers: list[tuple[str, bytes]]) -> None:
        config = Content(json.dumps({"model_format": "gguf"}).encode())
        contents = [(kind, Content(source)) for kind, source in layers]
        self.blobs = {one.sha256: one for one in (config, *(content for _, content in contents))}
        self.manifest = json.dumps({
            "schemaVersion": 2, "mediaType": TYPE,
            "config": {"mediaType": "application/vnd.docker.container.image.v1+json",
                       "digest": f"sha256:{config.sha256}", "size": config.size},
            "layers": [{"mediaType": f"application/vnd.ollama.image.{kind}",
                        "digest": f"sha256:{content.sha256}", "size": content.size}
                       for kind, content in contents],
        }).encode()


def refusal(code: str, message: str) -> Answer:
    return json_answer({"errors": [{"code": code, "message": message}]}, 404)


def answer(hub, request: Request) -> Answer | None:
    """Nothing where the path is none of this API's."""
    if match := MANIFEST.fullmatch(request.path):
        tag = hub.tags.get(f"{match[1]}:{match[2]}")
        if tag is None:
            return refusal("MANIFEST_UNKNOWN", "manifest unknown")
        return Answer(headers={"Content-Type": TYPE}, body=tag.manifest)
    if match := BLOB.fullmatch(request.path):
        for name, tag in hub.tags.items():
            if name.startswith(match[1] + ":") and match[2] in tag.blobs:
                return hub.redirect_to_cdn(tag.blobs[match[2]], 307)
        return refusal("BLOB_UNKNOWN", "blob unknown to registry")
    return None
