"""A fake of the model hubs: Hugging Face's, ModelScope's and Ollama's HTTP APIs, on 127.0.0.1.

    with Hub() as hub:
        repository = hub.repository("org/model")
        first = repository.commit({"config.json": b"{}", "m-Q4_K_M.gguf": Path("m.gguf")})
        hub.faults.add("*/m-Q4_K_M.gguf", status=503, times=2)
        …  HF_ENDPOINT=hub.url, MODELSCOPE_DOMAIN=hub.url, BERTH_OLLAMA_REGISTRY=hub.url

One listener is the hub; large files are redirected to a second one, the CDN, with a signature that
can expire. The same repository is served by Hugging Face's API and by ModelScope's. README.md says
which parts of the APIs there are; tests/system/test_fake_hub.py runs huggingface_hub against it.
"""

from .content import Content
from .faults import Fault, Faults
from .hub import Hub
from .repository import Repository

__all__ = ["Content", "Fault", "Faults", "Hub", "Repository"]
